#include "test/model/ops.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>

#include "base/limits.h"
#include "client/vfs/vfs.h"

namespace curvefs::test {
namespace {

constexpr const char* kNames[] = {
    "lookup",    "create",        "mkdir",     "mknod",           "symlink",   "link",     "unlink",
    "rmdir",     "rename",        "readlink",  "setattr",         "truncate",  "setxattr", "getxattr",
    "listxattr", "removexattr",   "open",      "tmpfile",         "link-slot", "close",    "read",
    "write",     "truncate-slot", "fallocate", "copy_file_range", "seek",      "fsync",    "syncfs",
    "fsyncdir",  "opendir",       "readdir",   "snapshot",        "check-all", "remount",  "crash"};
static_assert(std::size(kNames) == static_cast<size_t>(Kind::kCount_));

// How often each kind is tried, in the order of Kind.
constexpr int kWeights[] = {20, 60, 40, 12,  12, 25, 35, 20, 60, 8, 25, 15, 12, 8, 4, 6, 60, 10,
                            12, 50, 80, 120, 25, 30, 30, 20, 12, 4, 6,  15, 30, 1, 3, 1, 4};
static_assert(std::size(kWeights) == static_cast<size_t>(Kind::kCount_));

uint64_t Below(std::mt19937_64* random, uint64_t n) {
  return (*random)() % n;
}

std::string Name(std::mt19937_64* random) {
  switch (Below(random, 40)) {
    case 0:
      return std::string(kMaxName, 'n');
    case 1:
      return std::string(kMaxName + 1, 'n');
    case 2:
      return "\xff\x01 \n";
    default:
      return std::string(1, static_cast<char>('a' + Below(random, 5)));
  }
}

std::string Path(std::mt19937_64* random) {
  std::string path = Name(random);
  for (uint64_t depth = Below(random, 5) / 2; depth > 0; depth--) path += "/" + Name(random);
  return path;
}

// Offsets near the places where the layout changes: pages, the inline limits, blocks, chunks.
uint64_t Offset(std::mt19937_64* random) {
  constexpr std::array<uint64_t, 10> kPlaces = {
      0, 0, 0, 4096, kDefaultInlineMax, 65536, kStagedInlineMax, 1 << 20, kBlockSize, kChunkSize};
  const uint64_t place = kPlaces[Below(random, Below(random, 4) == 0 ? kPlaces.size() : 7)];
  const uint64_t delta = Below(random, 3) == 0 ? 0 : Below(random, 6000);
  return Below(random, 2) == 0 || delta > place ? place + delta : place - delta;
}

uint64_t Length(std::mt19937_64* random) {
  switch (Below(random, 12)) {
    case 0:
      return 1;
    case 1:
      return 4096;
    case 2:
      return Below(random, 150000) + 1;
    case 3:
      return Below(random, 20000) + 1;
    default:
      return Below(random, 5000) + 1;
  }
}

std::string Short(const std::string& path) {
  std::string s;
  for (char c : path) {
    if (c > 32 && c < 127) {
      s += c;
    } else {
      char hex[8];
      snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(c));
      s += hex;
    }
  }
  for (size_t at; (at = s.find("nnnnnnnn")) != s.npos;) {
    size_t end = s.find_first_not_of('n', at);
    if (end == s.npos) end = s.size();
    s.replace(at, end - at, "<" + std::to_string(end - at) + "n>");
  }
  return s;
}

}  // namespace

std::string Describe(const Op& op) {
  std::string s = kNames[static_cast<size_t>(op.kind)];
  if (!op.a.empty()) s += " " + Short(op.a);
  if (!op.b.empty()) s += " " + Short(op.b);
  const auto field = [&s](const char* name, uint64_t value, bool octal = false) {
    char text[64];
    snprintf(text, sizeof text, octal ? " %s=%#lo" : " %s=%lu", name, static_cast<unsigned long>(value));
    if (value != 0) s += text;
  };
  s += " slot=" + std::to_string(op.slot);
  field("slot2", op.slot2);
  field("mode", op.mode, true);
  field("flags", static_cast<uint64_t>(op.flags), true);
  field("at", op.at);
  field("at2", op.at2);
  field("n", op.n);
  field("uid", op.uid);
  field("gid", op.gid);
  field("seed", op.seed);
  return s;
}

