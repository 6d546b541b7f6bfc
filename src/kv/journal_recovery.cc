#include "kv/journal_recovery.h"

#include <algorithm>

namespace curvefs::kv {
namespace {

bool AllZero(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

class Recovery {
 public:
  Recovery(Disk& disk, const std::string& dir, Seq applied, const Journal::Replay& replay,
           const JournalOptions& options, JournalRecovery* report)
      : disk_(disk), dir_(dir), applied_(applied), replay_(replay), options_(options), report_(report) {}

  Result<RecoveredJournal> Run() {
    CURVEFS_CHECK_OK(ListSegments());
    CURVEFS_CHECK_OK(DropEmptyLast());
    report_->first = out_.segments.empty() ? 0 : out_.segments[0].first;
    // Segments whose successor begins at or before applied + 1 hold nothing that we need.
    size_t i = 0;
    while (i + 1 < out_.segments.size() && out_.segments[i + 1].first <= applied_ + 1) ++i;
    expected_ = out_.segments.empty() ? applied_ + 1 : out_.segments[i].first;
    if (options_.from_oldest) applied_ = expected_ - 1;
    if (expected_ > applied_ + 1) {
      // Not the journal is damaged, but the state that it continues is gone. To cut it would be to throw
      // everything away.
      return Fail(Code::kCorrupt,
                  "batches " + std::to_string(applied_ + 1) + " to " +
                      std::to_string(out_.segments[0].first - 1) + " are missing before " +
                      PathOf(out_.segments[0]) +
                      ": the snapshot that held them is gone or an old one; put it back, from a "
                      "backup of the whole directory");
    }
    for (; i < out_.segments.size(); ++i) CURVEFS_CHECK_OK(ReadSegment(i));
    out_.last = std::max(expected_ - 1, applied_);
    report_->last = out_.last;
    if (report_->first >= expected_) report_->first = 0;
    if (options_.read_only) return std::move(out_);
    if (expected_ - 1 < applied_) {
      // The store is ahead of the log (it saved batches that the log had not made durable): the log begins
      // anew behind the store.
      CURVEFS_CHECK_OK(RemoveFrom(0));
      report_->first = 0;
    }
    CURVEFS_CHECK_OK(Settle());
    return std::move(out_);
  }

 private:
  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  std::string PathOf(const Segment& segment) const { return Path(SegmentName(segment.first)); }
  bool IsLast(size_t i) const { return i + 1 == out_.segments.size(); }

  Status ListSegments() {
    CURVEFS_TRY(auto names, disk_.List(dir_));
    for (const std::string& name : names) {
      if (auto first = ParseSegmentName(name)) {
        CURVEFS_TRY(auto file, disk_.Open(Path(name), Disk::Mode::kRead));
        CURVEFS_TRY(uint64_t size, file->Size());
        out_.segments.push_back({*first, size});
      } else if (name == kSpareName) {
        out_.has_spare = true;
      } else if (!options_.read_only && (name == kSpareTemporary || name == kSegmentTemporary)) {
        CURVEFS_CHECK_OK(disk_.Remove(Path(name)));
      }
    }
    std::sort(out_.segments.begin(), out_.segments.end(),
              [](const Segment& a, const Segment& b) { return a.first < b.first; });
    return {};
  }

  // A last segment without a single byte set was being made when the machine stopped: nothing was ever in it.
  Status DropEmptyLast() {
    if (out_.segments.empty()) return {};
    const std::string path = PathOf(out_.segments.back());
    CURVEFS_TRY(auto file, disk_.Open(path, Disk::Mode::kRead));
    std::string block(kSegmentHeader, '\0');
    CURVEFS_TRY(size_t n, file->Read(0, block.data(), block.size()));
    if (!AllZero(std::string_view(block).substr(0, n))) return {};
    CURVEFS_TRY(std::string bytes, disk_.ReadWholeFile(path, kMaxSegment));
    if (!AllZero(bytes)) return {};
    if (options_.read_only) {
      out_.segments.pop_back();
      return {};
    }
    return RemoveFrom(out_.segments.size() - 1);
  }

  // Replays segment i from expected_ on.
  Status ReadSegment(size_t i) {
    const Segment segment = out_.segments[i];
    const std::string path = PathOf(segment);
    if (segment.first > expected_) {
      return CutFrom(i, "batches " + std::to_string(expected_) + " to " + std::to_string(segment.first - 1) +
                            " are missing before " + path);
    }
    CURVEFS_TRY(std::string bytes, disk_.ReadWholeFile(path, kMaxSegment));
    auto header = DecodeSegmentHeader(bytes);
    if (!header && header.error().code() == Code::kUnsupportedVersion)
      return {Code::kUnsupportedVersion, path + ": " + header.error().message()};
    if (!header) return CutFrom(i, path + " at byte 0: " + header.error().message());
    if (header->first != segment.first) {
      return CutFrom(i, path + " at byte 0: the segment begins with batch " + std::to_string(header->first) +
                            ", not as its name says");
    }
    if (header->content != options_.content->number) {
      return {Code::kInvalid,
              path + ": the journal holds another kind of log (" + std::to_string(header->content) +
                  ", not " + std::to_string(options_.content->number) + "): this is the wrong directory"};
    }
    out_.segments[i].salt = header->salt;
    uint64_t offset = kSegmentHeader;
    tail_ = offset;
    const Seq end = IsLast(i) ? 0 : out_.segments[i + 1].first;  // 0: no end
    while (expected_ != end) {
      std::string_view rest = std::string_view(bytes).substr(offset);
      auto frame = DecodeFrameHeader(rest, header->salt);
      if (!frame || frame->seq != expected_ || !FrameHolds(rest, *frame, header->salt)) break;
      if (options_.placed) options_.placed(expected_, {segment.first, offset});
      CURVEFS_CHECK_OK(ReplayFrame(*frame, rest.substr(kFrameHeader, frame->length), path, offset));
      if (frame->durable + 1 == frame->seq) tail_ = offset;  // the first of a group: all before it is durable
      offset += FrameSize(frame->length);
      ++expected_;
    }
    if (expected_ == end) return {};
    std::string evidence = IsLast(i) ? EvidenceIn(bytes, offset, header->salt)
                                     : SegmentName(out_.segments[i + 1].first) + " says so";
    if (!evidence.empty()) {
      CURVEFS_CHECK_OK(CutFrom(i + 1, path + " at byte " + std::to_string(offset) + ": batch " +
                                          std::to_string(expected_) +
                                          " is damaged, and was durable: " + evidence));
    }
    last_bytes_ = std::move(bytes);
    last_header_ = *header;
    last_end_ = offset;
    return {};
  }

  Status ReplayFrame(const FrameHeader& frame, std::string_view encoded, const std::string& path,
                     uint64_t at) {
    if (frame.seq <= applied_) return {};
    auto count = options_.content->verify(encoded);
    if (!count || *count != frame.count) {
      return {Code::kCorrupt,
              path + " at byte " + std::to_string(at) + ": batch " + std::to_string(frame.seq) +
                  " was written wrong: " + (count ? "number of records differs" : count.error().message())};
    }
    ++report_->batches;
    return replay_(frame.seq, encoded);
  }

  // Looks behind a bad frame for one which says that the log was durable beyond it. Empty if there is none.
  std::string EvidenceIn(std::string_view bytes, uint64_t offset, uint64_t salt) const {
    for (uint64_t at = offset; at + kFrameHeader <= bytes.size(); at += kFrameAlign) {
      auto frame = DecodeFrameHeader(bytes.substr(at), salt);
      if (frame && frame->durable >= expected_) {
        return "the frame of batch " + std::to_string(frame->seq) + " at byte " + std::to_string(at) +
               " says so";
      }
    }
    return {};
  }

  // The journal is corrupt: fails, or drops the segments from the i-th on if told to cut it.
  Status CutFrom(size_t i, const std::string& what) {
    if (!options_.truncate_at_corruption) {
      return {Code::kCorrupt, what + "; fsck --repair cuts the journal there and loses what comes after"};
    }
    report_->corruption = what;
    if (!options_.read_only) return RemoveFrom(i);
    out_.segments.resize(std::min(i, out_.segments.size()));
    return {};
  }

  // Newest first: a crash in between leaves a journal that is cut less far.
  Status RemoveFrom(size_t i) {
    if (i >= out_.segments.size()) return {};
    while (out_.segments.size() > i) {
      CURVEFS_CHECK_OK(disk_.Remove(PathOf(out_.segments.back())));
      out_.segments.pop_back();
    }
    return disk_.SyncDir(dir_);
  }

  // Makes the last segment ready to be written to: what was read but is not known to be durable is written
  // again (after a failed sync the page cache may hold what the disk does not), what is behind it is wiped.
  Status Settle() {
    if (out_.segments.empty()) return {};
    CURVEFS_CHECK_OK(
        disk_.SyncDir(dir_));  // the last start may have ended between making a name and syncing it
    Segment& segment = out_.segments.back();
    if (last_header_.first != segment.first) {
      // What followed this segment was cut away, and it was read to its end: a new one begins behind it.
      return {};
    }
    CURVEFS_TRY(auto file, disk_.Open(PathOf(segment), Disk::Mode::kReadWrite));
    CURVEFS_CHECK_OK(file->Allocate(last_header_.size));  // it may have been cut
    std::string_view bytes = last_bytes_;
    size_t dirty_end = bytes.find_last_not_of('\0') + 1;
    if (dirty_end > last_end_) {
      report_->torn_bytes = dirty_end - last_end_;
      std::fill(last_bytes_.begin() + static_cast<ptrdiff_t>(last_end_),
                last_bytes_.begin() + static_cast<ptrdiff_t>(dirty_end), '\0');
    }
    size_t end = std::max<size_t>(dirty_end, last_end_);
    if (tail_ < end) CURVEFS_CHECK_OK(file->Write(tail_, bytes.substr(tail_, end - tail_)));
    CURVEFS_CHECK_OK(file->Sync());
    segment.bytes = std::max<uint64_t>(last_header_.size, bytes.size());
    out_.active = {.file = std::move(file),
                   .first = segment.first,
                   .offset = last_end_,
                   .size = segment.bytes,
                   .salt = last_header_.salt};
    return {};
  }

  static constexpr size_t kMaxSegment = size_t{4} << 30;

  Disk& disk_;
  const std::string& dir_;
  Seq applied_;
  const Journal::Replay& replay_;
  const JournalOptions& options_;
  JournalRecovery* const report_;

  RecoveredJournal out_;
  Seq expected_ = 0;   // the next sequence number
  uint64_t tail_ = 0;  // offset in the current segment of the first frame not known durable

  // The last segment that was read to the end of the log.
  std::string last_bytes_;
  SegmentHeader last_header_;
  uint64_t last_end_ = 0;
};

}  // namespace

Result<RecoveredJournal> RecoverJournal(Disk& disk, const std::string& dir, Seq applied,
                                        const Journal::Replay& replay, const JournalOptions& options,
                                        JournalRecovery* report) {
  *report = {};
  return Recovery(disk, dir, applied, replay, options, report).Run();
}

}  // namespace curvefs::kv
