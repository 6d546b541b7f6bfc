// DataCache against plain bytes: random operations by seed, with failures; then many threads at once.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "base/limits.h"
#include "data/data_cache.h"
#include "test/support/fake_chunk_index.h"
#include "test/support/fault_object_store.h"

namespace curvefs::data {
namespace {

std::string Text(const BufferList& list) {
  std::string out(TotalSize(list), '\0');
  CopyOut(list, out.data());
  return out;
}

// A file and what it should hold.
class Model {
 public:
  Model(uint32_t seed, DataOptions options, test::ObjectFaults faults)
      : base_(seed % 6 == 0 ? kChunkSize - (6 << 20) : 2 << 20),
        span_(base_ + (9 << 20)),
        random_(seed),
        faults_(faults),
        memory_(object::MakeMemoryObjectStore()),
        objects_(*memory_, seed),
        index_(objects_),
        cache_(std::make_unique<DataCache>(index_, objects_, options)) {
    index_.Create(kFile);
  }

  // A random operation. Returns what went wrong, empty if nothing.
  std::string Step() {
    objects_.SetFaults(Below(2) == 0 ? faults_ : test::ObjectFaults{});
    switch (Below(20)) {
      default:
        return Write();
      case 0:
      case 1:
        return Truncate();
      case 2:
        return Punch();
      case 3:
      case 4:
      case 5: {
        if (faults_.put_fails > 0 && Below(4) == 0) index_.FailAppends(1, Code::kIo);
        const Status s = cache_->Flush(kFile, Below(2) == 0);
        index_.FailAppends(0, Code::kOk);
        if (!s.ok() && s.code() != Code::kIo) return "flush: " + s.ToString();
        if (s.ok() && cache_->IsDirty(kFile)) return "dirty after a flush";
        return {};
      }
      case 6: {
        const Status s = cache_->Compact(kFile, static_cast<uint32_t>(Below(span_ / kChunkSize + 1)));
        return s.ok() || s.code() == Code::kIo ? std::string() : "compact: " + s.ToString();
      }
      case 7:
        cache_->DropClean();
        return {};
      case 8:
      case 9:
      case 10:
      case 11:
      case 12:
      case 13:
        return CheckSome();
    }
  }

  std::string CheckAll() {
    objects_.SetFaults({});
    if (std::string wrong = Check(0, bytes_.size() + 10); !wrong.empty()) return wrong;
    if (Status s = cache_->FlushAll(); !s.ok()) return "final flush: " + s.ToString();
    cache_->DropClean();
    if (std::string wrong = Check(0, bytes_.size() + 10); !wrong.empty())
      return "after the final flush: " + wrong;
    cache_.reset();
    // No object is missing, none is left over (a delete that failed may leave some).
    std::set<object::ObjectName> there;
    (void)objects_.List(ChunkId(0), [&](const auto& n) { return there.insert(n).second; }, nullptr);
    const auto used = index_.Objects();
    for (const auto& n : used) {
      if (!there.contains(n)) return "missing object " + n.ToString();
    }
    if (faults_.delete_fails == 0 && there.size() != used.size()) return "left-over objects";
    return {};
  }

  void Spoil() { bytes_[bytes_.size() / 2] ^= 1; }  // for the canary
  bool empty() const { return bytes_.empty(); }
  DataStats stats() const { return cache_->stats(); }

 private:
  static constexpr InodeId kFile{3};
  // Where most of the data lies: around borders of blocks, or, as its long file of zeros costs time, now and
  // then around one of chunks.
  const uint64_t base_;
  const uint64_t span_;

