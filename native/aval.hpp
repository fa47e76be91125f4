// Interned dtypes and interned abstract values (dtype, shape, weak type).
//
// Every array points at one Aval, so "same type" is a pointer comparison: the call key of a
// jitted function is little more than the list of these pointers.
#pragma once

#include <cstdint>
#include <span>

#include "python.hpp"

namespace fornax {

// One element type. Records live for the life of the process.
struct DType {
  PyArray_Descr* descr;      // native byte order, the representative of all equal descriptors
  const DType* narrow;       // the type used instead when 64-bit types are off (often itself)
  const char* format;        // struct-module code of the buffer protocol, or null
  int64_t itemsize;
  uint8_t dlpack_code;       // DLPack type code; dlpack_bits == 0 when DLPack has none
  uint8_t dlpack_bits;
};

// Accepts anything np.dtype() accepts. Null with TypeError for objects, strings, records.
const DType* intern_dtype(PyObject* like);
// The record of a descriptor; byte-swapped descriptors map to their native type.
const DType* intern_descr(PyArray_Descr* descr);
// Null when the DLPack type has no NumPy counterpart here (no error set).
const DType* dtype_from_dlpack(uint8_t code, uint8_t bits);

enum class Builtin { boolean, int32, int64, float32, float64, complex64, complex128 };
const DType* builtin_dtype(Builtin which);

struct Aval {
  const DType* dtype;
  PyObject* shape;   // tuple of int
  PyObject* object;  // the Python-side abstract value, made on first use
  int64_t size;
  int64_t bytes;
  int64_t references;  // counted under the GIL; records without references are swept lazily
  uint64_t hash;
  int32_t ndim;
  bool weak;
  npy_intp dims[1];  // really `ndim` of them
};

// New reference; null with MemoryError or ValueError (negative or overflowing shape).
Aval* intern_aval(const DType* dtype, std::span<const npy_intp> dims, bool weak);
Aval* intern_aval(PyObject* dtype, PyObject* shape, bool weak);
inline Aval* retain(Aval* aval) {
  ++aval->references;
  return aval;
}
inline void release(Aval* aval) { --aval->references; }

// Borrowed: the interned weakly typed scalar of a Python number.
Aval* scalar_aval(Builtin which);

// New reference to the Python-side abstract value.
PyObject* aval_object(Aval* aval);
PyObject* set_aval_factory(PyObject*, PyObject* factory);
// "float32[3,4]" as a new str.
PyObject* describe(const Aval* aval);

// Shape from a tuple, list or int; false with an error set.
bool read_shape(PyObject* object, npy_intp* dims, int* ndim);

bool initialize_avals();

}  // namespace fornax
