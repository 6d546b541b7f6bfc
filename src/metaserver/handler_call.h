// How a row of MetaMethods is made from a function on messages: for handlers_*.cc only.
//
//   Status Lookup(const meta::Reader&, const proto::LookupRequest&, proto::LookupResponse*);
//   constexpr auto row = Run<&Lookup>;
//
// A function with a Reader is a read, one with a Txn a change. It leaves the header of the response alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "metaserver/handlers.h"
#include "metaserver/handlers_leases.h"
#include "proto/meta_wire.h"

namespace curvefs::metaserver {

// Whether this copyset is meant, and can answer.
Status CheckHeader(const MetaTarget& target, const proto::RequestHeader& header);

// From here on `target` is the file system that the request is for.
template <typename Request>
std::shared_ptr<Request> Decode(MetaTarget& target, std::string_view bytes, const Answer& answer) {
  auto request = std::make_shared<Request>();
  if (!request->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    answer(FailureOf(target, {Code::kInvalid, "a request that is no message of its kind"}));
    return nullptr;
  }
  if (Status s = CheckHeader(target, request->header()); !s.ok()) {
    answer(FailureOf(target, s));
    return nullptr;
  }
  target.fs = FsId(request->header().fs_id());
  return request;
}

// To a client that takes early answers: what is committed, whether this answer is, and what it owes. A part
// of a header, behind the answer: the two become one when they are parsed.
inline std::string WithEarly(const MetaTarget& target, const proto::RequestHeader& in, std::string encoded) {
  if (!in.early()) return encoded;
  proto::CloseSessionResponse any;
  proto::ResponseHeader* header = any.mutable_header();
  const ReplicatedCopyset& copyset = *target.copyset;
  if (!target.group->leads()) return encoded;
  header->set_term(copyset.office());
  header->set_committed_order(copyset.CommittedOrder(in.session_id()));
  if (copyset.OwesAgain(in.session_id())) header->set_reclaim_term(copyset.office());
  if (const auto* early = copyset.answering()) {
    header->set_early_order(early->order);
    header->set_evaluated_ns(early->at.ns);
  }
  return encoded += any.SerializeAsString();
}

// The target is copied: it is a few pointers, and what it points to outlives all calls on the loop.
template <typename Request>
auto Deliver(const MetaTarget& target, std::shared_ptr<Request> request, Answer answer) {
  return [target, request, answer = std::move(answer)](Result<std::string> encoded) {
    answer(WithEarly(target, request->header(),
                     encoded ? *std::move(encoded) : FailureOf(target, encoded.error())));
  };
}

// The encoded answer of a read, with leases if its client keeps any: also on that there is no such name.
template <typename Request, typename Response>
Result<std::string> Answered(const MetaTarget& target, const Request& request, const Status& s,
                             Response* response) {
  if constexpr (requires { PartsOf(request, *response); }) {
    constexpr bool kOfNames = std::is_same_v<Request, proto::LookupRequest>;
    if (request.header().keeps_leases() && (s.ok() || (kOfNames && s.code() == Code::kNotFound))) {
      if (!s.ok()) {
        response->Clear();
        response->mutable_header()->set_status(ToWire(s.code()));
        response->mutable_header()->set_message(s.message());
      }
      GiveLeases(target, request.header(), PartsOf(request, *response), response->mutable_header());
      return response->SerializeAsString();
    }
  }
  if (!s.ok()) return Fail(s);
  return response->SerializeAsString();
}

template <typename Request, typename Response>
void RunCall(Status (*f)(const meta::Reader&, const Request&, Response*), MetaTarget target,
             std::string_view bytes, Answer answer) {
  auto request = Decode<Request>(target, bytes, answer);
  if (!request) return;
  target.copyset->Read(target.fs,
                       [f, target, request](const meta::Reader& reader) -> Result<std::string> {
                         Response response;
                         const Status s = f(reader, *request, &response);
                         return Answered(target, *request, s, &response);
                       },
                       Deliver(target, request, std::move(answer)), Locks::kKept,
                       {.session = request->header().session_id()});
}

// It is as if somebody else asked: what was answered early is to be committed.
template <typename Request>
bool Settles(const Request& request) {
  if constexpr (requires { request.settle(); }) return request.settle();
  return false;
}

// Answers with what `f` makes of the leader's memory. By way of a read: a leader that was deposed, and does
// not know it yet, must neither say that there is no such session nor take an open file down.
template <typename Request, typename Response>
void AtLeader(Status (*f)(const MetaTarget&, const meta::Reader&, const Request&, Response*),
              MetaTarget target, std::string_view bytes, Answer answer, Locks locks = Locks::kKept,
              bool first = false) {
  auto request = Decode<Request>(target, bytes, answer);
  if (!request) return;
  target.copyset->Read(target.fs,
                       [f, target, request](const meta::Reader& reader) -> Result<std::string> {
                         Response response;
                         const Status s = f(target, reader, *request, &response);
                         return Answered(target, *request, s, &response);
                       },
                       Deliver(target, request, std::move(answer)), locks,
                       {.session = Settles(*request) ? 0 : request->header().session_id(), .first = first});
}

// What was made with an order (CreateRequest.open_order) is open in the session; also when the answer is a
// remembered one, given by another leader.
template <typename Request, typename Response>
Status NoteMade(const MetaTarget& target, const Request& request, const std::string& encoded) {
  if constexpr (requires { request.open_order(); }) {
    if (request.open_order() == 0) return {};
    Response response;
    if (!response.ParseFromString(encoded)) return Code::kCorrupt;
    return target.copyset->NoteOpen(request.header().session_id(),
                                    {target.fs, InodeId(response.inode().inode_id())}, request.open_order());
  }
  return {};
}

// Changes that may be answered before they are committed: of one partition, and nothing but this session
// rests on them.
template <typename T, typename... Some>
constexpr bool kIsOneOf = (std::is_same_v<T, Some> || ...);
template <typename Request>
constexpr bool kMayBeEarly =
    kIsOneOf<Request, proto::CreateRequest, proto::LinkRequest, proto::UnlinkRequest,
             proto::RemoveDirectoryRequest, proto::RenameRequest, proto::UpdateInodeRequest,
             proto::SetXattrRequest, proto::RemoveXattrRequest, proto::AppendChunksRequest,
             proto::NewChunksRequest, proto::ZeroRangeRequest, proto::AllocateRequest,
             proto::TouchInodesRequest>;

template <typename Request, typename Response>
void RunChange(std::function<Status(meta::Txn&, const Request&, Response*)> f, MetaTarget target,
               std::string_view bytes, Answer answer, Locks locks = Locks::kKept) {
  auto request = Decode<Request>(target, bytes, answer);
  if (!request) return;
  auto evaluate = [f = std::move(f), request](meta::Txn& txn) -> Result<std::string> {
    Response response;
    CURVEFS_CHECK_OK(f(txn, *request, &response));
    return response.SerializeAsString();
  };
  const proto::RequestHeader& header = request->header();
  if (header.session_id() == 0) {
    if constexpr (requires { request->open_order(); }) {
      if (request->open_order() != 0)
        return answer(FailureOf(target, {Code::kInvalid, "only a session has files open"}));
    }
    return target.copyset->Change(target.fs, evaluate, Deliver(target, request, std::move(answer)), locks);
  }
  auto deliver = [target, request, answer = std::move(answer)](Result<std::string> encoded) {
    const Status s = encoded ? NoteMade<Request, Response>(target, *request, *encoded) : encoded.error();
    answer(WithEarly(target, request->header(), s.ok() ? *std::move(encoded) : FailureOf(target, s)));
  };
  target.copyset->ChangeOnce(target.fs,
                             {.session = header.session_id(),
                              .sequence = header.sequence(),
                              .acknowledged = header.acknowledged(),
                              .early = header.early() && kMayBeEarly<Request> && locks == Locks::kKept,
                              .replay = header.replay(),
                              .at = {header.evaluated_ns()}},
                             std::move(evaluate), std::move(deliver), locks);
}

template <typename Request, typename Response>
void RunCall(Status (*f)(meta::Txn&, const Request&, Response*), const MetaTarget& target,
             std::string_view bytes, Answer answer) {
  RunChange<Request, Response>(f, target, bytes, std::move(answer));
}

template <auto F>
void Run(const MetaTarget& target, std::string_view bytes, Answer answer) {
  RunCall(F, target, bytes, std::move(answer));
}

}  // namespace curvefs::metaserver
