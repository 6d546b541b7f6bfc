// The memory engine of kv/store.h: all pairs in a B-tree, the snapshot file as the durable state.
#include <absl/container/btree_set.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/mutex.h"
#include "kv/snapshot.h"
#include "kv/store.h"

namespace curvefs::kv {
namespace {

constexpr size_t kSavePairs = 1000;       // pairs that Save looks at without letting Apply in
constexpr size_t kSaveBytes = 256 << 10;  // … and bytes

// One pair in one piece of memory: two lengths, the key, the value. Millions of them exist, so they have no
// pointers and no padding of their own.
struct Pair {
  uint16_t key_length;
  uint16_t value_length_low;  // in two halves, so that the struct needs no alignment beyond 2
  uint16_t value_length_high;

  static constexpr size_t kOverhead = 6;

  static Pair* Make(std::string_view key, std::string_view value) {
    auto* p = static_cast<Pair*>(std::malloc(kOverhead + key.size() + value.size()));
    if (p == nullptr) throw std::bad_alloc();
    p->key_length = static_cast<uint16_t>(key.size());
    p->value_length_low = static_cast<uint16_t>(value.size());
    p->value_length_high = static_cast<uint16_t>(value.size() >> 16);
    std::memcpy(p->bytes(), key.data(), key.size());
    std::memcpy(p->bytes() + key.size(), value.data(), value.size());
    return p;
  }
  char* bytes() { return reinterpret_cast<char*>(this) + kOverhead; }
  const char* bytes() const { return reinterpret_cast<const char*>(this) + kOverhead; }
  size_t value_length() const { return size_t{value_length_high} << 16 | value_length_low; }
  std::string_view key() const { return {bytes(), key_length}; }
  std::string_view value() const { return {bytes() + key_length, value_length()}; }
  void Overwrite(std::string_view value) { std::memcpy(bytes() + key_length, value.data(), value.size()); }
};
static_assert(sizeof(Pair) == Pair::kOverhead);

struct ByKey {
  using is_transparent = void;
  static std::string_view Key(const Pair* p) { return p->key(); }
  static std::string_view Key(std::string_view key) { return key; }
  template <typename A, typename B>
  bool operator()(const A& a, const B& b) const {
    return Key(a) < Key(b);
  }
};

// A shared mutex that lets a waiting writer go before readers that come later; the standard one may let a
// stream of readers starve it. For one writer at a time.
class CURVEFS_CAPABILITY("mutex") StoreMutex {
 public:
  void Lock() CURVEFS_ACQUIRE() CURVEFS_NO_THREAD_SAFETY_ANALYSIS {  // it is made of mu_
    waiting_.store(true, std::memory_order_relaxed);
    gate_.Lock();
    mu_.Lock();
    waiting_.store(false, std::memory_order_relaxed);
    gate_.Unlock();
  }
  void Unlock() CURVEFS_RELEASE() CURVEFS_NO_THREAD_SAFETY_ANALYSIS { mu_.Unlock(); }
  void LockShared() CURVEFS_ACQUIRE_SHARED() CURVEFS_NO_THREAD_SAFETY_ANALYSIS {
    if (waiting_.load(std::memory_order_relaxed)) MutexLock wait(gate_);
    mu_.LockShared();
  }
  void UnlockShared() CURVEFS_RELEASE_SHARED() CURVEFS_NO_THREAD_SAFETY_ANALYSIS { mu_.UnlockShared(); }
  void AssertHeld() const CURVEFS_ASSERT_CAPABILITY(this) {}

 private:
  std::atomic<bool> waiting_{false};
  Mutex gate_;  // taken before mu_
  SharedMutex mu_;
};

class CURVEFS_SCOPED_CAPABILITY WriteLock {
 public:
  explicit WriteLock(StoreMutex& mu) CURVEFS_ACQUIRE(mu) : mu_(mu) { mu_.Lock(); }
  ~WriteLock() CURVEFS_RELEASE() { mu_.Unlock(); }
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  StoreMutex& mu_;
};

// Holds the mutex for reading, but for once only in each thread: a visitor of Scan may call Get.
class CURVEFS_SCOPED_CAPABILITY ReadLock {
 public:
  explicit ReadLock(StoreMutex& mu) CURVEFS_ACQUIRE_SHARED(mu) CURVEFS_NO_THREAD_SAFETY_ANALYSIS
      : mu_(mu),
        outer_(held) {
    if (outer_ == &mu_) return;
    mu_.LockShared();
    held = &mu_;
  }
  ~ReadLock() CURVEFS_RELEASE() CURVEFS_NO_THREAD_SAFETY_ANALYSIS {
    if (outer_ == &mu_) return;
    held = outer_;
    mu_.UnlockShared();
  }
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;

