// Overlay: a view of `base` with changes laid over it, and the batch of those changes.
//
// An operation is evaluated on an overlay: it reads its own writes, and what it wrote becomes one WriteBatch.
// A replicated copyset stacks another one below it, of what is proposed but not yet committed. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kv/view.h"
#include "kv/write_batch.h"

namespace curvefs::kv {

class Overlay final : public View {
 public:
  explicit Overlay(const View& base) : base_(base) {}
  // Not a copy: to stack one on another, pass the lower as a `const View&`.
  Overlay(const Overlay&) = delete;
  Overlay& operator=(const Overlay&) = delete;

  Status Get(std::string_view key, std::string* value) const override;
  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override;

  void Set(std::string_view key, std::string_view value) { Put(key, std::string(value), 0); }
  void Del(std::string_view key) { Put(key, std::nullopt, 0); }

  // Lays an encoded batch over the view, and takes it away again, in whatever order: of the batches that are
  // there the latest shows. `number`: not 0, rising.
  void Add(std::string_view encoded, uint64_t number);
  void Forget(std::string_view encoded, uint64_t number);

  bool empty() const { return changes_.empty(); }
  // The changes, in key order, one record for each key.
  WriteBatch ToBatch() const;

 private:
  struct Version {
    std::optional<std::string> value;  // nullopt: deleted
    uint64_t number = 0;               // of the batch that made it
  };
  struct Change : Version {
    std::vector<Version> hidden;  // by it, of earlier batches, in their order
  };
  void Put(std::string_view key, std::optional<std::string> value, uint64_t number);

  const View& base_;
  std::map<std::string, Change, std::less<>> changes_;
};

}  // namespace curvefs::kv
