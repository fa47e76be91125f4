#include "array.hpp"

#include <structmember.h>

#include <cstddef>
#include <cstring>

#include "allocator.hpp"
#include "refusal.hpp"

namespace fornax {

PyTypeObject* array_type = nullptr;
PyTypeObject* buffer_type = nullptr;

namespace {

PyObject* default_device = nullptr;
PyObject* out_of_memory_error = nullptr;
Array* first_array = nullptr;
Py_ssize_t array_count = 0;

void dealloc_buffer(PyObject* self) {
  auto* buffer = reinterpret_cast<Buffer*>(self);
  if (buffer->release) buffer->release(buffer->context);
  else if (!buffer->keep) deallocate(buffer->data, buffer->bytes);
  Py_XDECREF(buffer->keep);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_Free(self);
  Py_DECREF(type);
}

void drop_memory(Array* array) {
  Buffer* buffer = std::exchange(array->buffer, nullptr);
  PyObject* view = std::exchange(array->view, nullptr);
  Py_XDECREF(view);
  Py_XDECREF(as_object(buffer));
}

void dealloc_array(PyObject* self) {
  Array* array = as_array(self);
  if (array->weak_references) PyObject_ClearWeakRefs(self);
  (array->previous ? array->previous->next : first_array) = array->next;
  if (array->next) array->next->previous = array->previous;
  --array_count;
  drop_memory(array);
  release(array->aval);
  Py_DECREF(array->device);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_Free(self);
  Py_DECREF(type);
}

// --- attributes -------------------------------------------------------------------------------

PyObject* get_shape(PyObject* self, void*) { return Py_NewRef(as_array(self)->aval->shape); }
PyObject* get_dtype(PyObject* self, void*) {
  return Py_NewRef(as_object(as_array(self)->aval->dtype->descr));
}
PyObject* get_ndim(PyObject* self, void*) { return PyLong_FromLong(as_array(self)->aval->ndim); }
PyObject* get_size(PyObject* self, void*) {
  return PyLong_FromLongLong(as_array(self)->aval->size);
}
PyObject* get_nbytes(PyObject* self, void*) {
  return PyLong_FromLongLong(as_array(self)->aval->bytes);
}
PyObject* get_itemsize(PyObject* self, void*) {
  return PyLong_FromLongLong(as_array(self)->aval->dtype->itemsize);
}
PyObject* get_weak_type(PyObject* self, void*) {
  return PyBool_FromLong(as_array(self)->aval->weak);
}
PyObject* get_aval(PyObject* self, void*) { return aval_object(as_array(self)->aval); }
PyObject* get_device(PyObject* self, void*) { return Py_NewRef(as_array(self)->device); }
int set_device(PyObject* self, PyObject* device, void*) {
  Array* array = as_array(self);
  Py_SETREF(array->device, Py_NewRef(device ? device : Py_None));
  return 0;
}
PyObject* get_committed(PyObject* self, void*) {
  return PyBool_FromLong(as_array(self)->committed);
}
int set_committed(PyObject* self, PyObject* value, void*) {
  int truth = value ? PyObject_IsTrue(value) : 0;
  if (truth < 0) return -1;
  as_array(self)->committed = truth;
  return 0;
}
PyObject* get_addressable(PyObject*, void*) { Py_RETURN_TRUE; }

PyGetSetDef array_getset[] = {
    {"shape", get_shape, nullptr, "The lengths of the axes, a tuple of int.", nullptr},
    {"dtype", get_dtype, nullptr, "The NumPy dtype of the elements.", nullptr},
    {"ndim", get_ndim, nullptr, "The number of axes.", nullptr},
    {"size", get_size, nullptr, "The number of elements.", nullptr},
    {"nbytes", get_nbytes, nullptr, "The number of bytes of all elements.", nullptr},
    {"itemsize", get_itemsize, nullptr, "The number of bytes of one element.", nullptr},
    {"weak_type", get_weak_type, nullptr, "Whether the dtype yields to others in promotion.",
     nullptr},
    {"aval", get_aval, nullptr, "The abstract value: shape, dtype and weak type.", nullptr},
    {"device", get_device, set_device, "The device that holds the array.", nullptr},
    {"committed", get_committed, set_committed, "Whether the user chose the device.", nullptr},
    {"is_fully_addressable", get_addressable, nullptr,
     "True: all of the array is in this process.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyMemberDef array_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Array, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

// --- methods ----------------------------------------------------------------------------------

PyObject* is_deleted(PyObject* self, PyObject*) {
  return PyBool_FromLong(!as_array(self)->buffer);
}
PyObject* delete_method(PyObject* self, PyObject*) {
  delete_array(as_array(self));
  Py_RETURN_NONE;
}
PyObject* block_until_ready(PyObject* self, PyObject*) {
  return live_buffer(as_array(self)) ? Py_NewRef(self) : nullptr;
}
PyObject* unsafe_buffer_pointer(PyObject* self, PyObject*) {
  Buffer* buffer = live_buffer(as_array(self));
  return buffer ? PyLong_FromVoidPtr(buffer->data) : nullptr;
}
PyObject* numpy_view_method(PyObject* self, PyObject*) { return numpy_view(as_array(self)); }

PyMethodDef array_methods[] = {
    {"is_deleted", is_deleted, METH_NOARGS, "Whether the memory was given up."},
    {"delete", delete_method, METH_NOARGS,
     "Give up the memory now; later reads raise RuntimeError."},
    {"block_until_ready", block_until_ready, METH_NOARGS, "Return self once it is computed."},
    {"unsafe_buffer_pointer", unsafe_buffer_pointer, METH_NOARGS,
     "The address of the first element; valid while the array lives."},
    {"numpy_view", numpy_view_method, METH_NOARGS,
     "A read-only ndarray over the same memory, which it keeps alive."},
    {"__array__", method(array_protocol), METH_FASTCALL | METH_KEYWORDS,
     "__array__($self, dtype=None, copy=None)\n--\n\nThe elements as an ndarray, read-only unless copied."},
    {"__dlpack__", method(to_dlpack), METH_FASTCALL | METH_KEYWORDS,
     "__dlpack__($self, *, stream=None, max_version=None, dl_device=None, copy=None)\n--\n\n"
     "A DLPack capsule over the same memory."},
    {"__dlpack_device__", dlpack_device, METH_NOARGS, "The DLPack device pair: (1, 0), the CPU."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot array_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_array)},
    {Py_tp_getset, array_getset},
    {Py_tp_members, array_members},
    {Py_tp_methods, array_methods},
    {Py_tp_hash, reinterpret_cast<void*>(PyObject_HashNotImplemented)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(release_buffer)},
    {Py_tp_doc, const_cast<char*>("An immutable n-dimensional array in C order.")},
    {0, nullptr},
};

// Operators and array methods are installed on the type by Python, so it stays mutable.
PyType_Spec array_spec = {"fornax._native.Array", sizeof(Array), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, array_slots};

PyType_Slot buffer_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_buffer)},
    {Py_tp_doc, const_cast<char*>("Memory shared by arrays and views of it.")},
    {0, nullptr},
};

