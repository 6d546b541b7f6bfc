#include "base/status.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace curvefs {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kOk: return "ok";
    case Code::kNotFound: return "not found";
    case Code::kExists: return "exists";
    case Code::kNotDirectory: return "not a directory";
    case Code::kIsDirectory: return "is a directory";
    case Code::kNotEmpty: return "directory not empty";
    case Code::kInvalid: return "invalid";
    case Code::kNameTooLong: return "name too long";
    case Code::kTooManyLinks: return "too many links";
    case Code::kNoSpace: return "no space left";
    case Code::kQuotaExceeded: return "quota exceeded";
    case Code::kNotPermitted: return "not permitted";
    case Code::kAccessDenied: return "access denied";
    case Code::kReadOnly: return "read-only";
    case Code::kLoop: return "loop";
    case Code::kFileTooBig: return "file too big";
    case Code::kNoAttribute: return "no such attribute";
    case Code::kBufferTooSmall: return "buffer too small";
    case Code::kTooBig: return "too big";
    case Code::kNotSupported: return "not supported";
    case Code::kStale: return "stale";
    case Code::kBusy: return "busy";
    case Code::kIo: return "input/output error";
    case Code::kCorrupt: return "corrupt";
    case Code::kNotLeader: return "not leader";
    case Code::kUnavailable: return "unavailable";
    case Code::kTimedOut: return "timed out";
    case Code::kInterrupted: return "interrupted";
    case Code::kWouldBlock: return "would block";
    case Code::kNoMemory: return "out of memory";
    case Code::kNoSuchExtent: return "no such extent";
    case Code::kBadHandle: return "bad handle";
    case Code::kCrossDevice: return "cross-device";
    case Code::kUnsupportedVersion: return "unsupported version";
    case Code::kFenced: return "fenced";
    case Code::kElsewhere: return "elsewhere";
    case Code::kLocked: return "locked by a transaction";
  }
  return "unknown code";
}

std::string Status::ToString() const {
  std::string s(CodeName(code_));
  if (!message_.empty()) s += ": " + message_;
  return s;
}

Status FromErrno(int error, std::string_view what) {
  Code code = Code::kIo;
  switch (error) {
    case ENOENT: code = Code::kNotFound; break;
    case EEXIST: code = Code::kExists; break;
    case ENOTDIR: code = Code::kNotDirectory; break;
    case EISDIR: code = Code::kIsDirectory; break;
    case ENOTEMPTY: code = Code::kNotEmpty; break;
    case EINVAL: code = Code::kInvalid; break;
    case ENAMETOOLONG: code = Code::kNameTooLong; break;
    case EMLINK: code = Code::kTooManyLinks; break;
    case ENOSPC: code = Code::kNoSpace; break;
    case EDQUOT: code = Code::kQuotaExceeded; break;
    case EPERM: code = Code::kNotPermitted; break;
    case EACCES: code = Code::kAccessDenied; break;
    case EROFS: code = Code::kReadOnly; break;
    case EFBIG: code = Code::kFileTooBig; break;
    case EOPNOTSUPP: code = Code::kNotSupported; break;
    case EBUSY: code = Code::kBusy; break;
    case EINTR: code = Code::kInterrupted; break;
    case EAGAIN: code = Code::kWouldBlock; break;
    case ENOMEM:
    case EMFILE:
    case ENFILE: code = Code::kNoMemory; break;
    default: break;
  }
  std::string message(what);
  message += ": ";
  message += std::strerror(error);
  return Status(code, std::move(message));
}

void CheckFailed(const char* file, int line, const char* condition, std::string_view detail) {
  std::fprintf(stderr, "%s:%d: check failed: %s %.*s\n", file, line, condition,
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}

}  // namespace curvefs
