#include "base/buffer.h"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

namespace curvefs {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kPooledFrom = 256 << 10;  // smaller ones are malloc's business
constexpr size_t kPoolMaxBytes = 64 << 20;

// Free large buffers, by exact size: there are only two or three sizes in use.
class Pool {
 public:
  char* Take(size_t size) {
    std::lock_guard lock(mu_);
    for (size_t i = free_.size(); i-- > 0;) {
      if (free_[i].size != size) continue;
      char* p = free_[i].data;
      free_[i] = free_.back();
      free_.pop_back();
      bytes_ -= size;
      return p;
    }
    return nullptr;
  }
  bool Give(char* data, size_t size) {
    std::lock_guard lock(mu_);
    if (bytes_ + size > kPoolMaxBytes) return false;
    free_.push_back({data, size});
    bytes_ += size;
    return true;
  }

 private:
  struct Entry {
    char* data;
    size_t size;
  };
  std::mutex mu_;
  std::vector<Entry> free_;
  size_t bytes_ = 0;
};

Pool& pool() {
  static Pool* p = new Pool;  // never destroyed: buffers may outlive static destruction
  return *p;
}

}  // namespace

std::shared_ptr<Buffer> Buffer::Make(size_t size) {
  char* data = size >= kPooledFrom ? pool().Take(size) : nullptr;
  if (data == nullptr) {
    data = static_cast<char*>(size >= kPage ? std::aligned_alloc(kPage, (size + kPage - 1) / kPage * kPage)
                                            : std::malloc(size ? size : 1));
    if (data == nullptr) throw std::bad_alloc();
  }
  return std::shared_ptr<Buffer>(new Buffer(data, size));
}

Buffer::~Buffer() {
  if (size_ >= kPooledFrom && pool().Give(data_, size_)) return;
  std::free(data_);
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
