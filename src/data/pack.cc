// Storing small files together: those that are due at about the same time share an object and one change of
// the metadata, so that ten thousand small files cost a few requests.
#include <algorithm>
#include <utility>

#include "data/core.h"

namespace curvefs::data {
namespace {

constexpr uint64_t kMaxWaiting = kPackBelow;  // bytes of a file that shares an object
constexpr size_t kMaxParts = 64;              // of such a file
constexpr size_t kMaxRecords = 1000;          // in one change of the metadata
constexpr size_t kMaxGroup = 1000;            // files
constexpr size_t kMaxLookedAt = 4 * kMaxGroup;

}  // namespace

// A file that takes part: its flush_mu is held, and what is to be stored is in `flushing`.
struct DataCache::Core::Member {
  FilePtr file;
  std::unique_lock<Turn> flush_lock;
  Stored stored;             // complete but for the records of `parts`
  std::vector<Range> parts;  // go to the object
  uint64_t bytes = 0;        // thereof
};

// Adds files that are due soon to the one that is due now, as long as all fit into one object.
void DataCache::Core::TakeSmallDue(std::vector<FilePtr>* group) {
  uint64_t bytes = group->front()->waiting;
  if (bytes > kMaxWaiting || group->front()->failures != 0) return;
  const SteadyTime until = clock.Steady() + options.flush_age / 2;
  const bool pressed = budget.pressed();
  size_t looked_at = 0;
  for (auto it = due_.begin(); it != due_.end() && group->size() < kMaxGroup;) {
    if ((!pressed && it->first > until) || ++looked_at > kMaxLookedAt) return;
    const FilePtr& file = it->second;
    const uint64_t waiting = file->waiting;
    if (waiting > kMaxWaiting || file->failures != 0 ||
        PartitionOf(file->inode) != PartitionOf(group->front()->inode)) {
      ++it;
      continue;
    }
    if (bytes + waiting > kBlockSize) return;
    bytes += waiting;
    file->scheduled = false;
    group->push_back(file);
    it = due_.erase(it);
  }
}

void DataCache::Core::FlushGroup(const std::vector<FilePtr>& group) {
  for (const FilePtr& file : FlushTogether(group)) {
    if (file->failures == 0) FlushInBackground(file, FlushMode::kAll);  // else it is scheduled again
  }
}

// Takes the file's dirty bytes to be stored together with others'. False if that is done, or failed, already.
Result<bool> DataCache::Core::Join(Member* member) {
  const FilePtr& file = member->file;
  file->flush_mu.AssertHeld();
  if (!BeginFlush(*file, FlushMode::kAll)) return false;
  member->stored.file = file.get();
  auto small = SmallFile(*file);
  if (!small) return Fail(EndFlush(file, small.error()));
  if (*small) {
    member->stored.done.push_back({0, (*small)->len});
    member->stored.records.push_back(**std::move(small));
    return true;
  }
  constexpr uint64_t kAll = ~uint64_t{0};
  member->parts = CutAt(file->being_stored().Runs(0, kAll, false), kChunkSize, kBlockSize);
  const auto zeros = CutAt(file->being_stored().Runs(0, kAll, true), kChunkSize, kChunkSize);
  for (const Range& part : member->parts) member->bytes += part.size();
  if (member->parts.size() + zeros.size() > kMaxParts || member->bytes > kMaxWaiting) {
    CURVEFS_CHECK_OK(EndFlush(file, StoreFlushing(*file, /*durable_soon=*/false)));
    return false;
  }
  for (const Range& part : zeros) member->stored.records.push_back(ZeroRecord(part));
  member->stored.done = zeros;
  std::ranges::copy(member->parts, std::back_inserter(member->stored.done));
  return true;
}

// One object for the parts of all members.
Status DataCache::Core::PutTogether(std::vector<Member>& members) {
  BufferList bytes;
  const Member* first = nullptr;
  for (const Member& m : members) {
    if (first == nullptr && !m.parts.empty()) first = &m;
    for (const Range& part : m.parts) {
      const File& file = *m.file;
      file.flush_mu.AssertHeld();
      for (Segment& s : file.being_stored().Collect(part.begin, part.end))
        bytes.push_back(std::move(s.bytes));
    }
  }
  if (first == nullptr) return {};
  CURVEFS_TRY(const ChunkId chunk, index.NewChunks(1));
  meta::ChunkRecord r = NewObject(first->file->inode, first->parts.front().begin, TotalSize(bytes), chunk);
  CURVEFS_CHECK_OK(Put(&r, bytes));
  for (Member& m : members) {
    for (const Range& part : m.parts) m.stored.records.push_back(TakePart(&r, part));
  }
  return {};
}

// Stores and commits; adds the files for which that failed to `left`.
void DataCache::Core::StoreTogether(std::vector<Member> members, std::vector<FilePtr>* left) {
  std::vector<Status> statuses(members.size(), PutTogether(members));
  if (!members.empty() && statuses.front().ok()) {
    std::vector<Stored> stored;
    for (Member& m : members) stored.push_back(std::move(m.stored));
    statuses = Commit(std::move(stored));
  }
  for (size_t i = 0; i < members.size(); ++i) {
    const FilePtr& file = members[i].file;
    file->flush_mu.AssertHeld();
    if (!EndFlush(file, statuses[i]).ok()) left->push_back(file);
  }
}

// Flushes those of the files that are small; returns those that are left to be flushed alone, because they
// are large, or just being flushed, or because it failed.
// Files of different partitions have nothing to do with one another: their records are not in one place.
std::vector<DataCache::Core::FilePtr> DataCache::Core::FlushTogether(const std::vector<FilePtr>& all) {
  std::vector<FilePtr> files = all;
  std::ranges::stable_sort(files, {}, [](const FilePtr& file) { return PartitionOf(file->inode); });
  std::vector<FilePtr> left;
  std::vector<Member> members;
  uint64_t bytes = 0;
  size_t records = 0;
  for (const FilePtr& file : files) {
    Member m{.file = file};
    if (file->waiting <= kMaxWaiting) m.flush_lock = std::unique_lock(file->flush_mu, std::try_to_lock);
    if (!m.flush_lock.owns_lock()) {
      left.push_back(file);
      continue;
    }
    auto joined = Join(&m);
    if (!joined) left.push_back(file);
    if (!joined || !*joined) continue;
    const size_t more = m.parts.size() + m.stored.records.size();
    const bool other =
        !members.empty() && PartitionOf(members.back().file->inode) != PartitionOf(file->inode);
    if (other || bytes + m.bytes > kBlockSize || records + more > kMaxRecords) {
      StoreTogether(std::exchange(members, {}), &left);
      bytes = records = 0;
    }
    bytes += m.bytes;
    records += more;
    members.push_back(std::move(m));
  }
  StoreTogether(std::move(members), &left);
  return left;
}

}  // namespace curvefs::data
