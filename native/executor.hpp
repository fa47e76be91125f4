// Runs the flat step table of a program. No Python: callers provide hooks for what needs it.
#pragma once

#include <cstdint>
#include <vector>

namespace fornax {

// Machine code of one kernel: executes [begin, end) of its parallel extent.
using Kernel = void (*)(void** buffers, int64_t begin, int64_t end, int64_t worker);

enum class Operation : uint8_t {
  kernel,         // address(arguments a..a+b of the index list), x = extent, y = grain; c: on a
                  // part as soon as the step before has ended on it and on those before it
  copy,           // x bytes from slot b to slot a, unless they are the same memory
  counter,        // counter c = x
  advance,        // counter c += x
  address,        // slot a = slot b + counter c * x bytes
  store_counter,  // slot a receives counter c as an integer of x bytes
  swap,           // exchange slots a and b
  jump,           // to step a
  jump_if_not,    // to step b when the bool in slot a is false
  jump_less,      // to step a when counter c < x
  branch,         // to step indices[b + clamp(int32 in slot a, 0, x - 1)]
  host,           // hook number a
};

struct Step {
  Operation operation;
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  int64_t x = 0;
  int64_t y = 0;
  Kernel address = nullptr;
};

struct Table {
  std::vector<Step> steps;
  std::vector<uint32_t> indices;  // kernel arguments and branch targets
  uint32_t slots = 0;
  uint32_t counters = 0;
  uint32_t most_arguments = 0;  // of any kernel
  int workers = 1;              // scratch memory exists for this many
  int64_t threads = INT64_MAX;  // most that may work at once
  bool flush = false;           // denormal numbers are taken for and replaced by zero
};

struct StepTime {
  int64_t nanoseconds = 0;
  int64_t calls = 0;
};

class Hooks {
 public:
  // Both return false to abandon the run.
  virtual bool host(uint32_t number, void** slots) = 0;
  virtual bool keep_going() = 0;  // asked now and then while jumping backwards

 protected:
  ~Hooks() = default;
};

// `arguments` has room for most_arguments pointers. `times` is null or has one entry per step.
bool execute(const Table& table, void** slots, int64_t* counters, void** arguments, Hooks& hooks,
             StepTime* times);

}  // namespace fornax
