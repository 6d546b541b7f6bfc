// CodedStore: compression and encryption at rest, around another store (coded_format.h).
//
// The digest is that of the inner object, which holds the coded bytes: so a stale or foreign object is
// noticed as everywhere, and a cache below needs to know nothing of codes. With encryption two Puts of the
// same data have different digests, because their salts differ.
#pragma once

#include <memory>
#include <optional>

#include "object/coded/coded_format.h"
#include "object/object_store.h"

namespace curvefs::object {

struct CodedOptions {
  Compression compression = Compression::kNone;
  // Objects are encrypted, and one that is not is refused.
  bool encrypted = false;
  // Without it an encrypted store can be listed, sized and deleted from, and not read or written.
  std::optional<DataKey> key;
};

// An object has at most kBlockSize bytes here; the inner one up to kCodedSlack more.
std::unique_ptr<ObjectStore> MakeCodedStore(std::unique_ptr<ObjectStore> inner, CodedOptions options);

}  // namespace curvefs::object
