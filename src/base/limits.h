// Every limit of the system in one place, with the relations between them checked by the compiler.
#pragma once

#include <cstddef>
#include <cstdint>

namespace curvefs {

inline constexpr size_t kMaxName = 255;           // bytes of a directory entry's name
inline constexpr size_t kMaxSymlink = 4095;       // bytes of a symbolic link's target
inline constexpr uint32_t kMaxLinks = 1'000'000;  // link count of a file (a directory: of its subdirectories)
inline constexpr size_t kMaxXattrName = 255;
inline constexpr size_t kMaxXattrValue = 64 << 10;  // the kernel's own limit
inline constexpr size_t kMaxXattrList = 64 << 10;   // names of one inode together, as listxattr returns them
inline constexpr uint64_t kMaxFileSize = uint64_t{1} << 58;  // 2^32 chunks

inline constexpr uint64_t kChunkSize = 64 << 20;   // unit of the chunk index (SPEC D1)
inline constexpr uint64_t kBlockSize = 4 << 20;    // largest object (SPEC D2)
inline constexpr uint64_t kCodedSlack = 64 << 10;  // what compression and encryption may add to a block
inline constexpr uint64_t kMaxObjectData = kBlockSize + kCodedSlack;
inline constexpr size_t kChecksumUnit = 4 << 10;  // bytes of an object under one CRC32C

inline constexpr size_t kMaxKey = 1 << 10;           // key of a KVStore
inline constexpr size_t kMaxValue = 1 << 20;         // value of a KVStore
inline constexpr size_t kMaxBatchBytes = 16 << 20;   // one batch in the journal, encoded
inline constexpr size_t kMaxBatchRecords = 100'000;  // records of one batch

inline constexpr size_t kDefaultInlineMax = 4 << 10;  // content of a file kept in the metadata for good
inline constexpr size_t kStagedInlineMax =
    128 << 10;  // fsynced dirty data of a file that goes through the journal
inline constexpr size_t kMaxInlineRecord = 128 << 10;  // bytes in one inline chunk record

// What a copyset remembers of requests, until the client has acknowledged the replies
// (metaserver/session_table.h).
inline constexpr size_t kMaxSessions = 10'000;   // of one copyset
inline constexpr size_t kMaxSessionOwner = 255;  // bytes of the text that says whose a session is
inline constexpr uint64_t kMaxOutcomes =
    1'024;  // requests of one session: so far past the first unacknowledged
inline constexpr size_t kMaxOpenFiles = 1'000'000;   // of one session
inline constexpr size_t kMaxLocks = 10'000;          // on a file, and files of a session with locks
inline constexpr size_t kMaxReply = 64 << 10;        // bytes of a reply that is remembered
inline constexpr size_t kMaxSessionBytes = 1 << 20;  // of remembered replies of one session

static_assert(kChunkSize % kBlockSize == 0);
static_assert(kBlockSize % kChecksumUnit == 0);
static_assert(kCodedSlack % kChecksumUnit == 0);
static_assert(kMaxName + 64 < kMaxKey);
static_assert(kMaxXattrValue + 64 < kMaxValue);
static_assert(kMaxInlineRecord + 128 < kMaxValue);
static_assert(kStagedInlineMax <= kMaxInlineRecord);
static_assert(kMaxValue * 4 < kMaxBatchBytes);
static_assert(kMaxReply + 4096 < kMaxValue);
static_assert(kMaxOutcomes < kMaxBatchRecords);

}  // namespace curvefs
