// Going through a tree of a mounted file system by its metadata, without the kernel.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "client/meta_client.h"
#include "meta/records.h"

namespace curvefs::cli {

// Calls visit(path below the starting point, inode) for everything in the tree at `top`, itself included,
// each directory before what is in it. Holds one page of each directory on the way down.
Status WalkTree(client::MetaClient& meta, const meta::Inode& top,
                const std::function<Status(const std::string&, const meta::Inode&)>& visit);

}  // namespace curvefs::cli
