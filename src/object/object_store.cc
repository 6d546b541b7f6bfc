#include "object/object_store.h"

namespace curvefs::object {

Status ObjectStore::DeleteMany(std::span<const ObjectName> names) {
  Status first;
  for (const auto& name : names) {
    if (Status s = Delete(name); !s.ok() && first.ok()) first = std::move(s);
  }
  return first;
}

}  // namespace curvefs::object
