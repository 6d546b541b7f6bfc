// The object files that a directory store keeps open, each with its checksums: the least recently used are
// closed first.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

#include "base/disk.h"
#include "base/mutex.h"
#include "object/object_format.h"
#include "object/object_store.h"

namespace curvefs::object {

struct OpenObject {
  std::unique_ptr<File> file;
  ChecksumTable table;
};

// Thread-safe. A file that has been given out stays open until its last user lets go.
class OpenObjects {
 public:
  explicit OpenObjects(size_t limit) : limit_(limit) {}

  std::shared_ptr<const OpenObject> Find(const ObjectName& name);
  void Insert(const ObjectName& name, std::shared_ptr<const OpenObject> object);
  void Erase(const ObjectName& name);

 private:
  struct Hash {
    size_t operator()(const ObjectName& n) const noexcept {
      const uint64_t h = n.chunk.value * 0x9e3779b97f4a7c15u ^ n.inode.value ^ (uint64_t{n.block} << 32) ^
                         (uint64_t{n.compaction} << 48) ^ n.fs.value;
      return static_cast<size_t>(h ^ h >> 29);
    }
  };
  using Entry = std::pair<ObjectName, std::shared_ptr<const OpenObject>>;

  const size_t limit_;
  Mutex mu_;                                         // a leaf
  std::list<Entry> by_use_ CURVEFS_GUARDED_BY(mu_);  // most recent first
  std::unordered_map<ObjectName, std::list<Entry>::iterator, Hash> by_name_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace curvefs::object
