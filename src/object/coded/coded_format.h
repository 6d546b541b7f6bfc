// The coded object: compressed and encrypted frames behind a header and an index (docs/FORMATS.md "Coded
// object"). Pure, but for the salt.
//
// The data are cut into frames of kFrameBytes, each compressed and encrypted by itself, so that a range is
// read without the rest. A frame that does not get smaller is stored as it is.
//
// Why no nonce is used twice: every Put makes a key for this one object version, HMAC-SHA256 of the file
// system's key over a random salt of 16 bytes and the object's name. Under that key the nonces are the
// numbers of the frames, and one more for the header. The same key would need the same name and, among its
// few versions, the same salt. Why frames cannot be moved: each is bound, as associated data, to the header
// (with length, salt and form), the name and its number; the header's own tag binds the index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/limits.h"
#include "base/status.h"
#include "object/coded/data_key.h"
#include "object/coded/gcm.h"
#include "object/object_store.h"

namespace curvefs::object {

enum class Compression : uint8_t { kNone = 0, kLz4 = 1, kZstd = 2 };
std::string_view CompressionName(Compression c);              // "none", "lz4", "zstd"
Result<Compression> ParseCompression(std::string_view name);  // kInvalid

inline constexpr std::string_view kCodedMagic{"CFSCODE1", 8};
inline constexpr uint32_t kCodedVersion = 1;
inline constexpr size_t kFrameBytes = 64 << 10;
inline constexpr size_t kCodedHeaderBytes = 48;
inline constexpr size_t kCodedSaltBytes = 16;
inline constexpr size_t kMaxFrames = kBlockSize / kFrameBytes;
// Header, tag of the index; an index entry and a tag for each frame.
static_assert(kCodedHeaderBytes + Gcm::kTagBytes + kMaxFrames * (4 + Gcm::kTagBytes) <= kCodedSlack);

struct CodedHeader {
  Compression compression = Compression::kNone;
  bool encrypted = false;
  uint64_t length = 0;  // of the data
  uint32_t frames = 0;
  std::string salt;
  std::string bytes;  // the header as it is stored

  size_t IndexBytes() const { return frames * 4 + (encrypted ? Gcm::kTagBytes : 0); }
};
// Takes apart the first kCodedHeaderBytes. kCorrupt, kUnsupportedVersion.
Result<CodedHeader> ParseCodedHeader(std::string_view bytes);

// Where the frames of one object are, and what opens them.
class CodedLayout {
 public:
  // `index` is what follows the header. `key` is needed if it is encrypted, and then the index is
  // authenticated. kCorrupt.
  static Result<std::shared_ptr<const CodedLayout>> Make(const ObjectName& name, CodedHeader header,
                                                         std::string_view index, const DataKey* key);

  uint64_t length() const { return header_.length; }
  uint32_t frames() const { return header_.frames; }
  uint64_t total() const { return offsets_.back(); }                // size of the coded object
  uint64_t begin(uint32_t frame) const { return offsets_[frame]; }  // in the coded object
  uint64_t end(uint32_t frame) const { return offsets_[frame + 1]; }
  size_t FrameLength(uint32_t frame) const;  // of its data
  // Decodes the frame, whose bytes are [begin, end) of the object, to `out`. kCorrupt.
  Status Decode(uint32_t frame, std::string_view bytes, char* out) const;

 private:
  CodedLayout() = default;
  std::string Bound(uint64_t number) const;

  CodedHeader header_;
  std::string name_;
  std::vector<uint64_t> offsets_;  // one more than there are frames
  std::vector<bool> raw_;
  std::optional<Gcm> gcm_;
};

// The coded object of `data`, which has at most kBlockSize bytes. `key`: null, not encrypted. `salt`: for
// tests; empty: random.
std::string EncodeObject(const ObjectName& name, const BufferList& data, Compression compression,
                         const DataKey* key, std::string salt = {});

}  // namespace curvefs::object
