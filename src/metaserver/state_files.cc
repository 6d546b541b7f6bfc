#include "metaserver/state_files.h"

#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/log.h"
#include "kv/packed_dir.h"
#include "kv/snapshot.h"
#include "metaserver/replicated_copyset.h"
#include "raft/message.h"

namespace curvefs::metaserver {

Result<raft::SnapshotMeta> PositionOf(const kv::KVStore& store) {
  std::string value;
  Status s = store.Get(ReplicatedCopyset::kMembersKey, &value);
  if (s.code() == Code::kNotFound) {
    if (store.applied() == 0) return raft::SnapshotMeta();
    return Fail(Code::kCorrupt, "the state of a copyset does not say who its members are");
  }
  CURVEFS_CHECK_OK(s);
  CURVEFS_TRY(raft::SnapshotMeta meta, raft::DecodeMeta(value));
  meta.index = store.applied();
  return meta;
}

namespace {

Status OtherEngine(const std::string& where) {
  return {Code::kInvalid,
          where +
              ": what came is not the state of this engine; all replicas of a copyset need the "
              "same --meta-engine"};
}

bool BeginsLike(std::string_view bytes, std::string_view magic) {
  return bytes.substr(0, magic.size()) == magic.substr(0, bytes.size());
}

Status OtherCame(const std::string& where) {
  return {Code::kCorrupt, where + ": another snapshot came than was announced"};
}

// ---- Memory: one file

class FileReader final : public raft::SnapshotReader {
 public:
  FileReader(raft::SnapshotMeta meta, std::unique_ptr<File> file)
      : meta_(std::move(meta)), file_(std::move(file)) {}
  const raft::SnapshotMeta& meta() const override { return meta_; }
  Result<std::string> Read(uint64_t offset, size_t n) override {
    std::string bytes(n, '\0');
    CURVEFS_TRY(size_t got, file_->Read(offset, bytes.data(), n));
    bytes.resize(got);
    return bytes;
  }

 private:
  raft::SnapshotMeta meta_;
  std::unique_ptr<File> file_;
};

class FileSink final : public raft::SnapshotSink {
 public:
  FileSink(std::unique_ptr<File> file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  Status Append(std::string_view bytes) override {
    if (size_ == 0 && !BeginsLike(bytes, kv::kSnapshotMagic)) return OtherEngine(path_);
    CURVEFS_CHECK_OK(file_->Write(size_, bytes));
    size_ += bytes.size();
    return {};
  }
  Status Sync() { return file_->Sync(); }

 private:
  std::unique_ptr<File> file_;
  const std::string path_;
  uint64_t size_ = 0;
};

// Where the state in a snapshot file stands. The whole file is verified.
Result<raft::SnapshotMeta> PositionOfFile(Disk& disk, const std::string& path) {
  std::string members, applied;
  CURVEFS_CHECK_OK(kv::ReadSnapshot(disk, path, [&](std::string_view key, std::string_view value) {
    if (key == ReplicatedCopyset::kMembersKey) members = value;
    if (key == kv::kAppliedKey) applied = value;
  }));
  if (members.empty() || applied.size() != sizeof(raft::Index))
    return Fail(Code::kCorrupt, path + " is not the state of a copyset");
  CURVEFS_TRY(raft::SnapshotMeta meta, raft::DecodeMeta(members));
  meta.index = GetLe<raft::Index>(applied.data());
  return meta;
}

class MemoryFiles final : public StateFiles {
 public:
  MemoryFiles(Disk& disk, const std::string& dir)
      : disk_(disk), dir_(dir), store_dir_(dir + "/store"), arriving_(dir + "/incoming/snapshot") {}

  Result<std::unique_ptr<kv::KVStore>> Load() override {
    CURVEFS_TRY(const bool other, disk_.Exists(dir_ + "/db"));
    if (other) return Fail(Code::kInvalid, dir_ + " holds a state of the rocksdb engine");
    for (const std::string& path : {store_dir_, dir_ + "/incoming"}) CURVEFS_CHECK_OK(disk_.MakeDir(path));
    CURVEFS_CHECK_OK(disk_.SyncDir(dir_));
    auto store = kv::MakeMemoryStore(disk_, store_dir_);
    CURVEFS_CHECK_OK(store->Load());
    return store;
  }

  Result<std::unique_ptr<raft::SnapshotReader>> Give(const raft::SnapshotMeta& saved) override {
    CURVEFS_TRY(auto file, disk_.Open(store_dir_ + "/snapshot", Disk::Mode::kRead));
    return std::make_unique<FileReader>(saved, std::move(file));
  }
  Status Prepare(kv::KVStore&) override { return {}; }

