#include "object/object_store.h"

namespace curvefs::object {

Status ObjectStore::DeleteMany(std::span<const ObjectName> names) {
  Status first;
  for (const auto& name : names) {
    if (Status s = Delete(name); !s.ok() && first.ok()) first = std::move(s);
  }
  return first;
}

Status ObjectStore::ListDetails(ChunkId from, const std::function<bool(const ObjectDetails&)>& visit,
                                uint64_t* foreign) {
  return List(from, [&](const ObjectName& name) { return visit({.name = name}); }, foreign);
}

Result<Timestamp> ObjectStore::WrittenAt(const ObjectName& name) {
  return Fail(Code::kNotSupported, "the object store cannot say when " + name.ToString() + " was written");
}

Result<uint64_t> ObjectStore::Size(const ObjectName& name) {
  CURVEFS_TRY(const ObjectStat stat, Stat(name));
  return stat.size;
}

Result<std::shared_ptr<Buffer>> ObjectStore::ReadWhole(const ObjectName& name, uint32_t digest) {
  CURVEFS_TRY(const ObjectStat stat, Stat(name));
  auto bytes = Buffer::Make(stat.size);
  CURVEFS_CHECK_OK(Read(name, digest, 0, bytes->data(), stat.size));
  return bytes;
}

}  // namespace curvefs::object
