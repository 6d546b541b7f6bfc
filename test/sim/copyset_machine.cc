#include "test/sim/copyset_machine.h"

#include <sys/stat.h>

#include "base/hash.h"
#include "meta/ops/attributes.h"
#include "meta/ops/create.h"
#include "meta/ops/names.h"
#include "meta/ops/rename.h"
#include "metaserver/replicated_copyset.h"

namespace curvefs::sim {
namespace {

constexpr std::string_view kAttribute = "user.value";

std::string FileOf(uint64_t key) {
  return "register" + std::to_string(key);
}

// Every reading another second: what two replicas make of the same operation must not matter.
class StrangeClock final : public Clock {
 public:
  Timestamp Wall() const override { return {now_ += 1'000'000'007}; }
  SteadyTime Steady() const override { return SteadyTime(Duration(now_)); }

 private:
  mutable int64_t now_ = 1;
};

class CopysetMachine final : public Machine, public metaserver::Background {
 public:
  CopysetMachine(Disk& disk, const std::string& dir, const raft::Members& first, Watcher watcher)
      : watcher_(std::move(watcher)) {
    auto copyset = metaserver::ReplicatedCopyset::Open(disk, dir, first, fs_, clock_, *this);
    if (!copyset) CheckFailed(__FILE__, __LINE__, "the copyset opens", copyset.error().ToString());
    copyset_ = *std::move(copyset);
  }

  // A new file that takes the place of the old one, or a change of the one that is there.
  void Write(uint64_t key, uint64_t value, size_t padding, Written done) override {
    const std::string text = std::to_string(value), name = FileOf(key), temporary = "new" + text;
    copyset_->Change(
        [&](meta::Txn& txn) -> Status {
          if (!txn.GetInode(kRootInode)) meta::MakeRoot(txn, 0755, 0, 0);
          auto there = meta::Lookup(txn, kRootInode, name);
          if (there && value % 3 != 0) {
            CURVEFS_TRY(auto changed,
                        meta::SetXattr(txn, {.inode = there->id, .name = kAttribute, .value = text}));
            return {};
          }
          CURVEFS_TRY(meta::Inode file,
                      meta::Create(txn, {.parent = kRootInode, .name = temporary, .mode = S_IFREG | 0644}));
          CURVEFS_TRY(auto changed,
                      meta::SetXattr(txn, {.inode = file.id, .name = kAttribute, .value = text}));
          CURVEFS_TRY(changed, meta::SetXattr(txn, {.inode = file.id,
                                                    .name = "user.padding",
                                                    .value = std::string(padding, 'p')}));
          CURVEFS_TRY(auto moved, meta::Rename(txn, {.parent = kRootInode,
                                                     .name = temporary,
                                                     .new_parent = kRootInode,
                                                     .new_name = name,
                                                     .kind = meta::RenameKind::kReplace}));
          return {};
        },
        [done = std::move(done)](const Status& s) { done(s.ok() ? Result<raft::Index>(0) : Fail(s)); });
  }

  void Read(uint64_t key, std::function<void(Result<uint64_t>)> done) override {
    copyset_->Read(
        [name = FileOf(key)](const meta::Reader& reader) -> Result<uint64_t> {
          auto file = meta::Lookup(reader, kRootInode, name);
          if (!file) return 0;
          CURVEFS_TRY(std::string text, meta::GetXattr(reader, file->id, kAttribute));
          return std::stoull(text);
        },
        std::move(done));
  }

  std::string Dump() const override {
    std::string text;
    CURVEFS_CHECK(copyset_->store()
                      .Scan("", "",
                            [&](std::string_view key, std::string_view value) {
                              text.append(key).append("=").append(value).append("\n");
                              return true;
                            })
                      .ok());
    return text;
  }
  void Attach(raft::Group* group) override { copyset_->Attach(group); }

  void Run(std::function<void()> work, std::function<void()> then) override {
    watcher_.later([this, work = std::move(work), then = std::move(then)] {
      work();
      watcher_.later(then);
    });
  }

  raft::SnapshotMeta snapshot() const override { return copyset_->snapshot(); }
  raft::Index applied() const override { return copyset_->applied(); }
  Status Apply(std::span<const raft::Entry> entries) override {
    for (const raft::Entry& e : entries) {
      CURVEFS_CHECK_OK(copyset_->Apply(std::span(&e, 1)));
      watcher_.applied({.term = e.term, .index = e.index, .kind = EntryKindForWatcher()},
                       Xxh3(raft::BytesOf(e.payload), e.term));
    }
    return {};
  }
  void MembersChanged(const raft::Members& members, const raft::MemberChange& change) override {
    copyset_->MembersChanged(members, change);
    watcher_.members(members);
  }
  void LeadershipChanged(bool leads, raft::Term term) override {
    copyset_->LeadershipChanged(leads, term);
    watcher_.leads(leads, term);
  }
  void TakeSnapshot(SnapshotDone done) override { copyset_->TakeSnapshot(std::move(done)); }
  Result<std::unique_ptr<raft::SnapshotReader>> OpenSnapshot() override { return copyset_->OpenSnapshot(); }
  Result<std::unique_ptr<raft::SnapshotSink>> ReceiveSnapshot(const raft::SnapshotMeta& meta) override {
    return copyset_->ReceiveSnapshot(meta);
  }
  void Restore(std::unique_ptr<raft::SnapshotSink> sink, const raft::SnapshotMeta& meta, Done done) override {
    copyset_->Restore(std::move(sink), meta, [this, done = std::move(done)](Status s) {
      if (s.ok()) watcher_.restored(applied(), 0);
      done(s);
    });
  }

 private:
  // The watcher would look for a register's write in the payload, which here is a batch.
  static raft::EntryKind EntryKindForWatcher() { return raft::EntryKind::kChange; }

  Watcher watcher_;
  StrangeClock clock_;
  meta::FsContext fs_{.fs = FsId(1), .hash_seed = 7};
  std::unique_ptr<metaserver::ReplicatedCopyset> copyset_;
};

}  // namespace

std::unique_ptr<Machine> MakeCopysetMachine(Disk& disk, const std::string& dir, const raft::Members& first,
                                            Watcher watcher) {
  return std::make_unique<CopysetMachine>(disk, dir, first, std::move(watcher));
}

}  // namespace curvefs::sim
