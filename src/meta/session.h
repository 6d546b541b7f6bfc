// Sessions, and exactly-once requests, as records of a copyset (DESIGN §4).
//
// A client opens a session and numbers its changing requests 1, 2, 3 … in it. What became of a request is
// remembered, in the same batch as its change, until the client says that it has the answer: each request
// carries `acknowledged`, below which the client has all answers. So a request that comes again, to whatever
// leader, gets its first answer, and one that comes again later than that is refused.
//
// Pure: keys in meta/keys.h, values here. Who may do what when is metaserver/session_table.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"
#include "meta/txn.h"

namespace curvefs::meta {

struct Session {
  std::string owner;
  Timestamp opened;
  uint64_t acknowledged = 0;  // outcomes may know more
  uint64_t last = 0;          // of session 0 only: the last id handed out
  bool ahead = false;         // it may have answers to changes that are not committed
};
std::string EncodeSession(const Session& session);
Result<Session> DecodeSession(std::string_view value);

struct Outcome {
  Status status;
  std::string reply;          // if ok
  uint64_t acknowledged = 0;  // the session's, as of then
};
std::string EncodeOutcome(const Outcome& outcome);
Result<Outcome> DecodeOutcome(std::string_view value);

// A new session, with an id that this copyset has never given out.
Result<uint64_t> OpenSession(Txn& txn, std::string_view owner);
// Takes the session and all that is remembered of it away. kFenced: it is not there.
Status EndSession(Txn& txn, uint64_t session);
// Raises what the session record knows to be acknowledged. kFenced: the session is not there.
Status Acknowledge(Txn& txn, uint64_t session, uint64_t acknowledged);
// See Session::ahead. kFenced: the session is not there.
Status SetAhead(Txn& txn, uint64_t session, bool ahead);

}  // namespace curvefs::meta
