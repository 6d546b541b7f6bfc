#include "metaserver/replicated_copyset.h"

#include <algorithm>

#include "base/log.h"
#include "raft/message.h"

namespace curvefs::metaserver {
// The store, whichever it is now.
class ReplicatedCopyset::StateView final : public kv::View {
 public:
  explicit StateView(const std::unique_ptr<kv::KVStore>& store) : store_(store) {}
  Status Get(std::string_view key, std::string* value) const override { return store_->Get(key, value); }
  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return store_->Scan(begin, end, visit);
  }

 private:
  const std::unique_ptr<kv::KVStore>& store_;
};

ReplicatedCopyset::ReplicatedCopyset(Disk& disk, std::string dir, const meta::FsContext& fs,
                                     const Clock& clock, Background& background, ReplicatedOptions options)
    : disk_(disk),
      dir_(std::move(dir)),
      fs_(fs),
      clock_(clock),
      background_(background),
      options_(std::move(options)),
      files_(MakeStateFiles(options_.engine, disk_, dir_, options_.rocks)),
      leases_([this](uint64_t session, uint64_t number, const LeaseTable::Parts& gone, bool all) {
        TellKeeper(session, number, gone, all);
      }) {
  state_view_ = std::make_unique<StateView>(store_);
  overlay_ = std::make_unique<kv::Overlay>(*state_view_);
}

ReplicatedCopyset::~ReplicatedCopyset() {
  *alive_ = false;
}

Result<std::unique_ptr<ReplicatedCopyset>> ReplicatedCopyset::Open(Disk& disk, std::string dir,
                                                                   const raft::Members& first,
                                                                   const meta::FsContext& fs,
                                                                   const Clock& clock, Background& background,
                                                                   ReplicatedOptions options) {
  std::unique_ptr<ReplicatedCopyset> copyset(
      new ReplicatedCopyset(disk, std::move(dir), fs, clock, background, std::move(options)));
  const std::string& at = copyset->dir_;
  CURVEFS_CHECK_OK(disk.MakeDir(at));
  const size_t slash = at.rfind('/');
  CURVEFS_CHECK_OK(disk.SyncDir(slash == 0 ? "/" : at.substr(0, slash)));
  CURVEFS_TRY(copyset->store_, copyset->files_->Load());
  CURVEFS_TRY(copyset->snapshot_, PositionOf(*copyset->store_));
  if (copyset->snapshot_.index == 0 && !first.voters.empty()) {
    kv::WriteBatch batch;
    std::string meta;
    raft::EncodeMeta({.index = 1, .term = 1, .members = first}, &meta);
    batch.Set(kMembersKey, meta);
    CURVEFS_CHECK_OK(copyset->store_->Apply(batch.encoded(), 1));
    CURVEFS_TRY(Seq saved, copyset->store_->Save());
    CURVEFS_CHECK(saved == 1);
    CURVEFS_TRY(copyset->snapshot_, PositionOf(*copyset->store_));
  }
  copyset->position_ = copyset->snapshot_;
  return copyset;
}

// ---- Changes

Status ReplicatedCopyset::Propose(const kv::WriteBatch& batch, std::function<void(const Status&)> done) {
  const uint64_t number = last_proposal_ + 1;
  auto payload = raft::MakePayload(batch.encoded());
  CURVEFS_CHECK_OK(
      group_->Propose(payload, [this, number, payload, done = std::move(done)](Result<raft::Index> index) {
        overlay_->Forget(*payload, number);
        const Status s = index ? Status() : index.error();
        auto settled = proposals_.extract(number);
        done(s);
        for (auto& saw : settled.mapped()) saw(s);
      }));
  last_proposal_ = number;
  proposals_[number];
  overlay_->Add(batch.encoded(), number);
  return {};
}

// The last proposal that has no outcome, which need not be the last that was made: the engine may have
// dropped that.
void ReplicatedCopyset::WhenSettled(std::function<void(const Status&)> done) {
  if (proposals_.empty()) return group_->Read([done = std::move(done)](Status s) { done(s); });
  proposals_.rbegin()->second.push_back(std::move(done));
}

void ReplicatedCopyset::LeadershipChanged(bool leads, raft::Term term) {
  constexpr int kEpochs = 24;  // bits: of one term of office
  noted_since_.reset();
  links_.clear();
  // What was proposed has been answered before, and is out of the overlay.
  if (!leads) {
    CURVEFS_CHECK(proposals_.empty() && overlay_->empty());
    sessions_.Clear();
    locks_.Clear();
    StopSpace();
    early_.Clear();
    raising_ = false;
    leases_.Clear();
    return;
  }
  office_ = term;
  leases_.Start((term << kEpochs) + 1);
  Status s = sessions_.Load(*store_, clock_.Steady());
  early_.Start(sessions_.Ahead(), clock_.Steady());
  if (s.ok()) s = StartSpace();
  locks_.Expect(Sessions());
  // Own state that cannot be read: whatever it held, a request could be done twice.
  if (!s.ok()) CheckFailed(__FILE__, __LINE__, "a new leader can read its state", s.ToString());
}