PyType_Spec buffer_spec = {"fornax._native.Buffer", sizeof(Buffer), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, buffer_slots};

// --- module functions -------------------------------------------------------------------------

PyObject* from_numpy(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* values[] = {nullptr, Py_False, Py_False};
  if (!read_arguments("from_numpy", {"array", "weak_type", "copy"}, 1, args, count, names, values))
    return nullptr;
  PyObject* source = values[0];
  int weak = PyObject_IsTrue(values[1]), copy = PyObject_IsTrue(values[2]);
  if (weak < 0 || copy < 0) return nullptr;
  Ref converted = Ref::borrow(source);
  if (!PyArray_Check(source)) {
    if (!PyArray_IsScalar(source, Generic)) {
      bug(PyExc_TypeError, "from_numpy() needs an ndarray or a NumPy scalar, got %s.",
                   Py_TYPE(source)->tp_name);
      return nullptr;
    }
    converted = Ref::steal(PyArray_FromScalar(source, nullptr));
    if (!converted) return nullptr;
  }
  auto* ndarray = reinterpret_cast<PyArrayObject*>(converted.get());
  const DType* dtype = intern_descr(PyArray_DESCR(ndarray));
  return dtype ? array_from_ndarray(ndarray, dtype, weak, !copy) : nullptr;
}

