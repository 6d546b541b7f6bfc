#include "object/coded/coded_format.h"

#include <lz4.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bytes.h"

namespace curvefs::object {
namespace {

constexpr uint32_t kRawBit = uint32_t{1} << 31;
constexpr uint64_t kIndexNumber = ~uint64_t{0};  // the nonce of the header and index
constexpr int kZstdLevel = 1;
constexpr std::array<std::string_view, 3> kNames = {"none", "lz4", "zstd"};

uint32_t FramesOf(uint64_t length) {
  return static_cast<uint32_t>((length + kFrameBytes - 1) / kFrameBytes);
}

DataKey KeyOfObject(const DataKey& key, std::string_view salt, std::string_view name) {
  std::string message = "curvefs object key 1:";
  message += salt;
  message += name;
  std::array<unsigned char, DataKey::kBytes> out;
  unsigned n = 0;
  CURVEFS_CHECK(HMAC(EVP_sha256(), key.data(), DataKey::kBytes,
                     reinterpret_cast<const unsigned char*>(message.data()), message.size(), out.data(),
                     &n) != nullptr &&
                n == out.size());
  return DataKey(out);
}

// What a frame, or the index, is bound to.
std::string BoundTo(std::string_view header, std::string_view name, uint64_t number) {
  std::string bound(header);
  bound += name;
  PutLe<uint64_t>(&bound, number);
  return bound;
}

struct FreeZstd {
  void operator()(ZSTD_CCtx* c) const { ZSTD_freeCCtx(c); }
  void operator()(ZSTD_DCtx* c) const { ZSTD_freeDCtx(c); }
};

// Compresses to `out`, which has room for kFrameBytes. 0: it does not get smaller.
size_t Compress(Compression compression, std::string_view plain, char* out) {
  const size_t room = plain.size() - 1;
  if (compression == Compression::kLz4 && room > 0) {
    const int n =
        LZ4_compress_default(plain.data(), out, static_cast<int>(plain.size()), static_cast<int>(room));
    return n > 0 ? static_cast<size_t>(n) : 0;
  }
  if (compression == Compression::kZstd && room > 0) {
    thread_local std::unique_ptr<ZSTD_CCtx, FreeZstd> context(ZSTD_createCCtx());
    const size_t n = ZSTD_compressCCtx(context.get(), out, room, plain.data(), plain.size(), kZstdLevel);
    return ZSTD_isError(n) ? 0 : n;
  }
  return 0;
}

// Whether `packed` gives exactly n bytes.
bool Decompress(Compression compression, std::string_view packed, char* out, size_t n) {
  if (compression == Compression::kLz4) {
    return LZ4_decompress_safe(packed.data(), out, static_cast<int>(packed.size()), static_cast<int>(n)) ==
           static_cast<int>(n);
  }
  thread_local std::unique_ptr<ZSTD_DCtx, FreeZstd> context(ZSTD_createDCtx());
  return ZSTD_decompressDCtx(context.get(), out, n, packed.data(), packed.size()) == n;
}

std::string MakeHeader(Compression compression, bool encrypted, uint64_t length, std::string_view salt) {
  std::string header(kCodedMagic);
  PutLe<uint32_t>(&header, kCodedVersion);
  PutLe<uint8_t>(&header, static_cast<uint8_t>(compression));
  PutLe<uint8_t>(&header, encrypted ? 1 : 0);
  PutLe<uint16_t>(&header, 0);
  PutLe<uint32_t>(&header, static_cast<uint32_t>(kFrameBytes));
  PutLe<uint32_t>(&header, FramesOf(length));
  PutLe<uint64_t>(&header, length);
  header += salt;
  return header;
}

Status Tampered(std::string what) {
  return {Code::kCorrupt, what + " was changed, is another object's, or was written with another key"};
}

}  // namespace

std::string_view CompressionName(Compression c) {
  return kNames[static_cast<size_t>(c)];
}

Result<Compression> ParseCompression(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) {
    return Fail(Code::kInvalid,
                "there is no compression '" + std::string(name) + "'; there are none, lz4 and zstd");
  }
  return static_cast<Compression>(found - kNames.begin());
}

Result<CodedHeader> ParseCodedHeader(std::string_view bytes) {
  ByteReader reader(bytes.substr(0, kCodedHeaderBytes));
  const auto magic = reader.Bytes(kCodedMagic.size());
  const auto version = reader.Le<uint32_t>();
  const auto compression = reader.Le<uint8_t>();
  const auto encrypted = reader.Le<uint8_t>();
  const auto reserved = reader.Le<uint16_t>();
  const auto frame_bytes = reader.Le<uint32_t>();
  CodedHeader h;
  h.frames = reader.Le<uint32_t>();
  h.length = reader.Le<uint64_t>();
  h.salt = reader.Bytes(kCodedSaltBytes);
  if (!reader.ok() || magic != kCodedMagic) return Fail(Code::kCorrupt, "it is not a coded object");
  if (version > kCodedVersion) {
    return Fail(Code::kUnsupportedVersion, "it is a coded object of version " + std::to_string(version) +
                                               "; this program knows up to " + std::to_string(kCodedVersion));
  }
  if (version == 0 || compression >= kNames.size() || encrypted > 1 || reserved != 0 ||
      frame_bytes != kFrameBytes || h.length > kBlockSize || h.frames != FramesOf(h.length)) {
    return Fail(Code::kCorrupt, "the header of the coded object makes no sense");
  }
  h.compression = static_cast<Compression>(compression);
  h.encrypted = encrypted == 1;
  h.bytes = bytes.substr(0, kCodedHeaderBytes);
  return h;
}

size_t CodedLayout::FrameLength(uint32_t frame) const {
  return std::min<uint64_t>(kFrameBytes, header_.length - uint64_t{frame} * kFrameBytes);
}

