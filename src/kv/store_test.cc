// One suite for every engine behind KVStore.
#include "kv/store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "base/limits.h"
#include "kv/snapshot.h"
#include "test/support/sim_disk.h"

namespace curvefs::kv {
namespace {

using test::SimDisk;
using Model = std::map<std::string, std::string>;

Model Dump(const View& view, std::string_view begin = "", std::string_view end = "") {
  Model model;
  std::string previous;
  Status s = view.Scan(begin, end, [&](std::string_view key, std::string_view value) {
    EXPECT_TRUE(model.empty() || previous < key) << "out of order";
    previous = key;
    model.emplace(key, value);
    return true;
  });
  EXPECT_TRUE(s.ok()) << s.ToString();
  return model;
}

void ApplyTo(Model* model, std::string_view encoded) {
  WriteBatch::ForEachTrusted(encoded, [&](RecordType type, std::string_view key, std::string_view value) {
    if (type == RecordType::kSet) {
      (*model)[std::string(key)] = value;
    } else {
      model->erase(std::string(key));
    }
  });
}

// A batch of random changes among `keys` keys.
WriteBatch RandomBatch(std::mt19937_64& random, uint64_t keys, size_t value_bytes) {
  WriteBatch batch;
  for (uint64_t n = 1 + random() % 5; n > 0; --n) {
    std::string key = "key" + std::to_string(random() % keys);
    if (random() % 4 == 0) {
      batch.Del(key);
    } else {
      batch.Set(key, std::to_string(random()) + std::string(random() % (value_bytes + 1), 'v'));
    }
  }
  return batch;
}

class StoreTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (memory()) {
      ASSERT_TRUE(disk_.MakeDir("/s").ok());
      ASSERT_TRUE(disk_.SyncDir("/").ok());
    } else {
      std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
      std::replace(name.begin(), name.end(), '/', '-');
      dir_ = std::filesystem::path(testing::TempDir()) /
             ("curvefs-store-" + name + "-" + std::to_string(getpid()));
      std::filesystem::remove_all(dir_);
      std::filesystem::create_directories(dir_);
    }
    Open();
  }
  void TearDown() override {
    store_.reset();
    if (!dir_.empty()) std::filesystem::remove_all(dir_);
  }

