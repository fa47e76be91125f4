#include "aval.hpp"

#include <cstdlib>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "refusal.hpp"

namespace fornax {
namespace {

std::vector<DType*>& dtypes() {
  static auto* table = new std::vector<DType*>();
  return *table;
}

std::unordered_multimap<uint64_t, Aval*>& avals() {
  static auto* table = new std::unordered_multimap<uint64_t, Aval*>();
  return *table;
}

size_t sweep_at = 4096;
PyObject* factory = nullptr;
const DType* builtins[7];
Aval* scalars[7];

struct Row {
  int type_number;
  int narrow;
  const char* format;
  uint8_t code;
  uint8_t bits;
};

// DLPack codes: 0 signed, 1 unsigned, 2 float, 4 bfloat, 5 complex, 6 bool.
constexpr Row rows[] = {
    {NPY_FLOAT32, NPY_FLOAT32, "f", 2, 32},   {NPY_INT32, NPY_INT32, "i", 0, 32},
    {NPY_BOOL, NPY_BOOL, "?", 6, 8},          {NPY_FLOAT64, NPY_FLOAT32, "d", 2, 64},
    {NPY_INT64, NPY_INT32, "l", 0, 64},       {NPY_INT8, NPY_INT8, "b", 0, 8},
    {NPY_INT16, NPY_INT16, "h", 0, 16},       {NPY_UINT8, NPY_UINT8, "B", 1, 8},
    {NPY_UINT16, NPY_UINT16, "H", 1, 16},     {NPY_UINT32, NPY_UINT32, "I", 1, 32},
    {NPY_UINT64, NPY_UINT32, "L", 1, 64},     {NPY_FLOAT16, NPY_FLOAT16, "e", 2, 16},
    {NPY_COMPLEX64, NPY_COMPLEX64, "Zf", 5, 64},
    {NPY_COMPLEX128, NPY_COMPLEX64, "Zd", 5, 128},
};

DType* add_dtype(PyArray_Descr* descr) {
  auto* dtype = new DType{descr, nullptr, nullptr, PyDataType_ELSIZE(descr), 0, 0};
  Py_INCREF(descr);
  dtype->narrow = dtype;
  dtypes().push_back(dtype);
  return dtype;
}

uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
  return hash ^ (hash >> 32);
}

// Drops records nobody uses. Their Python objects are released last, when the table is whole.
void sweep() {
  std::vector<PyObject*> garbage;
  auto& table = avals();
  for (auto it = table.begin(); it != table.end();) {
    Aval* aval = it->second;
    if (aval->references > 0) {
      ++it;
      continue;
    }
    garbage.push_back(aval->shape);
    if (aval->object) garbage.push_back(aval->object);
    std::free(aval);
    it = table.erase(it);
  }
  sweep_at = table.size() * 2 < 4096 ? 4096 : table.size() * 2;
  for (PyObject* object : garbage) Py_DECREF(object);
}

// bfloat16 and the small floats of ml_dtypes are recognised by name: that package need not be
// loaded, and none of them has a struct code.
void recognise_extension(DType* dtype) {
  const char* name = dtype->descr->typeobj->tp_name;
  if (const char* dot = std::strrchr(name, '.')) name = dot + 1;
  if (std::strcmp(name, "bfloat16") == 0) {
    dtype->dlpack_code = 4;
    dtype->dlpack_bits = 16;
  }
}

}  // namespace

const DType* intern_descr(PyArray_Descr* descr) {
  for (DType* dtype : dtypes())
    if (dtype->descr == descr) return dtype;
  if (PyDataType_REFCHK(descr) || PyDataType_HASFIELDS(descr) || PyDataType_ELSIZE(descr) == 0 ||
      PyTypeNum_ISFLEXIBLE(descr->type_num) || PyTypeNum_ISDATETIME(descr->type_num) ||
      descr->type_num == NPY_LONGDOUBLE || descr->type_num == NPY_CLONGDOUBLE ||
      PyDataType_ELSIZE(descr) > 16) {
    refuse(PyExc_TypeError,
           "programs compute on numbers of at most 16 bytes",
           "one array for each field, or another dtype: x.astype('float32')",
           "Array cannot hold elements of dtype %R: only booleans, integers, floats and complex "
           "numbers are supported.",
           descr);
    return nullptr;
  }
  if (PyDataType_ISBYTESWAPPED(descr)) {
    Ref native = Ref::steal(as_object(PyArray_DescrNewByteorder(descr, NPY_NATIVE)));
    if (!native) return nullptr;
    return intern_descr(reinterpret_cast<PyArray_Descr*>(native.get()));
  }
  for (DType* dtype : dtypes())
    if (PyArray_EquivTypes(dtype->descr, descr)) return dtype;
  DType* dtype = add_dtype(descr);
  recognise_extension(dtype);
  return dtype;
}

