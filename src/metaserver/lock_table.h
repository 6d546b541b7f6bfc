// LockTable: what the leader of a copyset knows of advisory locks. Like open files they are in its memory,
// and a session's: they go when it ends, and after a change of leader sessions say again what they hold.
//
// The lock requests of a session are numbered upwards, and a client has one under way at a time: one that
// comes after a later one is late, and refused with kBusy. Not thread-safe: the copyset's loop owns it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/status.h"
#include "meta/file_locks.h"
#include "metaserver/session_table.h"

namespace curvefs::metaserver {

class LockTable {
 public:
  void Clear();  // leads no more
  // A new leader: these sessions may hold locks that it has not heard of.
  void Expect(const std::vector<SessionTable::Info>& sessions);
  bool expecting() const { return expected_ > 0; }
  void Ended(uint64_t session);

  // kWouldBlock: somebody else has it. kNoMemory: the session has kMaxLocks. kUnavailable: say again first.
  Status Set(uint64_t order, OpenFile file, const meta::FileLock& lock);
  // All that the session holds: in the place of what was known of it. Returns which of them somebody else has
  // got meanwhile, by index.
  Result<std::vector<size_t>> SayAgain(uint64_t session, uint64_t order,
                                       const std::vector<std::pair<OpenFile, meta::FileLock>>& held);
  // Who is in the way; null: nobody.
  const meta::FileLock* Conflict(OpenFile file, const meta::FileLock& wanted) const;
  size_t size() const;

 private:
  struct Holder {
    uint64_t order = 0;     // of the last request
    bool expected = false;  // to say again
    std::set<OpenFile> files;
  };
  Status Number(Holder* holder, uint64_t order) const;
  void Change(Holder* holder, OpenFile file, const meta::FileLock& lock);
  void DropAll(uint64_t session, Holder* holder);

  std::map<uint64_t, Holder> holders_;
  std::map<OpenFile, meta::FileLocks> files_;
  size_t expected_ = 0;
};

}  // namespace curvefs::metaserver
