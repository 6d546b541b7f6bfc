// The kernel's FUSE protocol: <linux/fuse.h>, and what newer kernels added to it since the headers of Debian
// 12 (7.38).
//
// Private to src/fuse. Numbers and layouts are the kernel's own (include/uapi/linux/fuse.h) and never change.
#pragma once

#include <linux/fuse.h>

#include <cstdint>

namespace curvefs::fuse {

// INIT flags since 7.38; bits 32 and up travel in flags2.
inline constexpr uint64_t kDirectIoAllowMmap = uint64_t{1}
                                               << 36;  // 7.39: mmap(MAP_SHARED) of FOPEN_DIRECT_IO files

// Opcodes since 7.38.
inline constexpr uint32_t kStatx = 52;  // 7.39
inline constexpr uint32_t kCopyFileRange64 =
    53;  // 7.45: as COPY_FILE_RANGE, with a 64-bit count in the reply

struct CopyFileRangeOut {
  uint64_t bytes_copied;
};

// The request of INIT before 7.36 had no flags2.
inline constexpr size_t kInitInV1Size = 16;
// SETXATTR without FUSE_SETXATTR_EXT.
inline constexpr size_t kSetxattrInV1Size = FUSE_COMPAT_SETXATTR_IN_SIZE;

// Where READ, WRITE and the replies to them may carry at most this much (256 pages, the kernel's default
// limit).
inline constexpr uint32_t kMaxTransfer = 1 << 20;

// The fixed part of a WRITE request; the payload follows.
inline constexpr size_t kWriteHeader = sizeof(fuse_in_header) + sizeof(fuse_write_in);
static_assert(kWriteHeader == 80);

}  // namespace curvefs::fuse
