// Rules of early answers, one by one; all together in lives with crashes: Random.EarlyAnswers* of test/sim.
#include "metaserver/early_answers.h"

#include <gtest/gtest.h>

#include <vector>

namespace curvefs::metaserver {
namespace {

using Verdict = EarlyAnswers::Verdict;

SteadyTime At(int ms) {
  return SteadyTime(std::chrono::milliseconds(ms));
}

class Early : public testing::Test {
 protected:
  Early() {
    early_.Start({}, At(0));
    Mark(1);
    Mark(2);
  }
  void Mark(uint64_t session) {
    early_.Marking(session);
    early_.Marked(session, true, At(0));
  }
  // The next proposal, with everything from `oldest` on under way.
  bool Propose(uint64_t session, uint64_t oldest, bool wished = true) {
    return early_.Proposed(++number_, session, wished, oldest, At(1));
  }
  EarlyAnswers early_;
  uint64_t number_ = 0;
};

TEST_F(Early, OnlyWhileAllThatIsUnderWayIsOneSessionsAndWasAnsweredSo) {
  EXPECT_TRUE(Propose(1, 1));
  EXPECT_TRUE(Propose(1, 1));
  EXPECT_TRUE(early_.IsRunOf(1, 1));
  EXPECT_FALSE(early_.IsRunOf(2, 1));
  EXPECT_FALSE(Propose(2, 1));  // 3: another's, behind 1 and 2
  EXPECT_FALSE(Propose(1, 1));  // 4: there is one of another before it
  EXPECT_FALSE(early_.IsRunOf(1, 1));
  EXPECT_FALSE(Propose(1, 4));  // 5: all of its own, but 4 was not answered early
  EXPECT_EQ(early_.last(), 2u);
  EXPECT_TRUE(Propose(1, 6));  // nothing is under way
  EXPECT_EQ(early_.last(), 6u);
}

TEST_F(Early, WhoIsAheadOfAllOthersWaitsForItselfOnce) {
  EXPECT_FALSE(Propose(1, 1, false));
  EXPECT_TRUE(early_.ShouldWait(1, 1));
  EXPECT_FALSE(early_.ShouldWait(2, 1));
  EXPECT_FALSE(Propose(2, 1, false));
  EXPECT_FALSE(early_.ShouldWait(1, 1));  // for others it does not
}

TEST_F(Early, NobodyIsAnsweredEarlyWithoutAMark) {
  EXPECT_FALSE(Propose(3, 1));
  EXPECT_FALSE(early_.MayBeAhead(3));
  early_.Marking(3);
  EXPECT_TRUE(early_.marking(3));
  EXPECT_FALSE(Propose(3, 2));  // the one that marks it
  early_.Marked(3, true, At(2));
  EXPECT_TRUE(Propose(3, 3));
  early_.Marking(4);
  early_.Marked(4, false, At(2));  // it was not committed
  EXPECT_FALSE(early_.MayBeAhead(4));
}

TEST_F(Early, MarksGoWhenNothingIsChanged) {
  using std::chrono::milliseconds;
  EXPECT_TRUE(Propose(1, 1));
  EXPECT_EQ(early_.Idle(At(101), milliseconds(100)), (std::vector<uint64_t>{2}));
  EXPECT_EQ(early_.Idle(At(102), milliseconds(100)), (std::vector<uint64_t>{1, 2}));
  early_.Unmark(1);
  EXPECT_FALSE(Propose(1, 2));
}

TEST_F(Early, ANewLeaderServesNobodyUntilAllHaveSentAgain) {
  const std::vector<uint64_t> marked{1, 2};
  early_.Start(marked, At(0));
  EXPECT_FALSE(early_.settled());
  EXPECT_EQ(early_.Admit(1, true), Verdict::kGoOn);
  EXPECT_EQ(early_.Admit(1, false), Verdict::kReclaim);
  EXPECT_EQ(early_.Admit(3, false), Verdict::kWait);
  EXPECT_EQ(early_.Admit(3, true), Verdict::kWait);
  early_.Reclaimed(1);
  EXPECT_FALSE(early_.Owes(1));
  EXPECT_EQ(early_.Admit(1, false), Verdict::kWait);  // for 2
  early_.Ended(2);
  EXPECT_TRUE(early_.settled());
  EXPECT_EQ(early_.Admit(3, false), Verdict::kGoOn);
}

TEST_F(Early, WhoIsLateLosesThem) {
  using std::chrono::milliseconds;
  const std::vector<uint64_t> marked{1};
  early_.Start(marked, At(0));
  EXPECT_FALSE(early_.GiveUp(At(99), milliseconds(100)));
  EXPECT_TRUE(early_.GiveUp(At(100), milliseconds(100)));
  EXPECT_FALSE(early_.GiveUp(At(101), milliseconds(100)));
  EXPECT_EQ(early_.Admit(2, false), Verdict::kWait);  // ids are left out first
  early_.Unbar();
  EXPECT_EQ(early_.Admit(2, false), Verdict::kGoOn);
  EXPECT_EQ(early_.Admit(1, true), Verdict::kTooLate);
  EXPECT_EQ(early_.Admit(1, false), Verdict::kReclaim);  // it has to learn of it
  EXPECT_FALSE(early_.MayBeAhead(1));
  early_.Reclaimed(1);
  EXPECT_EQ(early_.Admit(1, false), Verdict::kGoOn);
}

TEST_F(Early, AProposalThatTheLeaderLostItselfIsSentAgainToIt) {
  EXPECT_TRUE(Propose(1, 1));
  early_.Failed(1, At(5));
  EXPECT_TRUE(early_.Owes(1));
  EXPECT_EQ(early_.Admit(2, false), Verdict::kWait);
  early_.Reclaimed(1);
  EXPECT_TRUE(early_.settled());
}

}  // namespace
}  // namespace curvefs::metaserver
