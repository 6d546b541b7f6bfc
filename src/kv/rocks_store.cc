// The RocksDB engine of kv/store.h. RocksDB's own log is off: ours comes before it. A write batch carries the
// new applied sequence number with it and lies in one memtable whole, so what any flush leaves on disk is a
// state that existed, with its number.
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "base/bytes.h"
#include "base/mutex.h"
#include "kv/overlay.h"
#include "kv/snapshot.h"
#include "kv/store.h"

namespace curvefs::kv {
namespace {

constexpr int kMaxOpenFiles = 256;
constexpr int kMaxOpenFilesOfMany = 32;  // of each of many stores
constexpr int kBloomBitsPerKey = 10;
constexpr uint64_t kMinWriteBuffer = 1 << 20;
constexpr uint64_t kMaxWriteBufferOfMany = 16 << 20;
constexpr uint64_t kArenaBlockOfMany = 64 << 10;  // the least that a store with changes holds

}  // namespace

// Memtables count against the cache, so `bytes` bounds both together.
class RocksMemory {
 public:
  RocksMemory(uint64_t bytes, bool of_many)
      : bytes(bytes),
        of_many(of_many),
        cache(rocksdb::NewLRUCache(bytes)),
        write_buffers(
            std::make_shared<rocksdb::WriteBufferManager>(std::max(bytes / 2, kMinWriteBuffer), cache)) {}
  const uint64_t bytes;
  const bool of_many;
  const std::shared_ptr<rocksdb::Cache> cache;
  const std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
};

namespace {

rocksdb::Slice ToSlice(std::string_view s) {
  return {s.data(), s.size()};
}
std::string_view ToView(const rocksdb::Slice& s) {
  return {s.data(), s.size()};
}

rocksdb::Options MakeOptions(const RocksOptions& wanted) {
  rocksdb::Options options;
  if (wanted.env != nullptr) options.env = wanted.env;
  options.create_if_missing = true;
  const std::shared_ptr<RocksMemory> memory =
      wanted.memory ? wanted.memory : std::make_shared<RocksMemory>(wanted.memory_bytes, false);
  options.max_open_files = memory->of_many ? kMaxOpenFilesOfMany : kMaxOpenFiles;
  options.max_background_jobs = 2;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 4 << 20;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.stats_dump_period_sec = 0;
  options.avoid_flush_during_shutdown = true;

  options.write_buffer_size = std::max(memory->bytes / 8, kMinWriteBuffer);
  if (memory->of_many) {
    options.write_buffer_size = std::min<uint64_t>(options.write_buffer_size, kMaxWriteBufferOfMany);
    options.arena_block_size = kArenaBlockOfMany;
  }
  options.max_write_buffer_number = 3;
  options.write_buffer_manager = memory->write_buffers;

  rocksdb::BlockBasedTableOptions table;
  table.block_cache = memory->cache;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));

  auto compressions = rocksdb::GetSupportedCompressions();
  bool lz4 =
      std::find(compressions.begin(), compressions.end(), rocksdb::kLZ4Compression) != compressions.end();
  options.compression = lz4 ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  return options;
}

// Runs the store's barrier before each flush, RocksDB's own included.
class FlushGate final : public rocksdb::EventListener {
 public:
  explicit FlushGate(std::function<Status()> barrier) : barrier_(std::move(barrier)) {}

  // A flush cannot be refused here, only held up; it goes on once the barrier succeeds.
  void OnFlushBegin(rocksdb::DB*, const rocksdb::FlushJobInfo&) override {
    RelockableMutexLock lock(mu_);
    while (!closing_) {
      lock.Unlock();
      if (barrier_().ok()) return;
      lock.Lock();
      const auto retry_at = std::chrono::steady_clock::now() + kRetryAfter;
      while (!closing_ && changed_.WaitUntil(mu_, retry_at)) {
      }
    }
  }
  // Flushes held up go on; the database must have been told before to drop their results.
  void Close() {
    MutexLock lock(mu_);
    closing_ = true;
    changed_.NotifyAll();
  }

 private:
  static constexpr std::chrono::milliseconds kRetryAfter{100};
  const std::function<Status()> barrier_;
  Mutex mu_;
  CondVar changed_;
  bool closing_ CURVEFS_GUARDED_BY(mu_) = false;
};