Status ReplicatedCopyset::Apply(std::span<const raft::Entry> entries) {
  const SteadyTime begin = clock_.Steady();
  Status s = ApplyAll(entries);
  apply_times_->Record(clock_.Steady() - begin);
  return s;
}

Status ReplicatedCopyset::ApplyAll(std::span<const raft::Entry> entries) {
  for (const raft::Entry& e : entries) {
    const std::string_view payload = raft::BytesOf(e.payload);
    raft::SnapshotMeta position = position_;
    position.term = e.term;
    raft::MemberChange change;
    const bool data = e.kind == raft::EntryKind::kData;
    if (!data && raft::DecodeChange(payload, &change)) (void)raft::ApplyChange(change, &position.members);
    if (data) {
      if (auto verified = kv::WriteBatch::Verify(payload); !verified) return verified.error();
    }
    if (position == position_) {
      CURVEFS_CHECK_OK(store_->Apply(data ? payload : std::string_view(), e.index));
      continue;
    }
    position.index = e.index;
    std::string meta;
    raft::EncodeMeta(position, &meta);
    kv::WriteBatch batch;
    batch.Set(kMembersKey, meta);
    std::string encoded(batch.encoded());
    if (data) encoded.append(payload);
    CURVEFS_CHECK_OK(store_->Apply(encoded, e.index));
    position_ = std::move(position);
    if (busy_ > 0) positions_.push_back(position_);
  }
  return {};
}

void ReplicatedCopyset::MembersChanged(const raft::Members& members, const raft::MemberChange&) {
  CURVEFS_CHECK(members == position_.members);
}

Result<raft::SnapshotMeta> ReplicatedCopyset::Seize(raft::ReplicaId alone, raft::Term term) {
  CURVEFS_CHECK(!group_ && term > position_.term);
  raft::SnapshotMeta next{
      .index = applied() + 1, .term = term, .members = {.voters = {alone}, .learners = {}}};
  std::string meta;
  raft::EncodeMeta(next, &meta);
  kv::WriteBatch batch;
  batch.Set(kMembersKey, meta);
  CURVEFS_CHECK_OK(store_->Apply(batch.encoded(), next.index));
  CURVEFS_TRY(const Seq saved, store_->Save());
  CURVEFS_CHECK(saved == next.index);
  snapshot_ = position_ = next;
  return next;
}

// ---- Snapshots

void ReplicatedCopyset::TakeSnapshot(SnapshotDone done) {
  ++busy_;
  positions_.assign(1, position_);
  auto saved = std::make_shared<Result<Seq>>(Seq{0});
  background_.Run([saved, store = store_.get()] { *saved = store->Save(); },
                  [this, saved, done = std::move(done)] {
                    --busy_;
                    if (!*saved) return done(std::unexpected(saved->error()));
                    // The moment of the snapshot was during the call: find out how things stood then.
                    auto after = std::find_if(positions_.begin(), positions_.end(),
                                              [&](const auto& p) { return p.index > **saved; });
                    snapshot_ = *std::prev(after);
                    snapshot_.index = **saved;
                    done(snapshot_);
                  });
}

Result<std::unique_ptr<raft::SnapshotReader>> ReplicatedCopyset::OpenSnapshot() {
  // What there is may be newer already than snapshot_ says.
  if (busy_ > 0) return Fail(Code::kBusy, "the next snapshot is being made");
  auto reader = files_->Give(snapshot_);
  if (reader || reader.error().code() != Code::kBusy) return reader;
  // Whoever wants it asks again.
  ++busy_;
  auto status = std::make_shared<Status>();
  background_.Run([this, status, store = store_.get()] { *status = files_->Prepare(*store); },
                  [this, status] {
                    --busy_;
                    if (!status->ok())
                      Log(LogLevel::kWarning,
                          dir_ + ": no copy of the state for another replica: " + status->ToString());
                  });
  return reader;
}

Result<std::unique_ptr<raft::SnapshotSink>> ReplicatedCopyset::ReceiveSnapshot(const raft::SnapshotMeta&) {
  return files_->Take();
}

void ReplicatedCopyset::Restore(std::unique_ptr<raft::SnapshotSink> sink, const raft::SnapshotMeta& meta,
                                Done done) {
  ++busy_;
  struct Work {
    Status status;
    std::unique_ptr<raft::SnapshotSink> sink;
    std::unique_ptr<kv::KVStore> store;
  };
  auto work = std::make_shared<Work>();
  work->sink = std::move(sink);
  background_.Run(
      [this, work, meta] {
        auto installed = files_->Install(*work->sink, meta);
        if (installed) {
          work->store = *std::move(installed);
        } else {
          work->status = installed.error();
        }
      },
      [this, work, meta, done = std::move(done)] {
        --busy_;
        if (work->status.ok()) {
          std::swap(store_, work->store);
          snapshot_ = position_ = meta;
          ++busy_;
          background_.Run([this, work] { files_->Discard(std::move(work->store)); }, [this] { --busy_; });
        }
        done(work->status);
      });
}

}  // namespace curvefs::metaserver
