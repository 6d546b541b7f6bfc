#include "metaserver/handlers_sessions.h"

#include "metaserver/handler_call.h"

namespace curvefs::metaserver::calls {
namespace {

uint32_t LeaseOf(const MetaTarget& target) {
  return static_cast<uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(target.session_timeout).count());
}

}  // namespace

void OpenSession(const MetaTarget& target, std::string_view bytes, Answer answer) {
  auto request = Decode<proto::OpenSessionRequest>(target, bytes, answer);
  if (!request) return;
  target.copyset->OpenSession(request->owner(),
                              [target, answer = std::move(answer)](Result<uint64_t> session) {
                                if (!session) return answer(FailureOf(target, session.error()));
                                proto::OpenSessionResponse response;
                                response.set_session_id(*session);
                                response.set_lease_ms(LeaseOf(target));
                                answer(response.SerializeAsString());
                              });
}

void RenewSession(const MetaTarget& target, std::string_view bytes, Answer answer) {
  auto request = Decode<proto::RenewSessionRequest>(target, bytes, answer);
  if (!request) return;
  if (!target.group->leads()) return answer(FailureOf(target, Code::kNotLeader));
  const proto::RequestHeader& header = request->header();
  if (!target.copyset->KeepAlive(header.session_id(), header.acknowledged()))
    return answer(FailureOf(target, {Code::kFenced, "there is no such session, or it has ended"}));
  proto::RenewSessionResponse response;
  response.set_lease_ms(LeaseOf(target));
  answer(response.SerializeAsString());
}

void CloseSession(const MetaTarget& target, std::string_view bytes, Answer answer) {
  auto request = Decode<proto::CloseSessionRequest>(target, bytes, answer);
  if (!request) return;
  target.copyset->EndSession(
      request->header().session_id(), [target, answer = std::move(answer)](const Status& s) {
        answer(s.ok() ? proto::CloseSessionResponse().SerializeAsString() : FailureOf(target, s));
      });
}

}  // namespace curvefs::metaserver::calls
