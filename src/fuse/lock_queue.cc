#include "fuse/lock_queue.h"

#include <algorithm>
#include <cerrno>

#include "fuse/errno.h"

namespace curvefs::fuse {
namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(1);
constexpr Duration kLongestPause = std::chrono::milliseconds(50);
constexpr size_t kEarly = 256;

SteadyTime Now() {
  return Clock::System().Steady();
}

}  // namespace

void LockQueue::Post(uint64_t unique, InodeId inode, const SetLock& op, Responder reply) {
  MutexLock lock(mu_);
  if (stop_) return;
  if (std::erase(early_, unique) > 0) {
    reply.Error(EINTR);
    return;
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { Main(); });
  jobs_.push_back({unique, inode, op, reply, Now() + kFirstPause, kFirstPause});
  wake_.NotifyOne();
}

// The request may still be on its way through a worker; of those that are no locks nothing comes.
void LockQueue::Interrupt(uint64_t unique) {
  MutexLock lock(mu_);
  auto it = std::ranges::find(jobs_, unique, &Job::unique);
  if (it == jobs_.end()) {
    early_.push_back(unique);
    if (early_.size() > kEarly) early_.pop_front();
  } else if (&*it == tried_) {
    it->called_off = true;
  } else {
    it->reply.Error(EINTR);
    jobs_.erase(it);
  }
}

void LockQueue::Wake() {
  MutexLock lock(mu_);
  for (Job& job : jobs_) {
    job.blocked_by = kUnknown;
    job.next = SteadyTime();
    job.pause = kFirstPause;
  }
  wake_.NotifyOne();
}

void LockQueue::Stop() {
  {
    MutexLock lock(mu_);
    stop_ = true;
    wake_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

bool LockQueue::IsDeadlocked(const Job& job) const {
  const uint64_t owner = job.op.lock.owner;
  uint64_t next = job.blocked_by;
  for (size_t i = 0; i < jobs_.size() && next != kUnknown && next != kElsewhere; ++i) {
    if (next == owner) return true;
    auto it = std::ranges::find_if(jobs_, [next](const Job& other) {
      return other.op.lock.kind == meta::LockKind::kRange && other.op.lock.owner == next;
    });
    if (it == jobs_.end()) return false;
    next = it->blocked_by;
  }
  return next == owner;
}

void LockQueue::Main() {
  RelockableMutexLock lock(mu_);
  while (!stop_) {
    auto first = std::ranges::min_element(jobs_, {}, &Job::next);
    if (first == jobs_.end()) {
      wake_.Wait(mu_);
      continue;
    }
    if (first->next > Now()) {
      wake_.WaitUntil(mu_, first->next);
      continue;
    }
    first->pause = std::min(first->pause * 2, kLongestPause);
    first->next = Now() + first->pause;  // Wake may say sooner while it is tried
    tried_ = &*first;
    // Whole-file locks (flock) have no owner that could be waiting, but a file.
    const bool ask = first->blocked_by == kUnknown && first->op.lock.kind == meta::LockKind::kRange;
    lock.Unlock();
    const Status s = vfs_.SetLock(first->inode, first->op.handle, first->op.lock);
    uint64_t blocked_by = kUnknown;
    if (s.code() == Code::kWouldBlock && ask) {
      auto conflict = vfs_.LockConflict(first->inode, first->op.lock);
      blocked_by = conflict && *conflict && (*conflict)->pid != 0 ? (*conflict)->owner : kElsewhere;
    }
    lock.Lock();
    tried_ = nullptr;
    // Unless a lock was given back meanwhile.
    if (blocked_by != kUnknown && first->next != SteadyTime()) first->blocked_by = blocked_by;
    const bool blocked = s.code() == Code::kWouldBlock, deadlocked = blocked && IsDeadlocked(*first);
    if (blocked && !deadlocked && !first->called_off) continue;
    first->reply.Error(deadlocked ? EDEADLK : blocked ? EINTR : LockErrno(s));  // 0: it has the lock
    jobs_.erase(first);
  }
}

}  // namespace curvefs::fuse
