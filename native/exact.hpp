// Equality that tells apart what == does not: what is remembered for one must not serve the other.
#pragma once

#include "python.hpp"

namespace fornax {

// Whether two values are of one class and equal, in tuples part by part; floats and complex
// numbers bit by bit, so that zeros differ by their sign. 1 yes, 0 no, -1 with an error set: may
// run Python code.
int exactly_equal(PyObject* left, PyObject* right);

}  // namespace fornax
