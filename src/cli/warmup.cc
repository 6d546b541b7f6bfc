#include "cli/warmup.h"

#include <algorithm>
#include <deque>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "cli/walk_tree.h"
#include "meta/extents.h"

namespace curvefs::cli {
namespace {

constexpr size_t kMaxQueue = 256;  // objects found and not yet dealt with
constexpr auto kTellEvery = std::chrono::milliseconds(200);

enum class Mode { kFill, kCheck, kEvict };

struct Wanted {
  object::ObjectName name;
  uint32_t digest = 0;
  uint64_t bytes = 0;
};

// Deals with objects on threads of its own, as they are found.
class Work {
 public:
  Work(object::DiskCacheStore& cache, Mode mode, size_t threads) : cache_(cache), mode_(mode) {
    for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Main(); });
  }
  ~Work() { Finish(/*drop=*/true); }

  // Waits while too many are queued; at most so long, then false: ask again.
  bool Add(const Wanted& wanted) {
    MutexLock lock(mu_);
    const auto until = std::chrono::steady_clock::now() + kTellEvery;
    while (queue_.size() >= kMaxQueue) {
      if (!room_.WaitUntil(mu_, until) && queue_.size() >= kMaxQueue) return false;
    }
    if (!seen_.insert(wanted.name.chunk).second) return true;
    ++objects_;
    bytes_ += wanted.bytes;
    queue_.push_back(wanted);
    work_.NotifyOne();
    return true;
  }
  void AddFile() {
    MutexLock lock(mu_);
    ++files_;
  }
  // False: not yet.
  bool AwaitEmpty() {
    MutexLock lock(mu_);
    const auto until = std::chrono::steady_clock::now() + kTellEvery;
    while (!(queue_.empty() && busy_ == 0) && room_.WaitUntil(mu_, until)) {
    }
    return queue_.empty() && busy_ == 0;
  }
  void Finish(bool drop) {
    {
      MutexLock lock(mu_);
      if (drop) queue_.clear();
      stop_ = true;
    }
    work_.NotifyAll();
    for (auto& t : threads_) {
      if (t.joinable()) t.join();
    }
  }
  ControlFields Sums() {
    MutexLock lock(mu_);
    return {{"files", files_},
            {"objects", objects_},
            {"bytes", bytes_},
            {"done", done_},
            {"cached_objects", cached_objects_},
            {"cached_bytes", cached_bytes_},
            {"changed", changed_},
            {"failed", failed_},
            {"failure", failure_}};
  }

 private:
  void Main() {
    RelockableMutexLock lock(mu_);
    while (true) {
      while (!stop_ && queue_.empty()) work_.Wait(mu_);
      if (queue_.empty()) return;
      const Wanted wanted = queue_.front();
      queue_.pop_front();
      ++busy_;
      lock.Unlock();
      const bool before = cache_.Cached(wanted.name);
      Status s;
      bool changed = false;
      if (mode_ == Mode::kFill && !before) {
        s = cache_.Warm(wanted.name, wanted.digest);
        changed = s.ok();
      } else if (mode_ == Mode::kEvict && before) {
        changed = cache_.Evict(wanted.name);
      }
      const bool after = mode_ == Mode::kCheck ? before : cache_.Cached(wanted.name);
      lock.Lock();
      --busy_;
      ++done_;
      changed_ += changed;
      cached_objects_ += after;
      cached_bytes_ += after ? wanted.bytes : 0;
      if (!s.ok() && s.code() != Code::kNotFound) {  // not found: deleted or rewritten meanwhile
        if (failed_++ == 0) failure_ = s.ToString();
      }
      room_.NotifyAll();
    }
  }

