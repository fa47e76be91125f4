// The thread pool: every index once, workers apart, nesting, concurrency, resizing, fork.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "../threads.hpp"
#include "check.hpp"

using namespace fornax;

namespace {

struct Visits {
  std::vector<int> seen;
  std::atomic<int> busy[64] = {};
  std::atomic<int> parts{0};
  int64_t nested = 0;
  int64_t most = INT64_MAX;

  explicit Visits(int64_t extent) : seen(static_cast<size_t>(extent)) {}
};

void visit(void* context, int64_t begin, int64_t end, int64_t worker) {
  auto& visits = *static_cast<Visits*>(context);
  CHECK(begin < end && worker >= 0 && worker < thread_count());
  CHECK(worker < visits.most);
  CHECK(visits.busy[worker].fetch_add(1) == 0);  // parts of a worker never overlap
  for (int64_t i = begin; i < end; ++i) ++visits.seen[static_cast<size_t>(i)];
  if (visits.nested) {
    Visits inner(visits.nested);
    parallel_for(visits.nested, 1, INT64_MAX, [](void* other, int64_t from, int64_t to, int64_t) {
      auto& counts = *static_cast<Visits*>(other);
      ++counts.parts;
      for (int64_t i = from; i < to; ++i) ++counts.seen[static_cast<size_t>(i)];
    }, &inner);
    CHECK(inner.parts == 1);
  }
  ++visits.parts;
  visits.busy[worker].fetch_sub(1);
}

void run(int64_t extent, int64_t grain, int64_t nested = 0, int64_t most = INT64_MAX) {
  Visits visits(extent);
  visits.nested = nested;
  visits.most = most;
  parallel_for(extent, grain, most, visit, &visits);
  CHECK(std::all_of(visits.seen.begin(), visits.seen.end(), [](int count) { return count == 1; }));
  CHECK(visits.parts <= std::max<int64_t>(1, extent / std::max<int64_t>(grain, 1)));
  CHECK(visits.parts <= std::max<int64_t>(1, 4 * std::min<int64_t>(thread_count(), most)));
}

void test_ranges() {
  parallel_for(0, 1, INT64_MAX, [](void*, int64_t, int64_t, int64_t) { CHECK(false); }, nullptr);
  for (int count : {1, 2, 3, 4, 7}) {
    set_thread_count(count);
    CHECK(thread_count() == count);
    for (int64_t extent : {1, 2, 3, 7, 64, 1000, 100'001})
      for (int64_t grain : {0, 1, 3, 64, 5000}) run(extent, grain);
  }
}

void test_limits() {
  set_thread_count(4);
  for (int64_t most : {1, 2, 3, 4, 9})
    for (int64_t extent : {1, 64, 100'001}) run(extent, 1, 0, most);
}

// The caller is held up in its first part: the other thread makes all the others.
void test_a_thread_that_is_held_up() {
  set_thread_count(2);
  for (int i = 0; i < 20; ++i) {
    std::atomic<int> done{0};
    parallel_for(8, 1, INT64_MAX, [](void* context, int64_t begin, int64_t end, int64_t worker) {
      CHECK(end == begin + 1);
      auto& count = *static_cast<std::atomic<int>*>(context);
      while (worker == 0 && count < 7) std::this_thread::yield();
      ++count;
    }, &done);
    CHECK(done == 8);
  }
}

// What the first function has seen of all parts so far is there when the second one runs.
void test_relay() {
  struct Parts {
    explicit Parts(int64_t extent) : first(static_cast<size_t>(extent)), second(first.size()) {}
    std::vector<int> first, second;  // read by threads that did not write them
  };
  for (int count : {1, 2, 3, 4, 7}) {
    set_thread_count(count);
    for (int64_t extent : {0, 1, 2, 5, 64, 1000}) {
      Parts parts(extent);
      relay(extent, 1, count == 7 ? 3 : INT64_MAX,
            [](void* context, int64_t begin, int64_t end, int64_t) {
              for (int64_t i = begin; i < end; ++i)
                static_cast<Parts*>(context)->first[static_cast<size_t>(i)] = static_cast<int>(i);
            },
            [](void* context, int64_t begin, int64_t end, int64_t) {
              auto& both = *static_cast<Parts*>(context);
              CHECK(end == begin + 1);
              for (int64_t i = 0; i < end; ++i)
                CHECK(both.first[static_cast<size_t>(i)] == static_cast<int>(i));
              ++both.second[static_cast<size_t>(begin)];
            },
            &parts);
      CHECK(std::all_of(parts.second.begin(), parts.second.end(), [](int n) { return n == 1; }));
    }
  }
}

void test_many_small_ranges() {
  set_thread_count(4);
  for (int i = 0; i < 3000; ++i) run(8, 1);
  for (int i = 0; i < 20; ++i) {  // workers go to sleep in between
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    run(100, 1);
  }
}

void test_nested() {
  set_thread_count(4);
  for (int i = 0; i < 50; ++i) run(100, 1, 50);
}

void test_concurrent_callers_and_resizing() {
  std::vector<std::thread> threads;
  std::atomic<bool> finished{false};
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&] {
      while (!finished) {
        std::vector<std::atomic<int>> seen(500);
        parallel_for(500, 10, INT64_MAX, [](void* context, int64_t begin, int64_t end, int64_t) {
          for (int64_t j = begin; j < end; ++j)
            ++(*static_cast<std::vector<std::atomic<int>>*>(context))[static_cast<size_t>(j)];
        }, &seen);
        for (auto& count : seen) CHECK(count == 1);
      }
    });
  for (int i = 0; i < 100; ++i) set_thread_count(2 + i % 3);
  finished = true;
  for (std::thread& thread : threads) thread.join();
}

[[maybe_unused]] void test_fork() {
  set_thread_count(4);
  run(1000, 1);
  pid_t child = fork();
  if (child == 0) {
    run(1000, 1);
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  run(1000, 1);
}

}  // namespace

int main() {
  CHECK(processor_count() >= 1);
  test_ranges();
  test_limits();
  test_a_thread_that_is_held_up();
  test_relay();
  test_many_small_ranges();
  test_nested();
  test_concurrent_callers_and_resizing();
#if !defined(__SANITIZE_THREAD__)  // its runtime does not follow a fork that starts threads
  test_fork();
#endif
  std::puts("threads: ok");
}
