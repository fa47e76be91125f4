// Caching allocator for array memory. Thread-safe, no Python.
//
// Blocks under 1 MiB come from 2 MiB chunks that each serve one size class; larger blocks are
// mapped on their own, aligned to 2 MiB and advised to use huge pages, and go through a
// byte-bounded cache when freed, because the first touch of fresh pages costs more than most
// kernels that would fill them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fornax {

struct MemoryStats {
  int64_t bytes_live;    // requested by blocks in use
  int64_t bytes_cached;  // held for reuse
  int64_t bytes_peak;    // highest bytes_live so far
};

constexpr size_t alignment = 64;

// 64-byte aligned, uninitialised, never null for bytes == 0; null when the system has no memory.
void* allocate(size_t bytes) noexcept;
// `bytes` as passed to allocate().
void deallocate(void* block, size_t bytes) noexcept;
// Gives cached memory back to the system; returns the number of bytes given back.
size_t trim_cache() noexcept;
// Upper bound of the cache of large blocks.
void set_cache_limit(size_t bytes) noexcept;
MemoryStats memory_stats() noexcept;

}  // namespace fornax
