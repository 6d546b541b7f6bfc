#include "metaserver/session_table.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "meta/keys.h"
#include "meta/session.h"

namespace curvefs::metaserver {

// ---- Leadership

Status SessionTable::Load(const kv::View& state, SteadyTime now) {
  Clear();
  Status status;
  auto scan = [&](meta::KeyKind kind, auto visit) {
    if (!status.ok()) return;
    const std::string begin = meta::KindPrefix(FsId(0), PartitionId(0), kind);
    Status scanned =
        state.Scan(begin, kv::PrefixEnd(begin), [&](std::string_view key, std::string_view value) {
          meta::ParsedKey parsed;
          status = meta::ParseKey(key, &parsed) ? visit(parsed, value)
                                                : Status(Code::kCorrupt, "malformed session key");
          return status.ok();
        });
    if (!scanned.ok()) status = scanned;
  };
  scan(meta::KeyKind::kSession, [&](const meta::ParsedKey& key, std::string_view value) -> Status {
    if (key.session == 0) return {};
    CURVEFS_TRY(meta::Session session, meta::DecodeSession(value));
    Entry& entry = sessions_[key.session];
    entry.owner = session.owner;
    entry.acknowledged = session.acknowledged;
    entry.ahead = session.ahead;
    entry.heard = now;  // a session has its whole time again under a new leader
    return {};
  });
  scan(meta::KeyKind::kOutcome, [&](const meta::ParsedKey& key, std::string_view value) -> Status {
    auto it = sessions_.find(key.session);
    if (it == sessions_.end()) return {Code::kCorrupt, "a remembered request of no session"};
    CURVEFS_TRY(meta::Outcome outcome, meta::DecodeOutcome(value));
    it->second.outcomes[key.sequence] = value.size();
    it->second.bytes += value.size();
    it->second.acknowledged = std::max(it->second.acknowledged, outcome.acknowledged);
    return {};
  });
  return status;
}

void SessionTable::Clear() {
  sessions_.clear();
  open_.clear();
}

// ---- Requests

SessionTable::Verdict SessionTable::Admit(const RequestId& id, SteadyTime now, Done* done, Status* why) {
  auto refuse = [&](Code code, std::string text) {
    *why = Status(code, "request " + std::to_string(id.sequence) + " of session " +
                            std::to_string(id.session) + ": " + std::move(text));
    return Verdict::kRefused;
  };
  if (id.sequence == 0 || id.sequence > ~uint64_t{0} / 2 || id.acknowledged > id.sequence)
    return refuse(Code::kInvalid, "numbers that make no sense");
  auto found = sessions_.find(id.session);
  if (found == sessions_.end()) return Verdict::kUnknown;
  Entry& entry = found->second;
  entry.heard = now;
  if (entry.ending) return refuse(Code::kUnavailable, "the session is being ended");
  entry.acknowledged = std::max(entry.acknowledged, id.acknowledged);
  if (id.sequence < entry.acknowledged) return refuse(Code::kInvalid, "was acknowledged already");
  if (auto running = entry.running.find(id.sequence); running != entry.running.end()) {
    running->second.joined.push_back(std::move(*done));
    return Verdict::kJoined;
  }
  if (entry.outcomes.contains(id.sequence)) return Verdict::kRemembered;
  if (id.sequence - std::max<uint64_t>(entry.acknowledged, 1) >= kMaxOutcomes)
    return refuse(Code::kUnavailable, "too far past the first that is not acknowledged");
  if (entry.bytes >= kMaxSessionBytes && id.sequence != std::max<uint64_t>(entry.acknowledged, 1))
    return refuse(Code::kUnavailable, "too much to remember; acknowledge first");
  return Verdict::kNew;
}

std::vector<uint64_t> SessionTable::Start(const RequestId& id, size_t bytes, uint64_t* acknowledged) {
  Entry& entry = sessions_.at(id.session);
  entry.running[id.sequence].bytes = bytes;
  entry.bytes += bytes;
  *acknowledged = entry.acknowledged;
  std::vector<uint64_t> going;
  for (auto it = entry.outcomes.lower_bound(entry.dropping);
       it != entry.outcomes.end() && it->first < entry.acknowledged; ++it) {
    going.push_back(it->first);
  }
  entry.dropping = std::max(entry.dropping, entry.acknowledged);
  return going;
}

void SessionTable::Forget(Entry* entry, uint64_t below) {
  for (auto it = entry->outcomes.begin(); it != entry->outcomes.end() && it->first < below;) {
    entry->bytes -= it->second;
    it = entry->outcomes.erase(it);
  }
}

// The session may have ended meanwhile: its end was in the log behind the request.
std::vector<SessionTable::Done> SessionTable::Committed(const RequestId& id, uint64_t acknowledged) {
  auto found = sessions_.find(id.session);
  if (found == sessions_.end()) return {};
  Entry& entry = found->second;
  auto running = entry.running.extract(id.sequence);
  if (running.empty()) return {};
  entry.outcomes[id.sequence] = running.mapped().bytes;
  Forget(&entry, acknowledged);
  return std::move(running.mapped().joined);
}

std::vector<SessionTable::Done> SessionTable::Failed(const RequestId& id) {
  auto found = sessions_.find(id.session);
  if (found == sessions_.end()) return {};
  Entry& entry = found->second;
  auto running = entry.running.extract(id.sequence);
  if (running.empty()) return {};
  entry.bytes -= running.mapped().bytes;
  entry.dropping = 0;  // perhaps it was this one that would have dropped them
  return std::move(running.mapped().joined);
}

// ---- Sessions

void SessionTable::Opened(uint64_t session, std::string owner, SteadyTime now) {
  Entry& entry = sessions_[session];
  entry.owner = std::move(owner);
  entry.heard = now;
}

void SessionTable::SetEnding(uint64_t session, bool ending) {
  if (auto found = sessions_.find(session); found != sessions_.end()) found->second.ending = ending;
}

void SessionTable::Ended(uint64_t session) {
  auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  CURVEFS_CHECK(found->second.running.empty());  // they are before the end in the log
  for (const auto& [file, order] : found->second.open) CountClosed(file);
  sessions_.erase(found);
}

bool SessionTable::Hear(uint64_t session, uint64_t acknowledged, SteadyTime now) {
  auto found = sessions_.find(session);
  if (found == sessions_.end() || found->second.ending) return false;
  found->second.heard = now;
  found->second.acknowledged = std::max(found->second.acknowledged, acknowledged);
  return true;
}

std::vector<uint64_t> SessionTable::Silent(SteadyTime now, Duration timeout) const {
  std::vector<uint64_t> silent;
  for (const auto& [id, entry] : sessions_) {
    if (!entry.ending && now - entry.heard > timeout) silent.push_back(id);
  }
  return silent;
}

std::vector<std::pair<uint64_t, uint64_t>> SessionTable::Forgettable() const {
  std::vector<std::pair<uint64_t, uint64_t>> found;
  for (const auto& [id, entry] : sessions_) {
    if (entry.ending || !entry.running.empty() || entry.outcomes.empty()) continue;
    if (entry.outcomes.begin()->first < entry.acknowledged) found.emplace_back(id, entry.acknowledged);
  }
  return found;
}

void SessionTable::Forgotten(uint64_t session, uint64_t acknowledged) {
  if (auto found = sessions_.find(session); found != sessions_.end()) Forget(&found->second, acknowledged);
}

std::vector<uint64_t> SessionTable::Ahead() const {
  std::vector<uint64_t> ahead;
  for (const auto& [id, entry] : sessions_) {
    if (entry.ahead) ahead.push_back(id);
  }
  return ahead;
}

bool SessionTable::Runs(uint64_t session) const {
  auto found = sessions_.find(session);
  return found != sessions_.end() && !found->second.running.empty();
}

// ---- Open files

Status SessionTable::NoteOpen(uint64_t session, OpenFile file, uint64_t order) {
  auto found = sessions_.find(session);
  if (found == sessions_.end() || found->second.ending)
    return {Code::kFenced, "session " + std::to_string(session) + " is over"};
  auto& open = found->second.open;
  auto it = open.find(file);
  if (it != open.end()) {
    it->second = std::max(it->second, order);
    return {};
  }
  if (open.size() >= kMaxOpenFiles)
    return {Code::kUnavailable, "the session has " + std::to_string(kMaxOpenFiles) + " files open"};
  open[file] = order;
  ++open_[file];
  return {};
}

Status SessionTable::NoteClosed(uint64_t session, OpenFile file, uint64_t order) {
  auto found = sessions_.find(session);
  if (found == sessions_.end()) return {Code::kFenced, "session " + std::to_string(session) + " is over"};
  auto it = found->second.open.find(file);
  if (it == found->second.open.end() || order < it->second) return {};
  found->second.open.erase(it);
  CountClosed(file);
  return {};
}

void SessionTable::CountClosed(OpenFile file) {
  auto it = open_.find(file);
  if (--it->second == 0) open_.erase(it);
}

std::vector<SessionTable::Info> SessionTable::List(SteadyTime now) const {
  std::vector<Info> list;
  for (const auto& [id, e] : sessions_) {
    list.push_back({.session = id,
                    .owner = e.owner,
                    .acknowledged = e.acknowledged,
                    .remembered = e.outcomes.size(),
                    .bytes = e.bytes,
                    .running = e.running.size(),
                    .open_files = e.open.size(),
                    .silent = now - e.heard});
  }
  return list;
}

}  // namespace curvefs::metaserver
