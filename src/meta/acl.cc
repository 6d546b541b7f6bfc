#include "meta/acl.h"

#include "base/bytes.h"

namespace curvefs::meta {
namespace {

constexpr uint32_t kVersion = 2;
constexpr uint32_t kNoId = ~uint32_t{0};

AclEntry* Find(Acl* acl, uint16_t tag) {
  for (auto& e : *acl) {
    if (e.tag == tag) return &e;
  }
  return nullptr;
}

}  // namespace

Result<Acl> ParseAcl(std::string_view value) {
  ByteReader r(value);
  if (r.Le<uint32_t>() != kVersion || !r.ok() || r.remaining() % 8 != 0) return Fail(Code::kInvalid);
  Acl acl;
  // The entries come in the order of their tags, users and groups by id; exactly one each of owner, group,
  // other; a mask if there is any named entry.
  int user_obj = 0, group_obj = 0, other = 0, mask = 0, named = 0;
  while (r.remaining() > 0) {
    AclEntry e;
    e.tag = r.Le<uint16_t>();
    e.perm = r.Le<uint16_t>();
    e.id = r.Le<uint32_t>();
    if (e.perm > 7) return Fail(Code::kInvalid);
    if (!acl.empty()) {
      const AclEntry& last = acl.back();
      bool same_named = e.tag == last.tag && (e.tag == AclEntry::kUser || e.tag == AclEntry::kGroup);
      if (e.tag < last.tag || (e.tag == last.tag && !same_named)) return Fail(Code::kInvalid);
    }
    switch (e.tag) {
      case AclEntry::kUserObj:
        ++user_obj;
        break;
      case AclEntry::kGroupObj:
        ++group_obj;
        break;
      case AclEntry::kOther:
        ++other;
        break;
      case AclEntry::kMask:
        ++mask;
        break;
      case AclEntry::kUser:
      case AclEntry::kGroup:
        ++named;
        break;
      default:
        return Fail(Code::kInvalid);
    }
    if (e.tag != AclEntry::kUser && e.tag != AclEntry::kGroup) e.id = kNoId;
    acl.push_back(e);
  }
  if (user_obj != 1 || group_obj != 1 || other != 1 || mask > 1 || (named > 0 && mask == 0))
    return Fail(Code::kInvalid);
  return acl;
}

std::string FormatAcl(const Acl& acl) {
  std::string out;
  PutLe<uint32_t>(&out, kVersion);
  for (const auto& e : acl) {
    PutLe<uint16_t>(&out, e.tag);
    PutLe<uint16_t>(&out, e.perm);
    PutLe<uint32_t>(&out, e.id);
  }
  return out;
}

bool IsMinimal(const Acl& acl) {
  return acl.size() == 3;
}

uint32_t ModeOf(const Acl& acl) {
  uint32_t user = 0, group = 0, other = 0, mask = 8;
  for (const auto& e : acl) {
    if (e.tag == AclEntry::kUserObj) user = e.perm;
    if (e.tag == AclEntry::kGroupObj) group = e.perm;
    if (e.tag == AclEntry::kMask) mask = e.perm;
    if (e.tag == AclEntry::kOther) other = e.perm;
  }
  return user << 6 | (mask < 8 ? mask : group) << 3 | other;
}

void ApplyMode(Acl* acl, uint32_t mode) {
  AclEntry* group = Find(acl, AclEntry::kMask);
  if (group == nullptr) group = Find(acl, AclEntry::kGroupObj);
  if (AclEntry* e = Find(acl, AclEntry::kUserObj)) e->perm = mode >> 6 & 7;
  if (group != nullptr) group->perm = mode >> 3 & 7;
  if (AclEntry* e = Find(acl, AclEntry::kOther)) e->perm = mode & 7;
}

void Inherit(Acl* acl, uint32_t* mode) {
  AclEntry* group = Find(acl, AclEntry::kMask);
  if (group == nullptr) group = Find(acl, AclEntry::kGroupObj);
  AclEntry* user = Find(acl, AclEntry::kUserObj);
  AclEntry* other = Find(acl, AclEntry::kOther);
  user->perm &= *mode >> 6 & 7;
  group->perm &= *mode >> 3 & 7;
  other->perm &= *mode & 7;
  *mode = (*mode & ~uint32_t{0777}) | uint32_t{user->perm} << 6 | uint32_t{group->perm} << 3 | other->perm;
}

}  // namespace curvefs::meta