std::string CodedLayout::Bound(uint64_t number) const {
  return BoundTo(header_.bytes, name_, number);
}

Result<std::shared_ptr<const CodedLayout>> CodedLayout::Make(const ObjectName& name, CodedHeader header,
                                                             std::string_view index, const DataKey* key) {
  std::shared_ptr<CodedLayout> layout(new CodedLayout);
  layout->header_ = std::move(header);
  const CodedHeader& h = layout->header_;
  layout->name_ = name.ToString();
  if (index.size() != h.IndexBytes())
    return Fail(Code::kCorrupt, "the index of the coded object is cut short");
  const std::string_view entries = index.substr(0, size_t{h.frames} * 4);
  if (h.encrypted) {
    CURVEFS_CHECK(key != nullptr);
    layout->gcm_.emplace(KeyOfObject(*key, h.salt, layout->name_));
    std::string bound = layout->Bound(kIndexNumber);
    bound += entries;
    if (!layout->gcm_->Open(kIndexNumber, bound, index.substr(entries.size()), nullptr)) {
      return Fail(Tampered("the index of the coded object"));
    }
  }
  uint64_t at = kCodedHeaderBytes + h.IndexBytes();
  layout->offsets_.push_back(at);
  for (uint32_t frame = 0; frame < h.frames; ++frame) {
    const auto entry = GetLe<uint32_t>(entries.data() + size_t{frame} * 4);
    const bool raw = (entry & kRawBit) != 0;
    const size_t stored = entry & ~kRawBit, full = layout->FrameLength(frame);
    if (raw ? stored != full : stored == 0 || stored >= full || h.compression == Compression::kNone) {
      return Fail(Code::kCorrupt, "the index of the coded object makes no sense");
    }
    at += stored + (h.encrypted ? Gcm::kTagBytes : 0);
    layout->offsets_.push_back(at);
    layout->raw_.push_back(raw);
  }
  return layout;
}

Status CodedLayout::Decode(uint32_t frame, std::string_view bytes, char* out) const {
  const size_t n = FrameLength(frame);
  if (bytes.size() != end(frame) - begin(frame)) return {Code::kCorrupt, "it is cut short"};
  std::string opened;
  if (gcm_) {
    const size_t stored = bytes.size() - Gcm::kTagBytes;
    if (!raw_[frame]) opened.resize(stored);
    char* to = raw_[frame] ? out : opened.data();
    if (!gcm_->Open(frame, Bound(frame), bytes, to)) return Tampered("frame " + std::to_string(frame));
    if (raw_[frame]) return {};
    bytes = opened;
  } else if (raw_[frame]) {
    std::memcpy(out, bytes.data(), n);
    return {};
  }
  if (!Decompress(header_.compression, bytes, out, n)) {
    return {Code::kCorrupt, "frame " + std::to_string(frame) + " does not decompress"};
  }
  return {};
}

std::string EncodeObject(const ObjectName& name, const BufferList& data, Compression compression,
                         const DataKey* key, std::string salt) {
  const uint64_t length = TotalSize(data);
  const std::string text = name.ToString();
  if (salt.empty()) salt.assign(kCodedSaltBytes, '\0');
  if (key != nullptr && salt == std::string(kCodedSaltBytes, '\0')) {
    CURVEFS_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(salt.data()), kCodedSaltBytes) == 1);
  }
  const std::string header = MakeHeader(compression, key != nullptr, length, salt);
  const uint32_t frames = FramesOf(length);
  const size_t tag = key != nullptr ? Gcm::kTagBytes : 0;
  std::optional<Gcm> gcm;
  if (key != nullptr) gcm.emplace(KeyOfObject(*key, salt, text));

  std::string out;
  out.reserve(header.size() + frames * (4 + tag) + tag + length);
  out = header;
  out.resize(header.size() + frames * size_t{4} + tag);
  std::string gathered(std::min<uint64_t>(length, kFrameBytes), '\0'), packed(kFrameBytes, '\0');
  auto slice = data.begin();
  size_t in_slice = 0;
  for (uint32_t frame = 0; frame < frames; ++frame) {
    const size_t n = std::min<uint64_t>(kFrameBytes, length - uint64_t{frame} * kFrameBytes);
    for (size_t have = 0; have < n;) {
      const size_t take = std::min(n - have, slice->size - in_slice);
      if (slice->is_zero()) {
        std::memset(gathered.data() + have, 0, take);
      } else if (take > 0) {
        std::memcpy(gathered.data() + have, slice->data() + in_slice, take);
      }
      have += take;
      in_slice += take;
      if (in_slice == slice->size) {
        ++slice;
        in_slice = 0;
      }
    }
    const std::string_view plain(gathered.data(), n);
    const size_t smaller = Compress(compression, plain, packed.data());
    const std::string_view stored = smaller > 0 ? std::string_view(packed.data(), smaller) : plain;
    const uint32_t entry = static_cast<uint32_t>(stored.size()) | (smaller > 0 ? 0 : kRawBit);
    std::memcpy(out.data() + header.size() + size_t{frame} * 4, &entry, sizeof entry);
    const size_t at = out.size();
    if (gcm) {
      out.resize(at + stored.size() + tag);
      gcm->Seal(frame, BoundTo(header, text, frame), stored, out.data() + at);
    } else {
      out += stored;
    }
  }
  if (gcm) {
    const size_t index = header.size(), entries = frames * size_t{4};
    std::string bound = BoundTo(header, text, kIndexNumber);
    bound.append(out, index, entries);
    gcm->Seal(kIndexNumber, bound, {}, out.data() + index + entries);
  }
  return out;
}

}  // namespace curvefs::object
