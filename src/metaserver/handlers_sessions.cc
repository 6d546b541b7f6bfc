#include "metaserver/handlers_sessions.h"

#include <algorithm>

#include "meta/ops/content.h"
#include "metaserver/handler_call.h"

namespace curvefs::metaserver::calls {
namespace {

constexpr int kMaxInodes = 10'000;  // of one OpenInode or CloseInode
constexpr uint32_t kMaxReclaim = 2'000;

uint32_t LeaseOf(const MetaTarget& target) {
  return static_cast<uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(target.copyset->options().session_timeout)
          .count());
}

Status Renew(const MetaTarget& target, const meta::Reader&, const proto::RenewSessionRequest& in,
             proto::RenewSessionResponse* out) {
  if (!target.copyset->KeepAlive(in.header().session_id(), in.header().acknowledged()))
    return {Code::kFenced, "there is no such session, or it has ended"};
  const raft::Term term = target.group->status().term;
  if (in.reclaimed_term() != 0 && in.reclaimed_term() == target.copyset->office())
    target.copyset->Reclaimed(in.header().session_id());
  out->set_lease_ms(LeaseOf(target));
  out->set_term(term);
  return {};
}

// Whether the session may have it open from now on. What is proposed does not count yet: a file whose last
// name is going stays, then, until it is closed.
Result<meta::Inode> MayOpen(const MetaTarget& target, const meta::Reader& reader, InodeId id, bool again) {
  CURVEFS_TRY(meta::Inode inode, reader.GetInode(id));
  CURVEFS_TRY(const bool orphan, reader.IsOrphan(id));
  // An orphan that nobody has open is perhaps being reclaimed; not before all have said what they had open.
  if (!orphan || target.copyset->IsOpen({target.fs, id}) || target.copyset->IsWhole({target.fs, id}))
    return inode;
  if (again && target.copyset->settling()) return inode;
  return Fail(Code::kNotFound);
}

Status Opening(const MetaTarget& target, const meta::Reader& reader, const proto::OpenInodeRequest& in,
               proto::OpenInodeResponse* out) {
  if (in.inode_id_size() > kMaxInodes) return {Code::kTooBig, "too many inodes in one request"};
  const uint64_t session = in.header().session_id();
  if (!target.copyset->KeepAlive(session, in.header().acknowledged()))
    return {Code::kFenced, "there is no such session, or it has ended"};
  for (const uint64_t id : in.inode_id()) {
    const Result<meta::Inode> inode = MayOpen(target, reader, InodeId(id), in.again());
    Status s =
        inode ? target.copyset->NoteOpen(session, {target.fs, InodeId(id)}, in.order()) : inode.error();
    if (!s.ok() && s.code() != Code::kNotFound) return s;
    out->add_status(ToWire(s.code()));
    if (s.ok() && in.with_inodes()) ToWire(target.fs, *inode, out->add_inode());
  }
  out->set_term(target.group->status().term);
  return {};
}

Status Closing(const MetaTarget& target, const meta::Reader&, const proto::CloseInodeRequest& in,
               proto::CloseInodeResponse*) {
  if (in.inode_id_size() > kMaxInodes) return {Code::kTooBig, "too many inodes in one request"};
  for (const uint64_t id : in.inode_id())
    CURVEFS_CHECK_OK(
        target.copyset->NoteClosed(in.header().session_id(), {target.fs, InodeId(id)}, in.order()));
  return {};
}

}  // namespace

void OpenSession(const MetaTarget& at, std::string_view bytes, Answer answer) {
  MetaTarget target = at;
  auto request = Decode<proto::OpenSessionRequest>(target, bytes, answer);
  if (!request) return;
  target.copyset->OpenSession(request->owner(),
                              [target, answer = std::move(answer)](Result<uint64_t> session) {
                                if (!session) return answer(FailureOf(target, session.error()));
                                proto::OpenSessionResponse response;
                                response.set_session_id(*session);
                                response.set_lease_ms(LeaseOf(target));
                                response.set_term(target.group->status().term);
                                answer(response.SerializeAsString());
                              });
}

void CloseSession(const MetaTarget& at, std::string_view bytes, Answer answer) {
  MetaTarget target = at;
  auto request = Decode<proto::CloseSessionRequest>(target, bytes, answer);
  if (!request) return;
  target.copyset->EndSession(
      request->header().session_id(), [target, answer = std::move(answer)](const Status& s) {
        answer(s.ok() ? proto::CloseSessionResponse().SerializeAsString() : FailureOf(target, s));
      });
}

void RenewSession(const MetaTarget& target, std::string_view bytes, Answer answer) {
  AtLeader(&Renew, target, bytes, std::move(answer), Locks::kKept, true);
}
void OpenInode(const MetaTarget& target, std::string_view bytes, Answer answer) {
  AtLeader(&Opening, target, bytes, std::move(answer));
}
void CloseInode(const MetaTarget& target, std::string_view bytes, Answer answer) {
  AtLeader(&Closing, target, bytes, std::move(answer));
}

void DeleteInode(const MetaTarget& target, std::string_view bytes, Answer answer) {
  auto evaluate = [target](meta::Txn& txn, const proto::DeleteInodeRequest& in,
                           proto::DeleteInodeResponse* out) -> Status {
    const InodeId id(in.inode_id());
    if (auto found = txn.GetInode(id); !found) return found.error();
    CURVEFS_TRY(const bool orphan, txn.IsOrphan(id));
    if (!orphan) return {Code::kBusy, "the inode has names"};
    if (target.copyset->IsOpen({txn.fs().fs, id})) return {Code::kBusy, "a session has the inode open"};
    if (target.copyset->settling())
      return {Code::kUnavailable, "sessions have time yet to say what they have open"};
    target.copyset->Reclaims({txn.fs().fs, id});
    const uint32_t most = in.max_records() == 0 ? kMaxReclaim : std::min(in.max_records(), kMaxReclaim);
    CURVEFS_TRY(const bool gone, meta::Reclaim(txn, id, most));
    out->set_gone(gone);
    return {};
  };
  RunChange<proto::DeleteInodeRequest, proto::DeleteInodeResponse>(evaluate, target, bytes,
                                                                   std::move(answer));
}

}  // namespace curvefs::metaserver::calls
