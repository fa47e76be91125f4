// A compiled program: a step table with its inputs, outputs, constants and working memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "array.hpp"
#include "executor.hpp"
#include "python.hpp"

namespace fornax {

constexpr uint32_t no_slot = UINT32_MAX;

// One input of a run. Borrowed from the caller for the duration of the call.
struct Operand {
  void* data;
  Aval* aval;
  PyObject* object;  // the Array, or null for other memory
  bool donated;
};

struct Input {
  uint32_t slot;  // no_slot when the program does not read it
  Aval* aval;
};

struct Constant {
  uint32_t slot;
  PyObject* array;
};

enum class Source : uint8_t { fresh, input, constant, donate };

struct Output {
  Source source;
  uint32_t index;  // of the input or constant
  uint32_t slot;
  Aval* aval;
};

struct HostArray {
  uint32_t slot;
  Aval* aval;
};

struct HostCall {
  PyObject* function;  // borrowed from the program's callables
  std::vector<HostArray> inputs;
  std::vector<HostArray> outputs;
};

// What one run needs; kept between runs because setting it up costs more than a small kernel.
struct Frame {
  std::vector<void*> slots;
  std::vector<int64_t> counters;
  std::vector<void*> arguments;
  std::vector<PyObject*> kept;  // memory that must outlive the run
  void* arena = nullptr;
};

struct Plan {
  Table table;
  std::vector<Input> inputs;
  std::vector<Constant> constants;
  std::vector<std::pair<uint32_t, int64_t>> arena_slots;
  std::vector<Output> outputs;
  std::vector<HostCall> hosts;
  std::vector<PyObject*> callables;  // owned
  int64_t arena_bytes = 0;
  bool frees_interpreter = false;  // the work is known to be long
  ~Plan();
};

struct Program {
  PyObject_HEAD
  Plan* plan;
  PyObject* name;
  PyObject* owner;  // keeps the machine code alive
  PyObject* weak_references;
  std::vector<std::unique_ptr<Frame>>* frames;  // not in use
  std::vector<StepTime>* times;                 // null until the first profiled run
  int64_t calls;
  int64_t nanoseconds;  // of profiled runs
  int64_t recent;       // duration of a recent run, to decide whether freeing the lock pays
};

extern PyTypeObject* program_type;
extern bool profiling;  // programs and steps are timed
extern PyObject* on_event;  // called with (kind, name, seconds) when something happens, or null
inline Program* as_program(PyObject* object) { return reinterpret_cast<Program*>(object); }

// Reads the constructor's arguments into a plan. Null with TypeError or ValueError.
std::unique_ptr<Plan> build_plan(PyObject* args, PyObject* names, PyObject** program_name);

// Runs the program on plan->inputs.size() operands whose types are checked here. Stores new
// references in outputs[0 .. plan->outputs.size()). False with an error set.
bool run_program(Program* program, Operand* operands, size_t count, PyObject** outputs);

// Tells on_event, which must be there, what happened to a program.
void announce(const char* kind, Program* program, double seconds);

bool register_programs(PyObject* module);

}  // namespace fornax
