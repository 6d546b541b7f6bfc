// Numbers of the calls of MetaServerService on the hot wire (docs/FORMATS.md "The wire"): wire-stable, never
// reused, in the order of metaserver.proto.
#pragma once

#include <cstdint>

namespace curvefs::proto {

enum class MetaCall : uint16_t {
  kGetDentry = 256,
  kListDentry,
  kCreateDentry,
  kUpdateDentry,
  kDeleteDentry,
  kGetInode,
  kCreateInode,
  kUpdateInode,
  kDeleteInode,
  kLookup,
  kReadDir,
  kCreate,
  kLink,
  kUnlink,
  kRemoveDirectory,
  kRename,
  kSetXattr,
  kRemoveXattr,
  kGetXattr,
  kListXattr,
  kListChunks,
  kAppendChunks,
  kReplaceChunks,
  kZeroRange,
  kAllocate,
  kCloneRange,
  kNewChunks,
  kGetUsage,
  kOpenSession,
  kRenewSession,
  kCloseSession,
  kOpenInode,
  kCloseInode,
  kSetLock,
  kGetLock,
  kSayLocks,
  kListFreed,
  kDropFreed,
  kTouchInodes,
  kGetInodes,
  kGetRecords,
  kPrepareTransaction,
  kCommitTransaction,
  kFinishTransaction,
  kResolveTransaction,
  kForgetTransaction,
  kListTransactions,
  kDropLeases,
};

// LeaseNews: of the server, by itself.
inline constexpr uint16_t kLeaseNews = 2048;

}  // namespace curvefs::proto