  bool memory() const { return GetParam() == "memory"; }
  std::unique_ptr<KVStore> Make() {
    return memory() ? MakeMemoryStore(disk_, "/s") : MakeRocksStore(dir_, {.memory_bytes = 8 << 20});
  }
  void Open() {
    store_.reset();
    store_ = Make();
    Status s = store_->Load();
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
  Seq Apply(const WriteBatch& batch) {
    Seq seq = store_->applied() + 1;
    Status s = store_->Apply(batch.encoded(), seq);
    EXPECT_TRUE(s.ok()) << s.ToString();
    return seq;
  }
  void Set(const std::string& key, const std::string& value) {
    WriteBatch batch;
    batch.Set(key, value);
    Apply(batch);
  }
  Result<std::string> Get(const std::string& key) {
    std::string value;
    Status s = store_->Get(key, &value);
    if (!s.ok()) return Fail(s);
    return value;
  }

  SimDisk disk_;
  std::string dir_;
  std::unique_ptr<KVStore> store_;
};

#ifdef __SANITIZE_THREAD__
// The packaged RocksDB is not instrumented: the sanitizer cannot see how it synchronises.
const auto kEngines = testing::Values("memory");
#else
const auto kEngines = testing::Values("memory", "rocksdb");
#endif
INSTANTIATE_TEST_SUITE_P(Engines, StoreTest, kEngines, [](const auto& info) { return info.param; });

TEST_P(StoreTest, AnEmptyDirectoryIsAnEmptyStore) {
  EXPECT_EQ(store_->applied(), 0u);
  EXPECT_TRUE(Dump(*store_).empty());
  std::string value;
  Status missing = store_->Get("a", &value);
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_TRUE(missing.message().empty());
  EXPECT_EQ(store_->Save().value(), 0u);
  Open();
  EXPECT_TRUE(Dump(*store_).empty());
}

TEST_P(StoreTest, SetGetDelete) {
  Set("a", "1");
  Set("b", "2");
  EXPECT_EQ(Get("a").value(), "1");
  Set("a", "3");  // in place
  EXPECT_EQ(Get("a").value(), "3");
  Set("a", "longer");
  EXPECT_EQ(Get("a").value(), "longer");
  Set("a", "");
  EXPECT_EQ(Get("a").value(), "");
  WriteBatch batch;
  batch.Del("a");
  batch.Del("never there");
  batch.Set("b", "first");
  batch.Set("b", "last");
  Apply(batch);
  EXPECT_EQ(Get("a").error().code(), Code::kNotFound);
  EXPECT_EQ(Get("b").value(), "last");
  EXPECT_EQ(store_->applied(), 6u);
}

TEST_P(StoreTest, ScanIsInByteOrderAndHalfOpen) {
  const Model model = {{std::string("\0", 1), "0"},
                       {std::string("\0\xff", 2), "1"},
                       {"a", "2"},
                       {"a\x01", "3"},
                       {std::string("a\0b", 3), "4"},
                       {"b", "5"},
                       {"\x80", "6"},
                       {"\xff\xff", "7"}};
  for (const auto& [key, value] : model) Set(key, value);
  EXPECT_EQ(Dump(*store_), model);
  EXPECT_EQ(Dump(*store_, "a", "b").size(), 3u);
  EXPECT_EQ(Dump(*store_, "a", PrefixEnd("a")).size(), 3u);
  EXPECT_EQ(Dump(*store_, "\xff", PrefixEnd("\xff")).size(), 1u);
  EXPECT_EQ(Dump(*store_, "b", "b").size(), 0u);
  EXPECT_EQ(Dump(*store_, "c", "a").size(), 0u);
  int seen = 0;
  ASSERT_TRUE(store_->Scan("", "", [&](auto, auto) { return ++seen < 3; }).ok());
  EXPECT_EQ(seen, 3);
}

TEST_P(StoreTest, AVisitorMayRead) {
  for (int i = 0; i < 10; ++i) Set("k" + std::to_string(i), std::to_string(i));
  std::atomic<bool> stop = false;
  std::jthread writer([&] {  // a waiting writer must not come between the two reads of one thread
    while (!stop) Set("w", "w");
  });
  for (int round = 0; round < 200; ++round) {
    int found = 0;
    ASSERT_TRUE(store_
                    ->Scan("k", "l",
                           [&](std::string_view key, std::string_view) {
                             std::string value;
                             found += store_->Get(key, &value).ok();
                             found += store_->Scan(key, "l", [](auto, auto) { return false; }).ok();
                             return true;
                           })
                    .ok());
    ASSERT_EQ(found, 20);
  }
  stop = true;
}

TEST_P(StoreTest, LimitsFit) {
  const std::string key(kMaxKey, '\xff'), value(kMaxValue, '\0');
  Set(key, value);
  EXPECT_EQ(Get(key).value(), value);
  ASSERT_TRUE(store_->Save().has_value());
  Open();
  EXPECT_EQ(Get(key).value(), value);
}

TEST_P(StoreTest, WhereItStandsIsNoPair) {
  Set("a", "1");
  ASSERT_TRUE(store_->Save().has_value());
  Open();
  EXPECT_EQ(Get(std::string(kAppliedKey)).error().code(), Code::kNotFound);
  EXPECT_EQ(Dump(*store_), (Model{{"a", "1"}}));
  if (!memory()) return;  // RocksDB's threads and the fork of a death test do not go together
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  WriteBatch batch;
  batch.Set(kAppliedKey, "x");
  EXPECT_DEATH((void)store_->Apply(batch.encoded(), 9), "check failed");
  EXPECT_DEATH((void)store_->Apply({}, 1), "check failed");  // not greater than before
}

TEST_P(StoreTest, SaveKeepsStateAndNumberTogether) {
  std::mt19937_64 random(1);
  Model model;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 300; ++i) {
      WriteBatch batch = RandomBatch(random, 200, 100);
      Apply(batch);
      ApplyTo(&model, batch.encoded());
    }
    const Seq seq = store_->applied();
    auto saved = store_->Save();
    ASSERT_TRUE(saved.has_value()) << saved.error().ToString();
    EXPECT_EQ(*saved, seq);
    Open();
    EXPECT_EQ(store_->applied(), seq);
    EXPECT_EQ(Dump(*store_), model);
    if (memory()) {
      EXPECT_EQ(store_->stats().pairs, model.size());
      uint64_t bytes = 0;
      for (const auto& [key, value] : model) bytes += key.size() + value.size();
      EXPECT_EQ(store_->stats().key_value_bytes, bytes);
    }
    EXPECT_GT(store_->stats().memory_bytes, 0u);
  }
}

