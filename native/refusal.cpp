#include "refusal.hpp"

#include <cstdarg>

namespace fornax {

namespace {

constexpr const char* bug_why = "this is a bug in Fornax, not in your program";
constexpr const char* bug_attempt =
    "report it with this text and what fornax.make_jaxpr(f)(*args) prints; until it is mended, "
    "`with fornax.disable_jit():` runs without the compiler";

PyObject* set(PyObject* kind, const char* why, const char* attempt, const char* what,
              va_list values) {
  PyErr_Clear();  // of what led here
  Ref text = Ref::steal(PyUnicode_FromFormatV(what, values));
  if (!text) return nullptr;
  Ref source = Ref::steal(PyImport_ImportModule("fornax.source"));
  Ref whole = source ? Ref::steal(PyObject_CallMethod(source.get(), "located", "Oss", text.get(),
                                                      why, attempt))
                     : Ref();
  if (!whole) {  // where the package around is missing the parts still are there
    PyErr_Clear();
    whole = Ref::steal(PyUnicode_FromFormat("%U\n  why:   %s\n  try:   %s", text.get(), why,
                                            attempt));
  }
  if (whole) PyErr_SetObject(kind, whole.get());
  return nullptr;
}

}  // namespace

PyObject* refuse(PyObject* kind, const char* why, const char* attempt, const char* what, ...) {
  va_list values;
  va_start(values, what);
  set(kind, why, attempt, what, values);
  va_end(values);
  return nullptr;
}

PyObject* bug_from(PyObject* kind, const char* what, va_list values) {
  return set(kind, bug_why, bug_attempt, what, values);
}

PyObject* bug(PyObject* kind, const char* what, ...) {
  va_list values;
  va_start(values, what);
  bug_from(kind, what, values);
  va_end(values);
  return nullptr;
}

size_t end_of_what(const std::string& message) {
  for (const char* part : {"\n  where: ", "\n  why:   ", "\n  try:   "})
    if (const size_t place = message.find(part); place != std::string::npos) return place;
  return message.size();
}

Ref as_sequence(PyObject* object, const char* attempt, const char* what) {
  if (Py_TYPE(object)->tp_iter || PySequence_Check(object))
    return Ref::steal(PySequence_Fast(object, what));
  const char* const got = "%s, got %.200R";
  return Ref::steal(attempt ? refuse(PyExc_TypeError, "", attempt, got, what, object)
                            : bug(PyExc_TypeError, got, what, object));
}

Ref error_class(const char* name, PyObject* otherwise) {
  Ref errors = Ref::steal(PyImport_ImportModule("fornax.errors"));
  Ref found = errors ? Ref::steal(PyObject_GetAttrString(errors.get(), name)) : Ref();
  if (found) return found;
  PyErr_Clear();
  return Ref::borrow(otherwise);
}

Cause::Cause() {
  PyErr_Fetch(&type_, &value_, &traceback_);
  PyErr_NormalizeException(&type_, &value_, &traceback_);
  if (traceback_) PyException_SetTraceback(value_, traceback_);
}

Cause::~Cause() {
  Py_XDECREF(type_);
  Py_XDECREF(value_);
  Py_XDECREF(traceback_);
}

void Cause::attach() {
  PyObject *type = nullptr, *error = nullptr, *traceback = nullptr;
  PyErr_Fetch(&type, &error, &traceback);
  PyErr_NormalizeException(&type, &error, &traceback);
  if (error && value_) {  // both take a reference of their own
    PyException_SetCause(error, Py_NewRef(value_));
    PyException_SetContext(error, Py_NewRef(value_));
  }
  PyErr_Restore(type, error, traceback);
}

}  // namespace fornax
