#include "placement.hpp"

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

namespace fornax {

#if defined(__linux__)

int current_processor() noexcept { return sched_getcpu(); }

void Placement::settle(const int* busy, size_t count) noexcept {
  if (left_ && --left_ == 0) release();
  int here = current_processor();
  bool shared = false;
  for (size_t i = 0; i < count; ++i) shared |= here >= 0 && busy[i] == here;
  if (!shared) return;
  cpu_set_t free;
  if (sched_getaffinity(getpid(), sizeof free, &free) != 0) return;
  for (size_t i = 0; i < count; ++i)
    if (busy[i] >= 0 && busy[i] < CPU_SETSIZE) CPU_CLR(busy[i], &free);
  if (CPU_COUNT(&free) && sched_setaffinity(0, sizeof free, &free) == 0) left_ = patience;
}

void Placement::release() noexcept {
  cpu_set_t every;
  if (sched_getaffinity(getpid(), sizeof every, &every) == 0)
    sched_setaffinity(0, sizeof every, &every);
  left_ = 0;
}

#else

int current_processor() noexcept { return -1; }
void Placement::settle(const int*, size_t) noexcept {}
void Placement::release() noexcept {}

#endif

}  // namespace fornax
