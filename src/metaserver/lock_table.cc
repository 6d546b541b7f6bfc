#include "metaserver/lock_table.h"

#include "base/limits.h"

namespace curvefs::metaserver {

void LockTable::Clear() {
  holders_.clear();
  files_.clear();
  expected_ = 0;
}

void LockTable::Expect(const std::vector<SessionTable::Info>& sessions) {
  Clear();
  for (const auto& info : sessions) holders_[info.session].expected = true;
  expected_ = sessions.size();
}

void LockTable::DropAll(uint64_t session, Holder* holder) {
  for (const OpenFile& file : holder->files) {
    auto it = files_.find(file);
    it->second.Drop([&](const meta::FileLock& held) { return held.session == session; });
    if (it->second.empty()) files_.erase(it);
  }
  holder->files.clear();
}

void LockTable::Ended(uint64_t session) {
  auto it = holders_.find(session);
  if (it == holders_.end()) return;
  DropAll(session, &it->second);
  if (it->second.expected) --expected_;
  holders_.erase(it);
}

Status LockTable::Number(Holder* holder, uint64_t order) const {
  if (order < holder->order) return {Code::kBusy, "a later lock request of the session came before this one"};
  holder->order = order;
  return {};
}

void LockTable::Change(Holder* holder, OpenFile file, const meta::FileLock& lock) {
  meta::FileLocks& locks = files_[file];
  locks.Apply(lock);
  bool holds = false;
  for (const meta::FileLock& held : locks.all()) holds |= held.session == lock.session;
  if (holds)
    holder->files.insert(file);
  else
    holder->files.erase(file);
  if (locks.empty()) files_.erase(file);
}

Status LockTable::Set(uint64_t order, OpenFile file, const meta::FileLock& lock) {
  Holder& holder = holders_[lock.session];
  if (holder.expected) return {Code::kUnavailable, "the session has not yet said what it holds"};
  CURVEFS_CHECK_OK(Number(&holder, order));
  // flock(2): to change a lock is to give the old one up first, so that two who change do not wait for each
  // other.
  if (lock.kind == meta::LockKind::kWhole && lock.type != meta::LockType::kUnlock) {
    meta::FileLock old = lock;
    old.type = meta::LockType::kUnlock;
    if (Conflict(file, lock) != nullptr) {
      Change(&holder, file, old);
      return Code::kWouldBlock;
    }
  }
  if (Conflict(file, lock) != nullptr) return Code::kWouldBlock;
  if (lock.type != meta::LockType::kUnlock) {
    auto it = files_.find(file);
    if (it != files_.end() && it->second.size() >= kMaxLocks)
      return {Code::kNoMemory, "there are " + std::to_string(kMaxLocks) + " locks on the file"};
    if (holder.files.size() >= kMaxLocks)
      return {Code::kNoMemory, "the session has locks on " + std::to_string(kMaxLocks) + " files"};
  }
  Change(&holder, file, lock);
  return {};
}

Result<std::vector<size_t>> LockTable::SayAgain(
    uint64_t session, uint64_t order, const std::vector<std::pair<OpenFile, meta::FileLock>>& held) {
  Holder& holder = holders_[session];
  CURVEFS_CHECK_OK(Number(&holder, order));
  DropAll(session, &holder);
  std::vector<size_t> lost;
  for (size_t i = 0; i < held.size(); ++i) {
    const auto& [file, lock] = held[i];
    if (Conflict(file, lock) != nullptr)
      lost.push_back(i);
    else
      Change(&holder, file, lock);
  }
  if (holder.expected) --expected_;
  holder.expected = false;
  return lost;
}

const meta::FileLock* LockTable::Conflict(OpenFile file, const meta::FileLock& wanted) const {
  auto it = files_.find(file);
  return it == files_.end() ? nullptr : it->second.Conflict(wanted);
}

size_t LockTable::size() const {
  size_t n = 0;
  for (const auto& [file, locks] : files_) n += locks.size();
  return n;
}

}  // namespace curvefs::metaserver
