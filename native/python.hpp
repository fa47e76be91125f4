// The one place that includes CPython and NumPy, plus an owning reference.
#pragma once

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL fornax_numpy_api
#ifndef FORNAX_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>

#include <utility>

namespace fornax {

// Owns one reference. Null is allowed and means "an error is set" where functions return it.
class Ref {
 public:
  Ref() = default;
  static Ref steal(PyObject* object) { return Ref(object); }
  static Ref borrow(PyObject* object) {
    Py_XINCREF(object);
    return Ref(object);
  }
  Ref(Ref&& other) noexcept : object_(other.release()) {}
  Ref(const Ref& other) : object_(other.object_) { Py_XINCREF(object_); }
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() { Py_XDECREF(object_); }

  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  explicit Ref(PyObject* object) : object_(object) {}
  PyObject* object_ = nullptr;
};

inline PyObject* as_object(void* pointer) { return static_cast<PyObject*>(pointer); }

PyObject* refuse(PyObject* kind, const char* why, const char* attempt, const char* what, ...);

// Spreads the arguments of a METH_FASTCALL | METH_KEYWORDS function over `values`, one per keyword,
// leaving those not given as they are. False with TypeError set.
template <size_t count>
bool read_arguments(const char* function, const char* const (&keywords)[count], size_t required,
                    PyObject* const* args, Py_ssize_t positional, PyObject* names,
                    PyObject* (&values)[count]) {
  if (positional > static_cast<Py_ssize_t>(count)) {
    refuse(PyExc_TypeError, "", "as many arguments as its signature has, or their keywords",
           "%s() takes at most %zu arguments, got %zd.", function, count, positional);
    return false;
  }
  for (Py_ssize_t i = 0; i < positional; ++i) values[i] = args[i];
  for (Py_ssize_t i = 0; names && i < PyTuple_GET_SIZE(names); ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    size_t slot = 0;
    while (slot < count && PyUnicode_CompareWithASCIIString(name, keywords[slot]) != 0) ++slot;
    if (slot == count || static_cast<Py_ssize_t>(slot) < positional) {
      refuse(PyExc_TypeError, "", "the keywords of its signature, each once",
             "%s() got an unexpected keyword argument %R.", function, name);
      return false;
    }
    values[slot] = args[positional + i];
  }
  for (size_t i = 0; i < required; ++i)
    if (!values[i]) {
      refuse(PyExc_TypeError, "", "pass it by position, or by that keyword",
             "%s() needs the argument '%s'.", function, keywords[i]);
      return false;
    }
  return true;
}

// The method table stores every calling convention behind one pointer type.
template <class Function>
PyCFunction method(Function* function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

// Creates a heap type from its spec and adds it to the module; null with an error set on failure.
inline PyTypeObject* add_type(PyObject* module, PyType_Spec* spec) {
  PyObject* type = PyType_FromModuleAndSpec(module, spec, nullptr);
  if (!type) return nullptr;
  if (PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(type)) < 0) {
    Py_DECREF(type);
    return nullptr;
  }
  return reinterpret_cast<PyTypeObject*>(type);
}

}  // namespace fornax
