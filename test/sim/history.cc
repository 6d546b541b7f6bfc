#include "test/sim/history.h"

#include <algorithm>
#include <map>

namespace curvefs::sim {
namespace {

struct Zone {
  uint64_t first_end = Operation::kNever, last_begin = 0;
  const Operation* write = nullptr;
  const Operation* last = nullptr;  // that begins last
  bool seen = false;                // a read returned it
  bool forward() const { return first_end < last_begin; }
  uint64_t low() const { return std::min(first_end, last_begin); }
  uint64_t high() const { return std::max(first_end, last_begin); }
};

std::string Name(const Zone& zone, uint64_t value) {
  std::string text = "value " + std::to_string(value);
  if (zone.write && zone.write->id) text += " (operation " + std::to_string(zone.write->id) + ")";
  return text + " from " + std::to_string(zone.low()) + " to " + std::to_string(zone.high());
}

std::string CheckKey(uint64_t key, std::map<uint64_t, Zone>& zones) {
  const std::string where = "key " + std::to_string(key) + ": ";
  std::vector<std::pair<uint64_t, const Zone*>> forward, backward;
  for (auto& [value, zone] : zones) {
    if (!zone.write) return where + "value " + std::to_string(value) + " was read and never written";
    if (zone.first_end < zone.write->begin)
      return where + Name(zone, value) + " was read before it was written";
    // A write without an outcome that nobody saw may not have happened.
    if (!zone.seen && zone.write->end == Operation::kNever) continue;
    (zone.forward() ? forward : backward).emplace_back(value, &zone);
  }
  std::sort(forward.begin(), forward.end(),
            [](const auto& a, const auto& b) { return a.second->low() < b.second->low(); });
  for (size_t i = 1; i < forward.size(); ++i) {
    if (forward[i].second->low() < forward[i - 1].second->high()) {
      return where + Name(*forward[i - 1].second, forward[i - 1].first) + " and " +
             Name(*forward[i].second, forward[i].first) + " were both there, one after the other and again";
    }
  }
  for (const auto& [value, zone] : backward) {
    // The last forward zone that begins before this one: the others end before it.
    auto it = std::upper_bound(forward.begin(), forward.end(), zone->low(),
                               [](uint64_t low, const auto& f) { return low < f.second->low(); });
    if (it == forward.begin()) continue;
    --it;
    if (it->second->low() < zone->low() && zone->high() < it->second->high()) {
      return where + Name(*zone, value) + " happened while " + Name(*it->second, it->first) + " had to stand";
    }
  }
  return {};
}

}  // namespace

std::string FindViolation(const std::vector<Operation>& history) {
  static const Operation kInitial{.write = true, .begin = 0, .end = 0};
  std::map<uint64_t, std::map<uint64_t, Zone>> keys;
  for (const Operation& op : history) {
    std::map<uint64_t, Zone>& zones = keys[op.key];
    if (zones.empty()) zones[0] = {.first_end = 0, .last_begin = 0, .write = &kInitial, .last = &kInitial};
    Zone& zone = zones[op.value];
    if (op.write) {
      if (zone.write) return "value " + std::to_string(op.value) + " was written twice";
      zone.write = &op;
    } else {
      zone.seen = true;
    }
    zone.first_end = std::min(zone.first_end, op.end);
    if (op.begin >= zone.last_begin) {
      zone.last_begin = op.begin;
      zone.last = &op;
    }
  }
  for (auto& [key, zones] : keys) {
    if (std::string what = CheckKey(key, zones); !what.empty()) return what;
  }
  return {};
}

}  // namespace curvefs::sim
