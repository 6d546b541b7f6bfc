// A store and its journal, as a copyset runs them, on a disk that crashes, fails and fills up at random
// moments.
//
// After every crash: everything that Sync or Save acknowledged is there, and the state is one that existed.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "kv/journal_test_support.h"
#include "kv/store.h"

namespace curvefs::kv {
namespace {

using test::SimDisk;

class CrashRun {
 public:
  explicit CrashRun(uint64_t seed) : random_(seed), disk_(NewDisk()) {
    store_waits_for_log_ = Chance(50);
    failures_ = Chance(50);
    disk_->SetFailedSyncKeeps(Chance(50) ? SimDisk::Keep::kSome : SimDisk::Keep::kNothing);
  }

  SimDisk& disk() { return *disk_; }

  // Empty if all went well, else what did not.
  std::string Run(int steps) {
    if (!Open()) return error_;
    for (int i = 0; i < steps && error_.empty(); ++i) Step();
    return error_;
  }

 private:
  bool Chance(int percent) { return static_cast<int>(random_() % 100) < percent; }

  void Step() {
    uint64_t dice = random_() % 100;
    if (dice < 55) {
      Append();
    } else if (dice < 75) {
      Seq upto = journal_->last() - random_() % 3 % (journal_->last() + 1);
      if (journal_->Sync(upto).ok()) acknowledged_ = std::max(acknowledged_, upto);
    } else if (dice < 85) {
      auto saved = store_->Save();
      if (!saved) return;
      acknowledged_ = std::max(acknowledged_, *saved);
      (void)journal_->TrimTo(*saved);
    } else if (dice < 92 && failures_) {
      auto op = static_cast<SimDisk::Op>(random_() % static_cast<uint64_t>(SimDisk::Op::kCount_));
      disk_->FailNth(op, 1 + random_() % 5, Code::kIo, 1 + random_() % 3);
      if (Chance(20)) disk_->SetCapacity(disk_->used_bytes() + random_() % 20'000);
    } else if (dice < 97) {
      static constexpr SimDisk::Keep kKeeps[] = {SimDisk::Keep::kNothing, SimDisk::Keep::kEverything,
                                                 SimDisk::Keep::kSome, SimDisk::Keep::kSome};
      Close();
      disk_->Crash(random_(), kKeeps[random_() % 4]);
      Open();
    } else {  // only the process ends
      Close();
      Open();
    }
  }

  void Append() {
    WriteBatch batch;
    for (uint64_t n = 1 + random_() % 4; n > 0; --n) {
      std::string key = "k" + std::to_string(random_() % 20);
      if (Chance(25)) {
        batch.Del(key);
      } else {
        batch.Set(key, std::to_string(random_()) + std::string(random_() % 300, 'v'));
      }
    }
    auto seq = journal_->Append(batch.encoded());
    if (!seq) return;
    if (*seq != batches_.size() + 1) error_ = "append gave out number " + std::to_string(*seq);
    batches_.emplace_back(batch.encoded());
    if (!store_->Apply(batch.encoded(), *seq).ok()) error_ = "apply failed";
  }

  void Close() {
    journal_.reset();
    store_.reset();
    disk_->ClearFaults();
    disk_->SetCapacity(~uint64_t{0});
  }

  bool Open() {
    store_ = MakeMemoryStore(*disk_, kDir);
    store_->SetBarrier([this](Seq upto) {
      if (!store_waits_for_log_) return Status();
      Status s = journal_->Sync(upto);
      return s;
    });
    if (Status s = store_->Load(); !s.ok()) return Wrong("load: " + s.ToString());
    const Seq saved = store_->applied();
    JournalRecovery recovery;
    auto journal = Journal::Open(
        *disk_, kDir, saved,
        [&](Seq seq, std::string_view encoded) {
          if (seq != store_->applied() + 1) return Status(Code::kInvalid, "replay out of order");
          return store_->Apply(encoded, seq);
        },
        SmallSegments(6000), &recovery);
    if (!journal) return Wrong("open: " + journal.error().ToString());
    journal_ = *std::move(journal);
    const Seq last = store_->applied();
    if (last != journal_->last() || last != recovery.last) return Wrong("store and journal differ");
    if (last < acknowledged_) {
      return Wrong("lost: acknowledged " + std::to_string(acknowledged_) + ", there is " +
                   std::to_string(last));
    }
    if (last > batches_.size()) return Wrong("more than was ever there");
    batches_.resize(last);
    acknowledged_ = last;
    return SameState();
  }

  bool SameState() {
    std::map<std::string, std::string> model, state;
    for (const std::string& batch : batches_) {
      WriteBatch::ForEachTrusted(batch, [&](RecordType type, std::string_view key, std::string_view value) {
        if (type == RecordType::kSet) {
          model[std::string(key)] = value;
        } else {
          model.erase(std::string(key));
        }
      });
    }
    Status s = store_->Scan("", "", [&](std::string_view key, std::string_view value) {
      state[std::string(key)] = value;
      return true;
    });
    return (s.ok() && state == model) ||
           Wrong("the state is not that after " + std::to_string(batches_.size()));
  }

  bool Wrong(std::string what) {
    error_ = std::move(what);
    return false;
  }

  std::mt19937_64 random_;
  std::unique_ptr<SimDisk> disk_;
  bool store_waits_for_log_, failures_;
  std::unique_ptr<KVStore> store_;
  std::unique_ptr<Journal> journal_;
  std::vector<std::string> batches_;  // batches_[i] has number i + 1
  Seq acknowledged_ = 0;
  std::string error_;
};

#ifdef __SANITIZE_THREAD__
constexpr uint64_t kSeeds = 40;  // one thread only, and slow
#else
constexpr uint64_t kSeeds = 400;
#endif

TEST(JournalCrashTest, NothingAcknowledgedIsLost) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CrashRun run(seed);
    ASSERT_EQ(run.Run(200), "") << "seed " << seed;
  }
}

// Canary: on a disk whose syncs do nothing the same check must fail, and soon.
TEST(JournalCrashTest, CanaryADiskThatLiesIsFoundOut) {
  int found = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CrashRun run(seed);
    run.disk().SetSyncsAreLies(true);
    found += !run.Run(200).empty();
  }
  EXPECT_GE(found, 15);
}

}  // namespace
}  // namespace curvefs::kv
