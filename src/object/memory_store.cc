#include <map>
#include <memory>

#include "base/limits.h"
#include "base/mutex.h"
#include "object/object_format.h"
#include "object/object_store.h"

namespace curvefs::object {
namespace {

class MemoryObjectStore final : public ObjectStore {
 public:
  Result<uint32_t> Put(const ObjectName& name, const BufferList& data) override {
    const size_t size = TotalSize(data);
    if (size > kMaxObjectData)
      return Fail(Code::kTooBig, "object " + name.ToString() + " is larger than a block");
    auto object = std::make_shared<Object>();
    object->data.resize(size);
    CopyOut(data, object->data.data());
    object->digest = MakeTrailer(data).digest;
    WriterLock lock(mu_);
    objects_[name] = std::move(object);
    return objects_[name]->digest;
  }

  Status Sync(std::span<const ObjectName> names) override {
    ReaderLock lock(mu_);
    for (const auto& name : names) {
      if (!objects_.contains(name)) {
        return {Code::kIo, "object " + name.ToString() + " was to be synced but is not there"};
      }
    }
    return {};
  }

  Status Read(const ObjectName& name, uint32_t digest, uint64_t offset, char* out, size_t n) override {
    auto object = Find(name);
    if (!object) return {Code::kNotFound, "object " + name.ToString() + " is not there"};
    if (object->digest != digest) {
      return {Code::kCorrupt, "object " + name.ToString() + ": it is not the one that the metadata means"};
    }
    if (offset > object->data.size() || n > object->data.size() - offset) {
      return {Code::kCorrupt, "object " + name.ToString() + ": read at " + std::to_string(offset + n) +
                                  " past its end at " + std::to_string(object->data.size())};
    }
    object->data.copy(out, n, offset);
    return {};
  }

  void Prefetch(const ObjectName&, uint64_t, size_t) override {}

  Status Delete(const ObjectName& name) override {
    WriterLock lock(mu_);
    objects_.erase(name);
    return {};
  }

  Result<ObjectStat> Stat(const ObjectName& name) override {
    auto object = Find(name);
    if (!object) return Fail(Code::kNotFound, "object " + name.ToString() + " is not there");
    return ObjectStat{.size = object->data.size(), .digest = object->digest};
  }

  Status List(ChunkId from, const std::function<bool(const ObjectName&)>& visit, uint64_t* foreign) override {
    if (foreign != nullptr) *foreign = 0;
    std::vector<ObjectName> names;  // visit may call us
    {
      ReaderLock lock(mu_);
      ObjectName first;
      first.chunk = from;
      for (auto it = objects_.lower_bound(first); it != objects_.end(); ++it) names.push_back(it->first);
    }
    for (const auto& name : names) {
      if (!visit(name)) break;
    }
    return {};
  }

  Result<DiskSpace> Space() override { return DiskSpace{uint64_t{1} << 40, uint64_t{1} << 40}; }

 private:
  struct Object {
    std::string data;
    uint32_t digest = 0;
  };
  std::shared_ptr<const Object> Find(const ObjectName& name) const {
    ReaderLock lock(mu_);
    auto it = objects_.find(name);
    return it == objects_.end() ? nullptr : it->second;
  }

  mutable SharedMutex mu_;  // a leaf
  std::map<ObjectName, std::shared_ptr<const Object>> objects_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<ObjectStore> MakeMemoryObjectStore() {
  return std::make_unique<MemoryObjectStore>();
}

}  // namespace curvefs::object
