#include "net/frame.h"

#include "base/bytes.h"
#include "base/hash.h"

namespace curvefs::net {
namespace {

// Of the 16 bytes before it.
uint32_t HeadCheck(const char* head) {
  return static_cast<uint32_t>(Xxh3({head, 16}));
}
uint32_t PayloadCheck(std::string_view payload) {
  return static_cast<uint32_t>(Xxh3(payload));
}

}  // namespace

void EncodeFrameHead(const Frame& frame, char out[kFrameHead]) {
  auto put = [&, at = size_t{0}](auto v) mutable {
    std::memcpy(out + at, &v, sizeof v);
    at += sizeof v;
    return at;
  };
  put(static_cast<uint32_t>(frame.payload.size()));
  put(frame.type);
  put(frame.flags);
  put(frame.id);
  put(HeadCheck(out));
  put(PayloadCheck(frame.payload));
}

void AppendFrame(const Frame& frame, std::string* out) {
  char head[kFrameHead];
  EncodeFrameHead(frame, head);
  out->append(head, kFrameHead);
  out->append(frame.payload);
}

Result<size_t> ParseFrame(std::string_view bytes, size_t max_payload, Frame* frame, size_t* size) {
  *size = kFrameHead;
  if (bytes.size() < kFrameHead) return 0;
  const char* p = bytes.data();
  if (GetLe<uint32_t>(p + 16) != HeadCheck(p)) return Fail(Code::kCorrupt, "a damaged frame head");
  const size_t length = GetLe<uint32_t>(p);
  if (length > max_payload) {
    return Fail(Code::kTooBig, "a frame of " + std::to_string(length) + " bytes, the limit is " +
                                   std::to_string(max_payload));
  }
  frame->type = GetLe<uint16_t>(p + 4);
  frame->flags = GetLe<uint16_t>(p + 6);
  frame->id = GetLe<uint64_t>(p + 8);
  *size = kFrameHead + length;
  if (bytes.size() < *size) return 0;
  frame->payload = bytes.substr(kFrameHead, length);
  if (GetLe<uint32_t>(p + 20) != PayloadCheck(frame->payload)) {
    return Fail(Code::kCorrupt, "a frame of type " + std::to_string(frame->type) + " came damaged");
  }
  return *size;
}

}  // namespace curvefs::net
