// Puts the native module together.
#define FORNAX_IMPORTS_NUMPY
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include <cstring>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>

#include "allocator.hpp"
#include "array.hpp"
#include "call_key.hpp"
#include "codegen.hpp"
#include "denormals.hpp"
#include "dispatch.hpp"
#include "eager.hpp"
#include "entry.hpp"
#include "expression.hpp"
#include "pytree.hpp"
#include "python.hpp"
#include "recording.hpp"
#include "refusal.hpp"
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
         register_call_keys(module) && register_entries(module) && register_dispatch(module) &&
         register_eager(module) && register_expressions(module) && register_recording(module);
}

// Throws the exception that is set.
[[noreturn]] void refused(PyObject*) { throw nb::python_error(); }

// A text given to LLVM; `wait` gives its machine code.
struct Generation {
  std::shared_ptr<fornax::codegen::Job> job;

  Generation(nb::tuple functions, nb::tuple machines, std::string layout, std::string text,
             bool object)
      : job(std::make_shared<fornax::codegen::Job>()) {
    static_assert(sizeof(fornax::codegen::Functions) % sizeof(void*) == 0);
    void* addresses[sizeof(fornax::codegen::Functions) / sizeof(void*)];
    if (nb::len(functions) != std::size(addresses) || nb::len(machines) == 0)
      refused(fornax::bug(PyExc_ValueError, "functions or machines have the wrong length"));
    for (size_t i = 0; i < std::size(addresses); ++i)
      addresses[i] = reinterpret_cast<void*>(nb::cast<uintptr_t>(functions[i]));
    std::memcpy(&job->functions, addresses, sizeof addresses);
    for (nb::handle machine : machines)
      job->machines.push_back(reinterpret_cast<void*>(nb::cast<uintptr_t>(machine)));
    job->layout = std::move(layout);
    job->text = std::move(text);
    job->object = object;
    fornax::codegen::submit(job);
  }

  nb::tuple wait() {
    const fornax::codegen::Result* result;
    {
      nb::gil_scoped_release released;
      result = &fornax::codegen::wait(job);
    }
    if (!result->message.empty())
      refused(fornax::bug(PyExc_RuntimeError, "LLVM: %s", result->message.c_str()));
    return nb::make_tuple(nb::bytes(result->code.data(), result->code.size()), result->parse,
                          result->generate);
  }
};

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
  m.def("flush_denormals", [](bool flush) {
    bool before = fornax::Denormals::flushed();
    fornax::Denormals::set(flush);
    return before;
  }, "flush"_a,
        "Whether this thread takes denormal numbers for zero from now on; gives what it did before. "
        "Programs set this for themselves.");
  nb::class_<Generation>(m, "Generation",
                         "LLVM text being compiled on a thread beside the interpreter.")
      .def(nb::init<nb::tuple, nb::tuple, std::string, std::string, bool>(), "functions"_a,
           "machines"_a, "layout"_a, "text"_a, "object"_a)
      .def_static("begin", &fornax::codegen::begin,
                  "Say that the caller is busy for a while: threads start for what still waits.")
      .def_static("finish", &fornax::codegen::finish, nb::call_guard<nb::gil_scoped_release>(),
                  "Before the process ends: no thread begins with what still waits; returns when "
                  "those that are at work have ended.")
      .def("wait", &Generation::wait,
           "(machine code or assembly text, seconds of parsing, seconds of generating). "
           "RuntimeError: what LLVM says is wrong with the text.");
}
