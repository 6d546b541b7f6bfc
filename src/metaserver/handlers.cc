#include "metaserver/handlers.h"

#include <algorithm>
#include <array>

#include "metaserver/handler_call.h"
#include "metaserver/handlers_inodes.h"
#include "metaserver/handlers_names.h"
#include "metaserver/handlers_sessions.h"

namespace curvefs::metaserver {
namespace {

// Numbers are wire-stable: those of calls that go are not used again.
constexpr auto kMethods = std::to_array<MetaMethod>({
    {256, "GetDentry", false, &Run<&calls::GetDentry>},
    {257, "ListDentry", false, &Run<&calls::ListDentry>},
    {258, "CreateDentry", true, &Run<&calls::CreateDentry>},
    {259, "UpdateDentry", true, &Run<&calls::UpdateDentry>},
    {260, "DeleteDentry", true, &Run<&calls::DeleteDentry>},
    {261, "GetInode", false, &Run<&calls::GetInode>},
    {262, "CreateInode", true, &Run<&calls::CreateInode>},
    {263, "UpdateInode", true, &Run<&calls::UpdateInode>},
    {264, "DeleteInode", true, &calls::DeleteInode},
    {265, "Lookup", false, &Run<&calls::Lookup>},
    {266, "ReadDir", false, &Run<&calls::ReadDir>},
    {267, "Create", true, &Run<&calls::Create>},
    {268, "Link", true, &Run<&calls::Link>},
    {269, "Unlink", true, &Run<&calls::Unlink>},
    {270, "RemoveDirectory", true, &Run<&calls::RemoveDirectory>},
    {271, "Rename", true, &Run<&calls::Rename>},
    {272, "SetXattr", true, &Run<&calls::SetXattr>},
    {273, "RemoveXattr", true, &Run<&calls::RemoveXattr>},
    {274, "GetXattr", false, &Run<&calls::GetXattr>},
    {275, "ListXattr", false, &Run<&calls::ListXattr>},
    {276, "ListChunks", false, &Run<&calls::ListChunks>},
    {277, "AppendChunks", true, &Run<&calls::AppendChunks>},
    {278, "ReplaceChunks", true, &Run<&calls::ReplaceChunks>},
    {279, "ZeroRange", true, &Run<&calls::ZeroRange>},
    {280, "Allocate", true, &Run<&calls::Allocate>},
    {281, "CloneRange", true, &Run<&calls::CloneRange>},
    {282, "NewChunks", true, &Run<&calls::NewChunks>},
    {283, "GetUsage", false, &Run<&calls::GetUsage>},
    {284, "OpenSession", true, &calls::OpenSession},
    {285, "RenewSession", true, &calls::RenewSession},
    {286, "CloseSession", true, &calls::CloseSession},
    {287, "OpenInode", false, &calls::OpenInode},
    {288, "CloseInode", false, &calls::CloseInode},
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
  if (status.code() != Code::kNotLeader) return EncodeFailure(status, 0, "");
  const raft::ReplicaId leader = target.group->status().leader;
  return EncodeFailure(status, leader.value, leader ? target.address_of(leader) : std::string());
}

Status CheckHeader(const MetaTarget& target, const proto::RequestHeader& header) {
  if (header.fs_id() != target.fs.value) {
    return {Code::kNotFound, "copyset " + std::to_string(header.copyset_id()) +
                                 " holds nothing of file system " + std::to_string(header.fs_id())};
  }
  return {};
}

}  // namespace curvefs::metaserver
