#include "object/s3/table_cache.h"

#include <utility>

namespace curvefs::object::s3 {

std::shared_ptr<const ChecksumTable> TableCache::Find(const std::string& key) {
  MutexLock lock(mu_);
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->table;
}

void TableCache::Insert(const std::string& key, std::shared_ptr<const ChecksumTable> table) {
  MutexLock lock(mu_);
  EraseLocked(key);
  by_use_.push_front({key, std::move(table)});
  by_key_[key] = by_use_.begin();
  bytes_ += by_use_.front().bytes();
  while (bytes_ > limit_ && !by_use_.empty()) EraseLocked(std::string(by_use_.back().key));
}

void TableCache::Erase(const std::string& key) {
  MutexLock lock(mu_);
  EraseLocked(key);
}

void TableCache::EraseLocked(const std::string& key) {
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  bytes_ -= found->second->bytes();
  by_use_.erase(found->second);
  by_key_.erase(found);
}

size_t TableCache::bytes() const {
  MutexLock lock(mu_);
  return bytes_;
}

}  // namespace curvefs::object::s3