 private:
  static inline thread_local const StoreMutex* held = nullptr;
  StoreMutex& mu_;
  const StoreMutex* const outer_;
};

class MemoryStore final : public KVStore {
 public:
  MemoryStore(Disk& disk, std::string dir) : disk_(disk), path_(std::move(dir) + "/snapshot") {}
  ~MemoryStore() override {
    for (Pair* pair : pairs_) std::free(pair);
  }

  Status Load() override;
  Status Apply(std::string_view encoded, Seq seq) override;
  Seq applied() const override { return applied_.load(std::memory_order_acquire); }
  Result<Seq> Save() override;
  StoreStats stats() const override;
  Status Get(std::string_view key, std::string* value) const override;
  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override;

 private:
  // A Save in progress. Pairs up to `cursor` are written; of those behind it, `before` holds what has changed
  // since the moment of the snapshot, as it was then (nullopt: was not there). Changed by Apply under the
  // exclusive lock and by Save under the shared one.
  struct Saving {
    std::string cursor;
    std::map<std::string, std::optional<std::string>, std::less<>> before;
  };

  void Set(std::string_view key, std::string_view value) CURVEFS_REQUIRES(mu_);
  void Del(std::string_view key) CURVEFS_REQUIRES(mu_);
  void KeepForSave(std::string_view key, const Pair* old) CURVEFS_REQUIRES(mu_);
  bool NextSlice(std::string* out, std::vector<std::pair<uint32_t, uint32_t>>* lengths);

  Disk& disk_;
  const std::string path_;
  Mutex save_mu_ CURVEFS_ACQUIRED_BEFORE(mu_);  // one Save at a time; held over its I/O

