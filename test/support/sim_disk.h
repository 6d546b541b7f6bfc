// SimDisk: a Disk in memory that forgets, fails and fills up as a real one does, but by seed.
//
//   SimDisk disk;
//   disk.MakeDir("/d");
//   ... the code under test writes, syncs, renames ...
//   disk.Crash(seed);   // what was not synced is kept, dropped or torn; open files go stale
//   ... the code under test recovers ...
//
// What a crash keeps: of a file, the bytes of its last successful Sync, and of the writes after it any
// subset, torn at sectors of 512 bytes; of a directory, its names as of the last SyncDir and any number of
// the changes after it, in their order. A file whose Sync failed keeps showing its new bytes, and a later
// Sync "succeeds", but they are never on the disk: as on Linux, a failed fdatasync drops the dirty pages'
// claim to be written.
//
// Thread-safe. Deterministic: the same calls and seeds give the same bytes.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/disk.h"

namespace curvefs::test {

class SimDisk final : public Disk {
 public:
  enum class Op : uint8_t {
    kOpen,
    kRead,
    kWrite,
    kSync,
    kAllocate,
    kTruncate,
    kRename,
    kLink,
    kRemove,
    kMakeDir,
    kSyncDir,
    kList,
    kLock,
    kCount_
  };

  // What of the unsynced state survives a crash.
  enum class Keep { kNothing, kEverything, kSome /* decided by the seed, with torn writes */ };

  SimDisk();
  ~SimDisk() override;

  // ---- Disk
  Result<std::unique_ptr<File>> Open(const std::string& path, Mode mode) override;
  Status MakeDir(const std::string& path) override;
  Status Remove(const std::string& path) override;
  Status RemoveDir(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status SyncDir(const std::string& path) override;
  Status SyncAll(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& path) override;
  Result<bool> Exists(const std::string& path) override;
  Result<DiskSpace> Space(const std::string& path) override;
  Result<std::unique_ptr<File>> Lock(const std::string& path) override;

  // ---- Crashes
  // Power off and on. Files opened before answer kIo from now on, locks are gone, injected faults too.
  void Crash(uint64_t seed, Keep keep = Keep::kSome);

  // ---- Faults
  // The nth call of `op` from now on (1: the next), and the `times - 1` calls after it, fail with `code`. A
  // failing write may have been done in part; a failing sync drops the unsynced writes of that file.
  void FailNth(Op op, uint64_t nth, Code code, uint64_t times = 1);
  void ClearFaults();
  // What a failing sync leaves on the disk of the writes it was asked for; kNothing to begin with.
  void SetFailedSyncKeeps(Keep keep);
  // Syncs report success and do nothing: to prove that a test of durability can fail.
  void SetSyncsAreLies(bool lies);
  // From now on all files together may hold this many bytes.
  void SetCapacity(uint64_t bytes);
  // Called before each operation is carried out, without locks held, by the thread that asks for it: a test
  // can hold a sync here until other threads have queued up behind it. Set it while no operation is running.
  using Hook = std::function<void(Op, const std::string& path)>;
  void SetHook(Hook hook);

  // ---- Looking inside
  uint64_t count(Op op) const;  // calls so far, failed ones included
  uint64_t used_bytes() const;
  // Every file with its bytes as a reader sees them now.
  std::map<std::string, std::string> Files() const;
  // Puts a file there, or changes it, durably: for damaging files on purpose.
  void SetContent(const std::string& path, std::string_view bytes);
  void RemoveDurably(const std::string& path);

 private:
  struct Node;
  class OpenFile;
  using Names = std::map<std::string, std::shared_ptr<Node>>;
  struct NameChange {    // of one directory
    std::string erase;   // path that goes, or empty
    std::string insert;  // path that comes, or empty
    std::shared_ptr<Node> node;
  };

  Status Enter(Op op, const std::string& path);  // takes mu_; counts and injects
  // The rest is called with mu_ held.
  Status Grow(Node& node, uint64_t size, const std::string& path);
  void Change(const std::string& dir, NameChange change);
  static void Apply(Names& names, const NameChange& change);
  static std::string DirOf(const std::string& path);
  uint64_t Random(uint64_t below);
  void SettleUnsynced(Node& node, Keep keep);
  void Unlink(const std::string& path);

  mutable std::mutex mu_;
  uint64_t epoch_ = 0;  // counts crashes
  uint64_t random_ = 0;
  uint64_t capacity_;
  uint64_t used_ = 0;
  Names names_;          // as programs see them; a directory is a node too
  Names durable_names_;  // as on the disk
  std::map<std::string, std::vector<NameChange>> unsynced_names_;  // by directory
  std::set<std::string> locks_;
  struct Fault {
    uint64_t skip = 0, times = 0;
    Code code = Code::kIo;
  };
  std::array<Fault, static_cast<size_t>(Op::kCount_)> faults_{};
  std::array<uint64_t, static_cast<size_t>(Op::kCount_)> counts_{};
  Keep failed_sync_keeps_ = Keep::kNothing;
  bool syncs_are_lies_ = false;
  Hook hook_;
};

}  // namespace curvefs::test
