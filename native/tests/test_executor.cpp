// The step interpreter, one table per kind of step.
#include <cstring>
#include <vector>

#include "../executor.hpp"
#include "../threads.hpp"
#include "check.hpp"

using namespace fornax;

namespace {

struct Recorder final : Hooks {
  std::vector<uint32_t> calls;
  bool succeed = true;
  bool host(uint32_t number, void**) override {
    calls.push_back(number);
    return succeed;
  }
  bool keep_going() override { return false; }
};

// buffers[1][i] = buffers[0][i] + 1
void increment(void** buffers, int64_t begin, int64_t end, int64_t) {
  for (int64_t i = begin; i < end; ++i)
    static_cast<int32_t*>(buffers[1])[i] = static_cast<int32_t*>(buffers[0])[i] + 1;
}

void less(void** buffers, int64_t, int64_t, int64_t) {
  *static_cast<bool*>(buffers[2]) =
      *static_cast<int32_t*>(buffers[0]) < *static_cast<int32_t*>(buffers[1]);
}

struct Run {
  Table table;
  std::vector<void*> slots;
  std::vector<int64_t> counters = std::vector<int64_t>(4);
  std::vector<void*> arguments = std::vector<void*>(8);
  std::vector<StepTime> times;
  Recorder hooks;

  bool operator()(bool timed = false) {
    table.workers = thread_count();
    times.assign(table.steps.size(), {});
    return execute(table, slots.data(), counters.data(), arguments.data(), hooks,
                   timed ? times.data() : nullptr);
  }
};

void test_parallel_kernel() {
  set_thread_count(3);
  std::vector<int32_t> in(100'000, 4), out(100'000);
  Run run;
  run.slots = {in.data(), out.data()};
  run.table.indices = {0, 1};
  run.table.steps = {{Operation::kernel, 0, 2, 0, 100'000, 100, increment}};
  CHECK(run());
  for (int32_t value : out) CHECK(value == 5);
}

void test_kernel_that_follows() {
  for (int count : {1, 3}) {
    set_thread_count(count);
    std::vector<int32_t> in(1000, 4), between(1000), out(1000);
    Run run;
    run.slots = {in.data(), between.data(), out.data()};
    run.table.indices = {0, 1, 1, 2};
    run.table.steps = {{Operation::kernel, 0, 2, 0, 1000, 10, increment},
                       {Operation::kernel, 2, 2, 1, 1000, 10, increment},
                       {Operation::kernel, 0, 2, 0, 1000, 10, increment}};
    CHECK(run(true));
    for (int32_t value : out) CHECK(value == 6);
    CHECK(run.times[0].calls == 1 && run.times[1].calls == 0 && run.times[2].calls == 1);
  }
}

void test_copies() {
  set_thread_count(3);
  std::vector<int32_t> memory(2'000'003);
  for (size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<int32_t>(i);
  std::vector<int32_t> target(memory.size());
  const auto bytes = static_cast<int64_t>(memory.size() * sizeof(int32_t));
  Run run;
  run.slots = {target.data(), memory.data(), memory.data() + 3};
  run.table.steps = {{Operation::copy, 0, 1, 0, bytes},        // apart
                     {Operation::copy, 1, 1, 0, bytes},        // the same
                     {Operation::copy, 1, 2, 0, bytes - 12}};  // overlapping
  CHECK(run());
  for (size_t i = 0; i < memory.size(); ++i) {
    CHECK(target[i] == static_cast<int32_t>(i));
    CHECK(i + 3 >= memory.size() || memory[i] == static_cast<int32_t>(i + 3));
  }
}

void test_counted_loop() {
  int32_t value = 0, other = 0;
  std::vector<int32_t> trace(10);
  int64_t last = 0;
  Run run;
  run.slots = {&value, &other, trace.data(), nullptr, &last};
  run.table.indices = {0, 1};
  run.table.steps = {
      {Operation::counter, 0, 0, 1, 0},
      {Operation::kernel, 0, 2, 0, 1, 1, increment},
      {Operation::swap, 0, 1},
      {Operation::address, 3, 2, 1, 4},
      {Operation::store_counter, 3, 0, 1, 4},
      {Operation::advance, 0, 0, 1, 1},
      {Operation::jump_less, 1, 0, 1, 10},
      {Operation::store_counter, 4, 0, 1, 8},
      {Operation::copy, 1, 0, 0, 4},
  };
  CHECK(run(true));
  CHECK(value == 10 && other == 10 && last == 10);
  for (int i = 0; i < 10; ++i) CHECK(trace[static_cast<size_t>(i)] == i);
  CHECK(run.times[1].calls == 10 && run.times[0].calls == 1);
}

void test_while_and_branch() {
  int32_t value = 3, limit = 9, chosen = 0;
  bool goes_on = false;
  Run run;
  run.slots = {&value, &limit, &goes_on, &chosen};
  run.table.indices = {0, 1, 2, 0, 0, /* targets */ 7, 5};
  run.table.steps = {
      {Operation::kernel, 0, 3, 0, 1, 1, less},  {Operation::jump_if_not, 2, 4},
      {Operation::kernel, 3, 2, 0, 1, 1, increment}, {Operation::jump, 0},
      {Operation::branch, 3, 5, 0, 2},           {Operation::host, 1},
      {Operation::jump, 8},                      {Operation::host, 0},
  };
  for (int32_t index : {-5, 0, 1, 7}) {
    value = 3;
    chosen = index;
    run.hooks.calls.clear();
    CHECK(run() && value == 9);
    CHECK(run.hooks.calls == std::vector<uint32_t>{index > 0 ? 1u : 0u});
  }
  run.hooks.succeed = false;
  CHECK(!run());
}

void test_endless_loop_is_abandoned() {
  Run run;
  run.table.steps = {{Operation::jump, 0}};
  CHECK(!run());
}

}  // namespace

int main() {
  test_parallel_kernel();
  test_kernel_that_follows();
  test_copies();
  test_counted_loop();
  test_while_and_branch();
  test_endless_loop_is_abandoned();
  std::puts("executor: ok");
}
