// The parts of a Vfs: references on inodes, open files, virtual files, the chunk index over the metadata
// client. Private to this folder.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "client/vfs/kept_pages.h"
#include "client/vfs/trash.h"
#include "client/vfs/vfs.h"
#include "client/vfs/written_times.h"

namespace curvefs::client {

// How many references the outside holds on each inode, and how many handles are open. An inode without either
// has no entry.
class InodeRefs {
 public:
  void AddLookup(InodeId inode) {
    Shard& s = shard(inode);
    MutexLock lock(s.mu);
    ++s.refs[inode].lookups;
  }
  void AddOpen(InodeId inode, bool writer) {
    Shard& s = shard(inode);
    MutexLock lock(s.mu);
    Ref& r = s.refs[inode];
    ++r.opens;
    r.writers += writer;
  }
  // Give references back. True if it was the last one and the inode is an orphan: the caller reclaims it.
  [[nodiscard]] bool DropLookups(InodeId inode, uint64_t n) {
    return Drop(inode, [n](Ref& r) { r.lookups -= std::min(r.lookups, n); });
  }
  [[nodiscard]] bool DropOpen(InodeId inode, bool writer) {
    return Drop(inode, [writer](Ref& r) {
      if (r.opens > 0) --r.opens;
      if (writer && r.writers > 0) --r.writers;
    });
  }
  // The inode has lost its last name, or (TmpFile, linked) got one. MarkOrphan returns true if nobody holds
  // it: the caller reclaims it.
  [[nodiscard]] bool MarkOrphan(InodeId inode) {
    Shard& s = shard(inode);
    MutexLock lock(s.mu);
    auto it = s.refs.find(inode);
    if (it == s.refs.end()) return true;
    it->second.orphan = true;
    return false;
  }
  void ClearOrphan(InodeId inode) {
    Shard& s = shard(inode);
    MutexLock lock(s.mu);
    if (auto it = s.refs.find(inode); it != s.refs.end()) it->second.orphan = false;
  }
  bool HasWriters(InodeId inode) {
    Shard& s = shard(inode);
    MutexLock lock(s.mu);
    auto it = s.refs.find(inode);
    return it != s.refs.end() && it->second.writers > 0;
  }
  size_t size() {
    size_t n = 0;
    for (auto& s : shards_) {
      MutexLock lock(s.mu);
      n += s.refs.size();
    }
    return n;
  }

 private:
  struct Ref {
    uint64_t lookups = 0;
    uint32_t opens = 0;
    uint32_t writers : 31 = 0;
    uint32_t orphan : 1 = 0;
  };
  struct alignas(64) Shard {
    Mutex mu;
    absl::flat_hash_map<InodeId, Ref> refs CURVEFS_GUARDED_BY(mu);
  };
  template <typename F>
  bool Drop(InodeId inode, F&& f) {
    Shard& s = shard(inode);
    MutexLock lock(s.mu);
    auto it = s.refs.find(inode);
    if (it == s.refs.end()) return false;
    f(it->second);
    if (it->second.lookups > 0 || it->second.opens > 0) return false;
    bool orphan = it->second.orphan;
    s.refs.erase(it);
    return orphan;
  }
  Shard& shard(InodeId inode) { return shards_[inode.value % shards_.size()]; }
  std::array<Shard, 16> shards_;
};

struct OpenFile {
  InodeId inode;
  int flags = 0;
  data::ReadStream stream;
};

// The open handles. Numbers are never used twice.
class OpenFiles {
 public:
  HandleId Add(InodeId inode, int flags) {
    auto file = std::make_shared<OpenFile>();
    file->inode = inode;
    file->flags = flags;
    HandleId id = next_.fetch_add(1, std::memory_order_relaxed);
    Shard& s = shard(id);
    MutexLock lock(s.mu);
    s.files.emplace(id, std::move(file));
    return id;
  }
  std::shared_ptr<OpenFile> Find(HandleId id) {
    Shard& s = shard(id);
    MutexLock lock(s.mu);
    auto it = s.files.find(id);
    return it == s.files.end() ? nullptr : it->second;
  }
  std::shared_ptr<OpenFile> Remove(HandleId id) {
    Shard& s = shard(id);
    MutexLock lock(s.mu);
    auto it = s.files.find(id);
    if (it == s.files.end()) return nullptr;
    auto file = std::move(it->second);
    s.files.erase(it);
    return file;
  }

