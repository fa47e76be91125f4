// The caching allocator: alignment, reuse, accounting, limits, threads.
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "../allocator.hpp"
#include "check.hpp"

using namespace fornax;

namespace {

struct Block {
  unsigned char* data;
  size_t bytes;
  unsigned char mark;
};

void fill(const Block& block) { std::memset(block.data, block.mark, block.bytes); }

bool intact(const Block& block) {
  for (size_t i = 0; i < block.bytes; i += block.bytes / 8 + 1)
    if (block.data[i] != block.mark) return false;
  return block.bytes == 0 || block.data[block.bytes - 1] == block.mark;
}

// Every size around the class boundaries: aligned, disjoint, fully usable.
void test_sizes() {
  std::vector<Block> blocks;
  unsigned char mark = 1;
  for (size_t power = 0; power <= 22; ++power)
    for (long delta : {-65L, -1L, 0L, 1L, 63L}) {
      long bytes = (1L << power) + delta;
      if (bytes < 0) continue;
      auto size = static_cast<size_t>(bytes);
      auto* data = static_cast<unsigned char*>(allocate(size));
      CHECK(data && reinterpret_cast<uintptr_t>(data) % alignment == 0);
      blocks.push_back({data, size, ++mark});
      fill(blocks.back());
    }
  for (const Block& block : blocks) CHECK(intact(block));
  for (const Block& block : blocks) deallocate(block.data, block.bytes);
  CHECK(memory_stats().bytes_live == 0);
}

void test_random(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Block> blocks;
  for (int round = 0; round < 20'000; ++round) {
    if (blocks.size() < 200 && random() % 2) {
      size_t bytes = size_t{1} << (random() % 18);
      bytes += random() % bytes;
      blocks.push_back({static_cast<unsigned char*>(allocate(bytes)), bytes,
                        static_cast<unsigned char>(random())});
      fill(blocks.back());
    } else if (!blocks.empty()) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      CHECK(intact(blocks.back()));
      deallocate(blocks.back().data, blocks.back().bytes);
      blocks.pop_back();
    }
    if (round % 5000 == 0) trim_cache();
  }
  for (const Block& block : blocks) deallocate(block.data, block.bytes);
}

void test_large_cache() {
  trim_cache();
  CHECK(memory_stats().bytes_cached == 0);
  constexpr size_t mebi = size_t{1} << 20;
  void* first = allocate(8 * mebi);
  CHECK(reinterpret_cast<uintptr_t>(first) % (2 * mebi) == 0);
  deallocate(first, 8 * mebi);
  CHECK(memory_stats().bytes_cached == static_cast<int64_t>(8 * mebi));
  CHECK(allocate(7 * mebi) == first);  // fits with little waste
  deallocate(first, 7 * mebi);
  void* small = allocate(2 * mebi);  // would waste too much
  CHECK(small != first);
  deallocate(small, 2 * mebi);
  set_cache_limit(4 * mebi);  // the oldest goes first
  CHECK(memory_stats().bytes_cached == static_cast<int64_t>(2 * mebi));
  CHECK(allocate(2 * mebi) == small);
  deallocate(small, 2 * mebi);
  set_cache_limit(size_t{1} << 30);
  CHECK(trim_cache() == 2 * mebi);
  CHECK(!allocate(SIZE_MAX / 2) && !allocate(SIZE_MAX));
}

void test_threads() {
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed) threads.emplace_back(test_random, seed);
  for (std::thread& thread : threads) thread.join();
  CHECK(memory_stats().bytes_live == 0 && memory_stats().bytes_peak > 0);
}

}  // namespace

int main() {
  test_sizes();
  test_random(7);
  test_large_cache();
  test_threads();
  std::puts("allocator: ok");
}
