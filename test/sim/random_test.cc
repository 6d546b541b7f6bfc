// Lives by the hundred, fixed and changing members, and canaries: mistakes that the simulator must notice.
//
//   CURVEFS_SIM_SEEDS=5000       how many seeds of each sort
//   CURVEFS_SIM_SEED=17          only this one, with CURVEFS_SIM_TRACE=1 in all detail
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "test/sim/random_run.h"

namespace curvefs::sim {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

void RunMany(const char* name, RunOptions options) {
  const bool change_members = options.change_members;
  uint64_t first = 1, count = FromEnvironment("CURVEFS_SIM_SEEDS", 50);
  if (uint64_t only = FromEnvironment("CURVEFS_SIM_SEED", 0); only > 0) first = only, count = 1;
  RunResult sum;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    options.seed = seed;
    options.trace = FromEnvironment("CURVEFS_SIM_TRACE", 0) != 0;
    RunResult result = RunSeed(options);
    EXPECT_EQ(result.failure, "") << "replay: CURVEFS_SIM_SEED=" << seed
                                  << " CURVEFS_SIM_TRACE=1 sim_test --gtest_filter=Random." << name;
    sum.events += result.events;
    sum.acknowledged += result.acknowledged;
    sum.reads += result.reads;
    sum.crashes += result.crashes;
    sum.snapshots += result.snapshots;
    sum.changes += result.changes;
    sum.repeated += result.repeated;
    sum.fenced += result.fenced;
    sum.early += result.early;
    sum.replayed += result.replayed;
    sum.redone += result.redone;
    sum.asleep += result.asleep;
  }
  std::printf(
      "%llu seeds: %llu events, %llu writes acknowledged, %llu reads, %llu crashes, %llu snapshots "
      "installed, %llu changes of members, %llu ticks asleep\n",
      static_cast<unsigned long long>(count), static_cast<unsigned long long>(sum.events),
      static_cast<unsigned long long>(sum.acknowledged), static_cast<unsigned long long>(sum.reads),
      static_cast<unsigned long long>(sum.crashes), static_cast<unsigned long long>(sum.snapshots),
      static_cast<unsigned long long>(sum.changes), static_cast<unsigned long long>(sum.asleep));
  if (options.sessions) {
    std::printf("%llu requests sent again, %llu sessions fenced\n",
                static_cast<unsigned long long>(sum.repeated), static_cast<unsigned long long>(sum.fenced));
  }
  if (options.early) {
    std::printf("%llu early answers, %llu sent again to another leader, %llu of them done anew\n",
                static_cast<unsigned long long>(sum.early), static_cast<unsigned long long>(sum.replayed),
                static_cast<unsigned long long>(sum.redone));
  }
  // A life in which nothing happens proves nothing.
  if (count < 10) return;
  if (options.early) {
    EXPECT_GT(sum.early, 20 * count);
    EXPECT_GT(sum.redone, options.cut_leaders ? count : count / 20);
  } else {
    EXPECT_GT(sum.acknowledged, 50 * count);
  }
  if (options.sessions) {
    EXPECT_GT(sum.repeated, 5 * count);
  }
  if (!options.cut_leaders) {
    EXPECT_GT(sum.crashes, 2 * count);
  }
  EXPECT_GT(sum.snapshots, count / 5);
  EXPECT_GT(sum.asleep, 10 * count);
  if (change_members) {
    EXPECT_GT(sum.changes, count);
  }
}

TEST(Random, FixedMembers) {
  RunMany("FixedMembers", {});
}
TEST(Random, ChangingMembers) {
  RunMany("ChangingMembers", {.change_members = true});
}
TEST(Random, Leases) {
  RunMany("Leases", {.lease = true});
}
TEST(Random, LeasesAndChangingMembers) {
  RunMany("LeasesAndChangingMembers", {.change_members = true, .lease = true});
}
// Metadata operations on real copysets.
TEST(Random, Copysets) {
  RunMany("Copysets", {.change_members = true, .copyset = true});
}
// Requests of sessions, sent again and again.
TEST(Random, Sessions) {
  RunMany("Sessions", {.copyset = true, .sessions = true});
}
TEST(Random, SessionsLeasesAndChangingMembers) {
  RunMany("SessionsLeasesAndChangingMembers",
          {.change_members = true, .copyset = true, .sessions = true, .lease = true});
}

// Answers before the commit: what a leader takes with it is sent again to the next.
TEST(Random, EarlyAnswers) {
  RunMany("EarlyAnswers", {.copyset = true, .sessions = true, .early = true, .lease = true});
}
TEST(Random, EarlyAnswersAndChangingMembers) {
  RunMany("EarlyAnswersAndChangingMembers",
          {.change_members = true, .copyset = true, .sessions = true, .early = true, .lease = true});
}

