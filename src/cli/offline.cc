#include "cli/offline.h"

namespace curvefs::cli {

Result<std::unique_ptr<OfflineStore>> OfflineStore::Open(Disk& disk, const FsDir& dir, Options options) {
  std::unique_ptr<OfflineStore> s(new OfflineStore);
  if (options.write) {
    for (const std::string& path : {dir.meta_dir(), JournalDir(dir), StoreDir(dir)})
      CURVEFS_CHECK_OK(disk.MakeDir(path));
    CURVEFS_CHECK_OK(disk.SyncDir(dir.meta_dir()));
  }
  s->store_ = dir.description().engine == metaserver::MetaEngine::kRocksdb
                  ? kv::MakeRocksStore(StoreDir(dir), {.read_only = !options.write})
                  : kv::MakeMemoryStore(disk, StoreDir(dir));
  s->store_->SetBarrier([p = s.get()](Seq upto) { return p->journal_ ? p->journal_->Sync(upto) : Status(); });
  CURVEFS_CHECK_OK(s->store_->Load());
  kv::JournalOptions journal_options;
  journal_options.segment_bytes = 1 << 20;  // few and small batches come
  journal_options.read_only = !options.write;
  journal_options.truncate_at_corruption = options.truncate_at_corruption;
  CURVEFS_TRY(s->journal_,
              kv::Journal::Open(
                  disk, JournalDir(dir), s->store_->applied(),
                  [p = s.get()](Seq seq, std::string_view batch) { return p->store_->Apply(batch, seq); },
                  journal_options, &s->recovery_));
  return s;
}

Status OfflineStore::Commit(const kv::WriteBatch& batch) {
  if (batch.empty()) return {};
  CURVEFS_TRY(Seq seq, journal_->Append(batch.encoded()));
  return store_->Apply(batch.encoded(), seq);
}

Status OfflineStore::Finish() {
  CURVEFS_CHECK_OK(journal_->Sync(journal_->last()));
  CURVEFS_TRY(Seq saved, store_->Save());
  return journal_->TrimTo(saved);
}

}  // namespace curvefs::cli