// RocksDB has no code for a LOCK that somebody holds: another process, or this one.
bool IsOfLock(const std::string& text) {
  return text.find("While lock file") != std::string::npos ||
         text.find("lock hold by current process") != std::string::npos;
}

Status Convert(const rocksdb::Status& status, const std::string& what) {
  if (status.ok()) return {};
  Code code = Code::kIo;
  if (status.IsNoSpace()) {
    code = Code::kNoSpace;
  } else if (status.IsCorruption()) {
    code = Code::kCorrupt;
  } else if (status.IsBusy() || IsOfLock(status.ToString())) {
    code = Code::kBusy;
  }
  return {code, what + ": " + status.ToString()};
}

// What is in the database.
class Pairs final : public View {
 public:
  Pairs(rocksdb::DB* const& db, const std::string& dir) : db_(db), dir_(dir) {}

  Status Get(std::string_view key, std::string* value) const override {
    if (db_ == nullptr || key == kAppliedKey) return Code::kNotFound;
    rocksdb::Status read = db_->Get({}, ToSlice(key), value);
    if (read.IsNotFound()) return Code::kNotFound;
    return read.ok() ? Status() : Convert(read, "read from " + dir_);
  }

  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    if (db_ == nullptr) return {};
    rocksdb::ReadOptions options;
    rocksdb::Slice upper = ToSlice(end);
    if (!end.empty()) options.iterate_upper_bound = &upper;
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(options));
    for (it->Seek(ToSlice(begin)); it->Valid(); it->Next()) {
      std::string_view key = ToView(it->key());
      if (key == kAppliedKey) continue;
      if (!visit(key, ToView(it->value()))) break;
    }
    return it->status().ok() ? Status() : Convert(it->status(), "scan " + dir_);
  }

 private:
  rocksdb::DB* const& db_;  // null: there is none, to be read only
  const std::string& dir_;
};

class RocksStore final : public KVStore {
 public:
  RocksStore(std::string dir, RocksOptions options)
      : dir_(std::move(dir)),
        options_(MakeOptions(options)),
        read_only_(options.read_only),
        gate_(std::make_shared<FlushGate>([this] { return RunBarrier(applying_.load()); })) {
    options_.listeners.push_back(gate_);
  }

  // What was not saved is dropped, not flushed: the log has it.
  ~RocksStore() override {
    if (db_ == nullptr) return;
    rocksdb::CancelAllBackgroundWork(db_, /*wait=*/false);
    gate_->Close();
    (void)db_->Close();
    delete db_;
  }

