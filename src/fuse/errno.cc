#include "fuse/errno.h"

#include <cerrno>

namespace curvefs::fuse {

int ToErrno(Code code) {
  switch (code) {
    case Code::kOk:
      return 0;
    case Code::kNotFound:
      return ENOENT;
    case Code::kExists:
      return EEXIST;
    case Code::kNotDirectory:
      return ENOTDIR;
    case Code::kIsDirectory:
      return EISDIR;
    case Code::kNotEmpty:
      return ENOTEMPTY;
    case Code::kInvalid:
      return EINVAL;
    case Code::kNameTooLong:
      return ENAMETOOLONG;
    case Code::kTooManyLinks:
      return EMLINK;
    case Code::kNoSpace:
      return ENOSPC;
    case Code::kQuotaExceeded:
      return EDQUOT;
    case Code::kNotPermitted:
      return EPERM;
    case Code::kAccessDenied:
      return EACCES;
    case Code::kReadOnly:
      return EROFS;
    case Code::kLoop:
      return EINVAL;
    case Code::kFileTooBig:
      return EFBIG;
    case Code::kNoAttribute:
      return ENODATA;
    case Code::kBufferTooSmall:
      return ERANGE;
    case Code::kTooBig:
      return E2BIG;
    // Never ENOSYS: that would switch the whole operation off for the rest of the mount.
    case Code::kNotSupported:
      return EOPNOTSUPP;
    case Code::kStale:
      return ESTALE;
    case Code::kBusy:
    case Code::kLocked:
      return EBUSY;
    case Code::kIo:
      return EIO;
    case Code::kCorrupt:
      return EIO;
    case Code::kNotLeader:
      return EIO;
    case Code::kUnavailable:
      return EIO;
    case Code::kTimedOut:
      return ETIMEDOUT;
    case Code::kInterrupted:
      return EINTR;
    case Code::kWouldBlock:
      return EAGAIN;
    case Code::kNoMemory:
      return ENOMEM;
    case Code::kNoSuchExtent:
      return ENXIO;
    case Code::kBadHandle:
      return EBADF;
    case Code::kCrossDevice:
    case Code::kElsewhere:
      return EXDEV;
    case Code::kUnsupportedVersion:
      return EIO;
    case Code::kFenced:
      return EIO;
  }
  return EIO;  // a number from the wire that this program does not know
}

int LockErrno(const Status& status) {
  return status.code() == Code::kNoMemory ? ENOLCK : ToErrno(status.code());
}

bool IsUnexpected(Code code) {
  switch (code) {
    case Code::kIo:
    case Code::kCorrupt:
    case Code::kNotLeader:
    case Code::kUnavailable:
    case Code::kTimedOut:
    case Code::kNoMemory:
    case Code::kUnsupportedVersion:
    case Code::kFenced:
      return true;
    default:
      return false;
  }
}

}  // namespace curvefs::fuse
