#include "object/open_objects.h"

namespace curvefs::object {

std::shared_ptr<const OpenObject> OpenObjects::Find(const ObjectName& name) {
  MutexLock lock(mu_);
  auto it = by_name_.find(name);
  if (it == by_name_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, it->second);
  return it->second->second;
}

void OpenObjects::Insert(const ObjectName& name, std::shared_ptr<const OpenObject> object) {
  std::shared_ptr<const OpenObject> closed;  // outside the lock
  MutexLock lock(mu_);
  if (auto it = by_name_.find(name); it != by_name_.end()) {
    closed = std::exchange(it->second->second, std::move(object));
    by_use_.splice(by_use_.begin(), by_use_, it->second);
    return;
  }
  by_use_.emplace_front(name, std::move(object));
  by_name_[name] = by_use_.begin();
  if (by_use_.size() <= limit_) return;
  closed = std::move(by_use_.back().second);
  by_name_.erase(by_use_.back().first);
  by_use_.pop_back();
}

void OpenObjects::Erase(const ObjectName& name) {
  std::shared_ptr<const OpenObject> closed;
  MutexLock lock(mu_);
  auto it = by_name_.find(name);
  if (it == by_name_.end()) return;
  closed = std::move(it->second->second);
  by_use_.erase(it->second);
  by_name_.erase(it);
}

}  // namespace curvefs::object
