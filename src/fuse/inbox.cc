#include "fuse/inbox.h"

#include <unistd.h>

#include <algorithm>

#include "fuse/abi.h"

namespace curvefs::fuse {
namespace {

constexpr size_t kPage = 4096;

// A payload that fills less of the buffer than this part of it is copied into one of its own size: the write
// cache counts the bytes of slices, and a buffer kept alive by a small slice would be memory that nobody
// counts.
constexpr size_t kWorthTaking = 4;

}  // namespace

Inbox::Inbox(size_t max_write)
    : max_write_(std::max<size_t>(max_write, FUSE_MIN_READ_BUFFER)),
      buffer_(Buffer::Make(kPage + max_write_)) {}

char* Inbox::start() const {
  return buffer_->data() + kPage - kWriteHeader;
}

ssize_t Inbox::Receive(int fd) {
  if (buffer_ == nullptr) buffer_ = Buffer::Make(kPage + max_write_);
  ssize_t n = ::read(fd, start(), kWriteHeader + max_write_);
  size_ = n > 0 ? static_cast<size_t>(n) : 0;
  return n;
}

BufferSlice Inbox::Take(std::string_view part) {
  if (part.size() * kWorthTaking < buffer_->size()) return BufferSlice::CopyOf(part);
  size_t offset = static_cast<size_t>(part.data() - buffer_->data());
  return {std::move(buffer_), offset, part.size()};
}

}  // namespace curvefs::fuse
