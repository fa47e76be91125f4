// The protocols by which arrays share memory with other libraries: __array__, the buffer
// protocol and DLPack, both ways.
#include <cstdlib>
#include <cstring>

#include "array.hpp"
#include "refusal.hpp"

namespace fornax {
namespace {

// The DLPack C structures, version 1 (https://dmlc.github.io/dlpack/latest/c_api.html).
struct DLDevice {
  int32_t type;
  int32_t id;
};
struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null means C order
  uint64_t byte_offset;
};
struct Managed {  // capsule "dltensor"
  DLTensor tensor;
  void* context;
  void (*deleter)(Managed*);
};
struct Versioned {  // capsule "dltensor_versioned"
  uint32_t major;
  uint32_t minor;
  void* context;
  void (*deleter)(Versioned*);
  uint64_t flags;
  DLTensor tensor;
};

constexpr int32_t device_cpu = 1;
constexpr uint64_t flag_read_only = 1, flag_copied = 2;
constexpr const char *plain_name = "dltensor", *versioned_name = "dltensor_versioned";

// Strides in units of `unit` for C order.
template <class Integer>
void fill_strides(const Aval* aval, Integer unit, Integer* strides) {
  for (int i = aval->ndim; i-- > 0;) {
    strides[i] = unit;
    unit *= static_cast<Integer>(aval->dims[i] > 0 ? aval->dims[i] : 1);
  }
}

// --- export -----------------------------------------------------------------------------------

template <class Tensor>
struct Exported {
  Tensor managed;
  Buffer* buffer;
  int64_t numbers[1];  // shape, then strides
};

// Consumers may drop a tensor on any thread and without holding the interpreter lock.
template <class Tensor>
void delete_exported(Tensor* managed) {
  PyGILState_STATE state = PyGILState_Ensure();
  Py_DECREF(as_object(static_cast<Exported<Tensor>*>(managed->context)->buffer));
  PyGILState_Release(state);
  std::free(managed->context);
}

template <class Tensor>
void destroy_capsule(PyObject* capsule) {
  const char* name = std::is_same_v<Tensor, Managed> ? plain_name : versioned_name;
  if (!PyCapsule_IsValid(capsule, name)) return;  // taken over by a consumer
  auto* managed = static_cast<Tensor*>(PyCapsule_GetPointer(capsule, name));
  managed->deleter(managed);
}

template <class Tensor>
PyObject* export_capsule(const Aval* aval, Buffer* buffer, uint64_t flags) {
  auto rank = static_cast<size_t>(aval->ndim);
  auto* exported = static_cast<Exported<Tensor>*>(
      std::calloc(1, sizeof(Exported<Tensor>) + 2 * rank * sizeof(int64_t)));
  if (!exported) return PyErr_NoMemory();
  exported->buffer = reinterpret_cast<Buffer*>(Py_NewRef(as_object(buffer)));
  int64_t* shape = exported->numbers;
  std::copy(aval->dims, aval->dims + rank, shape);
  fill_strides<int64_t>(aval, 1, shape + rank);
  const DType* dtype = aval->dtype;
  Tensor& managed = exported->managed;
  managed.tensor = {buffer->data, {device_cpu, 0}, aval->ndim,
                    {dtype->dlpack_code, dtype->dlpack_bits, 1}, shape, shape + rank, 0};
  managed.context = exported;
  managed.deleter = delete_exported<Tensor>;
  const char* name = plain_name;
  if constexpr (std::is_same_v<Tensor, Versioned>) {
    managed.major = 1;
    managed.minor = 0;
    managed.flags = flags;
    name = versioned_name;
  } else {
    (void)flags;
  }
  PyObject* capsule = PyCapsule_New(&managed, name, destroy_capsule<Tensor>);
  if (!capsule) managed.deleter(&managed);
  return capsule;
}

// --- import -----------------------------------------------------------------------------------

template <class Tensor>
void release_imported(void* context) {
  auto* managed = static_cast<Tensor*>(context);
  if (managed->deleter) managed->deleter(managed);
}

bool is_c_order(const DLTensor& tensor) {
  if (!tensor.strides) return true;
  int64_t expected = 1;
  for (int i = tensor.ndim; i-- > 0;) {
    if (tensor.shape[i] == 0) return true;
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];
  }
  return true;
}

