#include "data/data_cache.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "data/core.h"

namespace curvefs::data {
namespace {

constexpr uint64_t kMinWriteCache = 8 << 20;  // room for a block being filled and one being stored

DataOptions Sane(DataOptions o) {
  o.write_cache_bytes = std::max(o.write_cache_bytes, kMinWriteCache);
  o.inline_max = std::min<uint64_t>(o.inline_max, kMaxInlineRecord);
  o.flush_threads = std::max<uint32_t>(o.flush_threads, 1);
  o.ahead_threads = std::max<uint32_t>(o.ahead_threads, 1);
  return o;
}

}  // namespace

DataCache::Core::Core(ChunkIndex& i, object::ObjectStore& o, DataOptions opts)
    : index(i),
      objects(o),
      options(Sane(opts)),
      budget(options.write_cache_bytes),
      read_cache(objects, options.read_cache_bytes, options.ahead_threads),
      putters(options.put_threads, "cfs-put") {
  for (uint32_t n = 0; n < options.flush_threads; ++n) {
    threads_.emplace_back([this] { FlusherMain(); });
    pthread_setname_np(threads_.back().native_handle(), ("cfs-flush-" + std::to_string(n % 1000)).c_str());
  }
  threads_.emplace_back([this] { CompactorMain(); });
  pthread_setname_np(threads_.back().native_handle(), "cfs-compact");
}

DataCache::Core::~Core() {
  {
    MutexLock lock(mu_);
    stop_ = true;
  }
  flusher_work_.NotifyAll();
  compactor_work_.NotifyAll();
  for (auto& t : threads_) t.join();
}

DataStats DataCache::Core::Stats() const {
  DataStats s;
  s.flushing_bytes = counters.flushing_bytes;
  const uint64_t used = budget.used();
  s.dirty_bytes = used - std::min(used, s.flushing_bytes);
  s.read_cache_bytes = read_cache.bytes();
  s.read_bytes = counters.read_bytes;
  s.read_hits = counters.read_hits;
  s.read_misses = counters.read_misses;
  s.written_bytes = counters.written_bytes;
  s.flushes = counters.flushes;
  s.flush_failures = counters.flush_failures;
  s.objects_put = counters.objects_put;
  s.inline_records = counters.inline_records;
  s.compactions = counters.compactions;
  s.waits = counters.waits;
  return s;
}

DataCache::DataCache(ChunkIndex& index, object::ObjectStore& objects, DataOptions options)
    : core_(std::make_unique<Core>(index, objects, options)) {}
DataCache::~DataCache() = default;

Status DataCache::Write(InodeId inode, uint64_t offset, BufferSlice data) {
  return core_->Write(inode, offset, std::move(data));
}

Result<BufferList> DataCache::Read(InodeId inode, uint64_t offset, size_t n, uint64_t length,
                                   ReadStream* stream) {
  return core_->Read(inode, offset, n, length, stream);
}

uint64_t DataCache::DirtyEnd(InodeId inode) const {
  return core_->DirtyEnd(inode);
}

uint64_t DataCache::DirtyBytes(InodeId inode) const {
  return core_->DirtyBytes(inode);
}
bool DataCache::IsDirty(InodeId inode) const {
  return core_->DirtyEnd(inode) > 0;
}

Status DataCache::Flush(InodeId inode, bool durable_soon) {
  auto file = core_->Find(inode);
  if (file == nullptr) return {};
  Status s = core_->FlushFile(file, durable_soon ? Core::FlushMode::kDurableSoon : Core::FlushMode::kAll);
  core_->Release(std::move(file));
  return s;
}

Status DataCache::FlushAll() {
  return core_->FlushAll();
}

Status DataCache::Change(InodeId inode, uint64_t offset, uint64_t len,
                         const std::function<Status()>& commit) {
  return core_->Change(inode, offset, len, commit);
}

void DataCache::Forget(InodeId inode) {
  core_->Forget(inode);
}
void DataCache::DropClean() {
  core_->read_cache.Clear();
}

Result<uint64_t> DataCache::SeekData(InodeId inode, uint64_t offset, uint64_t length) {
  return core_->Seek(inode, offset, length, true);
}

Result<uint64_t> DataCache::SeekHole(InodeId inode, uint64_t offset, uint64_t length) {
  return core_->Seek(inode, offset, length, false);
}

Status DataCache::Compact(InodeId inode, uint32_t chunk_index) {
  return core_->Compact(inode, chunk_index, /*asked_for=*/true);
}

Status DataCache::Repack() {
  return core_->Repack();
}

DataStats DataCache::stats() const {
  return core_->Stats();
}

}  // namespace curvefs::data
