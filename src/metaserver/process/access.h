// Access: which requests a metaserver lets in of file systems that need a token (proto/heartbeat.proto). It
// knows what the last heartbeat's answer said, also after a restart: DIR/access, which has hashes only.
//
// A file system that it has not heard of needs none. Thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/disk.h"
#include "base/mutex.h"
#include "base/status.h"
#include "proto/heartbeat.pb.h"

namespace curvefs::metaserver {

class Access {
 public:
  // What DIR/access says; nothing if it is missing. kCorrupt.
  static Result<std::unique_ptr<Access>> Open(Disk& disk, const std::string& dir);

  // What the MDS says now. Durable, if it is another than before, and holds, also if that fails.
  Status Learn(const proto::AccessRules& rules);

  struct Request {
    uint32_t fs = 0;
    std::string_view token;  // as it was shown
    bool changes = false;    // more than the session's own records
  };
  // kNotPermitted: what the request needs its token does not give.
  Status Check(const Request& request, Timestamp now) const;

 private:
  struct Right {
    bool read_only = false;
    int64_t until = 0;  // seconds since 1970; 0: for ever
  };
  using Rights = std::map<std::string, Right, std::less<>>;  // by the token's hash
  using Table = std::map<uint32_t, Rights>;                  // by file system, those that need a token

  Access(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  void Use(const proto::AccessRules& rules);

  Disk& disk_;
  const std::string path_;
  std::string known_;  // the rules as they were learned last, encoded; of the thread that learns
  std::atomic<bool> any_{false};
  mutable Mutex mu_;
  std::shared_ptr<const Table> table_ CURVEFS_GUARDED_BY(mu_) = std::make_shared<const Table>();
};

}  // namespace curvefs::metaserver
