#include "kv/overlay.h"

#include <algorithm>
#include <utility>

namespace curvefs::kv {

Status Overlay::Get(std::string_view key, std::string* value) const {
  auto it = changes_.find(key);
  if (it == changes_.end()) return base_.Get(key, value);
  if (!it->second.value) return Code::kNotFound;
  *value = *it->second.value;
  return {};
}

Status Overlay::Scan(std::string_view begin, std::string_view end, const Visitor& visit) const {
  auto change = changes_.lower_bound(begin);
  auto in_range = [&] {
    return change != changes_.end() && (end.empty() || std::string_view(change->first) < end);
  };
  if (!in_range()) return base_.Scan(begin, end, visit);

  bool stopped = false;
  // Visits the changes before `key`; false once the visitor has had enough.
  auto visit_changes_before = [&](std::string_view key, bool to_the_end) {
    for (; in_range() && (to_the_end || std::string_view(change->first) < key); ++change) {
      if (change->second.value && !visit(change->first, *change->second.value)) {
        stopped = true;
        return false;
      }
    }
    return true;
  };
  CURVEFS_CHECK_OK(base_.Scan(begin, end, [&](std::string_view key, std::string_view value) {
    if (!visit_changes_before(key, false)) return false;
    if (in_range() && change->first == key) {  // the change hides the base's pair
      stopped = change->second.value && !visit(key, *change->second.value);
      ++change;
    } else {
      stopped = !visit(key, value);
    }
    return !stopped;
  }));
  if (!stopped) visit_changes_before({}, true);
  return {};
}

void Overlay::Put(std::string_view key, std::optional<std::string> value, uint64_t number) {
  auto it = changes_.lower_bound(key);
  if (it == changes_.end() || it->first != key) {
    changes_.emplace_hint(it, key, Change{{std::move(value), number}, {}});
    return;
  }
  Change& change = it->second;
  if (change.number != number) change.hidden.push_back(std::move(static_cast<Version&>(change)));
  change.value = std::move(value);
  change.number = number;
}

void Overlay::Add(std::string_view encoded, uint64_t number) {
  WriteBatch::ForEachTrusted(encoded, [&](RecordType type, std::string_view key, std::string_view value) {
    Put(key, type == RecordType::kSet ? std::optional(std::string(value)) : std::nullopt, number);
  });
}

void Overlay::Forget(std::string_view encoded, uint64_t number) {
  WriteBatch::ForEachTrusted(encoded, [&](RecordType, std::string_view key, std::string_view) {
    auto it = changes_.find(key);
    if (it == changes_.end()) return;
    Change& change = it->second;
    if (change.number != number) {
      auto hidden = std::ranges::find(change.hidden, number, &Version::number);
      if (hidden != change.hidden.end()) change.hidden.erase(hidden);
    } else if (change.hidden.empty()) {
      changes_.erase(it);
    } else {
      static_cast<Version&>(change) = std::move(change.hidden.back());
      change.hidden.pop_back();
    }
  });
}

WriteBatch Overlay::ToBatch() const {
  WriteBatch batch;
  for (const auto& [key, change] : changes_) {
    if (change.value) {
      batch.Set(key, *change.value);
    } else {
      batch.Del(key);
    }
  }
  return batch;
}

}  // namespace curvefs::kv