 private:
  struct alignas(64) Shard {
    Mutex mu;
    absl::flat_hash_map<HandleId, std::shared_ptr<OpenFile>> files CURVEFS_GUARDED_BY(mu);
  };
  Shard& shard(HandleId id) { return shards_[id % shards_.size()]; }
  std::atomic<HandleId> next_{1};
  std::array<Shard, 16> shards_;
};

// Files of the root that exist in no directory: .stats, .config and .control. Each lookup makes a new inode;
// of the first two with the content of that moment, so the kernel can cache its pages like any other's.
class VirtualFiles {
 public:
  static bool IsName(InodeId parent, InodeId root, std::string_view name) {
    return parent == root && (name == ".stats" || name == ".config" || name == kControl);
  }
  static constexpr std::string_view kControl = ".control";
  static bool IsVirtual(InodeId inode) { return PartitionOf(inode) == kPartition; }

  meta::Inode Make(std::string content, Timestamp now, uint32_t mode = 0444, uint32_t uid = 0);
  bool IsControl(InodeId inode);
  Result<meta::Inode> Get(InodeId inode);
  Result<BufferList> Read(InodeId inode, uint64_t offset, size_t n);
  void Forget(InodeId inode);

 private:
  static constexpr PartitionId kPartition{0xffffff};
  struct File {
    meta::Inode inode;
    BufferSlice content;
  };
  Mutex mu_;  // a leaf
  uint64_t next_ CURVEFS_GUARDED_BY(mu_) = 1;
  absl::flat_hash_map<InodeId, File> files_ CURVEFS_GUARDED_BY(mu_);
};

// data::ChunkIndex over the metadata service. Chunk ids are fetched in runs.
class MetaChunkIndex final : public data::ChunkIndex {
 public:
  MetaChunkIndex(MetaClient& meta, WrittenTimes& written) : meta_(meta), written_(written) {}
  Result<std::vector<meta::ChunkRecord>> Records(InodeId inode, uint64_t offset, uint64_t len) override;
  Result<std::vector<Appended>> Append(std::vector<FileRecords> files) override;
  Result<std::vector<Status>> Replace(std::vector<Replacement> chunks) override;
  std::vector<meta::SharedObject> TakeSparse(uint32_t max) override { return meta_.TakeSparse(max); }
  Result<ChunkId> NewChunks(uint32_t n) override;
  FsId fs() const override { return meta_.fs(); }
  bool durable_at_once() const override { return meta_.shared(); }

 private:
  static constexpr uint32_t kRun = 256;
  MetaClient& meta_;
  WrittenTimes& written_;
  Mutex mu_;  // held while the next run is fetched: whoever else wants ids waits for the same
  uint64_t next_ CURVEFS_GUARDED_BY(mu_) = 0, end_
                                              CURVEFS_GUARDED_BY(mu_) = 0;  // what is left of the last run
};

// Whether the caller may act for the group: its own group, one of its supplementary groups, or the superuser.
bool InGroup(const Caller& caller, uint32_t gid);

// The calls that .stats counts, and their names there.
enum class Call : uint8_t {
  kLookup,
  kMkNod,
  kMkDir,
  kSymlink,
  kLink,
  kUnlink,
  kRmDir,
  kRename,
  kReadLink,
  kOpenDir,
  kReadDir,
  kFsyncDir,
  kGetAttr,
  kSetAttributes,
  kSetXattr,
  kGetXattr,
  kListXattr,
  kRemoveXattr,
  kGetStatFs,
  kCreate,
  kTmpFile,
  kOpen,
  kRead,
  kWrite,
  kFsync,
  kFallocate,
  kCopyFileRange,
  kSeek,
  kCount_
};
inline constexpr std::array<std::string_view, static_cast<size_t>(Call::kCount_)> kCallNames = {
    "lookup",      "mk_nod",         "mk_dir",          "symlink",   "link",       "unlink",
    "rm_dir",      "rename",         "read_link",       "open_dir",  "read_dir",   "fsync_dir",
    "get_attr",    "set_attributes", "set_xattr",       "get_xattr", "list_xattr", "remove_xattr",
    "get_stat_fs", "create",         "tmp_file",        "open",      "read",       "write",
    "fsync",       "fallocate",      "copy_file_range", "seek"};

struct Vfs::Core {
  Core(MetaClient& m, object::ObjectStore& o, data::DataOptions d, VfsOptions v, const Clock& c)
      : meta(m),
        objects(o),
        options(std::move(v)),
        clock(c),
        index(m, written),
        data(index, o, d),
        trash(m, c, options.read_only ? Duration() : options.trash, options.control_uid,
              [this](InodeId dir) { Changed(dir); }),
        control(options.control) {}

