#include "client/cluster/open_inodes.h"

#include <algorithm>
#include <vector>

#include "base/log.h"

namespace curvefs::client {
namespace {

constexpr size_t kAtOnce = 10'000;  // as many as a server takes

}  // namespace

using proto::MetaCall;

Status OpenInodes::Open(InodeId inode) {
  {
    MutexLock lock(mu_);
    Entry& entry = open_[inode];
    ++entry.count;
    if (entry.held) return {};
  }
  Status said = Say(inode);
  if (!said.ok()) Close(inode);
  return said;
}

Status OpenInodes::Say(InodeId inode) {
  proto::OpenInodeRequest request;
  request.add_inode_id(inode.value);
  {
    MutexLock lock(mu_);
    request.set_order(++order_);
  }
  CURVEFS_TRY(const auto response,
              copyset_.InSession<proto::OpenInodeResponse>(MetaCall::kOpenInode, request));
  if (response.status_size() != 1) return {Code::kIo, "an answer for other inodes than were asked about"};
  if (response.status(0) != proto::OK) return Code::kStale;
  MutexLock lock(mu_);
  if (auto it = open_.find(inode); it != open_.end()) it->second.held = true;
  return {};
}

void OpenInodes::Close(InodeId inode) {
  proto::CloseInodeRequest request;
  {
    MutexLock lock(mu_);
    auto it = open_.find(inode);
    if (it == open_.end() || --it->second.count > 0) return;
    open_.erase(it);
    request.set_order(++order_);
  }
  request.add_inode_id(inode.value);
  auto response = copyset_.InSession<proto::CloseInodeResponse>(MetaCall::kCloseInode, request);
  if (!response)
    Log(LogLevel::kWarning,
        "closing inode " + std::to_string(inode.value) + ": " + response.error().ToString());
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
  return Say(inode);
}

size_t OpenInodes::size() {
  MutexLock lock(mu_);
  return open_.size();
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
