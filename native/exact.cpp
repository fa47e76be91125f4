#include "exact.hpp"

#include <cstring>

namespace fornax {
namespace {

// Scalars of NumPy that hold numbers; the bytes say more than ==.
int same_bytes(PyObject* left, PyObject* right) {
  static PyObject* name = PyUnicode_InternFromString("tobytes");
  Ref mine = Ref::steal(PyObject_CallMethodNoArgs(left, name));
  Ref other = Ref::steal(mine ? PyObject_CallMethodNoArgs(right, name) : nullptr);
  return other ? PyObject_RichCompareBool(mine.get(), other.get(), Py_EQ) : -1;
}

}  // namespace

int exactly_equal(PyObject* left, PyObject* right) {
  if (left == right) return 1;
  if (Py_TYPE(left) != Py_TYPE(right)) return 0;
  if (PyFloat_CheckExact(left)) {
    double mine = PyFloat_AS_DOUBLE(left), other = PyFloat_AS_DOUBLE(right);
    return std::memcmp(&mine, &other, sizeof mine) == 0;
  }
  if (PyComplex_CheckExact(left)) {
    Py_complex mine = PyComplex_AsCComplex(left), other = PyComplex_AsCComplex(right);
    return std::memcmp(&mine, &other, sizeof mine) == 0;
  }
  if (PyTuple_CheckExact(left)) {
    Py_ssize_t count = PyTuple_GET_SIZE(left);
    if (count != PyTuple_GET_SIZE(right)) return 0;
    for (Py_ssize_t i = 0; i < count; ++i) {
      Ref mine = Ref::borrow(PyTuple_GET_ITEM(left, i));
      Ref other = Ref::borrow(PyTuple_GET_ITEM(right, i));
      int equal = exactly_equal(mine.get(), other.get());
      if (equal <= 0) return equal;
    }
    return 1;
  }
  if (PyArray_IsScalar(left, Number)) return same_bytes(left, right);
  Ref mine = Ref::borrow(left), other = Ref::borrow(right);
  return PyObject_RichCompareBool(mine.get(), other.get(), Py_EQ);
}

}  // namespace fornax