// Each batch gives ten keys one value: a reader must never see two.
TEST_P(StoreTest, ReadersSeeWholeBatches) {
  auto batch_of = [](uint64_t i) {
    WriteBatch batch;
    for (int k = 0; k < 10; ++k) batch.Set("k" + std::to_string(k), std::to_string(i));
    return batch;
  };
  Apply(batch_of(0));
  std::atomic<bool> stop = false;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        auto model = Dump(*store_, "k", "l");
        ASSERT_EQ(model.size(), 10u);
        for (const auto& [key, value] : model) ASSERT_EQ(value, model.begin()->second);
        Seq applied = store_->applied();
        std::string value;
        ASSERT_TRUE(store_->Get("k5", &value).ok());
        ASSERT_GE(std::stoull(value) + 1, applied);  // what applied() says is there
        (void)store_->stats();
      }
    });
  }
  threads.emplace_back([&] {
    while (!stop) ASSERT_TRUE(store_->Save().has_value());
  });
  for (uint64_t i = 1; i <= 1500; ++i) Apply(batch_of(i));
  stop = true;
}

// Saves while another thread writes: what comes back is exactly the state of a number, not earlier than the
// one returned.
TEST_P(StoreTest, SaveUnderWritesIsAMomentThatExisted) {
  std::mt19937_64 random(7);
  std::vector<std::string> batches;
  Model model;
  for (int round = 0; round < 4; ++round) {
    std::atomic<bool> stop = false;
    Result<Seq> saved = Seq{0};
    std::jthread writer([&] {
      while (!stop || batches.size() % 500 != 0) {
        WriteBatch batch = RandomBatch(random, 5000, 300);
        batches.emplace_back(batch.encoded());
        ASSERT_TRUE(store_->Apply(batch.encoded(), batches.size()).ok());
      }
    });
    while (store_->applied() < Seq(round) * 1000 + 700) std::this_thread::yield();
    for (int i = 0; i < 3; ++i) saved = store_->Save();
    stop = true;
    writer.join();
    ASSERT_TRUE(saved.has_value());
    Open();
    EXPECT_GE(store_->applied(), *saved);
    if (memory()) {
      EXPECT_EQ(store_->applied(), *saved);
    }
    batches.resize(store_->applied());
    model.clear();
    for (const std::string& batch : batches) ApplyTo(&model, batch);
    ASSERT_EQ(Dump(*store_), model);
  }
}

TEST_P(StoreTest, BarrierComesBeforeDurableState) {
  std::atomic<int> calls = 0;
  std::atomic<Seq> asked = 0;
  std::atomic<bool> fail = false;
  store_.reset();
  store_ = Make();
  store_->SetBarrier([&](Seq upto) {
    ++calls;
    asked = std::max<Seq>(asked, upto);
    return fail ? Status(Code::kIo, "not durable") : Status();
  });
  ASSERT_TRUE(store_->Load().ok());
  Set("a", "1");
  Set("b", "1");
  ASSERT_TRUE(store_->Save().has_value());
  EXPECT_GT(calls, 0);
  EXPECT_EQ(asked, 2u);
  Set("c", "1");
  fail = true;
  auto refused = store_->Save();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message(), "not durable");
  Open();  // the state before
  EXPECT_EQ(store_->applied(), 2u);
  EXPECT_EQ(Dump(*store_).size(), 2u);
}

// ---- RocksDB alone: it writes on its own account when its buffers are full

using RocksStoreTest = StoreTest;
#ifndef __SANITIZE_THREAD__
INSTANTIATE_TEST_SUITE_P(Rocks, RocksStoreTest, testing::Values("rocksdb"));
#endif
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RocksStoreTest);

