#include "metaserver/handlers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "metaserver/handler_call.h"
#include "metaserver/handlers_freed.h"
#include "metaserver/handlers_inodes.h"
#include "metaserver/handlers_leases.h"
#include "metaserver/handlers_locks.h"
#include "metaserver/handlers_names.h"
#include "metaserver/handlers_sessions.h"
#include "metaserver/handlers_transactions.h"
#include "proto/meta_methods.h"

namespace curvefs::metaserver {
namespace {

using proto::MetaCall;
using std::to_underlying;

constexpr auto kMethods = std::to_array<MetaMethod>({
    {to_underlying(MetaCall::kGetDentry), "GetDentry", false, &Run<&calls::GetDentry>},
    {to_underlying(MetaCall::kListDentry), "ListDentry", false, &Run<&calls::ListDentry>},
    {to_underlying(MetaCall::kCreateDentry), "CreateDentry", true, &Run<&calls::CreateDentry>},
    {to_underlying(MetaCall::kUpdateDentry), "UpdateDentry", true, &Run<&calls::UpdateDentry>},
    {to_underlying(MetaCall::kDeleteDentry), "DeleteDentry", true, &Run<&calls::DeleteDentry>},
    {to_underlying(MetaCall::kGetInode), "GetInode", false, &Run<&calls::GetInode>},
    {to_underlying(MetaCall::kCreateInode), "CreateInode", true, &Run<&calls::CreateInode>},
    {to_underlying(MetaCall::kUpdateInode), "UpdateInode", true, &Run<&calls::UpdateInode>},
    {to_underlying(MetaCall::kDeleteInode), "DeleteInode", true, &calls::DeleteInode},
    {to_underlying(MetaCall::kLookup), "Lookup", false, &Run<&calls::Lookup>},
    {to_underlying(MetaCall::kReadDir), "ReadDir", false, &Run<&calls::ReadDir>},
    {to_underlying(MetaCall::kCreate), "Create", true, &Run<&calls::Create>},
    {to_underlying(MetaCall::kLink), "Link", true, &Run<&calls::Link>},
    {to_underlying(MetaCall::kUnlink), "Unlink", true, &Run<&calls::Unlink>},
    {to_underlying(MetaCall::kRemoveDirectory), "RemoveDirectory", true, &Run<&calls::RemoveDirectory>},
    {to_underlying(MetaCall::kRename), "Rename", true, &Run<&calls::Rename>},
    {to_underlying(MetaCall::kSetXattr), "SetXattr", true, &Run<&calls::SetXattr>},
    {to_underlying(MetaCall::kRemoveXattr), "RemoveXattr", true, &Run<&calls::RemoveXattr>},
    {to_underlying(MetaCall::kGetXattr), "GetXattr", false, &Run<&calls::GetXattr>},
    {to_underlying(MetaCall::kListXattr), "ListXattr", false, &Run<&calls::ListXattr>},
    {to_underlying(MetaCall::kListChunks), "ListChunks", false, &Run<&calls::ListChunks>},
    {to_underlying(MetaCall::kAppendChunks), "AppendChunks", true, &Run<&calls::AppendChunks>},
    {to_underlying(MetaCall::kReplaceChunks), "ReplaceChunks", true, &Run<&calls::ReplaceChunks>},
    {to_underlying(MetaCall::kZeroRange), "ZeroRange", true, &Run<&calls::ZeroRange>},
    {to_underlying(MetaCall::kAllocate), "Allocate", true, &Run<&calls::Allocate>},
    {to_underlying(MetaCall::kCloneRange), "CloneRange", true, &Run<&calls::CloneRange>},
    {to_underlying(MetaCall::kNewChunks), "NewChunks", true, &Run<&calls::NewChunks>},
    {to_underlying(MetaCall::kGetUsage), "GetUsage", false, &Run<&calls::GetUsage>},
    {to_underlying(MetaCall::kOpenSession), "OpenSession", true, &calls::OpenSession},
    {to_underlying(MetaCall::kRenewSession), "RenewSession", true, &calls::RenewSession},
    {to_underlying(MetaCall::kCloseSession), "CloseSession", true, &calls::CloseSession},
    {to_underlying(MetaCall::kOpenInode), "OpenInode", false, &calls::OpenInode},
    {to_underlying(MetaCall::kCloseInode), "CloseInode", false, &calls::CloseInode},
    {to_underlying(MetaCall::kSetLock), "SetLock", false, &calls::SetLock},
    {to_underlying(MetaCall::kGetLock), "GetLock", false, &calls::GetLock},
    {to_underlying(MetaCall::kSayLocks), "SayLocks", false, &calls::SayLocks},
    {to_underlying(MetaCall::kListFreed), "ListFreed", false, &calls::ListFreed},
    {to_underlying(MetaCall::kDropFreed), "DropFreed", true, &calls::DropFreed},
    {to_underlying(MetaCall::kTouchInodes), "TouchInodes", true, &Run<&calls::TouchInodes>},
    {to_underlying(MetaCall::kGetInodes), "GetInodes", false, &Run<&calls::GetInodes>},
    {to_underlying(MetaCall::kGetRecords), "GetRecords", false, &calls::GetRecords},
    {to_underlying(MetaCall::kPrepareTransaction), "PrepareTransaction", true, &calls::PrepareTransaction},
    {to_underlying(MetaCall::kCommitTransaction), "CommitTransaction", true, &calls::CommitTransaction},
    {to_underlying(MetaCall::kFinishTransaction), "FinishTransaction", true, &calls::FinishTransaction},
    {to_underlying(MetaCall::kResolveTransaction), "ResolveTransaction", true, &calls::ResolveTransaction},
    {to_underlying(MetaCall::kForgetTransaction), "ForgetTransaction", true, &calls::ForgetTransaction},
    {to_underlying(MetaCall::kListTransactions), "ListTransactions", false, &calls::ListTransactions},
    {to_underlying(MetaCall::kDropLeases), "DropLeases", false, &calls::DropLeases},
});

}  // namespace

std::span<const MetaMethod> MetaMethods() {
  return kMethods;
}

const MetaMethod* FindMetaMethod(uint16_t number) {
  static_assert(std::ranges::is_sorted(kMethods, {}, &MetaMethod::number));
  static_assert(kMethods.back().number - kMethods.front().number + size_t{1} == kMethods.size());
  const auto at = static_cast<size_t>(number - kMethods.front().number);
  return number >= kMethods.front().number && at < kMethods.size() ? &kMethods[at] : nullptr;
}

const MetaMethod* FindMetaMethod(std::string_view name) {
  auto it = std::ranges::find(kMethods, name, &MetaMethod::name);
  return it == kMethods.end() ? nullptr : &*it;
}

std::string FailureOf(const MetaTarget& target, const Status& status) {
  if (status.code() == Code::kLocked) return EncodeLocked(status, target.copyset->locked_by());
  if (status.code() != Code::kNotLeader) return EncodeFailure(status, 0, "");
  target.group->Stir();
  const raft::ReplicaId leader = target.group->status().leader;
  return EncodeFailure(status, leader.value, leader ? target.address_of(leader) : std::string());
}

Status CheckHeader(const MetaTarget& target, const proto::RequestHeader& header) {
  // Only who leads knows for sure; others say who that is.
  const FsId fs(header.fs_id());
  if (fs != target.fs && target.group->status().leads && !target.copyset->Holds(fs)) {
    return {Code::kNotFound, "copyset " + std::to_string(header.copyset_id()) +
                                 " holds nothing of file system " + std::to_string(header.fs_id())};
  }
  return {};
}

}  // namespace curvefs::metaserver
