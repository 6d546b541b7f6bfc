// The random model test. By default some seconds of fixed seeds; with
//   CURVEFS_MODEL_SECONDS=600  as long as that, with seeds from the clock (or CURVEFS_MODEL_SEED on)
//   CURVEFS_MODEL_SEED=7       only this seed, CURVEFS_MODEL_OPS=3000 operations, CURVEFS_MODEL_CRASHES=1
//   with crashes
//   CURVEFS_MODEL_ENGINE=rocksdb  with that engine for the metadata
// A failure prints its seed and the shortest program found that fails.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <string_view>

#include "test/model/runner.h"

namespace curvefs::test {
namespace {

constexpr size_t kOps = 2000;

uint64_t Number(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

RunSetup SetupFor(uint64_t seed, bool crashes) {
  const char* engine = std::getenv("CURVEFS_MODEL_ENGINE");
  const bool rocks = engine != nullptr && std::string_view(engine) == "rocksdb";
  return {.seed = seed,
          .crashes = crashes,
          .engine = rocks ? metaserver::MetaEngine::kRocksdb : metaserver::MetaEngine::kMemory};
}

std::string Print(const RunSetup& setup, const std::vector<Op>& program, const Outcome& outcome) {
  std::string s = "seed " + std::to_string(setup.seed) + (setup.crashes ? " with crashes" : "") +
                  (setup.engine == metaserver::MetaEngine::kRocksdb ? ", rocksdb, " : ", ") +
                  std::to_string(program.size()) + " operations:\n";
  constexpr size_t kMost = 60;  // of a failure that is a matter of timing much may be left
  if (program.size() > kMost) s += "  ...\n";
  for (size_t i = program.size() > kMost ? program.size() - kMost : 0; i < program.size(); i++) {
    s += "  " + Describe(program[i]) + "\n";
  }
  return s + outcome.what;
}

// Runs one seed; a failure is cut down and reported.
void RunSeed(const RunSetup& setup, size_t ops) {
  std::vector<Op> program;
  Outcome outcome = RunRandom(setup, ops, &program);
  if (outcome.ok()) return;
  const std::string first = outcome.what;
  program = Shrink(setup, program, &outcome);
  ADD_FAILURE() << Print(setup, program, outcome) << "\n(found as: " << first.substr(0, 2000) << ")";
}

TEST(Model, AgreesOverManyOperations) {
  for (uint64_t seed = 1; seed <= 8 && !HasFailure(); seed++) RunSeed(SetupFor(seed, false), kOps);
}

TEST(Model, AgreesAfterCrashes) {
  for (uint64_t seed = 101; seed <= 108 && !HasFailure(); seed++) RunSeed(SetupFor(seed, true), kOps);
}

TEST(Model, LongRun) {
  const uint64_t seconds = Number("CURVEFS_MODEL_SECONDS", 0), chosen = Number("CURVEFS_MODEL_SEED", 0);
  const size_t ops = Number("CURVEFS_MODEL_OPS", 3000);
  if (seconds == 0 && chosen == 0) GTEST_SKIP() << "set CURVEFS_MODEL_SECONDS or CURVEFS_MODEL_SEED";
  if (seconds == 0) return RunSeed(SetupFor(chosen, Number("CURVEFS_MODEL_CRASHES", 0) != 0), ops);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  uint64_t seed = chosen != 0 ? chosen : std::chrono::system_clock::now().time_since_epoch().count() / 1000;
  printf("from seed %llu on\n", static_cast<unsigned long long>(seed));
  uint64_t runs = 0;
  for (; std::chrono::steady_clock::now() < end && !HasFailure(); seed++, runs++) {
    RunSeed(SetupFor(seed, seed % 2 == 0), ops);
  }
  printf("%llu runs of %zu operations\n", static_cast<unsigned long long>(runs), ops);
}

// A model with a wrong rule must be contradicted, by a short program.
class Canary : public testing::TestWithParam<Lie> {};

TEST_P(Canary, IsCaughtAndCutDown) {
  for (uint64_t seed = 1; seed <= 5; seed++) {
    const bool crashes = GetParam() == Lie::kForgottenSync;
    const RunSetup setup{.seed = seed, .crashes = crashes, .lie = GetParam()};
    std::vector<Op> program;
    Outcome outcome = RunRandom(setup, kOps, &program);
    if (outcome.ok()) continue;
    program = Shrink(setup, program, &outcome);
    EXPECT_LE(program.size(), 6u) << Print(setup, program, outcome);
    EXPECT_TRUE(RunProgram({.seed = seed, .crashes = crashes}, program).ok()) << "fails without the lie too";
    return;
  }
  FAIL() << "the lie was not noticed";
}
INSTANTIATE_TEST_SUITE_P(Lies, Canary,
                         testing::Values(Lie::kRmdirKeepsParentLinks, Lie::kTruncateKeepsBytes,
                                         Lie::kUnlinkKeepsCtime, Lie::kForgottenSync));

TEST(PosixModel, ContentIsSparseAndShared) {
  Content a;
  a.Write(5000, "hello");
  EXPECT_EQ(a.length(), 5005u);
  EXPECT_TRUE(a.IsZero(0, 5000));
  EXPECT_FALSE(a.IsZero(0, 5001));
  Content b = a;
  b.Write(5000, "H");
  EXPECT_EQ(a.Read(5000, 10), "hello");
  EXPECT_EQ(b.Read(4999, 3), std::string("\0He", 3));
  b.Resize(5001);
  b.Resize(5005);
  EXPECT_EQ(b.Read(5000, 5), std::string("H\0\0\0\0", 5));
}

}  // namespace
}  // namespace curvefs::test
