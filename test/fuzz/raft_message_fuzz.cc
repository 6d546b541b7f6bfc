// Whatever a peer sends is either refused, or understood the same way again after it has been encoded.
#include "raft/message.h"

namespace {

using namespace curvefs;
using namespace curvefs::raft;

template <typename T>
void Check(std::string_view bytes, Result<T> (*decode)(std::string_view),
           void (*encode)(const T&, std::string*)) {
  Result<T> first = decode(bytes);
  if (!first) {
    CURVEFS_CHECK(first.error().code() == Code::kCorrupt);
    return;
  }
  std::string encoded, again;
  encode(*first, &encoded);
  Result<T> second = decode(encoded);
  CURVEFS_CHECK(second.has_value());
  encode(*second, &again);
  CURVEFS_CHECK(again == encoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > (1 << 20)) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 0:
      Check<Message>(bytes, &DecodeMessage, &EncodeMessage);
      break;
    case 1:
      Check<SnapshotChunk>(bytes, &DecodeChunk, &EncodeChunk);
      break;
    case 2:
      Check<SnapshotReply>(bytes, &DecodeReply, &EncodeReply);
      break;
    case 3:
      Check<SnapshotMeta>(bytes, &DecodeMeta, &EncodeMeta);
      break;
    default: {
      MemberChange change;
      if (DecodeChange(bytes, &change)) CURVEFS_CHECK(EncodeChange(change) == bytes);
    }
  }
  return 0;
}