  uint64_t Below(uint64_t n) { return random_() % n; }
  uint64_t Somewhere() {
    switch (Below(4)) {
      case 0:
        return Below(6000);  // where small files live
      case 1:
        return tail_;  // appends
      default:
        return base_ + Below(span_ - base_);  // a border of chunks and blocks
    }
  }
  uint64_t Size() {
    switch (Below(8)) {
      case 0:
        return 1 + Below(3 << 20);
      case 1:
        return 1 + Below(200'000);
      case 2:
        return 4096;
      default:
        return 1 + Below(5000);
    }
  }
  uint64_t Length() {
    const uint64_t dirty = cache_->DirtyEnd(kFile);
    return std::max(dirty, index_.Length(kFile));
  }

  std::string Write() {
    const uint64_t offset = small_ ? Below(3000) : Somewhere();
    const uint64_t n = small_ ? 1 + Below(1000) : Size();
    if (offset + n > span_) return {};
    if (bytes_.size() < offset + n) bytes_.resize(offset + n);
    Status s;
    if (Below(12) == 0) {
      s = cache_->Write(kFile, offset, BufferSlice::Zeros(n));
      bytes_.replace(offset, n, n, '\0');
    } else {
      std::string data(n, '\0');
      uint64_t x = random_();
      for (auto& c : data) c = static_cast<char>((x = x * 6364136223846793005u + 1442695040888963407u) >> 56);
      BufferSlice slice = BufferSlice::CopyOf(data);
      if (Below(5) == 0) {  // part of a larger buffer
        BufferSlice large{Buffer::Make(n + 10'000), 5000, n};
        std::copy(data.begin(), data.end(), large.buffer->data() + 5000);
        slice = large;
      }
      s = cache_->Write(kFile, offset, std::move(slice));
      bytes_.replace(offset, n, data);
    }
    tail_ = offset + n;
    return s.ok() ? std::string() : "write: " + s.ToString();
  }

  std::string Truncate() {
    const uint64_t length = Below(3) == 0 ? Below(8000) : Somewhere();
    small_ = length < 4000 && Below(2) == 0;
    const bool fails = Below(8) == 0;
    const uint64_t before = Length();
    Status s = cache_->Change(kFile, length, ~uint64_t{0}, [&]() -> Status {
      if (fails) return Code::kNoSpace;
      return index_.Truncate(kFile, length);
    });
    if (s.ok() == fails) return "truncate: " + s.ToString();
    if (!fails) bytes_.resize(length);
    if (fails && Length() != before) return "a failed truncate changed the length";
    return {};
  }

  std::string Punch() {
    const uint64_t offset = Somewhere(), n = Size();
    if (offset + n > bytes_.size()) return {};
    Status s = cache_->Change(kFile, offset, n, [&] { return index_.Punch(kFile, offset, n); });
    // A punched hole at the end of what was only dirty must not shorten the file: the caller sees to that.
    bytes_.replace(offset, n, n, '\0');
    if (Length() < bytes_.size()) {
      s = cache_->Write(kFile, bytes_.size() - 1, BufferSlice::Zeros(1));
    }
    return s.ok() ? std::string() : "punch: " + s.ToString();
  }

  std::string CheckSome() {
    const uint64_t offset = Somewhere();
    return Check(offset, Size());
  }

  std::string Check(uint64_t offset, uint64_t n) {
    const uint64_t length = Length();
    if (length != bytes_.size()) {
      return "length " + std::to_string(length) + ", should be " + std::to_string(bytes_.size());
    }
    auto list = cache_->Read(kFile, offset, n, length, Below(2) ? &stream_ : nullptr);
    if (!list) {
      return faults_.read_fails > 0 && list.error().code() == Code::kIo ? std::string()
                                                                        : "read: " + list.error().ToString();
    }
    const std::string expected = offset < bytes_.size() ? bytes_.substr(offset, n) : std::string();
    if (Text(*list) != expected)
      return "wrong bytes in " + std::to_string(offset) + " + " + std::to_string(n);
    if (offset < bytes_.size()) {
      auto hole = cache_->SeekHole(kFile, offset, length);
      auto data = cache_->SeekData(kFile, offset, length);
      if (!hole || (*hole > offset && data != offset)) return "seek disagrees with itself";
      const std::string_view gap =
          std::string_view(bytes_).substr(offset, data ? std::min<uint64_t>(*data - offset, 1 << 16) : 0);
      if (gap.find_first_not_of('\0') != std::string_view::npos) {
        return "there is data before SEEK_DATA's answer";
      }
    }
    return {};
  }

  std::mt19937_64 random_;
  const test::ObjectFaults faults_;
  std::unique_ptr<object::ObjectStore> memory_;
  test::FaultObjectStore objects_;
  test::FakeChunkIndex index_;
  std::unique_ptr<DataCache> cache_;
  std::string bytes_;
  ReadStream stream_;
  uint64_t tail_ = 0;
  bool small_ = true;
};

DataOptions Options(uint32_t seed) {
  DataOptions o;
  o.write_cache_bytes = 16 << 20;
  o.read_cache_bytes = seed % 3 == 0 ? 1 << 20 : 64 << 20;
  o.flush_age = seed % 2 == 0 ? Duration(1) : Duration(std::chrono::hours(1));
  if (seed % 5 == 0) o.inline_max = 0;
  if (seed % 7 == 0) o.staged_max = 0;
  return o;
}

class DataCacheModel : public testing::TestWithParam<uint32_t> {};

TEST_P(DataCacheModel, RandomOperations) {
  Model model(GetParam(), Options(GetParam()), {.yields = 0.1});
  for (int step = 0; step < 400; ++step) {
    const std::string wrong = model.Step();
    ASSERT_EQ(wrong, "") << "step " << step;
    ASSERT_LE(model.stats().dirty_bytes + model.stats().flushing_bytes, 16u << 20);
  }
  EXPECT_EQ(model.CheckAll(), "");
}

TEST_P(DataCacheModel, RandomOperationsOnAFailingStore) {
  Model model(GetParam() + 1000, Options(GetParam()),
              {.put_fails = 0.2, .put_fails_after = 0.1, .read_fails = 0.05, .yields = 0.1});
  for (int step = 0; step < 400; ++step) {
    const std::string wrong = model.Step();
    // A cache that is full and cannot be flushed refuses the write; how much of it was taken is not known.
    if (wrong.find("write: ") == 0 && wrong.find("injected") != std::string::npos) return;
    ASSERT_EQ(wrong, "") << "step " << step;
  }
  EXPECT_EQ(model.CheckAll(), "");
}

INSTANTIATE_TEST_SUITE_P(Seeds, DataCacheModel, testing::Range(1u, 17u));

// Canary: the check does see one wrong bit.
TEST(DataCacheModelCanary, OneWrongBitIsSeen) {
  Model model(1, Options(1), {});
  for (int step = 0; step < 200; ++step) ASSERT_EQ(model.Step(), "");
  while (model.empty()) ASSERT_EQ(model.Step(), "");
  model.Spoil();
  EXPECT_NE(model.CheckAll(), "");
}

// Each byte of a region is written with one value per round by one writer; a reader may see old and new
// values but never one that goes back in time, nor one that was never written.
TEST(DataCacheThreads, WritersReadersFlusherCompactor) {
  constexpr InodeId kFile{9};
  constexpr uint64_t kRegion = 256 << 10;
  constexpr int kWriters = 3;
  constexpr int kRounds = 60;
  auto memory = object::MakeMemoryObjectStore();
  test::FaultObjectStore objects(*memory, 5, {.put_fails = 0.05, .yields = 0.2});
  test::FakeChunkIndex index(objects);
  index.Create(kFile);
  DataOptions options;
  options.write_cache_bytes = 8 << 20;
  options.read_cache_bytes = 4 << 20;
  options.flush_age = std::chrono::milliseconds(1);
  DataCache cache(index, objects, options);
  ASSERT_TRUE(cache.Write(kFile, 0, BufferSlice::CopyOf(std::string(kWriters * kRegion, 1))).ok());

  std::atomic<int> writing{kWriters};
  std::array<std::atomic<int>, kWriters> round{};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int w = 0; w < kWriters; ++w) {
    threads.emplace_back([&, w] {
      std::mt19937 random(static_cast<uint32_t>(w));
      for (int r = 2; r < kRounds; ++r) {
        for (uint64_t at = 0; at < kRegion;) {
          const uint64_t n = std::min<uint64_t>(kRegion - at, 1 + random() % 40'000);
          const uint64_t offset = static_cast<uint64_t>(w) * kRegion + at;
          // The store fails now and then: a refused write is repeated.
          while (
              !cache.Write(kFile, offset, BufferSlice::CopyOf(std::string(n, static_cast<char>(r)))).ok()) {
          }
          at += n;
        }
        round[static_cast<size_t>(w)] = r;
      }
      --writing;
    });
  }
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937 random(static_cast<uint32_t>(i + 100));
      ReadStream stream;
      while (writing > 0) {
        const size_t w = random() % kWriters;
        const int least = std::max(1, round[w].load());
        const uint64_t at = random() % kRegion;
        auto list = cache.Read(kFile, w * kRegion + at, std::min<uint64_t>(kRegion - at, 20'000),
                               kWriters * kRegion, &stream);
        if (!list) {
          ++wrong;
          ADD_FAILURE() << list.error().ToString();
          break;
        }
        const int most = round[w].load() + 2;
        for (char c : Text(*list)) {
          if (c < least || c > most) ++wrong;
        }
      }
    });
  }
  threads.emplace_back([&] {
    while (writing > 0) (void)cache.Flush(kFile, true);
  });
  threads.emplace_back([&] {
    while (writing > 0) (void)cache.Compact(kFile, 0);
  });
  threads.emplace_back([&] {
    while (writing > 0) {
      EXPECT_TRUE(cache.Change(kFile, 1 << 30, 10, [] { return Status(); }).ok());
      const DataStats s = cache.stats();
      if (s.dirty_bytes + s.flushing_bytes > options.write_cache_bytes) ++wrong;
      std::this_thread::yield();
    }
  });
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
  objects.SetFaults({});
  ASSERT_TRUE(cache.FlushAll().ok());
  auto list = cache.Read(kFile, 0, kWriters * kRegion, index.Length(kFile), nullptr);
  ASSERT_TRUE(list) << list.error().ToString();
  EXPECT_EQ(Text(*list), std::string(kWriters * kRegion, kRounds - 1));
}

TEST(DataCacheThreads, ManyFilesComeAndGo) {
  auto memory = object::MakeMemoryObjectStore();
  test::FaultObjectStore objects(*memory, 5, {.yields = 0.2});
  test::FakeChunkIndex index(objects);
  DataOptions options;
  options.write_cache_bytes = 8 << 20;
  options.flush_age = std::chrono::milliseconds(1);
  DataCache cache(index, objects, options);
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 300; ++i) {
        const InodeId inode(t * 1000 + i + 1);
        const std::string bytes((i % 3 + 1) * 3000, static_cast<char>('a' + i % 26));
        index.Create(inode);
        EXPECT_TRUE(cache.Write(inode, 0, BufferSlice::CopyOf(bytes)).ok());
        if (i % 4 == 0) {
          EXPECT_TRUE(cache.Flush(inode, i % 8 == 0).ok());
        }
        auto list = cache.Read(inode, 0, bytes.size(), bytes.size(), nullptr);
        EXPECT_TRUE(list && Text(*list) == bytes);
        if (i % 2 == 0) {
          index.Remove(inode);
          cache.Forget(inode);
        }
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_TRUE(cache.FlushAll().ok());
  for (uint64_t t = 0; t < 4; ++t) {
    for (uint64_t i = 1; i < 300; i += 2) {
      const std::string bytes((i % 3 + 1) * 3000, static_cast<char>('a' + i % 26));
      auto list = cache.Read(InodeId(t * 1000 + i + 1), 0, bytes.size(), bytes.size(), nullptr);
      ASSERT_TRUE(list && Text(*list) == bytes);
    }
  }
  EXPECT_EQ(cache.stats().dirty_bytes, 0u);
}

}  // namespace
}  // namespace curvefs::data
