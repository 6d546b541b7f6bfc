// The checker of elections, held against histories that were made up: each sort of fault is found.
#include "test/mds/history.h"

#include <gtest/gtest.h>

namespace curvefs::test {
namespace {

using enum Attempt::Outcome;

Effect By(int64_t revision, const std::string& name, int64_t term, int64_t leader_term,
          const std::string& leader) {
  return {.revision = revision, .name = name, .term = term, .leader_term = leader_term, .leader = leader};
}

TEST(History, OneLeaderAfterAnother) {
  const std::vector<Effect> effects = {By(10, "a1", 5, 5, "a"), By(11, "a2", 5, 5, "a"),
                                       By(20, "b1", 6, 6, "b")};
  EXPECT_EQ(Overlap(effects), 0U);
  EXPECT_TRUE(Faults(effects, {{"a", "a1", kAcknowledged},
                               {"a", "a2", kUnknown},
                               {"a", "a3", kUnknown},
                               {"b", "b0", kRefused},
                               {"b", "b1", kAcknowledged}})
                  .empty());
}

TEST(History, CanaryTwoMastersThatChangeThings) {
  // The old one, after the new one; while nobody led; in the name of a term that has not begun.
  EXPECT_EQ(Overlap({By(10, "a1", 5, 5, "a"), By(20, "b1", 6, 6, "b"), By(21, "a2", 5, 6, "b")}), 1U);
  EXPECT_EQ(Overlap({By(10, "a1", 5, 5, "a"), By(11, "a2", 5, 0, "")}), 1U);
  EXPECT_EQ(Overlap({By(10, "b1", 6, 5, "a")}), 1U);
  EXPECT_EQ(Overlap({By(10, "b1", 6, 6, "b"), By(11, "a1", 5, 5, "a")}), 1U);
  EXPECT_EQ(Faults({By(10, "a1", 5, 6, "b")}, {}).size(), 1U);
}

TEST(History, CanaryAnswersThatAreNotTrue) {
  const std::vector<Effect> effects = {By(10, "a1", 5, 5, "a")};
  EXPECT_EQ(Faults(effects, {{"a", "a0", kAcknowledged}}).size(), 1U) << "acknowledged and lost";
  EXPECT_EQ(Faults(effects, {{"a", "a1", kRefused}}).size(), 1U) << "refused and done";
  EXPECT_EQ(Faults(effects, {{"b", "a1", kAcknowledged}}).size(), 1U) << "acknowledged by who does not lead";
  EXPECT_EQ(Faults({By(10, "a1", 5, 5, "a"), By(11, "a1", 5, 5, "a")}, {}).size(), 1U) << "done twice";
}

TEST(History, WhoServedWhen) {
  const auto at = [](int s) { return SteadyTime() + std::chrono::seconds(s); };
  // 0 serves from 0 to 6, with a refusal of 1 between; 1 from 4 to 10, 0 again from 14.
  const Service service = Judge({{0, at(0), at(1), true},
                                 {1, at(0), at(1), false},
                                 {0, at(5), at(6), true},
                                 {1, at(4), at(5), true},
                                 {0, at(7), at(8), false},
                                 {1, at(9), at(10), true},
                                 {0, at(14), at(15), true}});
  EXPECT_EQ(service.nobody, std::chrono::seconds(5));
  EXPECT_EQ(service.two, std::chrono::seconds(2));
  EXPECT_EQ(service.changes, 4U);
}

}  // namespace
}  // namespace curvefs::test
