#include "client/cluster/open_inodes.h"

#include <algorithm>
#include <vector>

#include "base/log.h"

namespace curvefs::client {
namespace {

constexpr size_t kAtOnce = 10'000;  // as many as a server takes

}  // namespace

using proto::MetaCall;

OpenInodes::OpenInodes(CopysetClient& copyset, Duration linger)
    : copyset_(copyset), later_(linger, [this] { SayClosed(); }) {}

Result<std::optional<meta::Inode>> OpenInodes::Open(InodeId inode) {
  {
    MutexLock lock(mu_);
    Entry& entry = open_[inode];
    ++entry.count;
    if (entry.held) return std::optional<meta::Inode>();
  }
  Result<meta::Inode> said = Say(inode);
  if (said) return std::optional(*std::move(said));
  Close(inode);
  return Fail(said.error());
}

Result<meta::Inode> OpenInodes::Say(InodeId inode) {
  proto::OpenInodeRequest request;
  request.add_inode_id(inode.value);
  request.set_with_inodes(true);
  {
    MutexLock lock(mu_);
    request.set_order(++order_);
  }
  CURVEFS_TRY(const auto response, copyset_.ReadKept<proto::OpenInodeResponse>(
                                       MetaCall::kOpenInode, request,
                                       [](const proto::OpenInodeResponse& r, LeaseCache::Answer* says) {
                                         for (const proto::Inode& i : r.inode())
                                           says->inodes.push_back(FromWire(i));
                                       },
                                       true));
  if (response.status_size() != 1) return Fail(Code::kIo, "an answer for other inodes than were asked about");
  if (response.status(0) != proto::OK) return Fail(Code::kStale);
  if (response.inode_size() != 1) return Fail(Code::kIo, "an answer without the attributes asked for");
  meta::Inode found = FromWire(response.inode(0));
  MutexLock lock(mu_);
  if (auto it = open_.find(inode); it != open_.end()) it->second.held = true;
  return found;
}

void OpenInodes::Close(InodeId inode) {
  MutexLock lock(mu_);
  auto it = open_.find(inode);
  if (it == open_.end() || it->second.count == 0 || --it->second.count > 0) return;
  closed_.push_back(inode);
  later_.Ask();
}

// Those that nobody has opened again, at most kAtOnce.
std::vector<InodeId> OpenInodes::TakeClosed(uint64_t* order) {
  const size_t n = std::min(closed_.size(), kAtOnce);
  std::vector<InodeId> taken;
  taken.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    auto it = open_.find(closed_[i]);
    if (it == open_.end() || it->second.count > 0) continue;
    taken.push_back(closed_[i]);
    open_.erase(it);
  }
  closed_.erase(closed_.begin(), closed_.begin() + static_cast<ptrdiff_t>(n));
  *order = ++order_;
  return taken;
}

void OpenInodes::SayClosed() {
  for (;;) {
    proto::CloseInodeRequest request;
    {
      MutexLock lock(mu_);
      if (closed_.empty()) return;
      uint64_t order = 0;
      for (InodeId inode : TakeClosed(&order)) request.add_inode_id(inode.value);
      request.set_order(order);
    }
    if (request.inode_id_size() == 0) continue;
    auto response = copyset_.InSession<proto::CloseInodeResponse>(MetaCall::kCloseInode, request);
    if (!response)
      Log(LogLevel::kWarning,
          "closing " + std::to_string(request.inode_id_size()) + " inodes: " + response.error().ToString());
  }
}

OpenInodes::Creating OpenInodes::BeginCreate() {
  MutexLock lock(mu_);
  return {++order_, rounds_};
}

Status OpenInodes::Created(const Creating& creating, InodeId inode) {
  {
    MutexLock lock(mu_);
    Entry& entry = open_[inode];
    ++entry.count;
    // SayAgain of a later leader finds it from now on; an earlier one has not.
    entry.held = entry.held || rounds_ == creating.round;
    if (entry.held) return {};
  }
  auto said = Say(inode);
  return said ? Status() : said.error();
}

size_t OpenInodes::size() {
  MutexLock lock(mu_);
  return static_cast<size_t>(std::ranges::count_if(open_, [](const auto& e) { return e.second.count > 0; }));
}

void OpenInodes::SayAgain() {
  std::vector<InodeId> inodes;
  uint64_t order = 0;
  {
    MutexLock lock(mu_);
    for (const auto& [inode, entry] : open_) inodes.push_back(inode);
    order = ++order_;
    ++rounds_;
  }
  for (size_t at = 0; at < inodes.size(); at += kAtOnce) {
    proto::OpenInodeRequest request;
    request.set_order(order);
    request.set_again(true);
    for (size_t i = at; i < std::min(at + kAtOnce, inodes.size()); ++i) request.add_inode_id(inodes[i].value);
    auto response = copyset_.InSession<proto::OpenInodeResponse>(MetaCall::kOpenInode, request);
    if (!response)
      Log(LogLevel::kWarning, "telling the new leader what is open: " + response.error().ToString());
  }
}

}  // namespace curvefs::client
