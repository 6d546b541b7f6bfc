// The checksum tables of objects that were read or written lately, so that a part of an object can be read
// and verified with one request. The least recently used go first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/mutex.h"
#include "object/object_format.h"

namespace curvefs::object::s3 {

// Thread-safe.
class TableCache {
 public:
  explicit TableCache(size_t limit_bytes) : limit_(limit_bytes) {}

  std::shared_ptr<const ChecksumTable> Find(const std::string& key);  // null: not here
  void Insert(const std::string& key, std::shared_ptr<const ChecksumTable> table);
  void Erase(const std::string& key);
  size_t bytes() const;

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const ChecksumTable> table;
    size_t bytes() const { return 2 * key.size() + table->units.size() * sizeof(uint32_t) + 200; }
  };
  void EraseLocked(const std::string& key) CURVEFS_REQUIRES(mu_);

  const size_t limit_;
  mutable Mutex mu_;                                 // a leaf
  std::list<Entry> by_use_ CURVEFS_GUARDED_BY(mu_);  // most recent first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_ CURVEFS_GUARDED_BY(mu_);
  size_t bytes_ CURVEFS_GUARDED_BY(mu_) = 0;
};

}  // namespace curvefs::object::s3
