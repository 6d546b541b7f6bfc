// A client of a cluster's copysets, for tests and measurements: it finds the leader, sends again what may be
// sent again, and numbers its changes within a session of each copyset, so that each is done once.
//
// One thread: everything on the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "net/client.h"
#include "proto/meta_wire.h"

namespace curvefs::cluster {

struct ClientCounters {
  uint64_t calls = 0, attempts = 0, not_leader = 0, unavailable = 0, timed_out = 0;
};

class Client {
 public:
  using Done = std::function<void(Result<std::string>)>;  // an encoded response whose status is definite

  Client(net::AsioLoop& loop, std::vector<net::Address> servers,
         Duration attempt_limit = std::chrono::seconds(1));

  // One attempt at one server, with what comes of it.
  void Ask(size_t server, uint16_t method, const std::string& request, Done done);

  // Opens a session in the copyset; before any Change. RunUntil(done) is the caller's.
  void OpenSession(uint64_t copyset, std::function<void(Status)> done);

  // Until there is a definite answer. `message` has everything but its header.
  template <typename Request>
  void Change(uint64_t copyset, uint16_t method, Request message, Done done) {
    Session& session = sessions_[copyset];
    proto::RequestHeader& header = *message.mutable_header();
    header.set_fs_id(1);
    header.set_copyset_id(copyset);
    header.set_session_id(session.id);
    header.set_sequence(++session.last);
    session.outstanding.insert(session.last);
    header.set_acknowledged(*session.outstanding.begin());
    Start(copyset, method, message.SerializeAsString(), session.last, std::move(done));
  }
  template <typename Request>
  void Read(uint64_t copyset, uint16_t method, Request message, Done done) {
    message.mutable_header()->set_fs_id(1);
    message.mutable_header()->set_copyset_id(copyset);
    Start(copyset, method, message.SerializeAsString(), 0, std::move(done));
  }

  size_t servers() const { return servers_.size(); }
  size_t leader(uint64_t copyset) { return leaders_[copyset]; }
  const ClientCounters& counters() const { return counters_; }

 private:
  struct Session {
    uint64_t id = 0, last = 0;
    std::set<uint64_t> outstanding;
  };
  struct Pending {
    uint64_t copyset = 0, sequence = 0;
    uint16_t method = 0;
    std::string bytes;
    Done done;
  };
  void Start(uint64_t copyset, uint16_t method, std::string bytes, uint64_t sequence, Done done);
  void Attempt(std::shared_ptr<Pending> p);
  void OnAnswer(const std::shared_ptr<Pending>& p, size_t asked, Result<std::string> answer);
  void Again(const std::shared_ptr<Pending>& p, Duration pause);

  net::AsioLoop& loop_;
  const Duration attempt_limit_;
  std::vector<net::Address> servers_;
  std::vector<std::unique_ptr<net::Client>> clients_;
  std::map<uint64_t, size_t> leaders_;  // by copyset: a guess
  std::map<uint64_t, Session> sessions_;
  ClientCounters counters_;
};

// Numbers of calls, by their name in the service.
uint16_t MetaMethodNumber(std::string_view name);
uint16_t AdminMethodNumber(std::string_view name);

}  // namespace curvefs::cluster