// An array that took over the capsule's tensor.
template <class Tensor>
PyObject* import_capsule(PyObject* capsule, const char* name, const char* used_name) {
  auto* managed = static_cast<Tensor*>(PyCapsule_GetPointer(capsule, name));
  if (!managed) return nullptr;
  DLTensor& tensor = managed->tensor;
  if (tensor.device.type != device_cpu) {
    refuse(PyExc_BufferError, "arrays here live in the memory of the processor",
           "copy the tensor to the CPU first",
           "from_dlpack() needs memory of the CPU, got DLPack device type %d.",
           tensor.device.type);
    return nullptr;
  }
  const DType* dtype = tensor.dtype.lanes == 1
                           ? dtype_from_dlpack(tensor.dtype.code, tensor.dtype.bits)
                           : nullptr;
  if (!dtype || tensor.ndim > NPY_MAXDIMS) {
    refuse(PyExc_BufferError, "no dtype of arrays has such elements",
           "convert the tensor to an ordinary dtype where it comes from, float32 for example",
           "from_dlpack() cannot represent DLPack type code %d with %d bits, %d lanes.",
           tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes);
    return nullptr;
  }
  npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
  std::copy(tensor.shape, tensor.shape + tensor.ndim, dims);
  Aval* aval = intern_aval(dtype, {dims, static_cast<size_t>(tensor.ndim)}, false);
  if (!aval) return nullptr;
  char* data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  bool aligned = reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(dtype->itemsize) == 0;
  PyCapsule_SetName(capsule, used_name);
  Buffer* buffer = wrap_buffer(data, static_cast<size_t>(aval->bytes), nullptr,
                               release_imported<Tensor>, managed);
  if (!buffer) {
    release(aval);
    return nullptr;
  }
  if (is_c_order(tensor) && aligned) return new_array(buffer, aval);

  // Other layouts go through a strided NumPy view of the foreign memory.
  release(aval);
  Ref owner = Ref::steal(as_object(buffer));
  for (int i = 0; i < tensor.ndim; ++i)
    strides[i] = static_cast<npy_intp>(tensor.strides ? tensor.strides[i] * dtype->itemsize : 0);
  Py_INCREF(dtype->descr);
  Ref view = Ref::steal(PyArray_NewFromDescr(&PyArray_Type, dtype->descr, tensor.ndim, dims,
                                             tensor.strides ? strides : nullptr, data, 0,
                                             nullptr));
  if (!view) return nullptr;
  auto* ndarray = reinterpret_cast<PyArrayObject*>(view.get());
  PyArray_UpdateFlags(ndarray, NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED);
  return array_from_ndarray(ndarray, dtype, false, false);
}

}  // namespace

PyObject* to_dlpack(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  Array* array = as_array(self);
  PyObject* values[] = {Py_None, Py_None, Py_None, Py_None};
  if (count) {
    refuse(PyExc_TypeError, "the protocol says so", "x.__dlpack__(stream=None)",
           "__dlpack__() takes keyword arguments only.");
    return nullptr;
  }
  if (!read_arguments("__dlpack__", {"stream", "max_version", "dl_device", "copy"}, 0, args, count,
                      names, values))
    return nullptr;
  auto [stream, max_version, device, copy] = values;
  if (stream != Py_None) {
    refuse(PyExc_BufferError, "the CPU has no streams", "stream=None, or leave it out",
           "__dlpack__() got stream=%R.", stream);
    return nullptr;
  }
  if (!live_buffer(array)) return nullptr;
  if (!array->aval->dtype->dlpack_bits) {
    refuse(PyExc_BufferError, "the protocol does not know them",
           "x.astype('float32') or x.view('uint8'), and back on the other side",
           "DLPack has no type for elements of dtype %R.", array->aval->dtype->descr);
    return nullptr;
  }
  if (device != Py_None) {
    long type = 0, id = 0;
    if (!PyArg_ParseTuple(device, "ll", &type, &id)) return nullptr;
    if (type != device_cpu || id != 0) {
      refuse(PyExc_BufferError, "memory is handed on where it is", "dl_device=(1, 0), or None",
             "The array is on the CPU, not on DLPack device (%ld, %ld).", type, id);
      return nullptr;
    }
  }
  long major = 0;
  if (max_version != Py_None) {
    long minor = 0;
    if (!PyArg_ParseTuple(max_version, "ll", &major, &minor)) return nullptr;
  }
  int copies = PyObject_IsTrue(copy);
  if (copies < 0) return nullptr;
  Ref buffer = Ref::borrow(as_object(array->buffer));
  if (copies) {
    buffer = Ref::steal(as_object(new_buffer(array->buffer->bytes)));
    if (!buffer) return nullptr;
    std::memcpy(reinterpret_cast<Buffer*>(buffer.get())->data, array->buffer->data,
                array->buffer->bytes);
  }
  auto* memory = reinterpret_cast<Buffer*>(buffer.get());
  // The older capsule cannot say "read-only"; consumers that ask for it must not write.
  return major >= 1 ? export_capsule<Versioned>(array->aval, memory,
                                                copies ? flag_copied : flag_read_only)
                    : export_capsule<Managed>(array->aval, memory, 0);
}

PyObject* dlpack_device(PyObject*, PyObject*) { return Py_BuildValue("(ii)", device_cpu, 0); }

