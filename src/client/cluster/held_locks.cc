#include "client/cluster/held_locks.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"

namespace curvefs::client {

using meta::FileLock;
using proto::MetaCall;

namespace {

void ToWire(const FileLock& lock, proto::FileLock* out) {
  out->set_kind(static_cast<proto::LockKind>(lock.kind));
  out->set_type(static_cast<proto::LockType>(lock.type));
  out->set_owner(lock.owner);
  out->set_begin(lock.begin);
  out->set_last(lock.last);
  out->set_pid(lock.pid);
}

}  // namespace

// `*again`: a new leader was told what is held while this was under way, and perhaps without it.
Status HeldLocks::SetOnce(InodeId inode, const FileLock& lock, bool* again) {
  proto::SetLockRequest request;
  request.set_inode_id(inode.value);
  ToWire(lock, request.mutable_lock());
  const uint64_t session = copyset_.session();
  uint64_t round = 0;
  {
    MutexLock guard(mu_);
    Within(session);
    request.set_order(++order_);
    round = rounds_;
  }
  auto response = copyset_.Within<proto::SetLockResponse>(session, MetaCall::kSetLock, request);
  const Code code = response ? Code::kOk : response.error().code();
  if (code == Code::kFenced) {
    CURVEFS_CHECK_OK(copyset_.Renew(session));
    *again = true;
    return {};
  }
  MutexLock guard(mu_);
  *again = round != rounds_ || code == Code::kBusy;
  if (*again) return {};
  FileLock change = lock;
  // To change a whole lock is to give the old one up first.
  if (code == Code::kWouldBlock && lock.kind == meta::LockKind::kWhole) change.type = meta::LockType::kUnlock;
  if (code == Code::kOk || change.type != lock.type) {
    meta::FileLocks& locks = held_[inode];
    locks.Apply(change);
    if (locks.empty()) held_.erase(inode);
  }
  return response ? Status() : response.error();
}

Status HeldLocks::Set(InodeId inode, const FileLock& lock) {
  MutexLock one_at_a_time(saying_);
  for (bool again = true;;) {
    Status s = SetOnce(inode, lock, &again);
    if (!again) return s;
  }
}

// What was got under another session is lost: others may have had it meanwhile.
void HeldLocks::Within(uint64_t session) {
  if (session == session_) return;
  session_ = session;
  if (held_.empty()) return;
  Log(LogLevel::kWarning, "advisory locks on " + std::to_string(held_.size()) +
                              " files are lost with the session that held them; whoever relied on them must "
                              "take them again");
  held_.clear();
}

Result<std::optional<FileLock>> HeldLocks::Conflict(InodeId inode, const FileLock& wanted) {
  proto::GetLockRequest request;
  request.set_inode_id(inode.value);
  ToWire(wanted, request.mutable_lock());
  CURVEFS_TRY(const auto response, copyset_.InSession<proto::GetLockResponse>(MetaCall::kGetLock, request));
  const proto::FileLock& lock = response.lock();
  if (lock.kind() == proto::LOCK_NONE) return std::optional<FileLock>();
  return FileLock{.kind = static_cast<meta::LockKind>(lock.kind()),
                  .type = static_cast<meta::LockType>(lock.type()),
                  .owner = lock.owner(),
                  .begin = lock.begin(),
                  .last = lock.last(),
                  .pid = response.of_session() ? lock.pid() : 0};
}

bool HeldLocks::Release(InodeId inode, const std::function<bool(const FileLock&)>& which) {
  std::vector<FileLock> going;
  {
    MutexLock guard(mu_);
    auto it = held_.find(inode);
    if (it == held_.end()) return false;
    std::ranges::copy_if(it->second.all(), std::back_inserter(going), which);
  }
  for (FileLock& lock : going) {
    lock.type = meta::LockType::kUnlock;
    if (Status s = Set(inode, lock); !s.ok())
      Log(LogLevel::kWarning,
          "giving back a lock of inode " + std::to_string(inode.value) + ": " + s.ToString());
  }
  return !going.empty();
}

Status HeldLocks::SayAgain() {
  const uint64_t session = copyset_.session();
  proto::SayLocksRequest request;
  std::vector<std::pair<InodeId, FileLock>> said;
  {
    MutexLock guard(mu_);
    Within(session);
    request.set_order(++order_);
    ++rounds_;
    for (const auto& [inode, locks] : held_) {
      for (const FileLock& lock : locks.all()) said.emplace_back(inode, lock);
    }
  }
  for (const auto& [inode, lock] : said) {
    auto* held = request.add_held();
    held->set_inode_id(inode.value);
    ToWire(lock, held->mutable_lock());
  }
  // Fenced: there will be another session, which holds nothing.
  CURVEFS_TRY(const auto response,
              copyset_.Within<proto::SayLocksResponse>(session, MetaCall::kSayLocks, request));
  MutexLock guard(mu_);
  for (const uint32_t i : response.lost()) {
    if (i >= said.size()) continue;
    auto [inode, lock] = said[i];
    Log(LogLevel::kWarning, "a lock of inode " + std::to_string(inode.value) +
                                " is lost: another mount has got it while no leader knew of it");
    auto it = held_.find(inode);
    if (it == held_.end()) continue;
    it->second.Drop([&](const FileLock& held) { return held == lock; });
    if (it->second.empty()) held_.erase(it);
  }
  return {};
}

size_t HeldLocks::size() {
  MutexLock guard(mu_);
  size_t n = 0;
  for (const auto& [inode, locks] : held_) n += locks.size();
  return n;
}

}  // namespace curvefs::client
