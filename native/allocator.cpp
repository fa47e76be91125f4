#include "allocator.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <list>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace fornax {
namespace {

constexpr size_t chunk_bytes = size_t{2} << 20;
constexpr size_t large_bytes = size_t{1} << 20;
// Chunks of smaller classes are touched page by page: most hold a few blocks only.
constexpr size_t huge_page_class = size_t{32} << 10;

// Size classes: multiples of 64 up to 1 KiB, then four per doubling up to 1 MiB.
constexpr int fine_classes = 16;
constexpr int class_count = fine_classes + 4 * 10;

constexpr int class_of(size_t bytes) {
  if (bytes <= 1024) return bytes ? static_cast<int>((bytes + 63) / 64) - 1 : 0;
  int power = std::bit_width(bytes - 1) - 1;  // 2^power < bytes <= 2^(power+1)
  size_t quarter = (bytes - 1 - (size_t{1} << power)) >> (power - 2);
  return fine_classes + 4 * (power - 10) + static_cast<int>(quarter);
}

constexpr size_t class_bytes(int index) {
  if (index < fine_classes) return 64 * (static_cast<size_t>(index) + 1);
  int power = 10 + (index - fine_classes) / 4;
  size_t quarter = static_cast<size_t>((index - fine_classes) % 4) + 1;
  return (size_t{1} << power) + (quarter << (power - 2));
}

static_assert(class_bytes(class_of(1024)) == 1024 && class_bytes(class_of(1025)) == 1280);
static_assert(class_bytes(class_of(2048)) == 2048 && class_of(large_bytes) == class_count - 1);

struct FreeBlock {
  FreeBlock* next;
};

// Sits in the first bytes of its 2 MiB of memory. Chunks with room form one list per class.
struct Chunk {
  Chunk* previous;
  Chunk* next;
  FreeBlock* free;
  char* fresh;  // blocks from here to the end were never handed out
  char* end;
  int64_t live;
  int index;
  bool listed;
};

struct Large {
  void* block;
  size_t bytes;
};

class Allocator {
 public:
  Allocator() {
    size_t ram = static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) *
                 static_cast<size_t>(sysconf(_SC_PAGESIZE));
    limit_ = std::min(size_t{4} << 30, ram / 4);
  }

  void* take(size_t bytes) {
    void* block = bytes < large_bytes ? take_small(class_of(bytes)) : take_large(bytes);
    if (!block) return nullptr;
    live_ += static_cast<int64_t>(bytes);
    peak_ = std::max(peak_, live_);
    return block;
  }

  // Blocks to unmap once the lock is released are appended to `evicted`.
  void give(void* block, size_t bytes, std::vector<Large>& evicted) {
    live_ -= static_cast<int64_t>(bytes);
    if (bytes < large_bytes) give_small(block, class_of(bytes));
    else give_large(block, evicted);
  }

  size_t trim(std::vector<Large>& evicted) {
    size_t first = evicted.size();
    evict_down_to(0, evicted);
    for (Chunk* head : chunks_)
      for (Chunk* chunk = head; chunk;) {
        Chunk* next = chunk->next;
        if (chunk->live == 0) {
          cached_small_ -= static_cast<size_t>(chunk->fresh - first_block(chunk));
          unlist(chunk);
          evicted.push_back({chunk, chunk_bytes});
        }
        chunk = next;
      }
    size_t bytes = 0;
    for (size_t i = first; i < evicted.size(); ++i) bytes += evicted[i].bytes;
    return bytes;
  }

  void set_limit(size_t bytes, std::vector<Large>& evicted) {
    limit_ = bytes;
    evict_down_to(limit_, evicted);
  }

  MemoryStats stats() const {
    return {live_, static_cast<int64_t>(cached_ + cached_small_), peak_};
  }

  std::mutex mutex;

 private:
  static char* first_block(Chunk* chunk) {
    return reinterpret_cast<char*>(chunk) + ((sizeof(Chunk) + alignment - 1) & ~(alignment - 1));
  }

  void* take_small(int index) {
    size_t size = class_bytes(index);
    Chunk* chunk = chunks_[index];
    if (!chunk) {
      auto* memory = static_cast<char*>(map(chunk_bytes, size >= huge_page_class));
      if (!memory) return nullptr;
      chunk = new (memory) Chunk{};
      chunk->index = index;
      chunk->fresh = first_block(chunk);
      auto room = static_cast<size_t>(memory + chunk_bytes - chunk->fresh);
      chunk->end = chunk->fresh + room / size * size;
      list(chunk);
      ASAN_POISON_MEMORY_REGION(chunk->fresh, room);
    }
    void* block = chunk->free;
    if (block) {
      ASAN_UNPOISON_MEMORY_REGION(block, size);
      chunk->free = static_cast<FreeBlock*>(block)->next;
      cached_small_ -= size;
    } else {
      block = chunk->fresh;
      chunk->fresh += size;
      ASAN_UNPOISON_MEMORY_REGION(block, size);
    }
    ++chunk->live;
    if (!chunk->free && chunk->fresh == chunk->end) unlist(chunk);
    return block;
  }

  void give_small(void* block, int index) {
    auto* chunk = reinterpret_cast<Chunk*>(reinterpret_cast<uintptr_t>(block) & ~(chunk_bytes - 1));
    chunk->free = new (block) FreeBlock{chunk->free};
    ASAN_POISON_MEMORY_REGION(block, class_bytes(index));
    cached_small_ += class_bytes(index);
    --chunk->live;
    if (!chunk->listed) list(chunk);
  }

