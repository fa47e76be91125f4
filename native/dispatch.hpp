// The callable behind jit: finds the compiled program of a call and runs it.
#pragma once

#include "python.hpp"

namespace fornax {

bool register_dispatch(PyObject* module);

}  // namespace fornax
