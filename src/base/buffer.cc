#include "base/buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iterator>
#include <new>
#include <vector>

#include "base/mutex.h"

namespace curvefs {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = 2 << 20;
constexpr size_t kMediumFrom = 32 << 10;  // smaller ones are malloc's business
constexpr size_t kMediumUnit = 16 << 10;  // sizes are rounded up to a multiple
constexpr size_t kMediumMaxBytes = 32 << 20;
constexpr size_t kLargeFrom = 256 << 10;
constexpr size_t kMaxWaste = 64 << 10;
constexpr size_t kLargeMaxBytes = 96 << 20;

// Free buffers of medium size, of which there may be many: a stack for each multiple of the unit. (malloc
// gives such memory back to the system again and again, and each page then costs a fault.)
class MediumPool {
 public:
  static size_t Round(size_t size) { return (size + kMediumUnit - 1) / kMediumUnit * kMediumUnit; }

  // `size` is a rounded one. Null if there is none.
  char* Take(size_t size) {
    MutexLock lock(mu_);
    auto& stack = free_[size / kMediumUnit];
    if (stack.empty()) return nullptr;
    char* data = stack.back();
    stack.pop_back();
    bytes_ -= size;
    return data;
  }
  void Give(char* data, size_t size) {
    {
      MutexLock lock(mu_);
      if (bytes_ + size <= kMediumMaxBytes) {
        free_[size / kMediumUnit].push_back(data);
        bytes_ += size;
        return;
      }
    }
    std::free(data);
  }

 private:
  Mutex mu_;  // a leaf
  std::array<std::vector<char*>, kLargeFrom / kMediumUnit + 1> free_ CURVEFS_GUARDED_BY(mu_);
  size_t bytes_ CURVEFS_GUARDED_BY(mu_) = 0;
};

// Free large buffers: there are only a few sizes in use. One that is a little too large will do: a block's
// buffer and an object's, which has a table behind the block, serve one another.
class LargePool {
 public:
  // Sets *size to what the buffer really has. Null if there is none.
  char* Take(size_t* size) {
    MutexLock lock(mu_);
    auto newest = std::find_if(free_.rbegin(), free_.rend(), [&](const Entry& e) {
      return e.size >= *size && e.size - *size <= kMaxWaste;
    });
    if (newest == free_.rend()) return nullptr;
    char* data = newest->data;
    *size = newest->size;
    bytes_ -= newest->size;
    free_.erase(std::next(newest).base());
    return data;
  }

  // Those that were given back longest ago make room: sizes no longer in use must not fill the pool.
  void Give(char* data, size_t size) {
    std::vector<Entry> dropped;
    {
      MutexLock lock(mu_);
      free_.push_back({data, size});
      bytes_ += size;
      for (; bytes_ > kLargeMaxBytes; free_.pop_front()) {
        bytes_ -= free_.front().size;
        dropped.push_back(free_.front());
      }
    }
    for (const Entry& e : dropped) std::free(e.data);
  }

 private:
  struct Entry {
    char* data;
    size_t size;
  };
  Mutex mu_;                                        // a leaf
  std::deque<Entry> free_ CURVEFS_GUARDED_BY(mu_);  // the longest unused first
  size_t bytes_ CURVEFS_GUARDED_BY(mu_) = 0;
};

// Never destroyed: buffers may outlive static destruction.
MediumPool& medium_pool() {
  static auto* p = new MediumPool;
  return *p;
}
LargePool& large_pool() {
  static auto* p = new LargePool;
  return *p;
}

// Memory of a huge page or more asks for huge pages: one fault for each of them instead of 512, and direct
// I/O in few pieces.
char* Allocate(size_t size) {
  if (size < kPage) return static_cast<char*>(std::malloc(size ? size : 1));
  const size_t unit = size < kHugePage ? kPage : kHugePage;
  void* p = std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
  if (p != nullptr && unit == kHugePage) ::madvise(p, size, MADV_HUGEPAGE);  // a wish
  return static_cast<char*>(p);
}

}  // namespace

std::shared_ptr<Buffer> Buffer::Make(size_t size) {
  size_t capacity = size;
  char* data = nullptr;
  if (size >= kLargeFrom) {
    data = large_pool().Take(&capacity);
  } else if (size >= kMediumFrom) {
    capacity = MediumPool::Round(size);
    data = medium_pool().Take(capacity);
  }
  if (data == nullptr) data = Allocate(capacity);
  if (data == nullptr) throw std::bad_alloc();
  return std::shared_ptr<Buffer>(new Buffer(data, size, capacity));
}

Buffer::~Buffer() {
  if (size_ >= kLargeFrom) {
    large_pool().Give(data_, capacity_);
  } else if (size_ >= kMediumFrom) {
    medium_pool().Give(data_, capacity_);
  } else {
    std::free(data_);
  }
}

BufferSlice BufferSlice::CopyOf(std::string_view bytes) {
  BufferSlice s{Buffer::Make(bytes.size()), 0, bytes.size()};
  std::memcpy(s.buffer->data(), bytes.data(), bytes.size());
  return s;
}

size_t TotalSize(const BufferList& list) {
  size_t n = 0;
  for (const auto& s : list) n += s.size;
  return n;
}

void CopyOut(const BufferList& list, char* out) {
  for (const auto& s : list) {
    if (s.is_zero()) {
      std::memset(out, 0, s.size);
    } else {
      std::memcpy(out, s.data(), s.size);
    }
    out += s.size;
  }
}

}  // namespace curvefs