Op RandomOp(std::mt19937_64* random, const Mix& mix) {
  int total = 0;
  for (int w : kWeights) total += w;
  Op op;
  do {
    int64_t pick = static_cast<int64_t>(Below(random, total));
    int kind = 0;
    while ((pick -= kWeights[kind]) >= 0) kind++;
    op.kind = static_cast<Kind>(kind);
  } while ((op.kind == Kind::kRemount && !mix.remounts) || (op.kind == Kind::kCrash && !mix.crashes));
  constexpr uint32_t kModes[] = {0644, 0755, 0600, 02755, 06755, 04711, 01777, 0777};
  constexpr int kFlags[] = {O_RDWR, O_RDWR, O_WRONLY, O_RDONLY, O_RDWR | O_TRUNC, O_RDWR | O_APPEND};
  op.a = Path(random);
  op.b = Path(random);
  op.slot = Below(random, kSlots);
  op.mode = kModes[Below(random, std::size(kModes))];
  op.flags = kFlags[Below(random, std::size(kFlags))];
  op.uid = Below(random, 3) * 1000;
  op.gid = Below(random, 3) * 1000;
  op.seed = Below(random, 1 << 20) + 1;
  switch (op.kind) {
    case Kind::kMkNod: {
      constexpr uint32_t kTypes[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};
      op.mode |= kTypes[Below(random, std::size(kTypes))];
      op.n = Below(random, 100000);
      break;
    }
    case Kind::kSymlink:
      op.b = Fill(op.seed, Below(random, 8) == 0 ? kMaxSymlink : 1 + Below(random, 300));
      break;
    case Kind::kRename:
      op.mode = Below(random, 10) < 6 ? 0 : 1 + Below(random, 3);
      break;
    case Kind::kSetAttr:
      op.at = 1 + Below(random, 63);  // which: mode, uid, gid, atime, mtime, atime now
      op.n = Below(random, 2'000'000'000'000'000'000);
      break;
    case Kind::kTruncate:
    case Kind::kSlotTruncate:
      op.n = Offset(random);
      break;
    case Kind::kSetXattr:
    case Kind::kGetXattr:
    case Kind::kRemoveXattr:
      op.b = "user." + std::string(1, static_cast<char>('a' + Below(random, 3)));
      op.n = Below(random, 10) == 0 ? kMaxXattrValue : Below(random, 300);
      op.mode = Below(random, 3);  // 1 create, 2 replace
      break;
    case Kind::kRead:
      op.at = Offset(random);
      op.n = Length(random);
      break;
    case Kind::kWrite:
      op.at = Offset(random);
      op.n = Length(random);
      op.mode = Below(random, 30) == 0 ? 1 : 0;  // 1: synchronous
      if (Below(random, 8) != 0) op.uid = 0;
      break;
    case Kind::kFallocate: {
      constexpr uint32_t kFalloc[] = {0,
                                      client::kFallocKeepSize,
                                      client::kFallocKeepSize | client::kFallocPunchHole,
                                      client::kFallocZeroRange,
                                      client::kFallocZeroRange | client::kFallocKeepSize,
                                      client::kFallocPunchHole};
      op.mode = kFalloc[Below(random, std::size(kFalloc))];
      op.at = Offset(random);
      op.n = Length(random);
      break;
    }
    case Kind::kCopy:
      op.slot2 = Below(random, kSlots);
      op.at = Offset(random);
      op.at2 = Offset(random);
      op.n = Length(random);
      break;
    case Kind::kSeek:
      op.at = Offset(random);
      op.mode = Below(random, 2);  // 1: data
      break;
    case Kind::kOpenDir:
    case Kind::kReadDir:
      op.slot = Below(random, kDirSlots);
      op.n = 1 + Below(random, 6);
      op.mode = Below(random, 2);               // 1: with attributes
      if (Below(random, 4) == 0) op.a.clear();  // the root
      break;
    default:
      break;
  }
  return op;
}

std::string Fill(uint64_t seed, uint64_t n) {
  std::string bytes(n, 0);
  uint64_t x = seed * 0x9e3779b97f4a7c15 + 1;
  for (uint64_t i = 0; i < n; i++) {
    if (i % 8 == 0) x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    const char c = static_cast<char>('!' + ((x >> (i % 8 * 8)) & 63));
    bytes[i] = c == '/' ? '~' : c;
  }
  return bytes;
}

}  // namespace curvefs::test
