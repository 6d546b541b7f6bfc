// Frames: what goes over a connection (docs/FORMATS.md, "Wire"). A head of 24 bytes and a payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "base/status.h"

namespace curvefs::net {

using FrameType = uint16_t;
// Below kFirstUserType: the wire's own. From there on: the application's.
inline constexpr FrameType kHello = 1;    // the first in each direction
inline constexpr FrameType kGoodbye = 2;  // the last: why
inline constexpr FrameType kPing = 3;     // asks for a kPong
inline constexpr FrameType kPong = 4;
inline constexpr FrameType kCancel = 5;  // nobody waits for the reply to this id any more
inline constexpr FrameType kFirstUserType = 256;

inline constexpr uint16_t kReply = 1;  // flags: answers the request with this id
inline constexpr uint16_t kError = 2;  // with kReply: the payload is an encoded Status (hello.h)
inline constexpr uint16_t kKnownFlags = kReply | kError;

inline constexpr size_t kFrameHead = 24;
// A Raft entry at its limit fits, with room for its head.
inline constexpr size_t kMaxPayload = kMaxBatchBytes + (1 << 20);

struct Frame {
  FrameType type = 0;
  uint16_t flags = 0;
  uint64_t id = 0;  // of a request and its reply; 0: neither
  std::string_view payload;
};

void EncodeFrameHead(const Frame& frame, char out[kFrameHead]);
void AppendFrame(const Frame& frame, std::string* out);

// The frame at the begin of `bytes`. Returns its size, and `frame` with its payload in `bytes`; or 0 if it is
// not whole yet, and in `*size` how many bytes it has, head included (kFrameHead as long as that is not
// known). kCorrupt: damaged, or not a frame at all. kTooBig: a payload over `max_payload`.
Result<size_t> ParseFrame(std::string_view bytes, size_t max_payload, Frame* frame, size_t* size);

}  // namespace curvefs::net
