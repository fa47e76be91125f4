// Puts the native module together.
#define FORNAX_IMPORTS_NUMPY
#include <nanobind/nanobind.h>

#include "allocator.hpp"
#include "array.hpp"
#include "call_key.hpp"
#include "dispatch.hpp"
#include "entry.hpp"
#include "pytree.hpp"
#include "python.hpp"
#include "slots.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

bool populate(PyObject* module) {
  using namespace fornax;
  if (PyArray_ImportNumPyAPI() < 0 || !initialize_avals()) return false;
  if (PyModule_AddFunctions(module, slot_methods) < 0 ||
      PyModule_AddFunctions(module, array_functions) < 0)
    return false;
  return register_arrays(module) && register_pytree(module) == 0 && register_programs(module) &&
         register_call_keys(module) && register_entries(module) && register_dispatch(module);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The native core: arrays, memory, threads, the program executor and jit dispatch.";
  if (!populate(m.ptr())) nb::raise_python_error();
  m.def("trim_cache", &fornax::trim_cache,
        "Give cached memory back to the system; returns the number of bytes.");
  m.def("set_cache_limit", &fornax::set_cache_limit, "bytes"_a,
        "Bound the bytes of freed large blocks kept for reuse.");
  m.def("thread_count", &fornax::thread_count,
        "Threads a kernel may use, this one included: by default what the affinity mask and the "
        "cgroup quota allow.");
  m.def("set_thread_count", &fornax::set_thread_count, "count"_a,
        nb::call_guard<nb::gil_scoped_release>(),
        "Set the number of threads; 0 means the default. Programs built for fewer threads run "
        "on one.");
}
