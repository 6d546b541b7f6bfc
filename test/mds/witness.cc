#include "test/mds/witness.h"

#include <utility>

#include "proto/mds.pb.h"
#include "proto/topology.pb.h"
#include "test/mds/rpc.h"

namespace curvefs::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kPace = 15ms;     // between two questions of a client
constexpr auto kLimit = 1500ms;  // of one question

}  // namespace

Witness::Witness(std::vector<std::string> mds) : mds_(std::move(mds)), newest_(mds_.size()) {
  for (size_t i = 0; i < mds_.size(); ++i) {
    threads_.emplace_back([this, i] { Read(i); });
    threads_.emplace_back([this, i] { Write(i); });
  }
}

Witness::~Witness() {
  Stop();
}

void Witness::Stop() {
  {
    MutexLock lock(mu_);
    stop_ = true;
    stopped_.NotifyAll();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool Witness::Pause() {
  const SteadyTime until = Clock::System().Steady() + kPace;
  MutexLock lock(mu_);
  while (!stop_ && stopped_.WaitUntil(mu_, until)) {
  }
  return !stop_;
}

void Witness::Read(size_t mds) {
  const auto channel = To(mds_[mds]);
  do {
    proto::ListFsInfoResponse response;
    const SteadyTime begin = Clock::System().Steady();
    const bool answered =
        Ask(channel, "/curvefs.proto.MdsService/ListFsInfo", proto::ListFsInfoRequest(), &response, kLimit)
            .ok();
    const SteadyTime end = Clock::System().Steady();
    const bool served = answered && response.header().status() == proto::OK;
    MutexLock lock(mu_);
    answers_.push_back({mds, begin, end, served});
    newest_[mds].answers = answered;
    newest_[mds].serves = served;
    if (served) newest_[mds].served = end;
  } while (Pause());
}

void Witness::Write(size_t mds) {
  const auto channel = To(mds_[mds]);
  uint64_t number = 0;
  do {
    proto::CreatePoolRequest request;
    request.set_name("m" + std::to_string(mds) + "-" + std::to_string(++number));
    proto::CreatePoolResponse response;
    const bool answered =
        Ask(channel, "/curvefs.proto.TopologyService/CreatePool", request, &response, kLimit).ok();
    const auto status = response.header().status();
    auto outcome = Attempt::Outcome::kUnknown;
    if (answered && status == proto::OK) outcome = Attempt::Outcome::kAcknowledged;
    if (answered && (status == proto::NOT_LEADER || status == proto::UNAVAILABLE))
      outcome = Attempt::Outcome::kRefused;
    MutexLock lock(mu_);
    attempts_.push_back({mds_[mds], request.name(), outcome});
  } while (Pause());
}

bool Witness::Serves(size_t mds) const {
  MutexLock lock(mu_);
  return newest_[mds].serves;
}

bool Witness::Answers(size_t mds) const {
  MutexLock lock(mu_);
  return newest_[mds].answers;
}

SteadyTime Witness::Served(size_t mds) const {
  MutexLock lock(mu_);
  return newest_[mds].served;
}

std::optional<size_t> Witness::Leader() const {
  MutexLock lock(mu_);
  std::optional<size_t> leader;
  for (size_t i = 0; i < newest_.size(); ++i) {
    if (newest_[i].serves && (!leader || newest_[i].served > newest_[*leader].served)) leader = i;
  }
  return leader;
}

std::vector<Answer> Witness::answers() const {
  MutexLock lock(mu_);
  return answers_;
}

std::vector<Attempt> Witness::attempts() const {
  MutexLock lock(mu_);
  return attempts_;
}

}  // namespace curvefs::test