  Status Load() override {
    if (read_only_ && options_.env->FileExists(dir_ + "/CURRENT").IsNotFound()) return {};
    rocksdb::Status opened = read_only_ ? rocksdb::DB::OpenForReadOnly(options_, dir_, &db_)
                                        : rocksdb::DB::Open(options_, dir_, &db_);
    if (!opened.ok()) {
      db_ = nullptr;
      return Convert(opened, "open the RocksDB store in " + dir_);
    }
    std::string value;
    rocksdb::Status read = db_->Get({}, ToSlice(kAppliedKey), &value);
    if (read.IsNotFound()) {
      std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}));
      it->SeekToFirst();
      if (it->Valid())
        return {Code::kCorrupt, "the RocksDB store in " + dir_ + " does not say where it stands"};
      return Convert(it->status(), "read " + dir_);
    }
    if (!read.ok()) return Convert(read, "read " + dir_);
    if (value.size() != sizeof(Seq))
      return {Code::kCorrupt, "the RocksDB store in " + dir_ + " does not say where it stands"};
    applied_ = applying_ = GetLe<Seq>(value.data());
    return {};
  }

  Status Apply(std::string_view encoded, Seq seq) override {
    CURVEFS_CHECK(seq > applied());
    if (read_only_) {
      applied_over_.Add(encoded, seq);
      applied_.store(seq, std::memory_order_release);
      return {};
    }
    rocksdb::WriteBatch batch(encoded.size() + 64);
    WriteBatch::ForEachTrusted(encoded, [&](RecordType type, std::string_view key, std::string_view value) {
      CURVEFS_CHECK(key != kAppliedKey);
      if (type == RecordType::kSet) {
        batch.Put(ToSlice(key), ToSlice(value));
      } else {
        batch.Delete(ToSlice(key));
      }
    });
    batch.Put(ToSlice(kAppliedKey), {reinterpret_cast<const char*>(&seq), sizeof seq});
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    applying_.store(seq);
    rocksdb::Status written = db_->Write(options, &batch);
    if (!written.ok()) {
      failed_.store(true, std::memory_order_relaxed);
      return Convert(written, "write to " + dir_);
    }
    applied_.store(seq, std::memory_order_release);
    return {};
  }

  Seq applied() const override { return applied_.load(std::memory_order_acquire); }

  Result<Seq> Save() override {
    if (read_only_)
      return Fail(Code::kReadOnly, "the RocksDB store in " + dir_ + " is open for reading only");
    // After a failed write or flush RocksDB refuses to go on until it is told that the disk may be well
    // again.
    if (failed_.exchange(false)) {
      if (rocksdb::Status resumed = db_->Resume(); !resumed.ok()) {
        failed_ = true;
        return Fail(Convert(resumed, "go on after an error in " + dir_));
      }
    }
    Seq seq = applied();                // at least all up to here is in the flush that begins now
    CURVEFS_CHECK_OK(RunBarrier(seq));  // FlushGate runs it again, but cannot fail
    rocksdb::FlushOptions options;
    options.wait = true;
    if (rocksdb::Status flushed = db_->Flush(options); !flushed.ok()) {
      failed_ = true;
      return Fail(Convert(flushed, "flush " + dir_));
    }
    return seq;
  }

  Status Checkpoint(const std::string& dir) override {
    rocksdb::Checkpoint* made = nullptr;
    rocksdb::Status status = rocksdb::Checkpoint::Create(db_, &made);
    const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
    if (status.ok())
      status = checkpoint->CreateCheckpoint(dir);  // flushes first: there is no log of RocksDB's
    return Convert(status, "copy " + dir_ + " to " + dir);
  }

  Status Verify() override { return Convert(db_->VerifyChecksum(), "verify " + dir_); }

  StoreStats stats() const override {
    StoreStats stats;
    if (db_ == nullptr) return stats;
    db_->GetIntProperty(rocksdb::DB::Properties::kEstimateNumKeys, &stats.pairs);
    if (stats.pairs > 0) --stats.pairs;  // kAppliedKey
    uint64_t tables = 0, memtables = 0;
    db_->GetIntProperty(rocksdb::DB::Properties::kEstimateLiveDataSize, &tables);
    db_->GetIntProperty(rocksdb::DB::Properties::kCurSizeAllMemTables, &memtables);
    stats.key_value_bytes = tables + memtables;
    uint64_t cached = 0, readers = 0;
    db_->GetIntProperty(rocksdb::DB::Properties::kBlockCacheUsage, &cached);  // memtables are charged to it
    db_->GetIntProperty(rocksdb::DB::Properties::kEstimateTableReadersMem, &readers);
    stats.memory_bytes = cached + readers;
    return stats;
  }

  Status Get(std::string_view key, std::string* value) const override {
    return read_only_ ? applied_over_.Get(key, value) : pairs_.Get(key, value);
  }

  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return read_only_ ? applied_over_.Scan(begin, end, visit) : pairs_.Scan(begin, end, visit);
  }

 private:
  const std::string dir_;
  rocksdb::Options options_;
  const bool read_only_;
  const std::shared_ptr<FlushGate> gate_;
  rocksdb::DB* db_ = nullptr;
  const Pairs pairs_{db_, dir_};
  Overlay applied_over_{pairs_};  // of a store that is only read: what its log adds
  std::atomic<Seq> applied_{0};
  std::atomic<Seq> applying_{0};  // the last one handed to RocksDB: what a flush may contain
  std::atomic<bool> failed_{false};
};

}  // namespace

std::shared_ptr<RocksMemory> MakeRocksMemory(uint64_t bytes) {
  return std::make_shared<RocksMemory>(bytes, true);
}

std::unique_ptr<KVStore> MakeRocksStore(std::string dir, RocksOptions options) {
  return std::make_unique<RocksStore>(std::move(dir), options);
}

}  // namespace curvefs::kv
