// What every traced operation passes: `Operation.bind`, the equation that it becomes, and where in
// the user's program that was.
#pragma once

#include "python.hpp"

namespace fornax {

extern PyMethodDef recording_methods[];

bool register_recording(PyObject* module);

}  // namespace fornax
