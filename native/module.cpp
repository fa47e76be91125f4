// Puts the native module together.
#define FORNAX_IMPORTS_NUMPY
#include <nanobind/nanobind.h>

#include "allocator.hpp"
#include "array.hpp"
#include "python.hpp"
#include "slots.hpp"
#if FORNAX_PYTREE
#include "pytree.hpp"
#endif

namespace nb = nanobind;
using namespace nb::literals;

namespace {

bool populate(PyObject* module) {
  using namespace fornax;
  if (PyArray_ImportNumPyAPI() < 0 || !initialize_avals()) return false;
  if (PyModule_AddFunctions(module, slot_methods) < 0 ||
      PyModule_AddFunctions(module, array_functions) < 0)
    return false;
#if FORNAX_PYTREE
  if (register_pytree(module) < 0) return false;
#endif
  return register_arrays(module);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The native core: arrays, memory, threads, the program executor and jit dispatch.";
  if (!populate(m.ptr())) nb::raise_python_error();
  m.def("trim_cache", &fornax::trim_cache,
        "Give cached memory back to the system; returns the number of bytes.");
  m.def("set_cache_limit", &fornax::set_cache_limit, "bytes"_a,
        "Bound the bytes of freed large blocks kept for reuse.");
}
