#include "threads.hpp"

#include "placement.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fornax {
namespace {

constexpr auto spin_time = std::chrono::microseconds(30);
// Parts for each thread where they are worth it: others take those of a thread that is held up.
constexpr int64_t parts_of_a_thread = 4;

inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Polls `done` for about spin_time; true if it came true.
template <class Condition>
bool spin(Condition done) {
  auto deadline = std::chrono::steady_clock::now() + spin_time;
  do {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return done();
}

// Worker number of the part this thread is executing, or -1 outside of any.
thread_local int64_t executing_worker = -1;

class Pool {
 public:
  explicit Pool(int count) : count_(count) {}

  int count() const { return count_; }

  // False when the pool is busy or could not start; nothing was executed then.
  bool run(int64_t extent, int64_t parts, int64_t threads, RangeFunction function, void* context) {
    std::unique_lock lock(busy_, std::try_to_lock);
    if (!lock || stopping_.load(std::memory_order_acquire) || !start()) return false;
    extent_ = extent;
    step_ = (extent + parts - 1) / parts;
    // Neighbours should not write to one cache line.
    if (step_ >= 1024) step_ = (step_ + 63) & ~int64_t{63};
    parts = (extent + step_ - 1) / step_;
    threads = std::min(threads, parts);
    function_ = function;
    context_ = context;
    done_.store(0, std::memory_order_relaxed);
    uint64_t epoch = (range_.load(std::memory_order_relaxed) >> 32) + 1;
    for (int64_t i = 0; i < threads; ++i) {
      Share& share = shares_[i];
      int64_t first = i * parts / threads;
      share.first = first;
      auto left = static_cast<uint64_t>((i + 1) * parts / threads - first);
      share.ticket.store(epoch << 32 | left, std::memory_order_release);
    }
    range_.store(epoch << 32 | static_cast<uint64_t>(threads), std::memory_order_release);
    processors_[0].store(current_processor(), std::memory_order_relaxed);
    signal_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) signal_.notify_all();
    work(epoch << 32 | static_cast<uint64_t>(threads), 0);
    // Parts taken by other threads are being executed; they cannot be taken over any more.
    auto target = static_cast<uint32_t>(parts);
    auto finished = [&] { return done_.load(std::memory_order_acquire) == target; };
    while (!spin(finished)) std::this_thread::yield();
    return true;
  }

  // Waits for a running range, then ends the workers. Later ranges are refused.
  void stop() {
    std::lock_guard lock(busy_);
    stopping_.store(true, std::memory_order_release);
    signal_.fetch_add(1, std::memory_order_seq_cst);
    signal_.notify_all();
    for (int i = 1; i < started_; ++i) pthread_join(threads_[i], nullptr);
    started_ = 0;
  }

  static constexpr int most_threads = 256;

 private:
  struct Start {
    Pool* pool;
    int worker;
  };

  // Creates the workers at first use; false when the system gives no thread at all.
  bool start() {
    if (started_) return started_ > 1;
    started_ = 1;
    // Signals belong to the interpreter's threads.
    sigset_t all, previous;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    while (started_ < count_) {
      auto* argument = new Start{this, started_};
      if (pthread_create(&threads_[started_], nullptr, enter, argument) != 0) {
        delete argument;
        break;
      }
      ++started_;
    }
    pthread_sigmask(SIG_SETMASK, &previous, nullptr);
    return started_ > 1;
  }

  static void* enter(void* argument) {
    auto* start = static_cast<Start*>(argument);
    Start copy = *start;
    delete start;
#if defined(__linux__)
    char name[16];
    std::snprintf(name, sizeof name, "fornax-%d", copy.worker);
    pthread_setname_np(pthread_self(), name);
#endif
    copy.pool->loop(copy.worker);
    return nullptr;
  }

  void loop(int worker) {
    uint32_t seen = 0;
    Placement placement;
    while (!stopping_.load(std::memory_order_acquire)) {
      uint64_t range = range_.load(std::memory_order_acquire);
      if (static_cast<uint32_t>(worker) < static_cast<uint32_t>(range) && open(range)) {
        settle(placement, worker);
        work(range, worker);
      }
      auto changed = [&] { return signal_.load(std::memory_order_acquire) != seen; };
      if (!spin(changed)) {
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        signal_.wait(seen, std::memory_order_seq_cst);
        sleepers_.fetch_sub(1, std::memory_order_relaxed);
      }
      seen = signal_.load(std::memory_order_acquire);
    }
  }

  // Moves away from the processors of the caller and of workers before this one.
  void settle(Placement& placement, int worker) {
    int busy[most_threads];
    for (int i = 0; i < worker; ++i) busy[i] = processors_[i].load(std::memory_order_relaxed);
    placement.settle(busy, static_cast<size_t>(worker));
    processors_[worker].store(current_processor(), std::memory_order_relaxed);
  }

  // Parts that one thread takes before it helps the others: neighbours, and about the same ones in
  // every range of that extent, so that what one range wrote is near the thread that reads it.
  struct alignas(64) Share {
    std::atomic<uint64_t> ticket{0};  // number of the range, and of parts not taken yet
    int64_t first = 0;
  };

  // Whether a range, its number and how many threads have a share of it, has parts to take.
  bool open(uint64_t range) const {
    for (uint32_t i = 0; i < static_cast<uint32_t>(range); ++i) {
      uint64_t ticket = shares_[i].ticket.load(std::memory_order_acquire);
      if (ticket >> 32 == range >> 32 && static_cast<uint32_t>(ticket)) return true;
    }
    return false;
  }

  // Takes parts of a range until none is left, those of its own share first: a thread that is held
  // up takes fewer. Winning a ticket proves that the range is still open; only then may its
  // description be read, and it cannot change before the part is reported done.
  void work(uint64_t range, int worker) {
    auto threads = static_cast<uint32_t>(range);
    for (uint32_t i = 0; i < threads; ++i) {
      Share& share = shares_[(static_cast<uint32_t>(worker) + i) % threads];
      uint64_t ticket = share.ticket.load(std::memory_order_acquire);
      while (ticket >> 32 == range >> 32 && static_cast<uint32_t>(ticket)) {
        if (!share.ticket.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel,
                                                std::memory_order_acquire))
          continue;
        int64_t part = share.first + static_cast<int64_t>(static_cast<uint32_t>(ticket)) - 1;
        int64_t begin = part * step_;
        int64_t end = std::min(begin + step_, extent_);
        executing_worker = worker;
        function_(context_, begin, end, worker);
        executing_worker = -1;
        done_.fetch_add(1, std::memory_order_acq_rel);
        ticket = share.ticket.load(std::memory_order_acquire);
      }
    }
  }

