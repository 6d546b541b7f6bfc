#include "kv/journal.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <random>
#include <vector>

#include "base/limits.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "kv/journal_format.h"
#include "kv/journal_recovery.h"
#include "kv/write_batch.h"

namespace curvefs::kv {
namespace {

constexpr size_t kChunk = 256 << 10;  // bytes of frames in one piece of memory; a larger frame has its own
constexpr size_t kFreeChunks = 16;    // kept to be used again

// Frames in order, in pieces, so that growing moves nothing.
using Frames = std::vector<std::string>;
struct FramePosition {
  size_t chunk = 0, offset = 0;
};

class FileJournal final : public Journal {
 public:
  FileJournal(Disk& disk, std::string dir, JournalOptions options, RecoveredJournal recovered)
      : disk_(disk),
        dir_(std::move(dir)),
        options_(options),
        active_(std::move(recovered.active)),
        segments_(std::move(recovered.segments)),
        spare_(recovered.has_spare ? Spare::kReady : Spare::kNone),
        last_(recovered.last),
        durable_(recovered.last) {
    if (options_.prepare_ahead && !options_.read_only) preparer_.emplace("journal-prepare");
  }

  void SetBarrier(Barrier barrier) override { barrier_ = std::move(barrier); }
  Result<Seq> Append(std::string_view encoded) override;
  Status Sync(Seq upto) override;
  Status TrimTo(Seq upto) override;
  Result<std::string> Read(Seq seq, FramePlace place) const override;
  Seq last() const override { return last_.load(std::memory_order_acquire); }
  Seq durable() const override { return durable_.load(std::memory_order_acquire); }
  JournalStats stats() const override;

 private:
  enum class Spare { kNone, kPreparing, kReady };

  std::string Path(const std::string& name) const { return dir_ + "/" + name; }
  Status WriteFrames(FramePosition* done) CURVEFS_REQUIRES(leader_);
  Status RollOver(Seq first, size_t frame_bytes) CURVEFS_REQUIRES(leader_);
  Status MakeSegment(Seq first, uint64_t size, bool from_spare) CURVEFS_REQUIRES(leader_);
  bool TakeSpare(uint64_t size) CURVEFS_REQUIRES(leader_);
  void KeepRest(FramePosition done) CURVEFS_REQUIRES(leader_, mu_);

  void PrepareSpare();
  uint64_t Salt() const;
  Status ReadOnly() const {
    return {Code::kReadOnly, "the journal in " + dir_ + " is open for reading only"};
  }

  Disk& disk_;
  const std::string dir_;
  const JournalOptions options_;
  Barrier barrier_;

  Role leader_;  // the one thread that has set syncing_
  ActiveSegment active_ CURVEFS_GUARDED_BY(leader_);
  Frames writing_ CURVEFS_GUARDED_BY(leader_);  // what it writes

  mutable Mutex mu_;  // never held during I/O
  CondVar synced_;
  Frames pending_ CURVEFS_GUARDED_BY(mu_);               // appended since the leader took its own
  size_t buffered_bytes_ CURVEFS_GUARDED_BY(mu_) = 0;    // of pending_ and writing_
  Frames free_ CURVEFS_GUARDED_BY(mu_);                  // empty, to be used again
  Seq writing_last_ CURVEFS_GUARDED_BY(mu_) = 0;         // last frame in writing_
  bool syncing_ CURVEFS_GUARDED_BY(mu_) = false;         // there is a leader
  uint64_t attempts_ CURVEFS_GUARDED_BY(mu_) = 0;        // finished syncs
  uint64_t failed_attempt_ CURVEFS_GUARDED_BY(mu_) = 0;  // the last one that failed, with `failure_`
  Status failure_ CURVEFS_GUARDED_BY(mu_);
  std::vector<Segment> segments_ CURVEFS_GUARDED_BY(mu_);  // oldest first
  Spare spare_ CURVEFS_GUARDED_BY(mu_);
  CondVar spare_changed_;
  uint64_t syncs_ CURVEFS_GUARDED_BY(mu_) = 0,
                  appended_bytes_ CURVEFS_GUARDED_BY(mu_) = 0, failures_ CURVEFS_GUARDED_BY(mu_) = 0;

  std::atomic<Seq> last_;     // written under mu_
  std::atomic<Seq> durable_;  // written by the leader