  MetaClient& meta;
  object::ObjectStore& objects;
  const VfsOptions options;
  const Clock& clock;
  WrittenTimes written;
  MetaChunkIndex index;
  data::DataCache data;
  InodeRefs refs;
  OpenFiles files;
  VirtualFiles virtuals;
  KeptPages pages;  // where others change files too
  Trash trash;
  Mutex watcher_mu;  // held while the watcher is called: when Watch has returned, the old one is not
  std::function<void(InodeId)> watcher CURVEFS_GUARDED_BY(watcher_mu);
  // By inode: finding the end and writing there is one step. Taken before any other lock, held over the
  // write.
  std::array<Mutex, 64> append_mu;
  std::array<std::atomic<uint64_t>, static_cast<size_t>(Call::kCount_)> calls{};
  std::atomic<uint64_t> bytes_read{0}, bytes_written{0};
  ControlFiles control;  // last: its commands use the others until they end
  void Count(Call call) { calls[static_cast<size_t>(call)].fetch_add(1, std::memory_order_relaxed); }

  // Of what is written but not yet stored. To be asked before the metadata are: what is stored in between is
  // in one of the two.
  struct Dirty {
    uint64_t end = 0;
    std::optional<Timestamp> written;
  };
  Dirty DirtyOf(InodeId inode) const { return {.end = data.DirtyEnd(inode), .written = written.Get(inode)}; }
  // The inode's length, space and times as a reader sees them now.
  void ApplyDirty(meta::Inode* inode, const Dirty& dirty) const {
    if (!inode->is_file()) return;
    if (dirty.written) {
      inode->mtime = std::max(inode->mtime, *dirty.written);
      inode->ctime = std::max(inode->ctime, *dirty.written);
    }
    const uint64_t dirty_end = dirty.end;
    if (dirty_end == 0) return;
    inode->length = std::max(inode->length, dirty_end);
    inode->bytes = std::max(inode->bytes, std::min(inode->bytes + data.DirtyBytes(inode->id), inode->length));
  }
  Result<meta::Inode> Attributes(InodeId inode);
  Result<Opened> MakeOpenedFile(const meta::Inode& inode, int flags);  // whose attributes are of now
  // Calls `append` with where the file ends, and stores what it wrote, while no other mount appends.
  Status AppendShared(InodeId inode, const std::function<Status(uint64_t end)>& append);
  // Tells the watcher.
  void Changed(InodeId dir) {
    MutexLock lock(watcher_mu);
    if (watcher) watcher(dir);
  }
  // Whether any file has data that is not stored yet. To be asked before the metadata are read, for
  // MakeEntry.
  bool AnyDirty() const {
    data::DataStats s = data.stats();
    return s.dirty_bytes + s.flushing_bytes > 0;
  }
  // An entry for the kernel, with a reference. `maybe_dirty`: a flush may have committed a new length since
  // the inode was read.
  Entry MakeEntry(meta::Inode inode, bool maybe_dirty);
  // After an operation that took a name away.
  void AfterUnlink(const meta::Inode& inode);
  void Reclaim(InodeId inode);
  // Updates the access time if the options ask for it; returns whether it did.
  bool Accessed(const meta::Inode& inode);
  Status CheckWritable(InodeId inode) const;
  Status CheckNotVirtualName(InodeId parent, std::string_view name) const;
  Result<meta::Inode> Truncate(meta::SetAttrRequest request);
  // The metadata's times after data that did not come from the kernel's page cache.
  Status TouchWritten(InodeId inode, bool kill_suid_gid);
  // A set-group-id bit without group execution goes when one who is not in the file's group changes its
  // content.
  Result<meta::Inode> DropForeignSetgid(const Caller& caller, meta::Inode inode);
  Result<Opened> MakeOpened(InodeId inode, int flags);
  // Usage of a directory, kept from the first time it is asked for.
  Result<DirUsage> UsageOf(InodeId dir);
  Result<std::string> UsageText(InodeId dir, std::string_view what);
  // Without regard to limits.
  Result<StatFs> FreeSpace();
};

}  // namespace curvefs::client
