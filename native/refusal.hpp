// Exceptions in the form of fornax.errors.message: what, the user's line, why, what to try.
#pragma once

#include <string>

#include "python.hpp"

namespace fornax {

// Sets an exception of a class; `what` is a format of PyUnicode_FromFormat. Returns nullptr.
PyObject* refuse(PyObject* kind, const char* why, const char* attempt, const char* what, ...);

// The same for what only a mistake in Fornax itself can bring about.
PyObject* bug(PyObject* kind, const char* what, ...);
PyObject* bug_from(PyObject* kind, const char* what, va_list values);

// Where in a message the what ends.
size_t end_of_what(const std::string& message);

// A list or tuple of what is iterable; else null with TypeError, of a bug where there is no attempt.
Ref as_sequence(PyObject* object, const char* attempt, const char* what);

// The class of fornax.errors of this name, or another one while that cannot be imported.
Ref error_class(const char* name, PyObject* otherwise);

// The exception that is set, taken away to become the cause of another.
class Cause {
 public:
  Cause();
  Cause(const Cause&) = delete;
  ~Cause();
  PyObject* get() const { return value_; }
  // To be called where the other one is set.
  void attach();

 private:
  PyObject *type_ = nullptr, *value_ = nullptr, *traceback_ = nullptr;
};

}  // namespace fornax
