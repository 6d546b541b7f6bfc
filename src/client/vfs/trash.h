// Trash: where deleted names go, and how long they stay: /.trash/YYYY-MM-DD-HH/ (UTC), only for the owner of
// the mount and root. An hour's directory is removed, with all in it, when the hour has been over for the
// time to keep.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "base/status.h"
#include "client/meta_client.h"

namespace curvefs::client {

inline constexpr std::string_view kTrashName = ".trash";

std::string HourName(Timestamp time);
// When the hour begins.
std::optional<Timestamp> ParseHourName(std::string_view name);

// Thread-safe.
class Trash {
 public:
  // `changed` is told of each directory whose entries the trash has changed.
  Trash(MetaClient& meta, const Clock& clock, Duration keep, uint32_t uid,
        std::function<void(InodeId)> changed)
      : meta_(meta), clock_(clock), keep_(keep), uid_(uid), changed_(std::move(changed)) {}

  bool enabled() const { return keep_.count() > 0; }
  bool IsName(InodeId parent, std::string_view name) const {
    return enabled() && parent == meta_.root() && name == kTrashName;
  }
  // Whether the kernel must not rely on the entries of this directory: they change without it.
  bool ChangesByItself(InodeId dir);

  // Runs remove(the directory of the hour; none if there is no trash), again if that directory had gone.
  template <typename F>
  auto Remove(F&& remove) -> decltype(remove(InodeId())) {
    if (!enabled()) return remove(InodeId());
    for (bool again = false;; again = true) {
      auto dir = Hour(again);
      if (!dir) return Fail(dir.error());
      auto result = remove(*dir);
      if (result) changed_(*dir);
      if (result || again || result.error().code() != Code::kUnavailable) return result;
    }
  }

  // Removes at most `max` names of what is too old. Returns how many it was; `gone` is called for inodes that
  // have lost their last name.
  Result<size_t> Expire(size_t max, const std::function<void(const meta::Inode&)>& gone);

 private:
  Result<InodeId> Hour(bool anew);
  Result<InodeId> Directory(InodeId parent, std::string_view name);
  Result<size_t> Empty(InodeId dir, size_t max, const std::function<void(const meta::Inode&)>& gone);

  MetaClient& meta_;
  const Clock& clock_;
  const Duration keep_;
  const uint32_t uid_;
  const std::function<void(InodeId)> changed_;
  Mutex mu_;  // not held over calls of meta_
  InodeId top_ CURVEFS_GUARDED_BY(mu_);
  std::string hour_ CURVEFS_GUARDED_BY(mu_);  // of `hour_dir_`
  InodeId hour_dir_ CURVEFS_GUARDED_BY(mu_);
  // The top and the hours seen; few, and ids are not used again.
  std::set<InodeId> known_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace curvefs::client