PyObject* from_dlpack(PyObject*, PyObject* object) {
  Ref capsule = Ref::borrow(object);
  if (!PyCapsule_CheckExact(object)) {
    Ref function = Ref::steal(PyObject_GetAttrString(object, "__dlpack__"));
    if (!function) {
      refuse(PyExc_TypeError, "", "numpy.asarray(x) of what is no tensor of another library",
             "from_dlpack() needs an object with __dlpack__, got %s.", Py_TYPE(object)->tp_name);
      return nullptr;
    }
    Ref empty = Ref::steal(PyTuple_New(0));
    Ref names = Ref::steal(Py_BuildValue("{s:(ii)}", "max_version", 1, 0));
    if (!empty || !names) return nullptr;
    capsule = Ref::steal(PyObject_Call(function.get(), empty.get(), names.get()));
    if (!capsule && PyErr_ExceptionMatches(PyExc_TypeError)) {  // producer older than version 1
      PyErr_Clear();
      capsule = Ref::steal(PyObject_CallNoArgs(function.get()));
    }
    if (!capsule) return nullptr;
  }
  if (PyCapsule_IsValid(capsule.get(), versioned_name))
    return import_capsule<Versioned>(capsule.get(), versioned_name, "used_dltensor_versioned");
  if (PyCapsule_IsValid(capsule.get(), plain_name))
    return import_capsule<Managed>(capsule.get(), plain_name, "used_dltensor");
  refuse(PyExc_BufferError, "a capsule hands its memory on once",
         "pass the tensor itself, or a new capsule of it",
         "from_dlpack() got a capsule that is no DLPack tensor, or one already used.");
  return nullptr;
}

// --- the buffer protocol ----------------------------------------------------------------------

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  view->obj = nullptr;
  Array* array = as_array(self);
  Buffer* buffer = live_buffer(array);
  if (!buffer) return -1;
  Aval* aval = array->aval;
  if (!aval->dtype->format || (flags & PyBUF_WRITABLE) == PyBUF_WRITABLE) {
    if (aval->dtype->format)
      refuse(PyExc_BufferError, "other arrays and programs may share the memory",
             "numpy.array(x), a copy that can be written to",
             "Arrays are immutable: their buffer is read-only.");
    else
      refuse(PyExc_BufferError, "the protocol knows the dtypes of C only",
             "numpy.asarray(x), or x.astype('float32')",
             "The buffer protocol has no code for dtype %R.", aval->dtype->descr);
    return -1;
  }
  struct Internal {
    Buffer* buffer;
    Py_ssize_t strides[1];
  };
  auto* internal = static_cast<Internal*>(
      PyMem_Malloc(sizeof(Internal) + static_cast<size_t>(aval->ndim) * sizeof(Py_ssize_t)));
  if (!internal) {
    PyErr_NoMemory();
    return -1;
  }
  // The memory must outlive delete(), so the view holds it beside the array.
  internal->buffer = reinterpret_cast<Buffer*>(Py_NewRef(as_object(buffer)));
  fill_strides<Py_ssize_t>(aval, aval->dtype->itemsize, internal->strides);
  view->obj = Py_NewRef(self);
  view->buf = buffer->data;
  view->len = aval->bytes;
  view->readonly = 1;
  view->itemsize = aval->dtype->itemsize;
  view->format = flags & PyBUF_FORMAT ? const_cast<char*>(aval->dtype->format) : nullptr;
  view->ndim = aval->ndim;
  view->shape = flags & PyBUF_ND ? aval->dims : nullptr;
  view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? internal->strides : nullptr;
  view->suboffsets = nullptr;
  view->internal = internal;
  return 0;
}

void release_buffer(PyObject*, Py_buffer* view) {
  Py_DECREF(as_object(*static_cast<Buffer**>(view->internal)));
  PyMem_Free(view->internal);
}

PyObject* array_protocol(PyObject* self, PyObject* const* args, Py_ssize_t count,
                         PyObject* names) {
  PyObject* values[] = {Py_None, Py_None};
  if (!read_arguments("__array__", {"dtype", "copy"}, 0, args, count, names, values))
    return nullptr;
  auto [dtype, copy] = values;
  Ref view = Ref::steal(numpy_view(as_array(self)));
  if (!view) return nullptr;
  auto* ndarray = reinterpret_cast<PyArrayObject*>(view.get());
  PyArray_Descr* descr = nullptr;
  if (dtype != Py_None && !PyArray_DescrConverter(dtype, &descr)) return nullptr;
  bool converts = descr && !PyArray_EquivTypes(descr, PyArray_DESCR(ndarray));
  int copies = copy == Py_None ? converts : PyObject_IsTrue(copy);
  if (copies > 0) {
    if (!descr) {
      descr = PyArray_DESCR(ndarray);
      Py_INCREF(descr);
    }
    return PyArray_FromArray(ndarray, descr,
                             NPY_ARRAY_CARRAY | NPY_ARRAY_ENSURECOPY | NPY_ARRAY_FORCECAST);
  }
  Py_XDECREF(descr);
  if (copies == 0 && converts)
    refuse(PyExc_ValueError, "converting to another dtype needs a copy",
           "copy=None, or no dtype", "__array__(copy=False) cannot give dtype %R.", dtype);
  return PyErr_Occurred() ? nullptr : view.release();
}

}  // namespace fornax
