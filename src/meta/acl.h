// POSIX access control lists as Linux stores them in extended attributes: system.posix_acl_access and
// system.posix_acl_default.
//
// The kernel evaluates them; we keep them and the mode bits in step, and inherit them, by the rules of acl(5)
// (POSIX 1003.1e draft 17). Value: u32 version 2, then entries of {u16 tag, u16 permissions, u32 id}, all
// little-endian (linux/posix_acl_xattr.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace curvefs::meta {

inline constexpr std::string_view kAclAccess = "system.posix_acl_access";
inline constexpr std::string_view kAclDefault = "system.posix_acl_default";

struct AclEntry {
  enum Tag : uint16_t { kUserObj = 1, kUser = 2, kGroupObj = 4, kGroup = 8, kMask = 16, kOther = 32 };
  uint16_t tag = 0;
  uint16_t perm = 0;  // rwx, 0 to 7
  uint32_t id = 0;    // of kUser and kGroup; else ~0
};
using Acl = std::vector<AclEntry>;

Result<Acl> ParseAcl(std::string_view value);  // kInvalid if malformed or not a valid ACL
std::string FormatAcl(const Acl& acl);

// Whether the ACL says no more than nine mode bits can.
bool IsMinimal(const Acl& acl);
// The permission bits that stand for the ACL: owner, mask (or group) and other.
uint32_t ModeOf(const Acl& acl);
// chmod: puts the permission bits into the owner, mask (or group) and other entries.
void ApplyMode(Acl* acl, uint32_t mode);
// A new file below a directory with this default ACL: cuts `mode`'s permissions to what the ACL allows and
// the ACL to what `mode` asks, in place.
void Inherit(Acl* acl, uint32_t* mode);

}  // namespace curvefs::meta
