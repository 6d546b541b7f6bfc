// The one place where our codes become error numbers of the system.
#pragma once

#include "base/status.h"

namespace curvefs::fuse {

// The positive errno that tells `code` to an application; 0 for kOk.
int ToErrno(Code code);
// The same for fcntl(2) and flock(2), where too many is ENOLCK.
int LockErrno(const Status& status);

// Whether the failure is ours, not the application's: worth a line in the log.
bool IsUnexpected(Code code);

}  // namespace curvefs::fuse
