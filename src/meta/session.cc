#include "meta/session.h"

#include <algorithm>
#include <vector>

#include "base/protowire.h"
#include "meta/keys.h"

namespace curvefs::meta {

std::string EncodeSession(const Session& s) {
  std::string out;
  ProtoWriter w(&out);
  w.Bytes(1, s.owner);
  w.Fixed64(2, static_cast<uint64_t>(s.opened.ns));
  w.Varint(3, s.acknowledged);
  w.Varint(4, s.last);
  w.Varint(5, s.ahead ? 1 : 0);
  return out;
}

Result<Session> DecodeSession(std::string_view value) {
  Session s;
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) s.owner = r.bytes();
    if (r.field() == 2) s.opened.ns = static_cast<int64_t>(r.number());
    if (r.field() == 3) s.acknowledged = r.number();
    if (r.field() == 4) s.last = r.number();
    if (r.field() == 5) s.ahead = r.number() != 0;
  }
  if (!r.ok()) return Fail(Code::kCorrupt, "malformed session record");
  return s;
}

std::string EncodeOutcome(const Outcome& o) {
  std::string out;
  ProtoWriter w(&out);
  w.Varint(1, static_cast<uint64_t>(o.status.code()));
  w.Bytes(2, o.status.message());
  w.Bytes(3, o.reply);
  w.Varint(4, o.acknowledged);
  return out;
}

Result<Outcome> DecodeOutcome(std::string_view value) {
  Outcome o;
  Code code = Code::kOk;
  std::string message;
  ProtoReader r(value);
  while (r.Next()) {
    if (r.field() == 1) code = static_cast<Code>(r.number());
    if (r.field() == 2) message = r.bytes();
    if (r.field() == 3) o.reply = r.bytes();
    if (r.field() == 4) o.acknowledged = r.number();
  }
  if (!r.ok()) return Fail(Code::kCorrupt, "malformed outcome record");
  o.status = Status(code, std::move(message));
  return o;
}

Result<uint64_t> OpenSession(Txn& txn, std::string_view owner) {
  if (owner.size() > kMaxSessionOwner) return Fail(Code::kInvalid, "the owner's name is too long");
  Session counter;
  std::string value;
  Status s = txn.view().Get(SessionKey(0), &value);
  if (s.ok()) {
    CURVEFS_TRY(counter, DecodeSession(value));
  } else if (s.code() != Code::kNotFound) {
    return Fail(s);
  }
  ++counter.last;
  txn.Set(SessionKey(0), EncodeSession(counter));
  txn.Set(SessionKey(counter.last), EncodeSession({.owner = std::string(owner), .opened = txn.now()}));
  return counter.last;
}

namespace {

Result<Session> Find(const Txn& txn, uint64_t session) {
  std::string value;
  Status s = session == 0 ? Status(Code::kNotFound) : txn.view().Get(SessionKey(session), &value);
  if (s.code() == Code::kNotFound)
    return Fail(Code::kFenced, "session " + std::to_string(session) + " is over");
  CURVEFS_CHECK_OK(s);
  return DecodeSession(value);
}

Status DeleteOutcomes(Txn& txn, uint64_t session, uint64_t below) {
  std::vector<std::string> keys;
  CURVEFS_CHECK_OK(txn.view().Scan(OutcomeKey(session, 0), OutcomeKey(session, below),
                                   [&](std::string_view key, std::string_view) {
                                     keys.emplace_back(key);
                                     return true;
                                   }));
  for (const std::string& key : keys) txn.Del(key);
  return {};
}

}  // namespace

Status EndSession(Txn& txn, uint64_t session) {
  CURVEFS_TRY(Session found, Find(txn, session));
  txn.Del(SessionKey(session));
  return DeleteOutcomes(txn, session, ~uint64_t{0});
}

Status Acknowledge(Txn& txn, uint64_t session, uint64_t acknowledged) {
  CURVEFS_TRY(Session found, Find(txn, session));
  found.acknowledged = std::max(found.acknowledged, acknowledged);
  txn.Set(SessionKey(session), EncodeSession(found));
  return DeleteOutcomes(txn, session, acknowledged);
}

Status SetAhead(Txn& txn, uint64_t session, bool ahead) {
  CURVEFS_TRY(Session found, Find(txn, session));
  found.ahead = ahead;
  txn.Set(SessionKey(session), EncodeSession(found));
  return {};
}

}  // namespace curvefs::meta