// Leaders that nobody hears, but their clients: they answer as long as nobody else can lead.
TEST(Random, EarlyAnswersOfLeadersThatAreCutOff) {
  RunMany("EarlyAnswersOfLeadersThatAreCutOff",
          {.copyset = true, .sessions = true, .early = true, .lease = true, .cut_leaders = true});
}

// Lives that ended badly once.
TEST(Simulator, SeedsThatFoundSomething) {
  // Reads that waited while the members changed under the leader were forgotten by the engine.
  EXPECT_EQ(RunSeed({.seed = 31, .change_members = true, .sleep = false}).failure, "");
  // A leader that was removed went before the next one knew, which could not commit the removal alone.
  EXPECT_EQ(RunSeed({.seed = 33, .change_members = true, .copyset = true, .sleep = false}).failure, "");
  // What waited for a proposal that the engine had dropped was never answered.
  EXPECT_EQ(RunSeed({.seed = 429, .change_members = true, .copyset = true, .sleep = false}).failure, "");
}

// And one that began as well with the seed of that day: see HostTest.AnOlderSnapshotOfALaterLeaderIsTaken.
TEST(Simulator, TheLeaderThatSentANewerSnapshotIsGone) {
  EXPECT_EQ(RunSeed({.seed = 806, .change_members = true, .copyset = true, .sessions = true, .lease = true})
                .failure,
            "");
}

TEST(Simulator, TheSameSeedGivesTheSameLife) {
  for (uint64_t seed : {3, 4}) {
    RunResult first = RunSeed({.seed = seed, .change_members = seed == 4});
    RunResult second = RunSeed({.seed = seed, .change_members = seed == 4});
    EXPECT_EQ(first.trace_hash, second.trace_hash);
    EXPECT_EQ(first.events, second.events);
  }
  EXPECT_NE(RunSeed({.seed = 3}).trace_hash, RunSeed({.seed = 5}).trace_hash);
}

// The number of the first seed that notices, or 0.
uint64_t NoticedBy(RunOptions options, uint64_t limit) {
  for (uint64_t seed = 1; seed <= limit; ++seed) {
    options.seed = seed;
    if (std::string failure = RunSeed(options).failure; !failure.empty()) {
      std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), failure.c_str());
      return seed;
    }
  }
  return 0;
}

// Rule 1 of DESIGN §6.
TEST(Canary, SendingBeforePersisting) {
  EXPECT_GT(NoticedBy({.canary = raft::Canary::kSendBeforePersist}, 60), 0u);
}
TEST(Canary, ForgettingTheVote) {
  EXPECT_GT(NoticedBy({.canary = raft::Canary::kForgetVote, .restless = true}, 200), 0u);
}
TEST(Canary, RestlessnessAloneIsNoMistake) {
  EXPECT_EQ(NoticedBy({.restless = true}, 20), 0u);
}
TEST(Canary, AnsweringBeforeCommit) {
  EXPECT_GT(NoticedBy({.canary = raft::Canary::kAnswerBeforeCommit}, 20), 0u);
}
TEST(Canary, ReadingWithoutAQuorum) {
  EXPECT_GT(NoticedBy({.canary = raft::Canary::kReadWithoutQuorum, .cut_leaders = true}, 100), 0u);
}
TEST(Canary, CountingWhatTheLeaderHasNotSynced) {
  EXPECT_GT(NoticedBy({.canary = raft::Canary::kCountUnsyncedOwn}, 300), 0u);
}
TEST(Canary, CutOffLeadersWithLeasesAreNoMistake) {
  EXPECT_EQ(NoticedBy({.lease = true, .cut_leaders = true}, 20), 0u);
}
TEST(Canary, ANewLeaderThatDoesNotWaitForWhatIsSentAgain) {
  EXPECT_GT(NoticedBy({.copyset = true,
                       .sessions = true,
                       .early = true,
                       .early_canary = metaserver::ReplicatedOptions::Canary::kNoReclaim,
                       .lease = true,
                       .cut_leaders = true},
                      60),
            0u);
}
TEST(Canary, ReadsThatDoNotWaitForEarlyAnswers) {
  EXPECT_GT(NoticedBy({.copyset = true,
                       .sessions = true,
                       .early = true,
                       .early_canary = metaserver::ReplicatedOptions::Canary::kReadCommitted,
                       .lease = true},
                      60),
            0u);
}
TEST(Canary, DisksThatLie) {
  EXPECT_GT(NoticedBy({.syncs_are_lies = true}, 20), 0u);
}

}  // namespace
}  // namespace curvefs::sim
