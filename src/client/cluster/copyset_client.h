// CopysetClient: calls on one copyset of a cluster, in plain blocking code. It finds the leader, sends again
// what may be sent again, and numbers changes within a session, so that each is done exactly once whatever
// is lost on the way and whoever leads (meta/session.h).
//
// A call ends with the copyset's answer; while nobody answers it waits, up to `timeout`. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "base/status.h"
#include "client/cluster/lease_cache.h"
#include "meta/transaction.h"
#include "net/blocking_client.h"
#include "proto/meta_methods.h"
#include "proto/meta_wire.h"

namespace curvefs::client {

struct CopysetClientOptions {
  std::vector<net::Address> servers;  // where replicas may be; at least one. Others are learned by hints
  net::ConnectionOptions connection;  // with TLS or without
  std::string cluster;                // its name, if it has one
  uint64_t copyset = 0;
  FsId fs;
  PartitionId partition;
  // Where the replicas are now, for when nobody answers of those that are known: members change. May block
  // for some seconds, and is called by one thread at a time. Null: nobody knows more.
  std::function<std::vector<net::Address>()> find_servers;
  // A transaction between partitions is in the way, for the `round`th time: waits for a while, or settles it.
  // Ok: the call is made again. Any thread. Null: the call fails by kLocked.
  std::function<Status(const meta::LockedBy& by, int round)> when_locked;
  std::string owner;                                 // of the session, for people
  std::string token;                                 // of the file system, if it needs one
  Duration attempt_limit = std::chrono::seconds(2);  // of one attempt at one server
  Duration first_answer = std::chrono::seconds(15);  // of Open: somebody waits for the mount
  Duration timeout = Duration();                     // of a call, all attempts together; 0: until Stop
  bool leases = true;                                // what was read is kept (LeaseCache)
  // A change may be answered before it is committed: it is kept until it is, and sent again to another leader
  // (docs/adr/0015-early-answers.md). Settle waits until nothing is kept.
  bool early = false;
};

struct CopysetClientCounters {
  uint64_t calls = 0, attempts = 0, not_leader = 0, unavailable = 0, unknown = 0, sessions = 0;
  uint64_t early = 0, sent_again = 0, lost = 0;  // changes answered early; sent to another leader; lost
};

class CopysetClient {
 public:
  // Opens a session, so the copyset answers. kInvalid: no server is named. kUnavailable: nobody answered in
  // `timeout`.
  static Result<std::unique_ptr<CopysetClient>> Open(CopysetClientOptions options);
  // Ends the session, if the cluster answers soon.
  ~CopysetClient();

  // `request` has everything but its header, of which it may have the partition. The errors of the call
  // itself, and:
  // kUnavailable: nobody answered, and nothing was done. kIo: nobody answered, or the session ended
  // meanwhile, and a change may have been done or not.
  // With `by` a lock that is in the way is not waited for: kLocked.
  template <typename Response, typename Request>
  Result<Response> Read(proto::MetaCall call, Request request, meta::LockedBy* by = nullptr) {
    Address(request.mutable_header());
    for (int round = 0;; ++round) {
      if (options_.early) Enter(request.mutable_header());
      Asked asked = Ask(call, request.SerializeAsString(), options_.timeout);
      if (!WaitForLock(&asked, by, round)) return Decode<Response>(std::move(asked.answer));
    }
  }
  // As Read, of something that may be kept: `says` tells what the answer says, Ok or kNotFound. With `within`
  // as InSession.
  template <typename Response, typename Request, typename Says>
  Result<Response> ReadKept(proto::MetaCall call, Request request, Says says, bool within = false) {
    Address(request.mutable_header());
    for (int round = 0;; ++round) {
      const LeaseCache::Ticket ticket = leases_.Begin();
      uint64_t session = 0;
      if (within || options_.leases) session = Enter(request.mutable_header());
      request.mutable_header()->set_keeps_leases(options_.leases);
      Asked asked = Ask(call, request.SerializeAsString(), options_.timeout);
      if (WaitForLock(&asked, nullptr, round)) continue;
      if (asked.session_over) {
        CURVEFS_CHECK_OK(Renew(session, options_.timeout));
        continue;
      }
      if (!asked.answer) return Fail(asked.answer.error());
      Response response;
      if (!response.ParseFromString(*asked.answer))
        return Fail(Code::kIo, "a metaserver's answer cannot be understood");
      if (response.header().lease_epoch() != 0) {
        LeaseCache::Answer answer;
        says(response, &answer);
        leases_.Keep(ticket, asked.attempt, response.header(), answer);
      }
      if (Status s = StatusOf(response.header()); !s.ok()) return Fail(std::move(s));
      return response;
    }
  }
  LeaseCache& leases() { return leases_; }
  bool keeps_leases() const { return options_.leases; }