PyObject* empty(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* values[] = {nullptr, nullptr, Py_False};
  if (!read_arguments("empty", {"shape", "dtype", "weak_type"}, 2, args, count, names, values))
    return nullptr;
  int weak = PyObject_IsTrue(values[2]);
  if (weak < 0) return nullptr;
  Aval* aval = intern_aval(values[1], values[0], weak);
  return aval ? empty_array(aval) : nullptr;
}

// The array argument of a module function; null with TypeError or RuntimeError (deleted).
Array* array_argument(const char* function, PyObject* object) {
  if (!is_array(object)) {
    bug(PyExc_TypeError, "%s() needs an Array, got %s.", function,
                 Py_TYPE(object)->tp_name);
    return nullptr;
  }
  return live_buffer(as_array(object)) ? as_array(object) : nullptr;
}

PyObject* share(Array* array, Aval* aval) {
  if (!aval) return nullptr;
  return new_array(reinterpret_cast<Buffer*>(Py_NewRef(as_object(array->buffer))), aval);
}

PyObject* with_weak_type(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) {
    bug(PyExc_TypeError, "with_weak_type(array, weak_type, /) takes two arguments.");
    return nullptr;
  }
  Array* array = array_argument("with_weak_type", args[0]);
  int weak = PyObject_IsTrue(args[1]);
  if (!array || weak < 0) return nullptr;
  if (array->aval->weak == static_cast<bool>(weak)) return Py_NewRef(args[0]);
  Aval* old = array->aval;
  return share(array, intern_aval(old->dtype, {old->dims, static_cast<size_t>(old->ndim)}, weak));
}

PyObject* reshape_view(PyObject*, PyObject* const* args, Py_ssize_t count) {
  if (count != 2) {
    bug(PyExc_TypeError, "reshape_view(array, shape) takes two arguments.");
    return nullptr;
  }
  Array* array = array_argument("reshape_view", args[0]);
  npy_intp dims[NPY_MAXDIMS];
  int ndim = 0;
  if (!array || !read_shape(args[1], dims, &ndim)) return nullptr;
  Aval* aval = intern_aval(array->aval->dtype, {dims, static_cast<size_t>(ndim)},
                           array->aval->weak);
  if (aval && aval->size != array->aval->size) {
    refuse(PyExc_ValueError, "a reshape keeps all elements and adds none",
           "a shape whose sizes multiply to the number of elements, with -1 for one of them",
           "Cannot reshape %lld elements of shape %R to shape %R.",
           static_cast<long long>(array->aval->size), array->aval->shape, aval->shape);
    release(aval);
    return nullptr;
  }
  return share(array, aval);
}

PyObject* set_default_device(PyObject*, PyObject* device) {
  Py_XSETREF(default_device, Py_NewRef(device));
  Py_RETURN_NONE;
}

PyObject* set_out_of_memory_error(PyObject*, PyObject* function) {
  Py_XSETREF(out_of_memory_error, Py_NewRef(function));
  Py_RETURN_NONE;
}

PyObject* live_arrays(PyObject*, PyObject*) {
  Ref list = Ref::steal(PyList_New(0));
  for (Array* array = first_array; list && array; array = array->next)
    if (array->buffer && PyList_Append(list.get(), as_object(array)) < 0) return nullptr;
  return list.release();
}

PyObject* memory_stats_method(PyObject*, PyObject*) {
  MemoryStats stats = memory_stats();
  return Py_BuildValue("{s:L,s:L,s:L,s:n}", "bytes_live", stats.bytes_live, "bytes_cached",
                       stats.bytes_cached, "bytes_peak", stats.bytes_peak, "arrays_live",
                       array_count);
}

}  // namespace

// --- construction -----------------------------------------------------------------------------

Buffer* wrap_buffer(void* data, size_t bytes, PyObject* keep, void (*release)(void*),
                    void* context) {
  Buffer* buffer = PyObject_New(Buffer, buffer_type);
  if (!buffer) {
    Py_XDECREF(keep);
    if (release) release(context);
    return nullptr;
  }
  buffer->data = data;
  buffer->bytes = bytes;
  buffer->keep = keep;
  buffer->release = release;
  buffer->context = context;
  return buffer;
}

