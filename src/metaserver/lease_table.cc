#include "metaserver/lease_table.h"

#include <algorithm>
#include <utility>

namespace curvefs::metaserver {

void LeaseTable::Start(uint64_t epoch) {
  Clear();
  next_epoch_ = epoch;
}

void LeaseTable::Clear() {
  sessions_.clear();
  holders_.clear();
  changing_.clear();
  for (auto& [number, waiting] : std::exchange(recalls_, {})) waiting.then();
}

uint64_t LeaseTable::Hear(uint64_t session, uint64_t connection) {
  Entry& entry = sessions_[session];
  if (connection < entry.connection) return 0;
  if (connection > entry.connection) {
    ReleaseAll(&entry, session);
    entry.connection = connection;
    entry.epoch = next_epoch_++;
  }
  return entry.epoch;
}

// The client has nothing any more of what it held.
void LeaseTable::ReleaseAll(Entry* entry, uint64_t session) {
  for (const Item& item : entry->items) {
    auto it = holders_.find(item);
    if (it == holders_.end()) continue;
    std::erase_if(it->second, [&](const Holder& h) { return h.session == session; });
    if (it->second.empty()) holders_.erase(it);
  }
  entry->items.clear();
  entry->dropping_all = 0;
  entry->until = {};
  for (auto& [number, waiting] : recalls_) waiting.sessions.erase(session);
}

bool LeaseTable::Changing(const Item& item, uint64_t session, bool knows_own) const {
  auto it = changing_.find(item);
  if (it == changing_.end()) return false;
  const Changes& c = it->second;
  return !knows_own || c.early != c.all || c.early_of != session;
}

bool LeaseTable::Hold(uint64_t session, const Item& item, uint8_t parts, bool knows_own) {
  auto found = sessions_.find(session);
  if (found == sessions_.end() || found->second.dropping_all != 0) return false;
  Entry& entry = found->second;
  auto it = holders_.find(item);
  if (it != holders_.end()) {
    auto mine = std::ranges::find(it->second, session, &Holder::session);
    if (mine != it->second.end() && (mine->parts & parts) == parts) return true;
    if (Changing(item, session, knows_own)) return false;
    if (mine != it->second.end()) {
      mine->parts |= parts;
      return true;
    }
  }
  if (Changing(item, session, knows_own) || holders_.size() >= bounds_.of_all) return false;
  if (entry.items.size() >= bounds_.of_session) {
    entry.dropping_all = ++next_recall_;
    tell_(session, entry.dropping_all, {}, true);
    return false;
  }
  holders_[item].push_back({session, parts});
  entry.items.insert(item);
  return true;
}

void LeaseTable::Release(uint64_t session, const Item& item) {
  auto it = holders_.find(item);
  if (it == holders_.end()) return;
  std::erase_if(it->second, [&](const Holder& h) { return h.session == session; });
  if (it->second.empty()) holders_.erase(it);
  if (auto entry = sessions_.find(session); entry != sessions_.end()) entry->second.items.erase(item);
}

void LeaseTable::Extend(uint64_t session, SteadyTime until) {
  if (auto it = sessions_.find(session); it != sessions_.end())
    it->second.until = std::max(it->second.until, until);
}

uint8_t LeaseTable::Held(uint64_t session, const Item& item) const {
  auto it = holders_.find(item);
  if (it == holders_.end()) return 0;
  auto mine = std::ranges::find(it->second, session, &Holder::session);
  return mine == it->second.end() ? 0 : mine->parts;
}

uint64_t LeaseTable::Recall(uint64_t self, const Parts& parts, SteadyTime now) {
  std::map<uint64_t, Parts> told;
  for (const auto& [item, part] : parts) {
    auto it = holders_.find(item);
    if (it == holders_.end()) continue;
    for (Holder& holder : it->second) {
      const auto held = static_cast<uint8_t>(holder.parts & part);
      if (holder.session == self || held == 0) continue;
      told[holder.session][item] = held;
      holder.parts &= static_cast<uint8_t>(~held);
      if (holder.parts == 0) sessions_[holder.session].items.erase(item);
    }
    std::erase_if(it->second, [](const Holder& h) { return h.parts == 0; });
    if (it->second.empty()) holders_.erase(it);
  }
  // Whoever was told of a part before, and relies on it still, is waited for again.
  for (const auto& [other, before] : recalls_) {
    const bool meets = std::ranges::any_of(parts, [&](const auto& p) {
      auto it = before.parts.find(p.first);
      return it != before.parts.end() && (it->second & p.second) != 0;
    });
    if (!meets) continue;
    for (const auto& [session, until] : before.sessions)
      if (session != self) told.try_emplace(session);
  }
  const uint64_t number = ++next_recall_;
  Waiting waiting;
  for (const auto& [session, gone] : told) {
    const SteadyTime until = sessions_[session].until;
    if (until > now) waiting.sessions[session] = until;
    tell_(session, until > now ? number : 0, gone, false);
  }
  if (waiting.sessions.empty()) return 0;
  waiting.parts = parts;
  Begin(parts);
  recalls_[number] = std::move(waiting);
  return number;
}

void LeaseTable::Begin(const Parts& parts, uint64_t early) {
  for (const auto& [item, part] : parts) {
    Changes& c = changing_[item];
    ++c.all;
    if (early == 0) continue;
    ++c.early;
    c.early_of = early;
  }
}

void LeaseTable::End(const Parts& parts, uint64_t early) {
  for (const auto& [item, part] : parts) {
    auto it = changing_.find(item);
    if (it == changing_.end()) continue;
    if (early != 0 && it->second.early > 0) --it->second.early;
    if (--it->second.all == 0) changing_.erase(it);
  }
}

void LeaseTable::Dropped(uint64_t session, uint64_t number) {
  auto entry = sessions_.find(session);
  if (entry != sessions_.end() && entry->second.dropping_all != 0 && entry->second.dropping_all == number) {
    const SteadyTime until = entry->second.until;
    ReleaseAll(&entry->second, session);
    entry->second.until = until;
  } else {
    // What it was told before it has dropped, too: it hears of one after the other.
    for (auto it = recalls_.begin(); it != recalls_.end() && it->first <= number; ++it)
      it->second.sessions.erase(session);
  }
  RunReady();
}

void LeaseTable::Ended(uint64_t session) {
  auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  ReleaseAll(&it->second, session);
  sessions_.erase(it);
  RunReady();
}

void LeaseTable::Tick(SteadyTime now) {
  for (auto& [number, waiting] : recalls_)
    std::erase_if(waiting.sessions, [&](const auto& s) { return s.second <= now; });
  RunReady();
}

void LeaseTable::RunReady() {
  for (;;) {
    auto ready = std::ranges::find_if(recalls_, [](const auto& r) { return r.second.sessions.empty(); });
    if (ready == recalls_.end()) return;
    const Waiting waiting = std::move(ready->second);
    recalls_.erase(ready);
    End(waiting.parts);
    waiting.then();
  }
}

}  // namespace curvefs::metaserver