  std::mutex busy_;  // held while a range runs
  const int count_;
  int started_ = 0;  // threads, the caller included; 0 before the first range
  pthread_t threads_[most_threads];
  std::atomic<int> processors_[most_threads] = {};  // where each thread was seen last

  // Written by the caller while no part can be taken.
  int64_t extent_ = 0;
  int64_t step_ = 0;
  RangeFunction function_ = nullptr;
  void* context_ = nullptr;

  Share shares_[most_threads];
  alignas(64) std::atomic<uint64_t> range_{0};  // its number, and how many threads share it
  alignas(64) std::atomic<uint32_t> done_{0};
  alignas(64) std::atomic<uint32_t> signal_{0};  // changes when there is something to do
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};
};

#if defined(__linux__)
// The first two numbers of a small file; false when there are none ("max" is none).
bool read_numbers(const std::string& path, long long& first, long long* second) {
  FILE* file = std::fopen(path.c_str(), "r");
  if (!file) return false;
  int fields = second ? std::fscanf(file, "%lld %lld", &first, second)
                      : std::fscanf(file, "%lld", &first);
  std::fclose(file);
  return fields == (second ? 2 : 1);
}

// This process's folder below the root of cgroup version 2, "" when unknown.
std::string cgroup_folder() {
  FILE* file = std::fopen("/proc/self/cgroup", "r");
  if (!file) return "";
  char line[512];
  std::string folder;
  while (std::fgets(line, sizeof line, file))
    if (std::strncmp(line, "0::/", 4) == 0)
      folder.assign(line + 3, std::strcspn(line + 3, "\n"));
  std::fclose(file);
  return folder == "/" ? "" : folder;
}

