// The thread pool: splits an index range over the processors this process may use. No Python.
//
// No thread is started before the first range that is worth splitting. The caller takes part.
// Ranges submitted while the pool is busy, or from inside a range, run on their caller. The
// child of a fork starts without threads and makes its own when it needs them.
#pragma once

#include <cstdint>

namespace fornax {

// Called with a part [begin, end) of the range; `worker` in [0, thread_count()) identifies the
// executing thread within this call, so that two parts with one `worker` never run at once.
using RangeFunction = void (*)(void* context, int64_t begin, int64_t end, int64_t worker);

// Processors by affinity mask and cgroup quota, at least 1.
int processor_count() noexcept;
int thread_count() noexcept;
// 0 means processor_count(). Waits for a running range.
void set_thread_count(int count) noexcept;

// Runs parts of [0, extent) of about `grain` or more on at most `most` and at most thread_count()
// threads and returns when all are done: a few for each thread, neighbours, which others take over
// from one that is held up. Boundaries depend on these numbers only, never on who takes what.
void parallel_for(int64_t extent, int64_t grain, int64_t most, RangeFunction function,
                  void* context) noexcept;

// Runs `first` and then `second` on every part, parts of one of [0, extent): `second` on a part when
// `first` has ended on it and on all parts before it. What a part has brought to the caches is there
// still. `grain` and `most` as above.
void relay(int64_t extent, int64_t grain, int64_t most, RangeFunction first, RangeFunction second,
           void* context) noexcept;

}  // namespace fornax
