#include "fuse/directory_aliases.h"

#include <algorithm>

#include "base/clock.h"
#include "fuse/reply.h"

namespace curvefs::fuse {
namespace {

constexpr Duration kPatience = std::chrono::milliseconds(100);

}  // namespace

// Who had the place; the kernel finds out when it asks for that one. 0: nobody.
InodeId DirectoryAliases::TakeFrom(const Place& place) {
  auto it = directories_.find(place);
  if (it == directories_.end()) return {};
  const InodeId dir = it->second;
  directories_.erase(it);
  known_[dir].place = {};
  return dir;
}

void DirectoryAliases::Put(InodeId dir, Place place) {
  if (known_[dir].place == place) return;
  (void)TakeFrom(place);
  directories_.erase(known_[dir].place);
  known_[dir].place = place;
  directories_[std::move(place)] = dir;
}

void DirectoryAliases::Found(int fd, InodeId dir, InodeId parent, std::string_view name) {
  MutexLock lock(mu_);
  const Place before = known_[dir].place;
  ++known_[dir].lookups;
  Put(dir, {parent, std::string(name)});
  if (before.first == InodeId() || before.first == parent || stop_) return;
  if (!thread_.joinable()) thread_ = std::thread([this] { Main(); });
  jobs_.push_back({.fd = fd, .place = before, .number = ++asked_});
  wake_.NotifyOne();
  if (!WaitFor(asked_)) overdue_ = true;
}

void DirectoryAliases::Await() {
  MutexLock lock(mu_);
  if (WaitFor(asked_)) overdue_ = false;
}

bool DirectoryAliases::WaitFor(uint64_t number) {
  const SteadyTime until = Clock::System().Steady() + kPatience;
  while (!stop_ && finished_ < number && Clock::System().Steady() < until) done_.WaitUntil(mu_, until);
  return stop_ || finished_ >= number;
}

void DirectoryAliases::Renamed(InodeId parent, std::string_view name, InodeId new_parent,
                               std::string_view new_name, bool exchange) {
  Place from{parent, name}, to{new_parent, new_name};
  MutexLock lock(mu_);
  const InodeId moved = TakeFrom(from), other = TakeFrom(to);
  if (moved != InodeId()) Put(moved, std::move(to));
  if (exchange && other != InodeId()) Put(other, std::move(from));
}

void DirectoryAliases::Forget(InodeId inode, uint64_t lookups) {
  MutexLock lock(mu_);
  auto it = known_.find(inode);
  if (it == known_.end()) return;
  it->second.lookups -= std::min(it->second.lookups, lookups);
  if (it->second.lookups > 0) return;
  directories_.erase(it->second.place);
  known_.erase(it);
}

size_t DirectoryAliases::size() const {
  MutexLock lock(mu_);
  return known_.size();
}

void DirectoryAliases::Stop() {
  std::thread thread;
  {
    MutexLock lock(mu_);
    stop_ = true;
    jobs_.clear();
    wake_.NotifyAll();
    done_.NotifyAll();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

void DirectoryAliases::Main() {
  RelockableMutexLock lock(mu_);
  for (;;) {
    while (!stop_ && jobs_.empty()) wake_.Wait(mu_);
    if (stop_) return;
    const Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.Unlock();
    InvalidateName(job.fd, job.place.first, job.place.second);
    lock.Lock();
    finished_ = job.number;
    done_.NotifyAll();
  }
}

}  // namespace curvefs::fuse