  mutable StoreMutex mu_;
  absl::btree_set<Pair*, ByKey> pairs_ CURVEFS_GUARDED_BY(mu_);
  uint64_t key_value_bytes_ CURVEFS_GUARDED_BY(mu_) = 0;
  std::optional<Saving> saving_ CURVEFS_GUARDED_BY(mu_);
  std::atomic<Seq> applied_{0};  // written under mu_
};

Status MemoryStore::Load() {
  WriteLock lock(mu_);  // nobody else is here yet
  Status read =
      ReadSnapshot(disk_, path_, [&](std::string_view key, std::string_view value) CURVEFS_REQUIRES(mu_) {
        if (key == kAppliedKey) {
          if (value.size() == sizeof(Seq)) applied_ = GetLe<Seq>(value.data());
          return;
        }
        pairs_.insert(pairs_.end(), Pair::Make(key, value));
        key_value_bytes_ += key.size() + value.size();
      });
  if (read.code() == Code::kNotFound) return {};
  return read;
}

Status MemoryStore::Apply(std::string_view encoded, Seq seq) {
  CURVEFS_CHECK(seq > applied());
  WriteLock lock(mu_);
  WriteBatch::ForEachTrusted(encoded, [&](RecordType type, std::string_view key, std::string_view value) {
    mu_.AssertHeld();
    CURVEFS_CHECK(key != kAppliedKey);
    if (type == RecordType::kSet) {
      Set(key, value);
    } else {
      Del(key);
    }
  });
  applied_.store(seq, std::memory_order_release);
  return {};
}

void MemoryStore::Set(std::string_view key, std::string_view value) {
  auto it = pairs_.lower_bound(key);
  if (it == pairs_.end() || (*it)->key() != key) {
    KeepForSave(key, nullptr);
    pairs_.insert(it, Pair::Make(key, value));
    key_value_bytes_ += key.size() + value.size();
    return;
  }
  Pair* old = *it;
  KeepForSave(key, old);
  if (old->value_length() == value.size()) {
    old->Overwrite(value);
    return;
  }
  key_value_bytes_ += value.size() - old->value_length();
  const_cast<Pair*&>(*it) = Pair::Make(key, value);  // the key, and so the order, stays
  std::free(old);
}

void MemoryStore::Del(std::string_view key) {
  auto it = pairs_.find(key);
  if (it == pairs_.end()) return;
  Pair* old = *it;
  KeepForSave(key, old);
  key_value_bytes_ -= key.size() + old->value_length();
  pairs_.erase(it);
  std::free(old);
}

void MemoryStore::KeepForSave(std::string_view key, const Pair* old) {
  if (!saving_ || key <= std::string_view(saving_->cursor)) return;
  auto it = saving_->before.lower_bound(key);
  if (it != saving_->before.end() && it->first == key) return;  // the first change counts
  saving_->before.emplace_hint(it, key, old ? std::optional<std::string>(old->value()) : std::nullopt);
}

Result<Seq> MemoryStore::Save() {
  MutexLock one(save_mu_);
  Seq seq;
  uint64_t pairs;
  {
    WriteLock lock(mu_);
    seq = applied();
    pairs = pairs_.size() + 1;
    std::string applied_value;
    PutLe<Seq>(&applied_value, seq);
    saving_.emplace();
    saving_->before.emplace(kAppliedKey, applied_value);  // goes into the file at its place
  }
  Status status = [&]() -> Status {
    CURVEFS_TRY(auto writer, SnapshotWriter::Create(disk_, path_, pairs));
    std::string bytes;
    std::vector<std::pair<uint32_t, uint32_t>> lengths;
    for (bool more = true; more;) {
      more = NextSlice(&bytes, &lengths);
      const char* p = bytes.data();
      for (auto [key, value] : lengths) {
        CURVEFS_CHECK_OK(writer->Add({p, key}, {p + key, value}));
        p += key + value;
      }
    }
    CURVEFS_CHECK_OK(RunBarrier(seq));
    CURVEFS_CHECK_OK(RunBarrier(seq));
    return writer->Finish();
  }();
  WriteLock lock(mu_);
  saving_.reset();
  if (!status.ok()) return Fail(std::move(status));
  return seq;
}

// Copies the next pairs of the snapshot, keys and values one after another. False at the end.
bool MemoryStore::NextSlice(std::string* out, std::vector<std::pair<uint32_t, uint32_t>>* lengths) {
  out->clear();
  lengths->clear();
  ReadLock lock(mu_);
  std::string& cursor = saving_->cursor;
  auto& before = saving_->before;
  auto pair = pairs_.upper_bound(std::string_view(cursor));
  auto old = before.begin();  // all in it are behind the cursor
  std::string_view key;
  auto put = [&](std::string_view k, std::string_view v) {
    out->append(k).append(v);
    lengths->emplace_back(k.size(), v.size());
  };
  for (size_t seen = 0; seen < kSavePairs && out->size() < kSaveBytes; ++seen) {
    const bool has_pair = pair != pairs_.end(), has_old = old != before.end();
    if (!has_pair && !has_old) break;
    if (has_old && (!has_pair || old->first <= (*pair)->key())) {
      if (has_pair && old->first == (*pair)->key()) ++pair;  // as it is now, which is not what is wanted
      key = old->first;
      if (old->second) put(key, *old->second);
      ++old;
    } else {
      key = (*pair)->key();
      put(key, (*pair)->value());
      ++pair;
    }
  }
  const bool more = pair != pairs_.end() || old != before.end();
  cursor = key;
  before.erase(before.begin(), old);
  return more;
}

StoreStats MemoryStore::stats() const {
  ReadLock lock(mu_);
  // A B-tree node is about three quarters full; malloc rounds up to 16 bytes and keeps 8 for itself.
  constexpr uint64_t kPerPair = Pair::kOverhead + 8 + 8 + sizeof(Pair*) * 4 / 3;
  return {.pairs = pairs_.size(),
          .key_value_bytes = key_value_bytes_,
          .memory_bytes = key_value_bytes_ + pairs_.size() * kPerPair};
}

Status MemoryStore::Get(std::string_view key, std::string* value) const {
  ReadLock lock(mu_);
  auto it = pairs_.find(key);
  if (it == pairs_.end()) return Code::kNotFound;
  value->assign((*it)->value());
  return {};
}

Status MemoryStore::Scan(std::string_view begin, std::string_view end, const Visitor& visit) const {
  ReadLock lock(mu_);
  for (auto it = pairs_.lower_bound(begin); it != pairs_.end(); ++it) {
    std::string_view key = (*it)->key();
    if (!end.empty() && key >= end) break;
    if (!visit(key, (*it)->value())) break;
  }
  return {};
}

}  // namespace

Status KVStore::Checkpoint(const std::string&) {
  return {Code::kNotSupported, "this engine makes no copies of its state"};
}

std::unique_ptr<KVStore> MakeMemoryStore(Disk& disk, std::string dir) {
  return std::make_unique<MemoryStore>(disk, std::move(dir));
}

}  // namespace curvefs::kv
