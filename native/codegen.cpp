#include "codegen.hpp"

#include "placement.hpp"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>

namespace fornax::codegen {
namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void generate(Job& job, size_t thread) {
  const Functions& f = job.functions;
  Result& result = job.result;
  auto begin = std::chrono::steady_clock::now();
  auto take = [&](const char* message) {
    result.message = message ? message : "no message";
    if (message) f.dispose_string(message);
  };
  const char* message = nullptr;
  void* context = f.create_context();
  if (void* module = f.parse(context, job.text.c_str(), &message)) {
    f.set_layout(module, job.layout.c_str());
    result.parse = seconds_since(begin);
    begin = std::chrono::steady_clock::now();
    if (void* buffer = f.emit(job.machines[thread], module, job.object, &message)) {
      result.code.assign(f.buffer_start(buffer), f.buffer_size(buffer));
      f.dispose_buffer(buffer);
    } else {
      take(message);
    }
    result.generate = seconds_since(begin);
    f.dispose_module(module);
  } else {
    take(message);
  }
  f.dispose_context(context);
}

class Queue {
 public:
  void submit(std::shared_ptr<Job> job) {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
    submitter_ = current_processor();
    if (threads_) work_.notify_one();
  }

  void begin() {
    std::lock_guard lock(mutex_);
    if (queue_.empty() || idle_ || finished_) return;
    if (threads_ + 1 < queue_.back()->machines.size()) start();
  }

  void wait(Job& job) {
    std::unique_lock lock(mutex_);
    // Others may be waiting too: the caller's machine is used by one thread at a time.
    while (job.state != Job::State::done) {
      if (job.state == Job::State::running && job.runs_in != this) {
        job.state = Job::State::queued;  // by a thread that a fork left behind
        job.result = Result();
      }
      if (job.state == Job::State::queued && !caller_busy_) {
        for (auto place = queue_.begin(); place != queue_.end(); ++place)
          if (place->get() == &job) {
            queue_.erase(place);
            break;
          }
        caller_busy_ = true;
        run(lock, job, 0);
        caller_busy_ = false;
        done_.notify_all();
      } else {
        done_.wait(lock);
      }
    }
  }

  void finish() {
    std::unique_lock lock(mutex_);
    finished_ = true;
    done_.wait(lock, [this] { return !running_; });
  }

 private:
  // The longest text that `thread` has a machine for: begun last, it would be waited for alone.
  std::shared_ptr<Job> take(size_t thread) {
    auto longest = queue_.end();
    for (auto place = queue_.begin(); place != queue_.end(); ++place)
      if (thread < (*place)->machines.size() &&
          (longest == queue_.end() || (*place)->text.size() > (*longest)->text.size()))
        longest = place;
    if (longest == queue_.end()) return nullptr;
    std::shared_ptr<Job> job = std::move(*longest);
    queue_.erase(longest);
    return job;
  }

  void run(std::unique_lock<std::mutex>& lock, Job& job, size_t thread) {
    job.state = Job::State::running;
    job.runs_in = this;
    ++running_;
    lock.unlock();
    generate(job, thread);
    lock.lock();
    --running_;
    job.state = Job::State::done;
    done_.notify_all();
  }

  void start() {
    // Signals belong to the interpreter's threads.
    sigset_t all, previous;
    sigfillset(&all);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, size_t{8} << 20);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    pthread_t thread;
    auto* argument = new Start{this, threads_ + 1};
    if (pthread_create(&thread, &attributes, enter, argument) == 0)
      ++threads_;
    else
      delete argument;
    pthread_sigmask(SIG_SETMASK, &previous, nullptr);
    pthread_attr_destroy(&attributes);
  }

  struct Start {
    Queue* queue;
    size_t thread;
  };

  static void* enter(void* argument) {
    std::unique_ptr<Start> start(static_cast<Start*>(argument));
    start->queue->serve(start->thread);
    return nullptr;
  }

  [[noreturn]] void serve(size_t thread) {
    std::unique_lock lock(mutex_);
    Placement placement;
    for (;;) {
      while (queue_.empty() || finished_) {
        ++idle_;
        work_.wait(lock);
        --idle_;
      }
      std::shared_ptr<Job> job = take(thread);
      placement.settle(&submitter_, 1);
      if (job)
        run(lock, *job, thread);
      else
        work_.wait(lock);  // only jobs for fewer threads are left
    }
  }

  std::mutex mutex_;
  std::condition_variable work_, done_;
  std::deque<std::shared_ptr<Job>> queue_;
  size_t threads_ = 0, idle_ = 0, running_ = 0;
  bool caller_busy_ = false, finished_ = false;
  int submitter_ = -1;  // the processor of the thread that gives jobs
};

// Never destroyed: its threads may outlive static data. After a fork the child has none of the
// threads, and perhaps a locked mutex: it begins anew.
Queue& queue() {
  static Queue* current = nullptr;
  static std::once_flag once;
  std::call_once(once, [] {
    current = new Queue;
    pthread_atfork(nullptr, nullptr, [] { current = new Queue; });
  });
  return *current;
}

}  // namespace

void submit(std::shared_ptr<Job> job) { queue().submit(std::move(job)); }

void begin() { queue().begin(); }

void finish() { queue().finish(); }

const Result& wait(const std::shared_ptr<Job>& job) {
  queue().wait(*job);
  return job->result;
}

}  // namespace fornax::codegen
