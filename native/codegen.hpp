// Machine code generation on threads of its own, beside the interpreter.
//
// LLVM is llvmlite's library; its C functions are called by address, without llvmlite's lock: every
// job has an LLVM context of its own and every thread its own target machine, which is all that
// LLVM asks for. So the interpreter prepares the next kernel while others are being generated.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace fornax::codegen {

// Functions of libllvmlite, in the order of `names` in backends/llvm/generate.py.
struct Functions {
  void* (*create_context)();
  void (*dispose_context)(void*);
  void* (*parse)(void* context, const char* text, const char** message);
  void (*dispose_module)(void*);
  void (*set_layout)(void* module, const char* layout);
  void* (*emit)(void* machine, void* module, int object, const char** message);
  const char* (*buffer_start)(void*);
  size_t (*buffer_size)(void*);
  void (*dispose_buffer)(void*);
  void (*dispose_string)(const char*);
};

struct Result {
  std::string code;
  std::string message;  // why there is no code
  double parse = 0, generate = 0;  // seconds
};

// One text to compile. machines[k] is the target machine that thread k uses; thread 0 is whoever
// waits for a result.
struct Job {
  Functions functions;
  std::vector<void*> machines;
  std::string layout, text;
  bool object = true;
  Result result;
  enum class State { queued, running, done } state = State::queued;
  const void* runs_in = nullptr;  // the queue of the process that runs it
};

// Gives a job to the threads that there are; they take the longest texts first.
void submit(std::shared_ptr<Job> job);

// Says that the caller is busy for a while: a thread starts for what still waits. (What is waited
// for at once is generated sooner by the caller, whose processor's caches are warm.)
void begin();

// Before the process ends, and LLVM's own data with it: no thread begins with what still waits;
// returns when those that are at work have ended.
void finish();

// The result of a job; the caller generates it if no thread has begun.
const Result& wait(const std::shared_ptr<Job>& job);

}  // namespace fornax::codegen
