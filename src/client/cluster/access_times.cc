#include "client/cluster/access_times.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace curvefs::client {
namespace {

constexpr size_t kAtOnce = 2'000;                         // as many as a server takes
constexpr Duration kLastWords = std::chrono::seconds(2);  // of Finish

}  // namespace

AccessTimes::AccessTimes(CopysetClient& copyset, Duration delay)
    : copyset_(copyset), later_(delay, [this] { Say(Duration()); }) {}

void AccessTimes::Note(InodeId inode, Timestamp time) {
  MutexLock lock(mu_);
  Timestamp& noted = noted_[inode];
  noted = std::max(noted, time);
  any_ = true;
  if (noted_.size() >= kAtOnce) {
    later_.Hurry();
  } else {
    later_.Ask();
  }
}

void AccessTimes::Apply(meta::Inode* inode) {
  if (!any_.load(std::memory_order_relaxed)) return;
  MutexLock lock(mu_);
  for (const Times* times : {&noted_, &saying_})
    if (auto it = times->find(inode->id); it != times->end())
      inode->atime = std::max(inode->atime, it->second);
}

void AccessTimes::Forget(InodeId inode) {
  if (!any_.load(std::memory_order_relaxed)) return;
  MutexLock lock(mu_);
  noted_.erase(inode);
  while (saying_.contains(inode)) said_.Wait(mu_);
}

void AccessTimes::Finish() {
  later_.Stop();
  Say(kLastWords);
}

// `timeout`: 0 is that of the copyset's calls.
void AccessTimes::Say(Duration timeout) {
  const MutexLock one(one_at_a_time_);
  for (;;) {
    proto::TouchInodesRequest request;
    {
      MutexLock lock(mu_);
      while (!noted_.empty() && saying_.size() < kAtOnce) saying_.insert(noted_.extract(noted_.begin()));
      any_ = !saying_.empty();
      if (saying_.empty()) return;
      for (const auto& [inode, time] : saying_) {
        auto* touched = request.add_touched();
        touched->set_inode_id(inode.value);
        touched->set_atime_ns(time.ns);
      }
    }
    const auto response = copyset_.Change<proto::TouchInodesResponse>(proto::MetaCall::kTouchInodes,
                                                                      std::move(request), timeout);
    if (!response) Log(LogLevel::kWarning, "access times of files are lost: " + response.error().ToString());
    MutexLock lock(mu_);
    saying_.clear();
    said_.NotifyAll();
  }
}

}  // namespace curvefs::client