void raise_out_of_memory(size_t bytes, PyObject* program) {
  if (!out_of_memory_error) {
    refuse(PyExc_MemoryError, "the machine has no more to give",
           "smaller arrays, or delete() of those that are not needed any more",
           "Out of memory allocating %zu bytes.", bytes);
    return;
  }
  Ref error = Ref::steal(PyObject_CallFunction(out_of_memory_error, "nO",
                                               static_cast<Py_ssize_t>(bytes),
                                               program ? program : Py_None));
  if (error) PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.get())), error.get());
}

Buffer* new_buffer(size_t bytes) {
  void* data = allocate(bytes);
  if (!data) {
    raise_out_of_memory(bytes, nullptr);
    return nullptr;
  }
  Buffer* buffer = wrap_buffer(data, bytes, nullptr, nullptr, nullptr);
  if (!buffer) deallocate(data, bytes);
  return buffer;
}

PyObject* new_array(Buffer* buffer, Aval* aval) {
  Array* array = PyObject_New(Array, array_type);
  if (!array) {
    Py_DECREF(as_object(buffer));
    release(aval);
    return nullptr;
  }
  array->buffer = buffer;
  array->aval = aval;
  array->view = nullptr;
  array->device = Py_NewRef(default_device ? default_device : Py_None);
  array->weak_references = nullptr;
  array->previous = nullptr;
  array->next = first_array;
  array->mark = 0;
  array->committed = false;
  if (first_array) first_array->previous = array;
  first_array = array;
  ++array_count;
  return as_object(array);
}

PyObject* empty_array(Aval* aval) {
  Buffer* buffer = new_buffer(static_cast<size_t>(aval->bytes));
  if (!buffer) {
    release(aval);
    return nullptr;
  }
  return new_array(buffer, aval);
}

PyObject* conform_ndarray(PyArrayObject* source, const DType* dtype) {
  bool native = PyArray_DESCR(source) == dtype->descr;
  auto address = reinterpret_cast<uintptr_t>(PyArray_DATA(source));
  if (native && PyArray_IS_C_CONTIGUOUS(source) &&
      address % static_cast<uintptr_t>(dtype->itemsize) == 0)
    return Py_NewRef(as_object(source));
  Py_INCREF(dtype->descr);
  return PyArray_FromArray(source, dtype->descr,
                           NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED | NPY_ARRAY_ENSURECOPY |
                               NPY_ARRAY_FORCECAST);
}

PyObject* array_from_ndarray(PyArrayObject* source, const DType* dtype, bool weak, bool share) {
  Aval* aval = intern_aval(
      dtype, {PyArray_DIMS(source), static_cast<size_t>(PyArray_NDIM(source))}, weak);
  if (!aval) return nullptr;
  auto bytes = static_cast<size_t>(aval->bytes);
  bool fits = PyArray_IS_C_CONTIGUOUS(source) &&
              PyArray_EquivTypes(PyArray_DESCR(source), dtype->descr);
  auto address = reinterpret_cast<uintptr_t>(PyArray_DATA(source));
  if (share && fits && address % static_cast<uintptr_t>(dtype->itemsize) == 0) {
    Buffer* buffer = wrap_buffer(PyArray_DATA(source), bytes, Py_NewRef(as_object(source)),
                                 nullptr, nullptr);
    if (buffer) return new_array(buffer, aval);
    release(aval);
    return nullptr;
  }
  Ref array = Ref::steal(empty_array(aval));
  if (!array) return nullptr;
  void* target = as_array(array.get())->buffer->data;
  if (fits) {
    std::memcpy(target, PyArray_DATA(source), bytes);
    return array.release();
  }
  Py_INCREF(dtype->descr);
  Ref view = Ref::steal(PyArray_NewFromDescr(&PyArray_Type, dtype->descr, PyArray_NDIM(source),
                                             PyArray_DIMS(source), nullptr, target,
                                             NPY_ARRAY_CARRAY, nullptr));
  if (!view) return nullptr;
  if (PyArray_CopyInto(reinterpret_cast<PyArrayObject*>(view.get()), source) < 0) return nullptr;
  return array.release();
}

