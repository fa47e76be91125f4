// Jobs of machine code generation, with functions that stand for LLVM's.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../codegen.hpp"
#include "check.hpp"

using namespace fornax::codegen;

namespace {

std::mutex order_mutex;
std::vector<size_t> order;  // lengths of texts, as their generation ended
std::atomic<bool> holding{false}, released{true};
std::atomic<int> contexts{0}, modules{0}, buffers{0}, messages{0};

struct Module {
  std::string text, layout;
};

const char* message_of(const char* text) {
  ++messages;
  return strdup(text);
}

Functions fake() {
  Functions f;
  f.create_context = []() -> void* {
    ++contexts;
    return new int(0);
  };
  f.dispose_context = [](void* context) {
    --contexts;
    delete static_cast<int*>(context);
  };
  f.parse = [](void*, const char* text, const char** message) -> void* {
    if (std::string(text) == "wrong") {
      *message = message_of("expected something else");
      return nullptr;
    }
    ++modules;
    return new Module{text, ""};
  };
  f.dispose_module = [](void* module) {
    --modules;
    delete static_cast<Module*>(module);
  };
  f.set_layout = [](void* module, const char* layout) {
    static_cast<Module*>(module)->layout = layout;
  };
  // The machine counts who uses it: never two at once.
  f.emit = [](void* machine, void* module, int object, const char** message) -> void* {
    auto& users = *static_cast<std::atomic<int>*>(machine);
    if (users.fetch_add(1) != 0) std::abort();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    auto* parsed = static_cast<Module*>(module);
    if (parsed->text == "held") {
      holding = true;
      while (!released) std::this_thread::yield();
    }
    users.fetch_sub(1);
    {
      std::lock_guard lock(order_mutex);
      order.push_back(parsed->text.size());
    }
    if (parsed->text == "too hard") {
      *message = message_of("cannot select");
      return nullptr;
    }
    ++buffers;
    return new std::string(parsed->text + (object ? " object " : " assembly ") + parsed->layout);
  };
  f.buffer_start = [](void* buffer) { return static_cast<std::string*>(buffer)->c_str(); };
  f.buffer_size = [](void* buffer) { return static_cast<std::string*>(buffer)->size(); };
  f.dispose_buffer = [](void* buffer) {
    --buffers;
    delete static_cast<std::string*>(buffer);
  };
  f.dispose_string = [](const char* text) {
    --messages;
    free(const_cast<char*>(text));
  };
  return f;
}

std::atomic<int> machines[4];

std::shared_ptr<Job> start(std::string text, size_t threads, bool object = true) {
  auto job = std::make_shared<Job>();
  job->functions = fake();
  for (size_t i = 0; i < threads; ++i) job->machines.push_back(&machines[i]);
  job->layout = "e";
  job->text = std::move(text);
  job->object = object;
  submit(job);
  begin();
  return job;
}

void test_results(size_t threads) {
  std::vector<std::shared_ptr<Job>> jobs;
  for (int i = 0; i < 40; ++i) jobs.push_back(start("k" + std::to_string(i), threads, i % 2));
  for (int i = 39; i >= 0; --i) {
    const Result& result = wait(jobs[i]);
    CHECK(result.code == "k" + std::to_string(i) + (i % 2 ? " object e" : " assembly e"));
    CHECK(result.message.empty() && wait(jobs[i]).code == result.code);
  }
}

void test_errors() {
  for (const char* text : {"wrong", "too hard"}) {
    auto job = start(text, 2);
    CHECK(wait(job).code.empty());
    CHECK(wait(job).message == (*text == 'w' ? "expected something else" : "cannot select"));
  }
}

void test_many_waiters() {
  std::vector<std::shared_ptr<Job>> jobs;
  for (int i = 0; i < 60; ++i) jobs.push_back(start("m" + std::to_string(i), 3));
  std::vector<std::thread> waiters;
  for (int w = 0; w < 5; ++w)
    waiters.emplace_back([&jobs, w] {
      for (size_t i = w % 2 ? jobs.size() : 0; w % 2 ? i-- > 0 : i < jobs.size(); w % 2 ? 0 : ++i)
        CHECK(wait(jobs[i]).code == jobs[i]->text + " object e");
    });
  for (auto& waiter : waiters) waiter.join();
}

void test_longest_first() {
  // Nobody waits for these: one thread beside the caller takes the first, which holds it until all
  // are there.
  released = false;
  {
    std::lock_guard lock(order_mutex);
    order.clear();
  }
  std::vector<std::shared_ptr<Job>> jobs{start("held", 2)};
  while (!holding) std::this_thread::yield();
  for (size_t length : {100, 300, 200, 400}) jobs.push_back(start(std::string(length, 'x'), 2));
  released = true;
  for (;;) {
    std::lock_guard lock(order_mutex);
    if (order.size() == jobs.size()) break;
  }
  CHECK((order == std::vector<size_t>{4, 400, 300, 200, 100}));
  for (auto& job : jobs) CHECK(wait(job).code == job->text + " object e");
}

void test_jobs_nobody_waits_for() {
  for (int i = 0; i < 20; ++i) start("n" + std::to_string(i), 4);
  CHECK(wait(start("last", 4)).code == "last object e");
}

[[maybe_unused]] void test_fork() {
  std::vector<std::shared_ptr<Job>> jobs;
  for (int i = 0; i < 10; ++i) jobs.push_back(start("f" + std::to_string(i), 3));
  for (auto& machine : machines)
    while (machine.load()) std::this_thread::yield();
  pid_t child = fork();
  if (child == 0) {
    for (auto& machine : machines) machine = 0;  // their users are not in this process
    for (auto& job : jobs)
      if (wait(job).code != job->text + " object e") _exit(1);
    _exit(wait(start("child", 3)).code == "child object e" ? 0 : 2);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  for (auto& job : jobs) CHECK(wait(job).code == job->text + " object e");
}

}  // namespace

int main() {
  test_longest_first();
  test_results(1);
  test_results(4);
  test_errors();
  test_many_waiters();
  test_jobs_nobody_waits_for();
#if !defined(__SANITIZE_THREAD__)  // which does not follow a fork beside threads
  test_fork();
#endif
  while (contexts || modules || buffers) std::this_thread::yield();
  CHECK(messages == 0);
  return 0;
}
