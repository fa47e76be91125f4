#include "executor.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "denormals.hpp"
#include "threads.hpp"

namespace fornax {
namespace {

using Clock = std::chrono::steady_clock;

struct KernelCall {
  Kernel kernel;
  void** arguments;
  bool flush;
  KernelCall* next = nullptr;  // what follows on every part
};

void run_part(void* context, int64_t begin, int64_t end, int64_t worker) {
  auto* call = static_cast<KernelCall*>(context);
  Denormals mode(call->flush);
  call->kernel(call->arguments, begin, end, worker);
}

void run_next(void* context, int64_t begin, int64_t end, int64_t worker) {
  run_part(static_cast<KernelCall*>(context)->next, begin, end, worker);
}

// Two kernels, the second one on each part right after the first.
void run_both(const Table& table, const Step& first, const Step& second, void** slots,
              void** arguments) {
  const uint32_t* slot = table.indices.data() + first.a;
  for (uint32_t i = 0; i < first.b; ++i) arguments[i] = slots[slot[i]];
  std::vector<void*> more(second.b);
  slot = table.indices.data() + second.a;
  for (uint32_t i = 0; i < second.b; ++i) more[i] = slots[slot[i]];
  KernelCall next{second.address, more.data(), table.flush};
  KernelCall call{first.address, arguments, table.flush, &next};
  bool parallel = thread_count() > 1 && thread_count() <= table.workers;
  relay(first.x, first.y, parallel ? table.threads : 1, run_part, run_next, &call);
}

template <class Integer>
Integer load(const void* memory) {
  Integer value;
  std::memcpy(&value, memory, sizeof value);
  return value;
}

void store_counter(void* memory, int64_t value, int64_t bytes) {
  if (bytes == 8) std::memcpy(memory, &value, 8);
  else {
    auto narrow = static_cast<int32_t>(value);
    std::memcpy(memory, &narrow, 4);
  }
}

constexpr int64_t copy_grain = 64 << 10;  // bytes for which a second thread pays: 5 microseconds

struct CopyCall {
  char* target;
  const char* source;
};

void copy(void* target, const void* source, int64_t bytes, int64_t threads) {
  CopyCall call{static_cast<char*>(target), static_cast<const char*>(source)};
  bool apart = call.target + bytes <= call.source || call.source + bytes <= call.target;
  if (bytes < 2 * copy_grain || !apart) {
    std::memmove(target, source, static_cast<size_t>(bytes));
    return;
  }
  parallel_for(bytes, copy_grain, threads, [](void* context, int64_t begin, int64_t end, int64_t) {
    auto* part = static_cast<CopyCall*>(context);
    std::memcpy(part->target + begin, part->source + begin, static_cast<size_t>(end - begin));
  }, &call);
}

// Asks the hook about every tenth of a second, without reading the clock at every jump.
class Watch {
 public:
  explicit Watch(Hooks& hooks) : hooks_(hooks) {}

  bool keep_going() {
    if (++jumps_ % 256) return true;
    auto now = Clock::now();
    if (asked_ == Clock::time_point{}) asked_ = now;
    if (now - asked_ < std::chrono::milliseconds(100)) return true;
    asked_ = now;
    return hooks_.keep_going();
  }

 private:
  Hooks& hooks_;
  uint32_t jumps_ = 0;
  Clock::time_point asked_{};
};

template <bool timed>
bool interpret(const Table& table, void** slots, int64_t* counters, void** arguments,
               Hooks& hooks, StepTime* times) {
  const Step* steps = table.steps.data();
  const uint32_t* indices = table.indices.data();
  const auto count = static_cast<uint32_t>(table.steps.size());
  const bool parallel = thread_count() > 1 && thread_count() <= table.workers;
  Watch watch(hooks);
  uint32_t next = 0;
  while (next < count) {
    const uint32_t current = next++;
    const Step& step = steps[current];
    Clock::time_point begin;
    if constexpr (timed) begin = Clock::now();
    switch (step.operation) {
      case Operation::kernel: {
        if (next < count && steps[next].operation == Operation::kernel && steps[next].c) {
          run_both(table, step, steps[next++], slots, arguments);
          break;
        }
        const uint32_t* slot = indices + step.a;
        for (uint32_t i = 0; i < step.b; ++i) arguments[i] = slots[slot[i]];
        if (parallel && step.x > step.y) {
          KernelCall call{step.address, arguments, table.flush};
          parallel_for(step.x, step.y, table.threads, run_part, &call);
        } else {
          step.address(arguments, 0, step.x, 0);
        }
        break;
      }
      case Operation::copy:
        if (slots[step.a] != slots[step.b]) copy(slots[step.a], slots[step.b], step.x, table.threads);
        break;
      case Operation::counter:
        counters[step.c] = step.x;
        break;
      case Operation::advance:
        counters[step.c] += step.x;
        break;
      case Operation::address:
        slots[step.a] = static_cast<char*>(slots[step.b]) + counters[step.c] * step.x;
        break;
      case Operation::store_counter:
        store_counter(slots[step.a], counters[step.c], step.x);
        break;
      case Operation::swap:
        std::swap(slots[step.a], slots[step.b]);
        break;
      case Operation::jump:
        next = step.a;
        break;
      case Operation::jump_if_not:
        if (!load<uint8_t>(slots[step.a])) next = step.b;
        break;
      case Operation::jump_less:
        if (counters[step.c] < step.x) next = step.a;
        break;
      case Operation::branch: {
        auto index = static_cast<int64_t>(load<int32_t>(slots[step.a]));
        next = indices[step.b + std::clamp<int64_t>(index, 0, step.x - 1)];
        break;
      }
      case Operation::host: {
        Denormals ieee(false);
        if (!hooks.host(step.a, slots)) return false;
        break;
      }
    }
    if constexpr (timed) {
      auto elapsed = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin);
      times[current].nanoseconds += elapsed.count();
      ++times[current].calls;
    }
    if (next <= current && !watch.keep_going()) return false;
  }
  return true;
}

}  // namespace

bool execute(const Table& table, void** slots, int64_t* counters, void** arguments, Hooks& hooks,
             StepTime* times) {
  Denormals mode(table.flush);
  return times ? interpret<true>(table, slots, counters, arguments, hooks, times)
               : interpret<false>(table, slots, counters, arguments, hooks, times);
}

}  // namespace fornax
