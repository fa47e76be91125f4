// Where threads run. Some kernels, those of small virtual machines among them, wake a thread on the
// processor of the one that woke it and leave both there while another processor idles, which makes
// two threads as slow as one. Threads of ours that notice it move away.
#pragma once

#include <cstddef>

namespace fornax {

// The processor this thread runs on; -1 when unknown.
int current_processor() noexcept;

// Keeps threads that work together on processors of their own.
class Placement {
 public:
  // To be called when there is work: if this thread runs on one of the `busy` processors, it leaves
  // them, as far as there are others. From time to time it is free to run anywhere again.
  void settle(const int* busy, size_t count) noexcept;

  // Free to run where the process may.
  void release() noexcept;

 private:
  static constexpr int patience = 1024;  // calls until it is free again
  int left_ = 0;                         // of these; 0 when it is free
};

}  // namespace fornax
