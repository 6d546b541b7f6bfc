// Changes of a copyset's client that were answered before they were committed: kept, and sent again to a
// leader that knows nothing of them (docs/adr/0015-early-answers.md; metaserver/early_answers.h).
#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "client/cluster/copyset_client.h"

namespace curvefs::client {
namespace {

constexpr size_t kMostKept = 256;  // the next change waits for those before it
constexpr Duration kSettlePause = std::chrono::milliseconds(5);
constexpr Duration kGapPatience = std::chrono::milliseconds(20);  // an answer on its way to another thread

}  // namespace

// What was answered early must be here, in its place, before it is sent again: no attempt is under way then,
// and none begins.
void CopysetClient::BeginAttempt(const Ticket* change) {
  if (!options_.early || change == nullptr) return;
  MutexLock lock(mu_);
  while (sends_again_) settled_.Wait(mu_);
  ++in_flight_;
}

CopysetClient::Noted CopysetClient::EndAttempt(size_t server, proto::MetaCall call, const std::string& bytes,
                                               const Ticket* change, const proto::ResponseHeader* header) {
  if (!options_.early) return Noted::kNo;
  Noted noted = Noted::kNo;
  bool again = false;
  {
    MutexLock lock(mu_);
    if (header != nullptr && header->term() != 0) {
      DropCommitted(header->term(), header->committed_order());
      if (change != nullptr && header->early_order() != 0 && change->session == session_)
        noted = Note(call, bytes, *change, *header);
      again = header->reclaim_term() != 0 || std::ranges::any_of(kept_, [&](const auto& kept) {
                return kept.second.answered.term < header->term();
              });
    }
    if (change != nullptr) {
      --in_flight_;
      settled_.NotifyAll();
    }
  }
  if (again) SendAgain(server, header->term());
  return noted;
}

// The places of a run follow one another, and its answers come in their order. One that is not here may be on
// the way to another thread; or it is lost, and without it this one could not be done again as it was.
CopysetClient::Noted CopysetClient::Note(proto::MetaCall call, const std::string& bytes, const Ticket& change,
                                         const proto::ResponseHeader& header) {
  const Place place{header.term(), header.early_order()};
  auto done_before = [&] {
    mu_.AssertHeld();
    const uint64_t from = committed_.term == place.term ? committed_.order : 0;
    if (place.order <= from) return true;
    auto first = kept_.upper_bound({place.term, from});
    const auto known = static_cast<uint64_t>(std::distance(first, kept_.lower_bound(place)));
    return known == place.order - from - 1;
  };
  const SteadyTime until = Clock::System().Steady() + kGapPatience;
  while (!done_before() && !stopped_ && Clock::System().Steady() < until) settled_.WaitUntil(mu_, until);
  if (!done_before()) return Noted::kUnknown;
  ++early_;
  if (committed_.term == place.term && place.order <= committed_.order) return Noted::kNo;
  kept_[place] = {.call = call,
                  .bytes = bytes,
                  .sequence = change.sequence,
                  .status = header.status(),
                  .evaluated_ns = header.evaluated_ns(),
                  .answered = place};
  return Noted::kKept;
}

void CopysetClient::DropCommitted(uint64_t term, uint64_t order) {
  committed_ = std::max(committed_, {term, order});
  std::erase_if(kept_, [&](const auto& entry) {
    const Place& answered = entry.second.answered;
    if (answered.term != term || answered.order > order) return false;
    outstanding_.erase(entry.second.sequence);
    return true;
  });
}

void CopysetClient::LoseKept() {
  if (kept_.empty()) return;
  lost_ += kept_.size();
  Log(LogLevel::kError,
      std::to_string(kept_.size()) + " changes that had been answered are lost: the leader of copyset " +
          std::to_string(options_.copyset) + " is gone, and the next one did not hear of them in time");
  kept_.clear();
}

// Any trouble ends it: whoever is answered next that it is to be done does it.
void CopysetClient::SendAgain(size_t server, uint64_t term) {
  std::vector<std::pair<Place, Kept>> again;
  uint64_t session = 0;
  {
    MutexLock lock(mu_);
    if (sends_again_ || stopped_) return;
    sends_again_ = true;
    while (in_flight_ > 0 && !stopped_) settled_.Wait(mu_);
    again.assign(kept_.begin(), kept_.end());
    session = session_;
  }
  bool all = true;
  for (const auto& [place, kept] : again) {
    all = SendOneAgain(server, place, kept);
    if (!all) break;
  }
  if (all) {
    proto::RenewSessionRequest request;
    Address(request.mutable_header());
    request.mutable_header()->set_session_id(session);
    request.set_reclaimed_term(term);
    (void)this->server(server).Call(static_cast<uint16_t>(proto::MetaCall::kRenewSession),
                                    request.SerializeAsString(), options_.attempt_limit);
  }
  MutexLock lock(mu_);
  if (all) {
    std::map<Place, Kept> kept;
    for (auto& [place, one] : std::exchange(kept_, {})) {
      const Place answered = one.answered;
      kept.emplace(answered, std::move(one));
    }
    kept_ = std::move(kept);
  }
  sends_again_ = false;
  settled_.NotifyAll();
}

// False: not now, or never.
bool CopysetClient::SendOneAgain(size_t server, Place place, const Kept& kept) {
  proto::CloseSessionRequest any;  // a header; it becomes one with the request's own when they are parsed
  any.mutable_header()->set_replay(true);
  any.mutable_header()->set_evaluated_ns(kept.evaluated_ns);
  const auto answer = this->server(server).Call(static_cast<uint16_t>(kept.call),
                                                kept.bytes + any.SerializeAsString(), options_.attempt_limit);
  if (!answer) return false;
  proto::CloseSessionResponse response;
  if (!response.ParseFromString(*answer)) return false;
  const proto::ResponseHeader& header = response.header();
  const Status s = StatusOf(header);
  switch (s.code()) {
    case Code::kNotLeader:
    case Code::kUnavailable:
    case Code::kTimedOut:
    case Code::kIo:
    case Code::kCorrupt:
    case Code::kNoMemory:
    case Code::kInterrupted:
    case Code::kElsewhere:
    case Code::kLocked:
      return false;
    default:
      break;
  }
  MutexLock lock(mu_);
  if (s.code() == Code::kFenced) {
    LoseKept();
    return false;
  }
  if (header.status() != kept.status) {
    ++lost_;
    Log(LogLevel::kError,
        "a change that was sent again to another leader is answered otherwise: " + s.ToString());
  }
  ++sent_again_;
  auto there = kept_.find(place);
  if (there == kept_.end()) return true;
  if (header.early_order() == 0) {
    outstanding_.erase(kept.sequence);
    kept_.erase(there);
  } else {
    there->second.answered = {header.term(), header.early_order()};
    there->second.evaluated_ns = header.evaluated_ns();
  }
  return true;
}

// A session remembers so many outcomes and no more.
void CopysetClient::MakeRoom() {
  {
    MutexLock lock(mu_);
    if (kept_.size() < kMostKept) return;
  }
  (void)Settle();
}

Status CopysetClient::Settle(Duration timeout) {
  if (!options_.early) return {};
  if (timeout == Duration()) timeout = options_.timeout;
  uint64_t last = 0;
  {
    MutexLock lock(mu_);
    last = last_;
  }
  for (;;) {
    proto::RenewSessionRequest request;
    Address(request.mutable_header());
    request.set_settle(true);
    uint64_t session = 0;
    {
      MutexLock lock(mu_);
      if (lost_ != lost_told_) {
        lost_told_ = lost_;
        return {Code::kIo, "changes that had been answered are lost, see the log"};
      }
      bool waits = false;
      for (const auto& [place, kept] : kept_) waits = waits || kept.sequence <= last;
      if (!waits) return {};
    }
    session = Enter(request.mutable_header());
    Asked asked = Ask(proto::MetaCall::kRenewSession, request.SerializeAsString(), timeout);
    if (asked.session_over) {
      CURVEFS_CHECK_OK(Renew(session, timeout));
      continue;
    }
    CURVEFS_TRY(const auto response, Decode<proto::RenewSessionResponse>(std::move(asked.answer)));
    if (response.header().reclaim_term() != 0 && !Pause(kSettlePause))
      return {Code::kIo, "the mount ends before all that was answered is known to be durable"};
  }
}

}  // namespace curvefs::client
