#include "kv/overlay.h"

namespace curvefs::kv {

Status Overlay::Get(std::string_view key, std::string* value) const {
  auto it = changes_.find(key);
  if (it == changes_.end()) return base_.Get(key, value);
  if (!it->second) return Code::kNotFound;
  *value = *it->second;
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
      if (change->second && !visit(change->first, *change->second)) {
        stopped = true;
        return false;
      }
    }
    return true;
  };
  CURVEFS_CHECK_OK(base_.Scan(begin, end, [&](std::string_view key, std::string_view value) {
    if (!visit_changes_before(key, false)) return false;
    if (in_range() && change->first == key) {  // the change hides the base's pair
      stopped = change->second && !visit(key, *change->second);
      ++change;
    } else {
      stopped = !visit(key, value);
    }
    return !stopped;
  }));
  if (!stopped) visit_changes_before({}, true);
  return {};
}

void Overlay::Set(std::string_view key, std::string_view value) {
  auto it = changes_.lower_bound(key);
  if (it != changes_.end() && it->first == key) {
    it->second = value;
  } else {
    changes_.emplace_hint(it, key, value);
  }
}

void Overlay::Del(std::string_view key) {
  auto it = changes_.lower_bound(key);
  if (it != changes_.end() && it->first == key) {
    it->second.reset();
  } else {
    changes_.emplace_hint(it, key, std::nullopt);
  }
}

WriteBatch Overlay::ToBatch() const {
  WriteBatch batch;
  for (const auto& [key, value] : changes_) {
    if (value) {
      batch.Set(key, *value);
    } else {
      batch.Del(key);
    }
  }
  return batch;
}

}  // namespace curvefs::kv
