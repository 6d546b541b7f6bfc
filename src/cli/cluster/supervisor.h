// The supervisor of a cluster on one machine: starts the processes of a plan, starts those that die again,
// after a pause that grows, and does what it is told through the socket DIR/control. It is one thread; the
// processes end with it, whatever ends it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "cli/cluster/plan.h"

namespace curvefs::cli {

// Takes DIR/LOCK, listens on DIR/control, calls `ready`, and runs until it is told to end (by {"command":
// "down"}, SIGTERM or SIGINT). kBusy: another one does. Call it before any thread is started; DIR is
// absolute.
Status Supervise(const std::string& dir, std::vector<ProcessPlan> processes,
                 const std::function<void()>& ready);

// What one process is at. `state`: "runs"; "restarts", it has died, and is started again soon; "killed", by
// `cluster kill`; "ends".
struct ProcessState {
  std::string name, state, last_end;  // last_end: why it ended the last time; empty: never
  int64_t pid = 0;
  uint64_t restarts = 0;
};

// One command to the supervisor of DIR, from any process. kNotFound: none runs.
Result<std::vector<ProcessState>> SupervisorStatus(const std::string& dir);
Status SupervisorKill(const std::string& dir, const std::string& name);   // kNotFound: no such process
Status SupervisorStart(const std::string& dir, const std::string& name);  // ok if it runs
Status SupervisorDown(const std::string& dir);                            // returns when all have ended

}  // namespace curvefs::cli