// Processors the control groups allow, rounded up; 0 when they set no limit. A limit may sit on
// any folder on the way up.
int quota() {
  long long used = 0, period = 0;
  double least = 0;
  std::string folder = cgroup_folder();
  for (;;) {
    if (read_numbers("/sys/fs/cgroup" + folder + "/cpu.max", used, &period) && period > 0) {
      double processors = static_cast<double>(used) / static_cast<double>(period);
      least = least > 0 ? std::min(least, processors) : processors;
    }
    if (folder.empty()) break;
    folder.resize(folder.rfind('/'));
  }
  if (least == 0 && read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", used, nullptr) &&
      read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, nullptr) && used > 0 &&
      period > 0)
    least = static_cast<double>(used) / static_cast<double>(period);
  return static_cast<int>(std::ceil(least));
}
#endif

std::mutex pool_mutex;       // guards the pointer, not the use of what it points to
// Null before the first range and after a change of the count. Never destroyed: workers may
// still sleep in the pool when the process ends.
std::shared_ptr<Pool>& pool = *new std::shared_ptr<Pool>();
std::atomic<int> wanted{0};  // thread count once it is known

// The parent's threads do not exist in the child, and its pool may be in the middle of a range:
// the child forgets it, without running its destructor, and starts over.
void forget_pool() {
  new (&pool_mutex) std::mutex();
  new (&pool) std::shared_ptr<Pool>();
  executing_worker = -1;
}

std::shared_ptr<Pool> current_pool() {
  std::lock_guard lock(pool_mutex);
  static bool watching = false;
  if (!watching) {
    pthread_atfork(nullptr, nullptr, forget_pool);
    watching = true;
  }
  if (!pool) pool = std::make_shared<Pool>(thread_count());
  return pool;
}

}  // namespace

int processor_count() noexcept {
  int count = 0;
#if defined(__linux__)
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) count = CPU_COUNT(&mask);
  if (int limit = quota()) count = count ? std::min(count, limit) : limit;
#endif
  if (!count) count = static_cast<int>(std::thread::hardware_concurrency());
  return std::clamp(count, 1, Pool::most_threads);
}

int thread_count() noexcept {
  int count = wanted.load(std::memory_order_relaxed);
  if (count) return count;
  int unset = 0;
  count = processor_count();
  return wanted.compare_exchange_strong(unset, count) ? count : unset;
}

void set_thread_count(int count) noexcept {
  if (count <= 0) count = processor_count();
  count = std::min(count, Pool::most_threads);
  if (executing_worker >= 0 || wanted.exchange(count) == count) return;
  std::shared_ptr<Pool> old;
  {
    std::lock_guard lock(pool_mutex);
    old.swap(pool);
  }
  if (old) old->stop();
}

namespace {

struct Relay {
  int64_t extent;
  RangeFunction first, second;
  void* context;
  alignas(64) std::atomic<int64_t> taken{0};  // parts that a thread has begun
  alignas(64) std::atomic<int64_t> ended{0};  // parts on which `first` has ended, and on all before
};

// Takes parts in their order until none is left: whoever waits for a part waits for a thread that
// is at work on it.
void run_relay(void* context, int64_t, int64_t, int64_t worker) {
  auto& relay = *static_cast<Relay*>(context);
  for (;;) {
    int64_t part = relay.taken.fetch_add(1, std::memory_order_relaxed);
    if (part >= relay.extent) return;
    relay.first(relay.context, part, part + 1, worker);
    auto mine = [&] { return relay.ended.load(std::memory_order_acquire) == part; };
    while (!spin(mine)) std::this_thread::yield();
    relay.ended.store(part + 1, std::memory_order_release);
    relay.second(relay.context, part, part + 1, worker);
  }
}

}  // namespace

void relay(int64_t extent, int64_t grain, int64_t most, RangeFunction first, RangeFunction second,
           void* context) noexcept {
  Relay relay{extent, first, second, context};
  int64_t threads = std::min(extent / std::max<int64_t>(grain, 1), most);
  parallel_for(std::max<int64_t>(threads, 1), 1, most, run_relay, &relay);
}

void parallel_for(int64_t extent, int64_t grain, int64_t most, RangeFunction function,
                  void* context) noexcept {
  if (extent <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  int64_t worthwhile = extent / grain;
  if (std::min(worthwhile, most) > 1 && executing_worker < 0 && thread_count() > 1) {
    std::shared_ptr<Pool> current = current_pool();
    int64_t threads = std::min<int64_t>({worthwhile, most, current->count()});
    int64_t parts = std::min(worthwhile, threads * parts_of_a_thread);
    if (current->run(extent, parts, threads, function, context)) return;
  }
  function(context, 0, extent, std::max<int64_t>(executing_worker, 0));
}

}  // namespace fornax
