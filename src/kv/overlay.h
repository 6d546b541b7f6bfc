// Overlay: a view of `base` with changes laid over it, and the batch of those changes.
//
// An operation is evaluated on an overlay: it reads its own writes, and what it wrote becomes one WriteBatch.
// A replicated copyset stacks another one below it, of what is proposed but not yet committed. Not
// thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

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

  void Set(std::string_view key, std::string_view value);
  void Del(std::string_view key);

  bool empty() const { return changes_.empty(); }
  // The changes, in key order, one record for each key.
  WriteBatch ToBatch() const;

 private:
  const View& base_;
  std::map<std::string, std::optional<std::string>, std::less<>> changes_;  // nullopt: deleted
};

}  // namespace curvefs::kv
