// Whether the processor computes with denormal numbers, which many do a hundred times slower.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fornax {

// While it lives, this thread takes denormal operands for zero and gives zero for denormal results,
// or (with `flush` false) computes with them as IEEE 754 says.
class Denormals {
 public:
  explicit Denormals(bool flush) : before_(read()) {
    uint64_t wanted = flush ? before_ | bits : before_ & ~bits;
    changed_ = wanted != before_;
    if (changed_) write(wanted);
  }
  ~Denormals() {
    if (changed_) write(before_);
  }
  Denormals(const Denormals&) = delete;
  Denormals& operator=(const Denormals&) = delete;

  static bool flushed() { return (read() & bits) == bits; }

  static void set(bool flush) { write(flush ? read() | bits : read() & ~bits); }

 private:
#if defined(__x86_64__)
  static constexpr uint64_t bits = 0x8040;  // results, operands
  static uint64_t read() { return _mm_getcsr(); }
  static void write(uint64_t value) { _mm_setcsr(static_cast<unsigned>(value)); }
#elif defined(__aarch64__)
  static constexpr uint64_t bits = uint64_t{1} << 24;
  static uint64_t read() {
    uint64_t value;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void write(uint64_t value) { asm volatile("msr fpcr, %0" ::"r"(value)); }
#else
  static constexpr uint64_t bits = 0;
  static uint64_t read() { return 0; }
  static void write(uint64_t) {}
#endif

  uint64_t before_;
  bool changed_;
};

}  // namespace fornax
