// Thread-local slots that transformations read on every operation.
#pragma once

#include "python.hpp"

namespace fornax {

struct Slots {
  PyObject* trace = nullptr;     // owned; null means eager
  PyObject* settings = nullptr;  // owned; null means the process-wide default
  PyObject* place = nullptr;     // owned; the user's line that all stands for; null means none
  double work = 0;               // seconds that eager operations of this thread take, by estimate
};

extern thread_local Slots slots;

// Stores `value` (None clears the slot) and hands out what was there.
PyObject* swap_slot(PyObject*& slot, PyObject* value);

// Borrowed; None before set_default_settings().
PyObject* current_settings();

extern PyMethodDef slot_methods[];

}  // namespace fornax