TEST_P(RocksStoreTest, ItsOwnFlushesWaitForTheBarrierToo) {
  std::promise<void> refused;
  std::atomic<int> refusals = 0;
  std::atomic<bool> fail = true;
  store_.reset();
  store_ = Make();
  store_->SetBarrier([&](Seq) {
    if (!fail) return Status();
    if (refusals++ == 0) refused.set_value();
    return Status(Code::kIo, "not durable");
  });
  ASSERT_TRUE(store_->Load().ok());
  for (int i = 0; i < 20; ++i) Set("k" + std::to_string(i), std::string(100'000, 'v'));  // two buffers
  refused.get_future().wait();
  Open();  // the flush is held up, and ends without effect when the store is closed
  EXPECT_EQ(store_->applied(), 0u);
  EXPECT_TRUE(Dump(*store_).empty());

  // Once the barrier succeeds the flush goes on; what it leaves is a state that existed.
  store_.reset();
  store_ = Make();
  fail = false;
  std::promise<Seq> asked;
  bool once = false;
  store_->SetBarrier([&](Seq upto) {
    if (!std::exchange(once, true)) asked.set_value(upto);
    return Status();
  });
  ASSERT_TRUE(store_->Load().ok());
  for (int i = 0; i < 20; ++i) Set("k" + std::to_string(i), std::string(100'000, 'v'));
  Seq upto = asked.get_future().get();
  EXPECT_GT(upto, 5u);
  Open();
  EXPECT_EQ(Dump(*store_).size(), store_->applied());
}

#ifndef __SANITIZE_THREAD__
TEST_P(RocksStoreTest, OnlyALockedStoreIsBusy) {
  EXPECT_EQ(MakeRocksStore(dir_, {})->Load().code(), Code::kBusy);
  // Not one whose path, or what is wrong with it, has to do with blocks and clocks.
  const std::string path = dir_ + "/block";
  ASSERT_TRUE(Disk::Posix().WriteFileAtomically(path, "in the way").ok());
  const Status s = MakeRocksStore(path, {})->Load();
  EXPECT_EQ(s.code(), Code::kIo) << s.ToString();
}
#endif

// ---- The memory engine alone

class MemoryStoreTest : public testing::Test {
 protected:
  MemoryStoreTest() { EXPECT_TRUE(disk_.MakeDir("/s").ok() && disk_.SyncDir("/").ok()); }
  SimDisk disk_;
};

// Changes arrive exactly between the slices of a Save: behind the scan, before it, at its edge.
TEST_F(MemoryStoreTest, SaveIsExactWhateverHappensBetweenItsSlices) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    std::mt19937_64 random(seed);
    auto store = MakeMemoryStore(disk_, "/s");
    ASSERT_TRUE(disk_.Files().empty());
    Model model;
    while (store->applied() < 4000) {
      WriteBatch batch = RandomBatch(random, 8000, 1500);
      ASSERT_TRUE(store->Apply(batch.encoded(), store->applied() + 1).ok());
      ApplyTo(&model, batch.encoded());
    }
    int writes = 0;
    Model now = model;
    disk_.SetHook([&](SimDisk::Op op, const std::string&) {  // on Save's thread, no lock held
      if (op != SimDisk::Op::kWrite) return;
      ++writes;
      for (int i = 0; i < 300; ++i) {
        WriteBatch batch = RandomBatch(random, 9000, 1500);
        ASSERT_TRUE(store->Apply(batch.encoded(), store->applied() + 1).ok());
        ApplyTo(&now, batch.encoded());
      }
    });
    EXPECT_EQ(store->Save().value(), 4000u);
    disk_.SetHook(nullptr);
    EXPECT_GE(writes, 4);
    EXPECT_EQ(Dump(*store), now);
    auto loaded = MakeMemoryStore(disk_, "/s");
    ASSERT_TRUE(loaded->Load().ok());
    EXPECT_EQ(loaded->applied(), 4000u);
    EXPECT_TRUE(Dump(*loaded) == model) << "seed " << seed;
    EXPECT_FALSE(Dump(*loaded) == now) << "canary: the writes between the slices were seen to matter";
    EXPECT_EQ(store->Save().value(), store->applied());
    disk_.RemoveDurably("/s/snapshot");
  }
}

TEST_F(MemoryStoreTest, AFailedSaveChangesNothingDurable) {
  auto store = MakeMemoryStore(disk_, "/s");
  WriteBatch batch;
  batch.Set("a", "1");
  ASSERT_TRUE(store->Apply(batch.encoded(), 1).ok());
  ASSERT_TRUE(store->Save().has_value());
  ASSERT_TRUE(store->Apply(batch.encoded(), 2).ok());
  disk_.SetCapacity(disk_.used_bytes());
  EXPECT_EQ(store->Save().error().code(), Code::kNoSpace);
  disk_.Crash(1);
  store = MakeMemoryStore(disk_, "/s");
  ASSERT_TRUE(store->Load().ok());
  EXPECT_EQ(store->applied(), 1u);
}

TEST_F(MemoryStoreTest, ADamagedSnapshotIsRefused) {
  auto store = MakeMemoryStore(disk_, "/s");
  WriteBatch batch;
  batch.Set("a", "1");
  ASSERT_TRUE(store->Apply(batch.encoded(), 1).ok());
  ASSERT_TRUE(store->Save().has_value());
  auto bytes = disk_.Files().at("/s/snapshot");
  bytes[bytes.size() / 2] ^= 1;
  disk_.SetContent("/s/snapshot", bytes);
  Status s = MakeMemoryStore(disk_, "/s")->Load();
  EXPECT_EQ(s.code(), Code::kCorrupt);
  EXPECT_NE(s.message().find("/s/snapshot"), std::string::npos);
}

}  // namespace
}  // namespace curvefs::kv
