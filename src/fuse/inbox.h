// Inbox: the buffer that a worker reads requests into.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string_view>

#include "base/buffer.h"

namespace curvefs::fuse {

// Owned by one worker. Lies so that the payload of a WRITE starts on a page, and gives that payload away
// without a copy when it fills enough of the buffer to be worth it.
class Inbox {
 public:
  // `max_write`: the largest payload of a WRITE.
  explicit Inbox(size_t max_write);

  // Reads one message, as read(2): its size, 0 at the end of a socket, or -1 with errno.
  ssize_t Receive(int fd);

  // The message read last; until Take or the next Receive.
  std::string_view message() const { return {start(), size_}; }

  // `part` of the message, for as long as the caller likes. May take the buffer away: then message() and all
  // views into it stay valid only while the slice lives.
  BufferSlice Take(std::string_view part);

 private:
  char* start() const;

  size_t max_write_;
  std::shared_ptr<Buffer> buffer_;
  size_t size_ = 0;
};

}  // namespace curvefs::fuse
