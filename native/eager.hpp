// Functions called outside of any transformation: run as they are, and compiled once that pays.
#pragma once

#include "python.hpp"

namespace fornax {

bool register_eager(PyObject* module);

}  // namespace fornax