const DType* intern_dtype(PyObject* like) {
  if (PyArray_DescrCheck(like)) return intern_descr(reinterpret_cast<PyArray_Descr*>(like));
  PyArray_Descr* descr = nullptr;
  if (!PyArray_DescrConverter(like, &descr)) return nullptr;
  Ref owned = Ref::steal(as_object(descr));
  return intern_descr(descr);
}

const DType* dtype_from_dlpack(uint8_t code, uint8_t bits) {
  for (DType* dtype : dtypes())
    if (dtype->dlpack_bits == bits && dtype->dlpack_code == code) return dtype;
  if (code == 4 && bits == 16) {
    Ref package = Ref::steal(PyImport_ImportModule("ml_dtypes"));
    Ref scalar = Ref::steal(package ? PyObject_GetAttrString(package.get(), "bfloat16") : nullptr);
    if (scalar) return intern_dtype(scalar.get());
    PyErr_Clear();
  }
  return nullptr;
}

const DType* builtin_dtype(Builtin which) { return builtins[static_cast<int>(which)]; }

Aval* scalar_aval(Builtin which) { return scalars[static_cast<int>(which)]; }

Aval* intern_aval(const DType* dtype, std::span<const npy_intp> dims, bool weak) {
  uint64_t hash = mix(reinterpret_cast<uintptr_t>(dtype), dims.size() * 2 + weak);
  for (npy_intp dim : dims) hash = mix(hash, static_cast<uint64_t>(dim));
  auto& table = avals();
  for (auto [it, end] = table.equal_range(hash); it != end; ++it) {
    Aval* aval = it->second;
    if (aval->dtype == dtype && aval->weak == weak &&
        static_cast<size_t>(aval->ndim) == dims.size() &&
        std::equal(dims.begin(), dims.end(), aval->dims))
      return retain(aval);
  }
  int64_t size = 1, bytes = 0;
  bool empty = false;
  for (npy_intp dim : dims) {
    if (dim < 0) {
      refuse(PyExc_ValueError, "a dimension is a number of elements",
             "the number itself: only reshape takes -1 for one that follows from the others",
             "Array shape has a negative dimension: %zd.", dim);
      return nullptr;
    }
    if (dim == 0) empty = true;
    else if (__builtin_mul_overflow(size, static_cast<int64_t>(dim), &size)) size = INT64_MAX;
  }
  if (empty) size = 0;
  if (__builtin_mul_overflow(size, dtype->itemsize, &bytes)) {
    refuse(PyExc_ValueError, "it does not fit into 64 bits",
           "look for the dimension that was computed wrongly",
           "Array shape is too large: its byte count overflows.");
    return nullptr;
  }
  Ref shape = Ref::steal(PyTuple_New(static_cast<Py_ssize_t>(dims.size())));
  if (!shape) return nullptr;
  for (size_t i = 0; i < dims.size(); ++i) {
    PyObject* dim = PyLong_FromSsize_t(dims[i]);
    if (!dim) return nullptr;
    PyTuple_SET_ITEM(shape.get(), static_cast<Py_ssize_t>(i), dim);
  }
  if (table.size() >= sweep_at) sweep();
  auto* aval = static_cast<Aval*>(std::malloc(sizeof(Aval) + dims.size() * sizeof(npy_intp)));
  if (!aval) {
    PyErr_NoMemory();
    return nullptr;
  }
  aval->dtype = dtype;
  aval->shape = shape.release();
  aval->object = nullptr;
  aval->size = size;
  aval->bytes = bytes;
  aval->references = 1;
  aval->hash = hash;
  aval->ndim = static_cast<int32_t>(dims.size());
  aval->weak = weak;
  std::copy(dims.begin(), dims.end(), aval->dims);
  table.emplace(hash, aval);
  return aval;
}

