// Any bytes as a coded object: refused, or every frame decodes to its length or is refused; nothing is read
// or written out of bounds. With a first byte of 1 they are taken as data instead: what is written is read
// back.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "object/coded/coded_format.h"

using namespace curvefs;
using namespace curvefs::object;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const ObjectName name{ChunkId(5), 0, 0, FsId(1), InodeId(7)};
  std::array<unsigned char, DataKey::kBytes> key_bytes{};
  const DataKey key(key_bytes);
  const bool as_data = data[0] % 2 == 1;
  const auto compression = static_cast<Compression>(data[0] / 2 % 3);
  const std::string made =
      as_data ? EncodeObject(name, {BufferSlice::CopyOf(input)}, compression, data[0] & 8 ? &key : nullptr)
              : "";
  const std::string_view bytes = as_data ? std::string_view(made) : input;
  auto header = ParseCodedHeader(bytes);
  CURVEFS_CHECK(header || !as_data);
  if (!header || bytes.size() < kCodedHeaderBytes + header->IndexBytes()) return 0;
  auto layout = CodedLayout::Make(name, *header, bytes.substr(kCodedHeaderBytes, header->IndexBytes()), &key);
  CURVEFS_CHECK(layout || !as_data);
  if (!layout || (*layout)->total() > bytes.size()) return 0;
  std::string whole;
  for (uint32_t frame = 0; frame < (*layout)->frames(); ++frame) {
    std::vector<char> out((*layout)->FrameLength(frame));
    const uint64_t begin = (*layout)->begin(frame);
    Status s = (*layout)->Decode(frame, bytes.substr(begin, (*layout)->end(frame) - begin), out.data());
    CURVEFS_CHECK(s.ok() || !as_data);
    whole.append(out.data(), out.size());
  }
  CURVEFS_CHECK(!as_data || whole == input);
  return 0;
}
