// Thread-local slots that transformations read on every operation.
#pragma once

#include "python.hpp"

namespace fornax {

struct Slots {
  PyObject* trace = nullptr;     // owned; null means eager
  PyObject* settings = nullptr;  // owned; null means the process-wide default
};

extern thread_local Slots slots;

// Borrowed; None before set_default_settings().
PyObject* current_settings();

extern PyMethodDef slot_methods[];

}  // namespace fornax
