// OfflineStore: the metadata of a file system that nobody uses, for fsck, dump and load: snapshot and journal
// read, and nothing else begun.
#pragma once

#include <memory>
#include <string>

#include "base/disk.h"
#include "cli/fs_dir.h"
#include "kv/journal.h"
#include "kv/store.h"

namespace curvefs::cli {

class OfflineStore {
 public:
  struct Options {
    bool write = false;                   // else nothing on the disk is changed
    bool truncate_at_corruption = false;  // see kv::JournalOptions; without `write` only in what is read
  };
  // `disk` and `dir` (whose lock is held) outlive it.
  static Result<std::unique_ptr<OfflineStore>> Open(Disk& disk, const FsDir& dir, Options options);

  const kv::View& view() const { return *store_; }
  const kv::JournalRecovery& recovery() const { return recovery_; }

  // Logs and applies one batch.
  Status Commit(const kv::WriteBatch& batch);
  // Makes everything durable, as a snapshot.
  Status Finish();

 private:
  OfflineStore() = default;

  std::unique_ptr<kv::KVStore> store_;
  std::unique_ptr<kv::Journal> journal_;
  kv::JournalRecovery recovery_;
};

}  // namespace curvefs::cli
