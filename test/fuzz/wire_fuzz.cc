// Whatever comes over a connection is either refused, or understood the same way again after it has been
// encoded.
#include "net/frame.h"
#include "net/hello.h"
#include "raft/peer_queue.h"

namespace {

using namespace curvefs;
using namespace curvefs::net;

void CheckHelloBytes(std::string_view bytes) {
  auto hello = DecodeHello(bytes);
  if (!hello) {
    CURVEFS_CHECK(hello.error().code() == Code::kCorrupt);
    return;
  }
  const std::string encoded = EncodeHello(*hello);
  auto again = DecodeHello(encoded);
  CURVEFS_CHECK(again.has_value() && EncodeHello(*again) == encoded);
  (void)CheckHello(Hello(), *hello);
}

void CheckFrames(std::string_view bytes) {
  if (bytes.starts_with(kPreface)) bytes.remove_prefix(kPreface.size());
  while (!bytes.empty()) {
    Frame frame;
    size_t size = 0;
    auto r = ParseFrame(bytes, 1 << 16, &frame, &size);
    if (!r) {
      CURVEFS_CHECK(r.error().code() == Code::kCorrupt || r.error().code() == Code::kTooBig);
      return;
    }
    CURVEFS_CHECK(size >= kFrameHead && size <= kFrameHead + (1 << 16));
    if (*r == 0) {
      CURVEFS_CHECK(bytes.size() < size);
      return;
    }
    CURVEFS_CHECK(*r == size);
    std::string again;
    AppendFrame(frame, &again);
    CURVEFS_CHECK(again == bytes.substr(0, size));
    if (frame.type == kHello) CheckHelloBytes(frame.payload);
    bytes.remove_prefix(size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 0:
      CheckFrames(bytes);
      break;
    case 1:
      CheckHelloBytes(bytes);
      break;
    case 2:
      CURVEFS_CHECK(!DecodeStatus(bytes).ok());
      break;
    case 3: {
      size_t total = 0;
      Status s = raft::Unpack(bytes, [&](raft::PackItem, std::string_view item) {
        total += item.size() + 5;
        return Status();
      });
      CURVEFS_CHECK(!s.ok() || total == bytes.size());
      break;
    }
    default:
      if (auto address = ParseAddress(bytes)) {
        auto again = ParseAddress(address->ToString());
        CURVEFS_CHECK(again.has_value() && *again == *address);
      }
  }
  return 0;
}
