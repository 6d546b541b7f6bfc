// Status and Result: how every function of CurveFS reports failure.
//
// A Status is a closed, wire-stable code and, where it helps a person, a message that says what
// failed, on what, and what to do. Expected misses (a name that is not there) carry no message, so
// that they cost nothing. No exception crosses a function of ours.
//
//   Result<Inode> inode = LoadInode(view, id);
//   if (!inode) return std::unexpected(inode.error());
//
//   CURVEFS_TRY(auto inode, LoadInode(view, id));   // the same, shorter
//   CURVEFS_CHECK_OK(journal.Sync(seq));            // returns the Status if it is not ok
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace curvefs {

// Numbers are part of the wire format: never renumber, never reuse.
// "retry" says whether the same request may be sent again without thought.
enum class Code : uint8_t {
  kOk = 0,
  kNotFound = 1,         // no such name, inode or object
  kExists = 2,           // the name is taken
  kNotDirectory = 3,     // a path component, or the operand, is not a directory
  kIsDirectory = 4,      // the operand is a directory and must not be
  kNotEmpty = 5,         // directory not empty
  kInvalid = 6,          // the request makes no sense
  kNameTooLong = 7,      // a name over 255 bytes, a symlink target over 4095
  kTooManyLinks = 8,     // link count at its limit
  kNoSpace = 9,          // no space or no inodes left
  kQuotaExceeded = 10,   // a quota is used up
  kNotPermitted = 11,    // POSIX EPERM: the operation itself is not allowed
  kAccessDenied = 12,    // POSIX EACCES: permission bits forbid it
  kReadOnly = 13,        // mounted or opened read-only
  kLoop = 14,            // too many levels, or a directory moved below itself (as kInvalid to POSIX)
  kFileTooBig = 15,      // past the largest file
  kNoAttribute = 16,     // no such extended attribute
  kBufferTooSmall = 17,  // the caller's buffer cannot hold the answer (ERANGE)
  kTooBig = 18,          // the value is over its limit (E2BIG)
  kNotSupported = 19,    // not supported here
  kStale = 20,           // the inode this handle named is gone
  kBusy = 21,            // in use
  kIo = 22,              // the device or the store failed; retry may help
  kCorrupt = 23,         // stored bytes are not what was written
  kNotLeader = 24,       // retry elsewhere
  kUnavailable = 25,     // retry later
  kTimedOut = 26,        // outcome unknown
  kInterrupted = 27,     // the caller gave up waiting
  kWouldBlock = 28,      // not now, and the caller asked not to wait
  kNoMemory = 29,        // out of memory or of a bounded resource
  kNoSuchExtent = 30,    // SEEK_DATA or SEEK_HOLE found nothing (ENXIO)
  kBadHandle = 31,       // not open, or not open for this
  kCrossDevice = 32,     // source and target are not in one file system
  kUnsupportedVersion = 33,  // written by a newer program
  kFenced = 34,  // the session is over: nothing happened, and nothing more will under it
  kElsewhere = 35,  // another copyset has what this needs: nothing happened
  kLocked = 36,     // a transaction between partitions is under way there: nothing happened; retry
};

// The name of the code in lower case words, for example "not found".
std::string_view CodeName(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // ok
  Status(Code code) : code_(code) {}  // NOLINT: a bare code is a Status without a message
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  explicit operator bool() const { return ok(); }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // "corrupt: journal-000012 at 4096: …", or the code's name alone.
  std::string ToString() const;

  friend bool operator==(const Status& a, const Status& b) { return a.code_ == b.code_; }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

template <typename T>
using Result = std::expected<T, Status>;

// A failure as a value to return from a function of any Result type.
inline std::unexpected<Status> Fail(Code code) { return std::unexpected(Status(code)); }
inline std::unexpected<Status> Fail(Code code, std::string message) {
  return std::unexpected(Status(code, std::move(message)));
}
inline std::unexpected<Status> Fail(Status status) { return std::unexpected(std::move(status)); }

// Turns the errno of a failed system call into a Status: "what: strerror". For base/ and object/
// only; the way back, from Code to errno, is fuse/errno.h.
Status FromErrno(int error, std::string_view what);

// Ends the process, loudly: for broken invariants of our own state, never for input.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition, std::string_view detail);

}  // namespace curvefs

#define CURVEFS_CONCAT_(a, b) a##b
#define CURVEFS_CONCAT(a, b) CURVEFS_CONCAT_(a, b)

// Always on, also in release builds.
#define CURVEFS_CHECK(cond)                                                       \
  do {                                                                            \
    if (!(cond)) [[unlikely]]                                                     \
      ::curvefs::CheckFailed(__FILE__, __LINE__, #cond, {});                      \
  } while (0)

// Returns the Status from the enclosing function (Status or Result) unless it is ok.
#define CURVEFS_CHECK_OK(expr)                                                    \
  do {                                                                            \
    if (::curvefs::Status curvefs_s_ = (expr); !curvefs_s_.ok()) [[unlikely]]     \
      return ::curvefs::internal::Propagate(std::move(curvefs_s_));               \
  } while (0)

// Declares or assigns `lhs` from a Result, or returns its error.
#define CURVEFS_TRY(lhs, expr) CURVEFS_TRY_(CURVEFS_CONCAT(curvefs_r_, __LINE__), lhs, expr)
#define CURVEFS_TRY_(tmp, lhs, expr)                                              \
  auto tmp = (expr);                                                              \
  if (!tmp) [[unlikely]]                                                          \
    return ::curvefs::internal::Propagate(std::move(tmp).error());                \
  lhs = *std::move(tmp)

namespace curvefs::internal {
// Converts to whatever the enclosing function returns: Status or any Result<T>.
struct Propagate {
  explicit Propagate(Status s) : status(std::move(s)) {}
  operator Status() && { return std::move(status); }  // NOLINT
  template <typename T>
  operator std::expected<T, Status>() && {  // NOLINT
    return std::unexpected(std::move(status));
  }
  Status status;
};
}  // namespace curvefs::internal
