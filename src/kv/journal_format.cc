#include "kv/journal_format.h"

#include <cstring>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"

namespace curvefs::kv {
namespace {

constexpr std::string_view kSegmentMagic = "CURVEFSJ";
constexpr uint32_t kFrameMagic = 0x4d524643;  // "CFRM"
constexpr std::string_view kNamePrefix = "journal-";
constexpr std::string_view kNameSuffix = ".log";
constexpr size_t kNameDigits = 20;

// Places of the fields of a frame.
constexpr size_t kLengthAt = 4, kSeqAt = 8, kDurableAt = 16, kCountAt = 24, kHeaderCheckAt = 28;

template <typename T>
void Store(char* p, T v) {
  std::memcpy(p, &v, sizeof v);
}

uint32_t HeaderCheck(const char* frame, uint64_t salt) {
  return static_cast<uint32_t>(Xxh3({frame, kHeaderCheckAt}, salt));
}

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string block;
  block.reserve(kSegmentHeader);
  block.append(kSegmentMagic);
  PutLe<uint32_t>(&block, kJournalVersion);
  PutLe<uint32_t>(&block, kSegmentHeader);
  PutLe<uint64_t>(&block, header.first);
  PutLe<uint64_t>(&block, header.durable);
  PutLe<uint64_t>(&block, header.salt);
  PutLe<uint64_t>(&block, header.size);
  PutLe<uint32_t>(&block, header.content);
  block.resize(kSegmentHeader - sizeof(uint64_t));
  PutLe<uint64_t>(&block, Xxh3(block));
  return block;
}

Result<SegmentHeader> DecodeSegmentHeader(std::string_view block) {
  if (block.size() < kSegmentHeader) return Fail(Code::kCorrupt, "the segment header is cut short");
  block = block.substr(0, kSegmentHeader);
  if (!block.starts_with(kSegmentMagic)) return Fail(Code::kCorrupt, "no segment header");
  size_t checked = kSegmentHeader - sizeof(uint64_t);
  if (Xxh3(block.substr(0, checked)) != GetLe<uint64_t>(block.data() + checked))
    return Fail(Code::kCorrupt, "the segment header's checksum differs");
  ByteReader in(block.substr(kSegmentMagic.size()));
  auto version = in.Le<uint32_t>();
  auto header_size = in.Le<uint32_t>();
  if (version > kJournalVersion) {
    return Fail(Code::kUnsupportedVersion, "journal version " + std::to_string(version) +
                                               ", this program reads up to " +
                                               std::to_string(kJournalVersion) + ": use the newer program");
  }
  SegmentHeader header;
  header.first = in.Le<uint64_t>();
  header.durable = in.Le<uint64_t>();
  header.salt = in.Le<uint64_t>();
  header.size = in.Le<uint64_t>();
  header.content = in.Le<uint32_t>();
  if (version == 0 || header_size != kSegmentHeader || header.first == 0 || header.durable >= header.first)
    return Fail(Code::kCorrupt, "the segment header makes no sense");
  return header;
}

void AppendFrame(std::string* out, Seq seq, uint32_t count, std::string_view encoded) {
  size_t start = out->size();
  size_t size = FrameSize(encoded.size());
  out->resize_and_overwrite(start + size, [&](char* data, size_t) {  // libstdc++ 12 passes the capacity here
    char* frame = data + start;
    Store<uint32_t>(frame, kFrameMagic);
    Store<uint32_t>(frame + kLengthAt, static_cast<uint32_t>(encoded.size()));
    Store<uint64_t>(frame + kSeqAt, seq);
    Store<uint64_t>(frame + kDurableAt, 0);
    Store<uint32_t>(frame + kCountAt, count);
    Store<uint32_t>(frame + kHeaderCheckAt, 0);
    std::memcpy(frame + kFrameHeader, encoded.data(), encoded.size());
    std::memset(frame + kFrameHeader + encoded.size(), 0, size - kFrameHeader - encoded.size());
    return start + size;
  });
}

size_t UnstampedFrameSize(const char* frame) {
  return FrameSize(GetLe<uint32_t>(frame + kLengthAt));
}

Seq StampFrame(char* frame, Seq durable, uint64_t salt) {
  Store<uint64_t>(frame + kDurableAt, durable);
  Store<uint32_t>(frame + kHeaderCheckAt, HeaderCheck(frame, salt));
  size_t checked = UnstampedFrameSize(frame) - kFrameTrailer;
  Store<uint64_t>(frame + checked, Xxh3({frame, checked}, salt));
  return GetLe<uint64_t>(frame + kSeqAt);
}

std::optional<FrameHeader> DecodeFrameHeader(std::string_view bytes, uint64_t salt) {
  if (bytes.size() < kFrameHeader || GetLe<uint32_t>(bytes.data()) != kFrameMagic) return std::nullopt;
  if (GetLe<uint32_t>(bytes.data() + kHeaderCheckAt) != HeaderCheck(bytes.data(), salt)) return std::nullopt;
  FrameHeader header{.seq = GetLe<uint64_t>(bytes.data() + kSeqAt),
                     .durable = GetLe<uint64_t>(bytes.data() + kDurableAt),
                     .length = GetLe<uint32_t>(bytes.data() + kLengthAt),
                     .count = GetLe<uint32_t>(bytes.data() + kCountAt)};
  if (header.length > kMaxBatchBytes || header.durable >= header.seq) return std::nullopt;
  return header;
}

bool FrameHolds(std::string_view bytes, const FrameHeader& header, uint64_t salt) {
  size_t size = FrameSize(header.length);
  if (bytes.size() < size) return false;
  size_t checked = size - kFrameTrailer;
  return Xxh3(bytes.substr(0, checked), salt) == GetLe<uint64_t>(bytes.data() + checked);
}

std::string SegmentName(Seq first) {
  std::string digits = std::to_string(first);
  return std::string(kNamePrefix) + std::string(kNameDigits - digits.size(), '0') + digits +
         std::string(kNameSuffix);
}

std::optional<Seq> ParseSegmentName(std::string_view name) {
  if (name.size() != kNamePrefix.size() + kNameDigits + kNameSuffix.size()) return std::nullopt;
  if (!name.starts_with(kNamePrefix) || !name.ends_with(kNameSuffix)) return std::nullopt;
  Seq first = 0;
  for (char c : name.substr(kNamePrefix.size(), kNameDigits)) {
    if (c < '0' || c > '9') return std::nullopt;
    if (__builtin_mul_overflow(first, Seq{10}, &first)) return std::nullopt;
    if (__builtin_add_overflow(first, static_cast<Seq>(c - '0'), &first)) return std::nullopt;
  }
  if (first == 0) return std::nullopt;
  return first;
}

}  // namespace curvefs::kv