  // `timeout`: 0 is that of the options.
  template <typename Response, typename Request>
  Result<Response> Change(proto::MetaCall call, Request request, Duration timeout = Duration(),
                          meta::LockedBy* by = nullptr) {
    if (timeout == Duration()) timeout = options_.timeout;
    Address(request.mutable_header());
    for (int round = 0;; ++round) {
      if (options_.early) MakeRoom();
      const Ticket ticket = Number(request.mutable_header());
      Asked asked = Ask(call, request.SerializeAsString(), timeout, &ticket);
      if (!asked.kept) Done(ticket);
      if (WaitForLock(&asked, by, round)) continue;
      if (!asked.session_over) return Decode<Response>(std::move(asked.answer));
      const Status renewed = Renew(ticket.session, timeout);
      if (asked.unknown)
        return Fail(Code::kIo, "the session with the cluster ended; whether the change was done is unknown");
      CURVEFS_CHECK_OK(renewed);  // nothing was done: again, within the new one
    }
  }

  // What the leader keeps in its memory for the session, and that may be said twice.
  template <typename Response, typename Request>
  Result<Response> InSession(proto::MetaCall call, Request request) {
    Address(request.mutable_header());
    for (int round = 0;; ++round) {
      const uint64_t session = Enter(request.mutable_header());
      Asked asked = Ask(call, request.SerializeAsString(), options_.timeout);
      if (WaitForLock(&asked, nullptr, round)) continue;
      if (!asked.session_over) return Decode<Response>(std::move(asked.answer));
      CURVEFS_CHECK_OK(Renew(session, options_.timeout));
    }
  }
  // The same, in that session alone: kFenced if it is over. For what must not be said in another.
  template <typename Response, typename Request>
  Result<Response> Within(uint64_t session, proto::MetaCall call, Request request) {
    Address(request.mutable_header());
    request.mutable_header()->set_session_id(session);
    for (int round = 0;; ++round) {
      Asked asked = Ask(call, request.SerializeAsString(), options_.timeout);
      if (!WaitForLock(&asked, nullptr, round)) return Decode<Response>(std::move(asked.answer));
    }
  }
  uint64_t session();
  // Opens another in the place of one that is over.
  Status Renew(uint64_t ended) { return Renew(ended, options_.timeout); }
  // `f` runs on a thread of the client whenever another leader, or another session, knows nothing of what was
  // said InSession. Null: nothing is called any more once this returns.
  void OnNewLeader(std::function<void()> f);

  // Everything that was answered so far is committed when it returns ok. kIo, once: something that had been
  // answered was lost since the last call, with the leader and the time to say it again.
  // kUnavailable: not within `timeout` (0: that of the options).
  Status Settle(Duration timeout = Duration());

  // Calls that wait fail, and those that come do so after one attempt: for the end of a process.
  void Stop();
  CopysetClientCounters counters();

 private:
  struct Ticket {
    uint64_t session = 0, sequence = 0;
  };
  struct Asked {
    Result<std::string> answer;
    bool unknown = false;       // an attempt may have been carried out though its answer did not come
    bool session_over = false;  // the answer was kFenced
    std::optional<meta::LockedBy> locked = std::nullopt;  // it was kLocked
    LeaseCache::Attempt attempt{};                        // the last
    bool kept = false;                                    // it is not committed yet
  };
  explicit CopysetClient(CopysetClientOptions options);

  void Address(proto::RequestHeader* header) const;
  Ticket Number(proto::RequestHeader* header);
  void Done(const Ticket& ticket);
  uint64_t Enter(proto::RequestHeader* header);  // the session, without a number
  // `timeout`: 0 is none.
  Asked Ask(proto::MetaCall call, const std::string& bytes, Duration timeout, const Ticket* change = nullptr);

