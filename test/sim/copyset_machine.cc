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
  explicit StrangeClock(const Clock& steady) : steady_(steady) {}
  Timestamp Wall() const override { return {now_ += 1'000'000'007}; }
  SteadyTime Steady() const override { return steady_.Steady(); }

 private:
  const Clock& steady_;
  mutable int64_t now_ = 1;
};

class CopysetMachine final : public Machine, public metaserver::Background {
 public:
  CopysetMachine(Disk& disk, const Clock& clock, const std::string& dir, const raft::Members& first,
                 Watcher watcher, metaserver::ReplicatedOptions::Canary canary)
      : watcher_(std::move(watcher)), clock_(clock) {
    auto copyset = metaserver::ReplicatedCopyset::Open(
        disk, dir, first, fs_, clock_, *this, {.session_timeout = std::chrono::seconds(1), .canary = canary});
    if (!copyset) CheckFailed(__FILE__, __LINE__, "the copyset opens", copyset.error().ToString());
    copyset_ = *std::move(copyset);
  }

  void Write(uint64_t key, uint64_t value, size_t padding, Written done) override {
    copyset_->Change(
        [&](meta::Txn& txn) { return WriteRegister(txn, key, value, padding); },
        [done = std::move(done)](const Status& s) { done(s.ok() ? Result<raft::Index>(0) : Fail(s)); });
  }

  void Read(uint64_t key, std::function<void(Result<uint64_t>)> done) override {
    copyset_->Read([key](const meta::Reader& reader) { return ReadRegister(reader, key); }, std::move(done));
  }

  metaserver::ReplicatedCopyset* copyset() override { return copyset_.get(); }
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

std::unique_ptr<Machine> MakeCopysetMachine(Disk& disk, const Clock& clock, const std::string& dir,
                                            const raft::Members& first, Watcher watcher,
                                            metaserver::ReplicatedOptions::Canary canary) {
  return std::make_unique<CopysetMachine>(disk, clock, dir, first, std::move(watcher), canary);
}

Status WriteRegister(meta::Txn& txn, uint64_t key, uint64_t value, size_t padding) {
  const std::string text = std::to_string(value), name = FileOf(key), temporary = "new" + text;
  if (!txn.GetInode(kRootInode)) meta::MakeRoot(txn, 0755, 0, 0);
  auto there = meta::Lookup(txn, kRootInode, name);
  if (there && value % 3 != 0) {
    CURVEFS_TRY(auto changed, meta::SetXattr(txn, {.inode = there->id, .name = kAttribute, .value = text}));
    return {};
  }
  CURVEFS_TRY(meta::Inode file,
              meta::Create(txn, {.parent = kRootInode, .name = temporary, .mode = S_IFREG | 0644}));
  CURVEFS_TRY(auto changed, meta::SetXattr(txn, {.inode = file.id, .name = kAttribute, .value = text}));
  CURVEFS_TRY(
      changed,
      meta::SetXattr(txn, {.inode = file.id, .name = "user.padding", .value = std::string(padding, 'p')}));
  CURVEFS_TRY(auto moved, meta::Rename(txn, {.parent = kRootInode,
                                             .name = temporary,
                                             .new_parent = kRootInode,
                                             .new_name = name,
                                             .kind = meta::RenameKind::kReplace}));
  return {};
}

Result<uint64_t> ReadRegister(const meta::Reader& reader, uint64_t key) {
  auto file = meta::Lookup(reader, kRootInode, FileOf(key));
  if (!file) return 0;
  CURVEFS_TRY(std::string text, meta::GetXattr(reader, file->id, kAttribute));
  return std::stoull(text);
}

}  // namespace curvefs::sim