bool read_shape(PyObject* object, npy_intp* dims, int* ndim) {
  PyArray_Dims parsed{nullptr, -1};
  if (object == Py_None || !PyArray_IntpConverter(object, &parsed)) {
    if (!PyErr_Occurred())
      refuse(PyExc_TypeError, "", "(2, 3) for a matrix of two rows, () for a scalar",
             "Array shape must be a tuple of int, got %R.", object);
    return false;
  }
  *ndim = parsed.len;
  std::copy(parsed.ptr, parsed.ptr + parsed.len, dims);
  PyDimMem_FREE(parsed.ptr);
  return true;
}

Aval* intern_aval(PyObject* dtype_like, PyObject* shape, bool weak) {
  const DType* dtype = intern_dtype(dtype_like);
  npy_intp dims[NPY_MAXDIMS];
  int ndim = 0;
  if (!dtype || !read_shape(shape, dims, &ndim)) return nullptr;
  return intern_aval(dtype, {dims, static_cast<size_t>(ndim)}, weak);
}

PyObject* aval_object(Aval* aval) {
  if (!aval->object) {
    if (!factory) {
      bug(PyExc_AttributeError,
                      "Array.aval is unavailable: no factory was set with set_aval_factory().");
      return nullptr;
    }
    Ref called = Ref::borrow(factory);
    PyObject* arguments[] = {aval->shape, as_object(aval->dtype->descr),
                             aval->weak ? Py_True : Py_False};
    // The call runs Python code, which may intern, sweep or fill this very record.
    retain(aval);
    PyObject* made = PyObject_Vectorcall(called.get(), arguments, 3, nullptr);
    release(aval);
    if (!made) return nullptr;
    Py_XSETREF(aval->object, made);
  }
  return Py_NewRef(aval->object);
}

PyObject* set_aval_factory(PyObject*, PyObject* new_factory) {
  Py_XSETREF(factory, Py_NewRef(new_factory));
  std::vector<PyObject*> stale;
  for (auto& [hash, aval] : avals())
    if (aval->object) stale.push_back(std::exchange(aval->object, nullptr));
  for (PyObject* object : stale) Py_DECREF(object);
  Py_RETURN_NONE;
}

PyObject* describe(const Aval* aval) {
  Ref name = Ref::steal(PyObject_GetAttrString(as_object(aval->dtype->descr), "name"));
  if (!name) return nullptr;
  Ref text = Ref::steal(PyUnicode_FromFormat("%U[", name.get()));
  for (int i = 0; text && i < aval->ndim; ++i)
    text = Ref::steal(PyUnicode_FromFormat(i ? "%U,%zd" : "%U%zd", text.get(), aval->dims[i]));
  if (!text) return nullptr;
  return PyUnicode_FromFormat("%U]", text.get());
}

bool initialize_avals() {
  if (!dtypes().empty()) return true;
  for (const Row& row : rows) {
    PyArray_Descr* descr = PyArray_DescrFromType(row.type_number);
    if (!descr) return false;
    DType* dtype = add_dtype(descr);
    Py_DECREF(descr);
    dtype->format = row.format;
    dtype->dlpack_code = row.code;
    dtype->dlpack_bits = row.bits;
  }
  auto find = [](int type_number) {
    for (DType* dtype : dtypes())
      if (dtype->descr->type_num == type_number) return dtype;
    return static_cast<DType*>(nullptr);
  };
  for (const Row& row : rows) find(row.type_number)->narrow = find(row.narrow);
  constexpr int numbers[] = {NPY_BOOL,    NPY_INT32,     NPY_INT64,     NPY_FLOAT32,
                             NPY_FLOAT64, NPY_COMPLEX64, NPY_COMPLEX128};
  for (int i = 0; i < 7; ++i) {
    builtins[i] = find(numbers[i]);
    scalars[i] = intern_aval(builtins[i], {}, numbers[i] != NPY_BOOL);
    if (!scalars[i]) return false;
  }
  return true;
}

}  // namespace fornax
