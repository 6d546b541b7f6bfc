// The bytes of a journal segment (docs/FORMATS.md "Journal"): a header block, then frames, then zeros.
//
// Everything in a segment is checksummed with the segment's own random salt, so that nothing else can pass
// for a frame of it: not an older use of the blocks, not a copy of a journal that a user keeps as a small
// file inside the metadata.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/status.h"

namespace curvefs::kv {

inline constexpr uint32_t kJournalVersion = 1;
inline constexpr size_t kSegmentHeader = 4096;  // a block of its own: writing frames never rewrites it
inline constexpr size_t kFrameHeader = 32;
inline constexpr size_t kFrameTrailer = 8;
inline constexpr size_t kFrameAlign = 8;

struct SegmentHeader {
  Seq first = 0;    // of its first frame; frames from here on in older segments are superseded
  Seq durable = 0;  // everything up to here was durable when the segment was made: first - 1
  uint64_t salt = 0;
  uint64_t size = 0;     // of the file
  uint32_t content = 0;  // JournalContent::number
};

// kSegmentHeader bytes.
std::string EncodeSegmentHeader(const SegmentHeader& header);
// kCorrupt or kUnsupportedVersion, without the name of the file.
Result<SegmentHeader> DecodeSegmentHeader(std::string_view block);

struct FrameHeader {
  Seq seq = 0;
  Seq durable = 0;      // known to be durable when the frame was written; less than seq
  uint32_t length = 0;  // of the encoded batch
  uint32_t count = 0;   // records in it
};

constexpr size_t FrameSize(size_t length) {
  return kFrameHeader + (length + kFrameAlign - 1) / kFrameAlign * kFrameAlign + kFrameTrailer;
}

// Appends a frame that is complete but for what only the writer knows: see StampFrame.
void AppendFrame(std::string* out, Seq seq, uint32_t count, std::string_view encoded);
// Size of the frame that AppendFrame left at `frame`.
size_t UnstampedFrameSize(const char* frame);
// Fills in `durable` and the checksums. May be repeated with other values. Returns the frame's sequence
// number.
Seq StampFrame(char* frame, Seq durable, uint64_t salt);

// The header of the frame at the beginning of `bytes`, if its own checksum holds; the payload may still be
// damaged.
std::optional<FrameHeader> DecodeFrameHeader(std::string_view bytes, uint64_t salt);
// True if the whole frame with this header is there and its checksum holds.
bool FrameHolds(std::string_view bytes, const FrameHeader& header, uint64_t salt);

// "journal-00000000000000000042.log"
std::string SegmentName(Seq first);
std::optional<Seq> ParseSegmentName(std::string_view name);

}  // namespace curvefs::kv