  Result<std::unique_ptr<raft::SnapshotSink>> Take() override {
    // A new file, never the old one emptied: after a crash that could be the installed snapshot under its old
    // name.
    if (Status s = disk_.Remove(arriving_); !s.ok() && s.code() != Code::kNotFound) return Fail(s);
    CURVEFS_TRY(auto file, disk_.Open(arriving_, Disk::Mode::kCreateNew));
    return std::make_unique<FileSink>(std::move(file), arriving_);
  }

  Result<std::unique_ptr<kv::KVStore>> Install(raft::SnapshotSink& sink,
                                               const raft::SnapshotMeta& announced) override {
    CURVEFS_CHECK_OK(static_cast<FileSink&>(sink).Sync());
    CURVEFS_TRY(const raft::SnapshotMeta came, PositionOfFile(disk_, arriving_));
    if (came != announced) return Fail(OtherCame(arriving_));
    CURVEFS_CHECK_OK(disk_.Rename(arriving_, store_dir_ + "/snapshot"));
    CURVEFS_CHECK_OK(disk_.SyncDir(store_dir_));
    auto store = kv::MakeMemoryStore(disk_, store_dir_);
    CURVEFS_CHECK_OK(store->Load());
    return store;
  }
  void Discard(std::unique_ptr<kv::KVStore> old) override { old.reset(); }

 private:
  Disk& disk_;
  const std::string dir_, store_dir_, arriving_;
};

// ---- RocksDB: a directory

constexpr std::string_view kDb = "db-", kCopy = "copy-";

// A directory of files only.
Status RemoveTree(Disk& disk, const std::string& dir) {
  auto names = disk.List(dir);
  if (!names) return names.error().code() == Code::kNotFound ? Status() : names.error();
  for (const std::string& name : *names) CURVEFS_CHECK_OK(disk.Remove(dir + "/" + name));
  return disk.RemoveDir(dir);
}

void RemoveOrSay(Disk& disk, const std::string& dir) {
  if (Status s = RemoveTree(disk, dir); !s.ok())
    Log(LogLevel::kWarning, dir + " is left over, and goes at the next start: " + s.ToString());
}

// A checkpoint; its files go with the last who reads it.
class Copy {
 public:
  Copy(Disk& disk, std::string dir, raft::SnapshotMeta meta)
      : disk_(disk), dir_(std::move(dir)), meta_(std::move(meta)) {}
  ~Copy() { RemoveOrSay(disk_, dir_); }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  const std::string& dir() const { return dir_; }
  const raft::SnapshotMeta& meta() const { return meta_; }

 private:
  Disk& disk_;
  const std::string dir_;
  const raft::SnapshotMeta meta_;
};

class CopyReader final : public raft::SnapshotReader {
 public:
  CopyReader(std::shared_ptr<Copy> copy, std::unique_ptr<kv::PackReader> pack)
      : copy_(std::move(copy)), pack_(std::move(pack)) {}
  const raft::SnapshotMeta& meta() const override { return copy_->meta(); }
  Result<std::string> Read(uint64_t offset, size_t n) override { return pack_->Read(offset, n); }

 private:
  const std::shared_ptr<Copy> copy_;
  const std::unique_ptr<kv::PackReader> pack_;
};

class DirSink final : public raft::SnapshotSink {
 public:
  DirSink(Disk& disk, const std::string& dir) : unpacker_(disk, dir), dir_(dir) {}
  Status Append(std::string_view bytes) override {
    if (!std::exchange(begun_, true) && !BeginsLike(bytes, kv::kPackMagic)) return OtherEngine(dir_);
    return unpacker_.Append(bytes);
  }
  Status Finish() { return unpacker_.Finish(); }

 private:
  kv::Unpacker unpacker_;
  const std::string dir_;
  bool begun_ = false;
};

class RocksFiles final : public StateFiles {
 public:
  RocksFiles(Disk& disk, const std::string& dir, kv::RocksOptions rocks)
      : disk_(disk), dir_(dir), current_(dir + "/db"), rocks_(std::move(rocks)) {}

  Result<std::unique_ptr<kv::KVStore>> Load() override {
    CURVEFS_TRY(const bool other, disk_.Exists(dir_ + "/store/snapshot"));
    if (other) return Fail(Code::kInvalid, dir_ + " holds a state of the memory engine");
    auto text = disk_.ReadWholeFile(current_, 64);
    if (!text && text.error().code() != Code::kNotFound) return Fail(text.error());
    if (text) {
      const auto number = Number(*text, kDb);
      if (!number) return Fail(Code::kCorrupt, current_ + " is not the name of a database");
      number_ = *number;
    }
    if (!rocks_.read_only) CURVEFS_CHECK_OK(RemoveLeftovers());
    CURVEFS_TRY(auto store, Open(number_));
    // Nothing was acknowledged before this name counts.
    if (!text && !rocks_.read_only) CURVEFS_CHECK_OK(disk_.WriteFileAtomically(current_, Name(kDb, number_)));
    return store;
  }