  std::optional<ThreadLoop> preparer_;  // last: stopped before the rest goes
};

Result<Seq> FileJournal::Append(std::string_view encoded) {
  if (options_.read_only) return Fail(ReadOnly());
  if (encoded.size() > kMaxBatchBytes) {
    return Fail(Code::kTooBig, "batch of " + std::to_string(encoded.size()) + " bytes, the limit is " +
                                   std::to_string(kMaxBatchBytes));
  }
  const uint32_t count = options_.content->count(encoded);
  const size_t size = FrameSize(encoded.size());
  RelockableMutexLock lock(mu_);
  while (buffered_bytes_ + size > options_.max_buffer_bytes && buffered_bytes_ > 0) {
    Seq upto = last_.load(std::memory_order_relaxed);
    lock.Unlock();
    if (Status s = Sync(upto); !s.ok()) {
      return Fail(Code::kNoSpace, "the journal's buffer of " + std::to_string(options_.max_buffer_bytes) +
                                      " bytes is full and cannot be written: " + s.message());
    }
    lock.Lock();
  }
  Seq seq = last_.load(std::memory_order_relaxed) + 1;
  if (pending_.empty() || pending_.back().capacity() - pending_.back().size() < size) {
    if (size <= kChunk && !free_.empty()) {
      pending_.push_back(std::move(free_.back()));
      free_.pop_back();
    } else {
      pending_.emplace_back().reserve(std::max(kChunk, size));
    }
  }
  AppendFrame(&pending_.back(), seq, count, encoded);
  buffered_bytes_ += size;
  appended_bytes_ += size;
  last_.store(seq, std::memory_order_release);
  return seq;
}

Status FileJournal::Sync(Seq upto) {
  if (durable() >= upto) return {};
  if (options_.read_only) return ReadOnly();
  RelockableMutexLock lock(mu_);
  upto = std::min(upto, last_.load(std::memory_order_relaxed));
  while (syncing_) {
    // Somebody leads. Its outcome is ours if our batches are among those that it writes.
    const uint64_t attempt = attempts_ + 1;
    const bool ours = upto <= writing_last_;
    while (attempts_ < attempt) synced_.Wait(mu_);
    if (durable() >= upto) return {};
    if (ours && failed_attempt_ == attempt) return failure_;
  }
  if (durable() >= upto) return {};

  syncing_ = true;
  leader_.Begin();
  writing_.swap(pending_);
  const Seq last = writing_last_ = last_.load(std::memory_order_relaxed);
  lock.Unlock();

  FramePosition done;
  Status status = barrier_ ? barrier_(last) : Status();
  if (status.ok()) status = WriteFrames(&done);

  lock.Lock();
  KeepRest(done);
  ++attempts_;
  ++syncs_;
  if (!status.ok()) {
    ++failures_;
    failed_attempt_ = attempts_;
    failure_ = status;
  }
  leader_.End();
  syncing_ = false;
  lock.Unlock();
  synced_.NotifyAll();
  return status;
}

// Frees the chunks that are written, and puts what is not before what came meanwhile.
void FileJournal::KeepRest(FramePosition done) {
  for (size_t i = 0; i < done.chunk; ++i) {
    buffered_bytes_ -= writing_[i].size();
    writing_[i].clear();
    if (free_.size() < kFreeChunks && writing_[i].capacity() <= 2 * kChunk)
      free_.push_back(std::move(writing_[i]));
  }
  writing_.erase(writing_.begin(), writing_.begin() + static_cast<ptrdiff_t>(done.chunk));
  if (!writing_.empty()) {
    writing_[0].erase(0, done.offset);
    buffered_bytes_ -= done.offset;
    std::move(pending_.begin(), pending_.end(), std::back_inserter(writing_));
    pending_ = std::move(writing_);
  }
  writing_.clear();
}

// Writes and syncs writing_, segment by segment, raising durable_. *done is the end of what is durable of it,
// also on failure.
Status FileJournal::WriteFrames(FramePosition* done) {
  std::vector<iovec> pieces;
  std::vector<std::pair<Seq, FramePlace>> places;
  while (done->chunk < writing_.size()) {
    const Seq first = durable() + 1;
    const size_t first_size = UnstampedFrameSize(writing_[done->chunk].data() + done->offset);
    if (!active_.file || active_.offset + first_size > active_.size) {
      CURVEFS_CHECK_OK(RollOver(first, first_size));
    }
    // As many frames as fit into this segment.
    Seq last = 0;
    size_t size = 0;
    FramePosition end = *done;
    pieces.clear();
    places.clear();
    while (end.chunk < writing_.size()) {
      std::string& chunk = writing_[end.chunk];
      const size_t begin = end.offset;
      while (end.offset < chunk.size()) {
        char* frame = chunk.data() + end.offset;
        size_t frame_size = UnstampedFrameSize(frame);
        if (active_.offset + size + frame_size > active_.size) break;
        last = StampFrame(frame, first - 1, active_.salt);
        if (options_.placed) places.push_back({last, {active_.first, active_.offset + size}});
        size += frame_size;
        end.offset += frame_size;
      }
      if (end.offset > begin) pieces.push_back({chunk.data() + begin, end.offset - begin});
      if (end.offset < chunk.size()) break;
      end = {end.chunk + 1, 0};
    }
    Status written = active_.file->Write(active_.offset, pieces);
    if (written.ok()) written = active_.file->Sync();
    if (!written.ok()) {
      // What the disk holds now is unknown, so nothing is ever written to this segment again: the next
      // attempt makes a new one.
      active_ = {};
      return written;
    }
    active_.offset += size;
    *done = end;
    for (const auto& [seq, place] : places) options_.placed(seq, place);
    durable_.store(last, std::memory_order_release);
    if (preparer_ && active_.offset > active_.size / 2) {
      {
        MutexLock lock(mu_);
        if (spare_ != Spare::kNone) continue;
        spare_ = Spare::kPreparing;
      }
      preparer_->Post([this] { PrepareSpare(); });
    }
  }
  return {};
}

// Makes the segment that begins with `first` the active one. All before `first` is durable.
Status FileJournal::RollOver(Seq first, size_t frame_bytes) {
  active_ = {};
  uint64_t size = std::max<uint64_t>(options_.segment_bytes, kSegmentHeader + frame_bytes);
  Status made = MakeSegment(first, size, TakeSpare(size));
  if (!made.ok()) active_ = {};
  return made;
}

// The name appears only when header and zeros are durable, so a segment under its name is always whole. If
// there is one that begins with `first` already, a sync of its first frames failed, and it is replaced.
Status FileJournal::MakeSegment(Seq first, uint64_t size, bool from_spare) {
  const std::string temporary = Path(from_spare ? kSpareName : kSegmentTemporary);
  const std::string path = Path(SegmentName(first));
  SegmentHeader header{.first = first,
                       .durable = first - 1,
                       .salt = Salt(),
                       .size = size,
                       .content = options_.content->number};
  Status made = [&]() CURVEFS_REQUIRES(leader_) -> Status {
    CURVEFS_TRY(active_.file, disk_.Open(temporary, Disk::Mode::kCreate));
    if (!from_spare) CURVEFS_CHECK_OK(active_.file->Truncate(0));
    CURVEFS_CHECK_OK(active_.file->Allocate(size));
    CURVEFS_CHECK_OK(active_.file->Write(0, EncodeSegmentHeader(header)));
    CURVEFS_CHECK_OK(active_.file->Sync());
    return disk_.Rename(temporary, path);
  }();
  if (!made.ok()) {
    (void)disk_.Remove(temporary);
    return made;
  }
  CURVEFS_CHECK_OK(disk_.SyncDir(dir_));
  active_.first = first;
  active_.offset = kSegmentHeader;
  active_.size = size;
  active_.salt = header.salt;
  MutexLock lock(mu_);
  if (!segments_.empty() && segments_.back().first == first) segments_.pop_back();
  segments_.push_back({first, size, header.salt});
  return {};
}

// True if there is a prepared segment of the wanted size, which is then the caller's. Waits for one being
// prepared: that is nearer to its end than a new one.
bool FileJournal::TakeSpare(uint64_t size) {
  MutexLock lock(mu_);
  while (spare_ == Spare::kPreparing) spare_changed_.Wait(mu_);
  if (spare_ != Spare::kReady || size != options_.segment_bytes) return false;
  spare_ = Spare::kNone;
  return true;
}

// On the preparer's thread. A failure is not reported: the roll-over will meet it, and say so.
void FileJournal::PrepareSpare() {
  const std::string temporary = Path(kSpareTemporary);
  Status made = [&]() -> Status {
    CURVEFS_TRY(auto file, disk_.Open(temporary, Disk::Mode::kCreate));
    CURVEFS_CHECK_OK(file->Truncate(0));
    CURVEFS_CHECK_OK(file->Allocate(options_.segment_bytes));
    CURVEFS_CHECK_OK(file->Sync());
    return disk_.Rename(temporary, Path(kSpareName));
  }();
  if (!made.ok()) (void)disk_.Remove(temporary);
  {
    MutexLock lock(mu_);
    spare_ = made.ok() ? Spare::kReady : Spare::kNone;
  }
  spare_changed_.NotifyAll();
}

Status FileJournal::TrimTo(Seq upto) {
  if (options_.read_only) return ReadOnly();
  std::vector<Segment> old;
  {
    MutexLock lock(mu_);
    size_t n = 0;
    while (n + 1 < segments_.size() && segments_[n + 1].first <= upto + 1) ++n;
    old.assign(segments_.begin(), segments_.begin() + static_cast<ptrdiff_t>(n));
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<ptrdiff_t>(n));
  }
  if (old.empty()) return {};
  // Oldest first, so that what a crash leaves has no holes.
  for (size_t i = 0; i < old.size(); ++i) {
    Status removed = disk_.Remove(Path(SegmentName(old[i].first)));
    if (removed.ok() || removed.code() == Code::kNotFound) continue;
    MutexLock lock(mu_);
    segments_.insert(segments_.begin(), old.begin() + static_cast<ptrdiff_t>(i), old.end());
    return removed;
  }
  return disk_.SyncDir(dir_);
}

Result<std::string> FileJournal::Read(Seq seq, FramePlace place) const {
  const std::string path = Path(SegmentName(place.segment));
  uint64_t salt = 0;
  {
    MutexLock lock(mu_);
    auto it = std::find_if(segments_.begin(), segments_.end(),
                           [&](const Segment& s) { return s.first == place.segment; });
    if (it == segments_.end()) return Fail(Code::kNotFound, path + " has been removed");
    salt = it->salt;
  }
  auto damaged = [&] {
    return Fail(Code::kCorrupt, path + " at byte " + std::to_string(place.offset) + ": frame " +
                                    std::to_string(seq) + " is damaged");
  };
  CURVEFS_TRY(auto file, disk_.Open(path, Disk::Mode::kRead));
  std::string bytes(kFrameHeader, '\0');
  CURVEFS_TRY(size_t n, file->Read(place.offset, bytes.data(), bytes.size()));
  auto header = DecodeFrameHeader(std::string_view(bytes).substr(0, n), salt);
  if (!header || header->seq != seq) return damaged();
  bytes.resize(FrameSize(header->length));
  CURVEFS_TRY(n, file->Read(place.offset, bytes.data(), bytes.size()));
  if (!FrameHolds(std::string_view(bytes).substr(0, n), *header, salt)) return damaged();
  return bytes.substr(kFrameHeader, header->length);
}

JournalStats FileJournal::stats() const {
  MutexLock lock(mu_);
  const Seq durable_now = durable();  // before last(), which it must not pass
  JournalStats stats{.last = last(),
                     .durable = durable_now,
                     .buffered_bytes = buffered_bytes_,
                     .disk_bytes = spare_ == Spare::kNone ? 0 : options_.segment_bytes,
                     .syncs = syncs_,
                     .appended_bytes = appended_bytes_,
                     .failures = failures_};
  for (const Segment& segment : segments_) stats.disk_bytes += segment.bytes;
  return stats;
}

uint64_t FileJournal::Salt() const {
  if (options_.salt != 0) return options_.salt;
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

uint32_t CountBatch(std::string_view encoded) {
  uint32_t count = 0;
  WriteBatch::ForEachTrusted(encoded, [&](RecordType, std::string_view, std::string_view) { ++count; });
  return count;
}

}  // namespace

const JournalContent kBatchContent{.number = 0, .count = &CountBatch, .verify = &WriteBatch::Verify};

Result<std::unique_ptr<Journal>> Journal::Open(Disk& disk, std::string dir, Seq applied, const Replay& replay,
                                               JournalOptions options, JournalRecovery* recovery) {
  JournalRecovery unused;
  if (recovery == nullptr) recovery = &unused;
  CURVEFS_TRY(auto recovered, RecoverJournal(disk, dir, applied, replay, options, recovery));
  return std::make_unique<FileJournal>(disk, std::move(dir), options, std::move(recovered));
}

}  // namespace curvefs::kv