Buffer* live_buffer(Array* array) {
  if (!array->buffer) {
    Ref text = Ref::steal(describe(array->aval));
    if (text)
      refuse(PyExc_RuntimeError, "its memory may hold other values by now",
             "use the result of that function, or donate a copy: f(x.copy())",
             "Array has been deleted with shape=%U. It was given up by delete() or by donating it "
             "to a jitted function.",
             text.get());
  }
  return array->buffer;
}

void delete_array(Array* array) { drop_memory(array); }

bool owns_buffer_alone(Array* array) {
  Buffer* buffer = array->buffer;
  Py_ssize_t holders = Py_REFCNT(as_object(buffer)) - 1;
  if (array->view && Py_REFCNT(array->view) == 1) --holders;
  if (holders != 0 || buffer->release) return false;
  if (!buffer->keep) return true;
  auto* owner = reinterpret_cast<PyArrayObject*>(buffer->keep);
  return Py_REFCNT(buffer->keep) == 1 && PyArray_CHKFLAGS(owner, NPY_ARRAY_OWNDATA) &&
         PyArray_ISWRITEABLE(owner);
}

PyObject* numpy_view(Array* array) {
  if (!live_buffer(array)) return nullptr;
  if (!array->view) {
    Aval* aval = array->aval;
    Py_INCREF(aval->dtype->descr);
    PyObject* view = PyArray_NewFromDescr(&PyArray_Type, aval->dtype->descr, aval->ndim,
                                          aval->dims, nullptr, array->buffer->data,
                                          NPY_ARRAY_CARRAY_RO, nullptr);
    if (!view) return nullptr;
    if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(view),
                              Py_NewRef(as_object(array->buffer))) < 0) {
      Py_DECREF(view);
      return nullptr;
    }
    array->view = view;
  }
  return Py_NewRef(array->view);
}

PyMethodDef array_functions[] = {
    {"from_numpy", method(from_numpy), METH_FASTCALL | METH_KEYWORDS,
     "from_numpy(array, weak_type=False, copy=False)\n--\n\n"
     "Wrap an ndarray without copying where its layout allows; the caller must not write to it\n"
     "afterwards. Copies when it is not C-contiguous or not aligned, or when copy=True.\n"
     "TypeError for dtypes that are not numbers."},
    {"empty", method(empty), METH_FASTCALL | METH_KEYWORDS,
     "empty(shape, dtype, weak_type=False)\n--\n\nAn uninitialised array."},
    {"with_weak_type", method(with_weak_type), METH_FASTCALL,
     "with_weak_type(array, weak_type, /)\n--\n\nThe same memory with another weak type."},
    {"reshape_view", method(reshape_view), METH_FASTCALL,
     "reshape_view(array, shape, /)\n--\n\nThe same memory in another shape of equal size."},
    {"from_dlpack", from_dlpack, METH_O,
     "from_dlpack(object, /)\n--\n\nWrap a CPU tensor of another library without copying it."},
    {"set_aval_factory", set_aval_factory, METH_O,
     "set_aval_factory(function, /)\n--\n\nfunction(shape, dtype, weak_type) makes Array.aval."},
    {"set_default_device", set_default_device, METH_O,
     "set_default_device(device, /)\n--\n\nThe device object new arrays report."},
    {"set_out_of_memory_error", set_out_of_memory_error, METH_O,
     "set_out_of_memory_error(function, /)\n--\n\nfunction(bytes, program) makes the exception for "
     "memory that cannot be had."},
    {"live_arrays", live_arrays, METH_NOARGS, "live_arrays()\n--\n\nNewest first."},
    {"memory_stats", memory_stats_method, METH_NOARGS,
     "memory_stats()\n--\n\nbytes_live, bytes_cached, bytes_peak and arrays_live."},
    {nullptr, nullptr, 0, nullptr},
};

bool register_arrays(PyObject* module) {
  buffer_type = add_type(module, &buffer_spec);
  array_type = buffer_type ? add_type(module, &array_spec) : nullptr;
  return array_type != nullptr;
}

}  // namespace fornax
