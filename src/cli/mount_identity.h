// Who mounts, for the MDS's record of a mount: the process, so that this machine can tell later whether it
// still lives. A mount whose process was killed leaves its record until its session lapses; who mounts again
// at the same place need not wait for that.
#pragma once

#include <string>
#include <string_view>

namespace curvefs::cli {

// Machine, boot, namespace of processes, process and its start; and a random number, so that each is another.
// Call it in the process that mounts.
std::string MountIdentity();

// Whether it names a process of this machine that has ended. False if that cannot be known from here.
bool IsGone(std::string_view identity);

}  // namespace curvefs::cli
