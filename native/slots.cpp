#include "slots.hpp"

namespace fornax {

thread_local Slots slots;

namespace {

PyObject* default_settings = Py_None;

PyObject* current_trace(PyObject*, PyObject*) {
  return Py_NewRef(slots.trace ? slots.trace : Py_None);
}

PyObject* swap_trace(PyObject*, PyObject* trace) { return swap_slot(slots.trace, trace); }

PyObject* get_settings(PyObject*, PyObject*) { return Py_NewRef(current_settings()); }

PyObject* swap_settings(PyObject*, PyObject* settings) {
  return swap_slot(slots.settings, settings);
}

PyObject* get_work(PyObject*, PyObject*) { return PyFloat_FromDouble(slots.work); }

PyObject* add_work(PyObject*, PyObject* seconds) {
  double more = PyFloat_AsDouble(seconds);
  if (more == -1.0 && PyErr_Occurred()) return nullptr;
  slots.work += more;
  Py_RETURN_NONE;
}

PyObject* set_default_settings(PyObject*, PyObject* settings) {
  Py_SETREF(default_settings, Py_NewRef(settings));
  Py_RETURN_NONE;
}

}  // namespace

PyObject* swap_slot(PyObject*& slot, PyObject* value) {
  PyObject* previous = slot;
  slot = value == Py_None ? nullptr : Py_NewRef(value);
  return previous ? previous : Py_NewRef(Py_None);
}

PyObject* current_settings() { return slots.settings ? slots.settings : default_settings; }

PyMethodDef slot_methods[] = {
    {"current_trace", current_trace, METH_NOARGS,
     "current_trace()\n--\n\nThe trace of this thread; None means eager."},
    {"swap_trace", swap_trace, METH_O,
     "swap_trace(new, /)\n--\n\nInstall `new` (None = eager) for this thread; returns the trace before."},
    {"current_settings", get_settings, METH_NOARGS,
     "current_settings()\n--\n\nThis thread's override, else the process-wide default."},
    {"swap_settings", swap_settings, METH_O,
     "swap_settings(new, /)\n--\n\n"
     "Override the settings of this thread (None: the process-wide default); returns the\n"
     "override that was there, or None."},
    {"set_default_settings", set_default_settings, METH_O,
     "set_default_settings(settings, /)\n--\n\nReplace the process-wide settings object."},
    {"work", get_work, METH_NOARGS,
     "work()\n--\n\nSeconds that the eager operations of this thread have taken, by estimate."},
    {"add_work", add_work, METH_O,
     "add_work(seconds, /)\n--\n\nAn eager operation of this thread takes about so many seconds."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace fornax