  object::DiskCacheStore& cache_;
  const Mode mode_;
  Mutex mu_;
  CondVar work_, room_;
  std::deque<Wanted> queue_ CURVEFS_GUARDED_BY(mu_);
  std::set<ChunkId> seen_ CURVEFS_GUARDED_BY(mu_);
  size_t busy_ CURVEFS_GUARDED_BY(mu_) = 0;
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  uint64_t files_ CURVEFS_GUARDED_BY(mu_) = 0, objects_ CURVEFS_GUARDED_BY(mu_) = 0,
                  bytes_ CURVEFS_GUARDED_BY(mu_) = 0, done_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint64_t cached_objects_ CURVEFS_GUARDED_BY(mu_) = 0, cached_bytes_ CURVEFS_GUARDED_BY(mu_) = 0,
                           changed_ CURVEFS_GUARDED_BY(mu_) = 0, failed_ CURVEFS_GUARDED_BY(mu_) = 0;
  std::string failure_ CURVEFS_GUARDED_BY(mu_);
  std::vector<std::thread> threads_;
};

// The objects that a file's content is read from.
Result<std::vector<Wanted>> ObjectsOf(client::MetaClient& meta, const curvefs::meta::Inode& file) {
  std::vector<Wanted> out;
  if (file.length == 0) return out;
  auto records = meta.Records(file.id, 0, file.length);
  if (!records) {
    if (records.error().code() == Code::kNotFound) return out;  // deleted meanwhile
    return Fail(records.error());
  }
  std::set<size_t> visible;
  for (const curvefs::meta::Piece& piece : curvefs::meta::Resolve(*records, 0, file.length)) {
    if (piece.record >= 0) visible.insert(static_cast<size_t>(piece.record));
  }
  for (size_t i : visible) {
    const curvefs::meta::ChunkRecord& r = (*records)[i];
    if (!r.in_object()) continue;
    out.push_back({{r.chunk_id, r.block, r.compaction, meta.fs(), r.object_inode}, r.digest, r.object_size});
  }
  return out;
}

}  // namespace

Result<ControlFields> Warmup(client::MetaClient& meta, object::DiskCacheStore* cache,
                             const ControlFields& arguments, ControlProgress& progress) {
  if (cache == nullptr) {
    return Fail(Code::kNotSupported, "this mount has no disk cache; mount it with --cache-dir");
  }
  const auto inodes = FieldOr<std::vector<uint64_t>>(arguments, "inodes", {});
  const auto mode_name = FieldOr<std::string>(arguments, "mode", "fill");
  if (inodes.empty()) return Fail(Code::kInvalid, "warmup needs 'inodes'");
  if (mode_name != "fill" && mode_name != "check" && mode_name != "evict") {
    return Fail(Code::kInvalid, "warmup knows the modes fill, check and evict, not '" + mode_name + "'");
  }
  const Mode mode = mode_name == "fill" ? Mode::kFill : mode_name == "check" ? Mode::kCheck : Mode::kEvict;
  const uint64_t threads =
      std::clamp<uint64_t>(FieldOr<uint64_t>(arguments, "threads", 8), 1, kMaxWarmupThreads);
  if (mode != Mode::kCheck) cache->AwaitFills();
  Work work(*cache, mode, mode == Mode::kFill ? threads : 1);
  SteadyTime told = Clock::System().Steady();
  auto go_on = [&] {
    if (progress.cancelled()) return false;
    if (Clock::System().Steady() - told < kTellEvery) return true;
    told = Clock::System().Steady();
    return progress.Tell(work.Sums());
  };
  for (uint64_t id : inodes) {
    auto top = meta.GetInode(InodeId(id));
    if (!top) {
      if (top.error().code() == Code::kNotFound) continue;
      return Fail(top.error());
    }
    CURVEFS_CHECK_OK(WalkTree(meta, *top, [&](const std::string&, const curvefs::meta::Inode& at) -> Status {
      if (!go_on()) return Code::kInterrupted;
      if (!at.is_file()) return {};
      work.AddFile();
      CURVEFS_TRY(const auto objects, ObjectsOf(meta, at));
      for (const Wanted& wanted : objects) {
        while (!work.Add(wanted)) {
          if (!go_on()) return Code::kInterrupted;
        }
      }
      return {};
    }));
  }
  while (!work.AwaitEmpty()) {
    if (!go_on()) return Fail(Code::kInterrupted);
  }
  work.Finish(/*drop=*/false);
  return work.Sums();
}

}  // namespace curvefs::cli