  Result<std::unique_ptr<raft::SnapshotReader>> Give(const raft::SnapshotMeta& saved) override {
    // One that somebody reads is as good as a new one, unless the log has been trimmed behind it.
    std::shared_ptr<Copy> copy = ready_ ? std::exchange(ready_, nullptr) : given_.lock();
    if (!copy || copy->meta().index < saved.index) return Fail(Code::kBusy, "a copy of the state is made");
    CURVEFS_TRY(auto pack, kv::PackReader::Open(disk_, copy->dir()));
    given_ = copy;
    return std::make_unique<CopyReader>(std::move(copy), std::move(pack));
  }

  Status Prepare(kv::KVStore& store) override {
    ready_.reset();
    const std::string dir = dir_ + "/" + Name(kCopy, ++copies_);
    CURVEFS_CHECK_OK(store.Checkpoint(dir));
    // Where it stands is known to itself only: changes went on.
    Result<raft::SnapshotMeta> meta = [&]() -> Result<raft::SnapshotMeta> {
      kv::RocksOptions options = rocks_;
      options.read_only = true;
      auto copy = kv::MakeRocksStore(dir, options);
      CURVEFS_CHECK_OK(copy->Load());
      return PositionOf(*copy);
    }();
    if (meta) {
      ready_ = std::make_shared<Copy>(disk_, dir, *std::move(meta));
      return {};
    }
    RemoveOrSay(disk_, dir);
    return meta.error();
  }

  Result<std::unique_ptr<raft::SnapshotSink>> Take() override {
    const std::string dir = dir_ + "/" + Name(kDb, number_ + 1);
    CURVEFS_CHECK_OK(RemoveTree(disk_, dir));
    CURVEFS_CHECK_OK(disk_.MakeDir(dir));
    return std::make_unique<DirSink>(disk_, dir);
  }

  Result<std::unique_ptr<kv::KVStore>> Install(raft::SnapshotSink& sink,
                                               const raft::SnapshotMeta& announced) override {
    const std::string dir = dir_ + "/" + Name(kDb, number_ + 1);
    CURVEFS_CHECK_OK(static_cast<DirSink&>(sink).Finish());
    CURVEFS_CHECK_OK(disk_.SyncDir(dir_));
    CURVEFS_TRY(auto store, Open(number_ + 1));
    CURVEFS_CHECK_OK(store->Verify());
    CURVEFS_TRY(const raft::SnapshotMeta came, PositionOf(*store));
    if (came != announced) return Fail(OtherCame(dir));
    CURVEFS_CHECK_OK(disk_.WriteFileAtomically(current_, Name(kDb, number_ + 1)));
    ++number_;
    return store;
  }

  void Discard(std::unique_ptr<kv::KVStore> old) override {
    old.reset();
    RemoveOrSay(disk_, dir_ + "/" + Name(kDb, number_ - 1));
  }

 private:
  static std::string Name(std::string_view prefix, uint64_t number) {
    return std::string(prefix) + std::to_string(number);
  }
  static std::optional<uint64_t> Number(std::string_view name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    uint64_t number = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc() || end != name.data() + name.size() || number == 0) return std::nullopt;
    return number;
  }

  Result<std::unique_ptr<kv::KVStore>> Open(uint64_t number) {
    auto store = kv::MakeRocksStore(dir_ + "/" + Name(kDb, number), rocks_);
    CURVEFS_CHECK_OK(store->Load());
    if (!rocks_.read_only) CURVEFS_CHECK_OK(disk_.SyncDir(dir_));
    return store;
  }

  Status RemoveLeftovers() {
    CURVEFS_TRY(const auto names, disk_.List(dir_));
    for (const std::string& name : names) {
      const auto db = Number(name, kDb);
      // A checkpoint under way ends in .tmp.
      if ((db && *db != number_) || name.starts_with(kCopy))
        CURVEFS_CHECK_OK(RemoveTree(disk_, dir_ + "/" + name));
    }
    return {};
  }

  Disk& disk_;
  const std::string dir_, current_;
  const kv::RocksOptions rocks_;
  uint64_t number_ = 1, copies_ = 0;
  std::shared_ptr<Copy> ready_;  // until somebody wants it
  std::weak_ptr<Copy> given_;
};

}  // namespace

std::unique_ptr<StateFiles> MakeStateFiles(MetaEngine engine, Disk& disk, const std::string& dir,
                                           const kv::RocksOptions& rocks) {
  if (engine == MetaEngine::kRocksdb) return std::make_unique<RocksFiles>(disk, dir, rocks);
  return std::make_unique<MemoryFiles>(disk, dir);
}

}  // namespace curvefs::metaserver