  // ---- Changes that were answered early (copyset_early.cc)
  struct Place {
    uint64_t term = 0, order = 0;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  struct Kept {
    proto::MetaCall call{};
    std::string bytes;
    uint64_t sequence = 0;
    int status = 0;  // of the answer
    int64_t evaluated_ns = 0;
    Place answered;  // by the leader that answered it last
  };
  void BeginAttempt(const Ticket* change);
  // What an answer of that server says of them, and whether the change it answers is kept now. kUnknown: what
  // was done before it is not all known here, so it is to be asked for again until it is committed.
  enum class Noted { kNo, kKept, kUnknown };
  Noted EndAttempt(size_t server, proto::MetaCall call, const std::string& bytes, const Ticket* change,
                   const proto::ResponseHeader* header);
  Noted Note(proto::MetaCall call, const std::string& bytes, const Ticket& change,
             const proto::ResponseHeader& header) CURVEFS_REQUIRES(mu_);
  void SendAgain(size_t server, uint64_t term);
  bool SendOneAgain(size_t server, Place place, const Kept& kept);
  void DropCommitted(uint64_t term, uint64_t order) CURVEFS_REQUIRES(mu_);
  void LoseKept() CURVEFS_REQUIRES(mu_);
  void MakeRoom();
  // Whether there was a lock, and the call is to be made again.
  bool WaitForLock(Asked* asked, meta::LockedBy* by, int round);
  Status Renew(uint64_t ended, Duration timeout);  // opens a session in the place of that one
  Status KeepAlive();
  void RunKeepAlive();
  void Nudge();
  void HeardOf(uint64_t session, uint64_t term);
  bool Pause(Duration time);  // false: stopped
  void LookForOthers();
  net::BlockingClient& server(size_t i);
  size_t servers();
  size_t Find(const std::string& address);  // servers() if there can be none
  void OnNews(net::BlockingClient& from, std::string_view bytes);

  template <typename Response>
  static Result<Response> Decode(Result<std::string> bytes) {
    if (!bytes) return Fail(std::move(bytes).error());
    Response response;
    if (!response.ParseFromString(*bytes))
      return Fail(Code::kIo, "a metaserver's answer cannot be understood");
    if (Status s = StatusOf(response.header()); !s.ok()) return Fail(std::move(s));
    return response;
  }

  const CopysetClientOptions options_;
  LeaseCache leases_;
  Mutex servers_mu_;  // a leaf
  struct Server {
    net::Address address;
    std::unique_ptr<net::BlockingClient> client;
  };
  std::vector<Server> servers_ CURVEFS_GUARDED_BY(servers_mu_);  // only grows
  SteadyTime looked_ CURVEFS_GUARDED_BY(servers_mu_){};
  std::atomic<size_t> leader_{0};  // a guess
  std::atomic<uint64_t> calls_{0}, attempts_{0}, not_leader_{0}, unavailable_{0}, unknown_{0}, sessions_{0};

  std::atomic<bool> looking_{false};

  Mutex mu_;
  CondVar changed_;
  bool stopped_ CURVEFS_GUARDED_BY(mu_) = false;
  uint64_t session_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint64_t last_ CURVEFS_GUARDED_BY(mu_) = 0;  // sequence
  std::set<uint64_t> outstanding_ CURVEFS_GUARDED_BY(mu_);
  Duration lease_ CURVEFS_GUARDED_BY(mu_) = std::chrono::seconds(1);
  uint64_t term_ CURVEFS_GUARDED_BY(mu_) = 0;  // of the leader of whom was heard last
  bool told_ CURVEFS_GUARDED_BY(mu_) = true;   // on_new_leader_ has run for that leader and session
  bool nudged_ CURVEFS_GUARDED_BY(mu_) = false;
  std::function<void()> on_new_leader_ CURVEFS_GUARDED_BY(mu_);
  bool telling_ CURVEFS_GUARDED_BY(mu_) = false;
  // In the order in which they were done; the places are those of the last leader that has been sent all.
  std::map<Place, Kept> kept_ CURVEFS_GUARDED_BY(mu_);
  Place committed_ CURVEFS_GUARDED_BY(mu_);       // so far, as the last leader says
  CondVar settled_;                               // of what follows
  size_t in_flight_ CURVEFS_GUARDED_BY(mu_) = 0;  // attempts at changes
  bool sends_again_ CURVEFS_GUARDED_BY(mu_) = false;
  uint64_t early_ CURVEFS_GUARDED_BY(mu_) = 0, sent_again_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint64_t lost_ CURVEFS_GUARDED_BY(mu_) = 0, lost_told_ CURVEFS_GUARDED_BY(mu_) = 0;
  Mutex renewing_;  // held while a session is opened; before mu_
  std::thread keep_alive_;
};

}  // namespace curvefs::client