  void list(Chunk* chunk) {
    Chunk*& head = chunks_[chunk->index];
    chunk->previous = nullptr;
    chunk->next = head;
    if (head) head->previous = chunk;
    head = chunk;
    chunk->listed = true;
  }

  void unlist(Chunk* chunk) {
    (chunk->previous ? chunk->previous->next : chunks_[chunk->index]) = chunk->next;
    if (chunk->next) chunk->next->previous = chunk->previous;
    chunk->listed = false;
  }

  void* take_large(size_t bytes) {
    if (bytes > SIZE_MAX - chunk_bytes) return nullptr;
    size_t wanted = (bytes + chunk_bytes - 1) & ~(chunk_bytes - 1);
    // Best fit, unless it would waste more than a quarter.
    auto fit = by_size_.lower_bound(wanted);
    if (fit != by_size_.end() && fit->first <= wanted + wanted / 4) {
      Large large = *fit->second;
      by_age_.erase(fit->second);
      by_size_.erase(fit);
      cached_ -= large.bytes;
      ASAN_UNPOISON_MEMORY_REGION(large.block, large.bytes);
      large_sizes_[large.block] = large.bytes;
      return large.block;
    }
    void* block = map(wanted, true);
    if (!block && !by_age_.empty()) {
      std::vector<Large> evicted;
      evict_down_to(0, evicted);
      unmap(evicted);
      block = map(wanted, true);
    }
    if (block) large_sizes_[block] = wanted;
    return block;
  }

  void give_large(void* block, std::vector<Large>& evicted) {
    auto found = large_sizes_.find(block);
    Large large{block, found->second};
    large_sizes_.erase(found);
    ASAN_POISON_MEMORY_REGION(large.block, large.bytes);
    by_age_.push_back(large);
    by_size_.emplace(large.bytes, std::prev(by_age_.end()));
    cached_ += large.bytes;
    evict_down_to(limit_, evicted);
  }

  void evict_down_to(size_t bytes, std::vector<Large>& evicted) {
    while (cached_ > bytes) {
      auto oldest = by_age_.begin();
      auto [it, end] = by_size_.equal_range(oldest->bytes);
      while (it != end && it->second != oldest) ++it;
      by_size_.erase(it);
      cached_ -= oldest->bytes;
      evicted.push_back(*oldest);
      by_age_.pop_front();
    }
  }

  // Maps whole chunks, aligned to the chunk size.
  static void* map(size_t bytes, bool huge) {
    size_t reserved = bytes + chunk_bytes;
    // Not MAP_NORESERVE: what cannot fit this machine is refused here, not killed when it is used.
    void* memory =
        mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    auto start = reinterpret_cast<uintptr_t>(memory);
    uintptr_t aligned = (start + chunk_bytes - 1) & ~(chunk_bytes - 1);
    if (aligned != start) munmap(memory, aligned - start);
    uintptr_t tail = start + reserved - (aligned + bytes);
    if (tail) munmap(reinterpret_cast<void*>(aligned + bytes), tail);
    auto* block = reinterpret_cast<void*>(aligned);
#ifdef MADV_HUGEPAGE
    if (huge) madvise(block, bytes, MADV_HUGEPAGE);
#else
    (void)huge;
#endif
    return block;
  }

 public:
  static void unmap(const std::vector<Large>& blocks) {
    for (const Large& large : blocks) {
      ASAN_UNPOISON_MEMORY_REGION(large.block, large.bytes);
      munmap(large.block, large.bytes);
    }
  }

 private:
  using AgeList = std::list<Large>;

  Chunk* chunks_[class_count] = {};
  AgeList by_age_;  // freed large blocks, oldest first
  std::multimap<size_t, AgeList::iterator> by_size_;
  std::unordered_map<void*, size_t> large_sizes_;  // mapped bytes of large blocks in use
  size_t limit_ = 0;
  size_t cached_ = 0;
  size_t cached_small_ = 0;
  int64_t live_ = 0;
  int64_t peak_ = 0;
};

// Never destroyed: arrays may outlive static destructors. The lock is held across fork() so that
// the child does not inherit a half-updated table.
Allocator& allocator() {
  static Allocator* instance = [] {
    pthread_atfork([] { allocator().mutex.lock(); }, [] { allocator().mutex.unlock(); },
                   [] { allocator().mutex.unlock(); });
    return new Allocator();
  }();
  return *instance;
}

}  // namespace

void* allocate(size_t bytes) noexcept {
  Allocator& heap = allocator();
  std::lock_guard lock(heap.mutex);
  return heap.take(bytes);
}

void deallocate(void* block, size_t bytes) noexcept {
  if (!block) return;
  Allocator& heap = allocator();
  std::vector<Large> evicted;
  {
    std::lock_guard lock(heap.mutex);
    heap.give(block, bytes, evicted);
  }
  Allocator::unmap(evicted);
}

size_t trim_cache() noexcept {
  Allocator& heap = allocator();
  std::vector<Large> evicted;
  size_t bytes = 0;
  {
    std::lock_guard lock(heap.mutex);
    bytes = heap.trim(evicted);
  }
  Allocator::unmap(evicted);
  return bytes;
}

void set_cache_limit(size_t bytes) noexcept {
  Allocator& heap = allocator();
  std::vector<Large> evicted;
  {
    std::lock_guard lock(heap.mutex);
    heap.set_limit(bytes, evicted);
  }
  Allocator::unmap(evicted);
}

MemoryStats memory_stats() noexcept {
  Allocator& heap = allocator();
  std::lock_guard lock(heap.mutex);
  return heap.stats();
}

}  // namespace fornax
