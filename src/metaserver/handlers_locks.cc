#include "metaserver/handlers_locks.h"

#include "metaserver/handler_call.h"

namespace curvefs::metaserver::calls {
namespace {

constexpr int kMaxSaid = 100'000;  // locks of one SayLocks

Status Heard(const MetaTarget& target, const proto::RequestHeader& header) {
  if (target.copyset->KeepAlive(header.session_id(), header.acknowledged())) return {};
  return {Code::kFenced, "there is no such session, or it has ended"};
}

Status Known(const MetaTarget& target) {
  if (target.copyset->locks_known()) return {};
  return {Code::kUnavailable, "sessions have time yet to say what they have locked"};
}

Result<meta::FileLock> FromWire(uint64_t session, const proto::FileLock& in) {
  if (in.kind() < proto::LOCK_RANGE || in.kind() > proto::LOCK_APPEND || in.type() < proto::UNLOCK ||
      in.type() > proto::WRITE_LOCK || in.last() < in.begin())
    return Fail(Code::kInvalid, "a lock that makes no sense");
  return meta::FileLock{.kind = static_cast<meta::LockKind>(in.kind()),
                        .type = static_cast<meta::LockType>(in.type()),
                        .session = session,
                        .owner = in.owner(),
                        .begin = in.begin(),
                        .last = in.last(),
                        .pid = in.pid()};
}

Status Setting(const MetaTarget& target, const meta::Reader& reader, const proto::SetLockRequest& in,
               proto::SetLockResponse*) {
  CURVEFS_CHECK_OK(Heard(target, in.header()));
  CURVEFS_TRY(const meta::FileLock lock, FromWire(in.header().session_id(), in.lock()));
  if (lock.type != meta::LockType::kUnlock) {
    CURVEFS_CHECK_OK(Known(target));
    if (auto found = reader.GetInode(InodeId(in.inode_id())); !found) return found.error();
  }
  return target.copyset->locks().Set(in.order(), {target.fs, InodeId(in.inode_id())}, lock);
}

Status Getting(const MetaTarget& target, const meta::Reader&, const proto::GetLockRequest& in,
               proto::GetLockResponse* out) {
  CURVEFS_CHECK_OK(Heard(target, in.header()));
  CURVEFS_TRY(const meta::FileLock lock, FromWire(in.header().session_id(), in.lock()));
  CURVEFS_CHECK_OK(Known(target));
  const meta::FileLock* held = target.copyset->locks().Conflict({target.fs, InodeId(in.inode_id())}, lock);
  if (held == nullptr) return {};
  proto::FileLock* lock_out = out->mutable_lock();
  lock_out->set_kind(static_cast<proto::LockKind>(held->kind));
  lock_out->set_type(static_cast<proto::LockType>(held->type));
  lock_out->set_owner(held->owner);
  lock_out->set_begin(held->begin);
  lock_out->set_last(held->last);
  lock_out->set_pid(held->pid);
  out->set_of_session(held->session == lock.session);
  return {};
}

Status Saying(const MetaTarget& target, const meta::Reader&, const proto::SayLocksRequest& in,
              proto::SayLocksResponse* out) {
  CURVEFS_CHECK_OK(Heard(target, in.header()));
  if (in.held_size() > kMaxSaid) return {Code::kTooBig, "too many locks in one request"};
  std::vector<std::pair<OpenFile, meta::FileLock>> held;
  for (const auto& said : in.held()) {
    CURVEFS_TRY(const meta::FileLock lock, FromWire(in.header().session_id(), said.lock()));
    held.push_back({{target.fs, InodeId(said.inode_id())}, lock});
  }
  CURVEFS_TRY(const auto lost, target.copyset->locks().SayAgain(in.header().session_id(), in.order(), held));
  for (const size_t i : lost) out->add_lost(static_cast<uint32_t>(i));
  return {};
}

}  // namespace

void SetLock(const MetaTarget& target, std::string_view bytes, Answer answer) {
  AtLeader(&Setting, target, bytes, std::move(answer));
}
void GetLock(const MetaTarget& target, std::string_view bytes, Answer answer) {
  AtLeader(&Getting, target, bytes, std::move(answer));
}
void SayLocks(const MetaTarget& target, std::string_view bytes, Answer answer) {
  AtLeader(&Saying, target, bytes, std::move(answer));
}

}  // namespace curvefs::metaserver::calls
