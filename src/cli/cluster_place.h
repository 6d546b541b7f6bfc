// What is mounted of a cluster, as the command line and fstab say it.
//
//   mds://HOST:PORT[,HOST:PORT…]/NAME      a file system by its name: the MDS say where its metadata and its
//   data are meta://HOST:PORT[,HOST:PORT…]/COPYSET  one copyset of metaservers, without any MDS: for tests
//   and emergencies
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "net/hello.h"

namespace curvefs::cli {

struct ClusterPlace {
  std::vector<net::Address> servers;  // MDS, or metaservers
  std::string fs;                     // its name; empty: it is meta://
  uint64_t copyset = 0;               // of meta://

  bool by_name() const { return !fs.empty(); }
  std::string ToString() const;
};
bool IsClusterPlace(std::string_view text);                     // begins as one
Result<ClusterPlace> ParseClusterPlace(std::string_view text);  // kInvalid

}  // namespace curvefs::cli
