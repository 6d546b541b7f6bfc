// The threads beside the loops: one that makes the log durable for all of them, one for work that waits for
// the disk.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/loop.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "metaserver/replicated_copyset.h"
#include "raft/log_store.h"
#include "raft/seams.h"

namespace curvefs::metaserver {

// Group commit across the loops: whatever they ask for while one sync runs gets the next, all the same one.
class SyncThread {
 public:
  explicit SyncThread(raft::LogStore& log);
  ~SyncThread();  // what waits is dropped: no loop runs any more

  // Asks on behalf of `loop`, and answers there. Both outlive what is under way.
  std::unique_ptr<raft::LogSyncer> For(Loop& loop);
  const TimeHistogram& times() const { return times_; }

 private:
  struct Waiting {
    Loop* loop;
    std::function<void(Status)> done;
  };
  class Syncer;
  void Main();

  raft::LogStore& log_;
  TimeHistogram times_;  // of syncs
  Mutex mu_;
  CondVar wake_;
  std::vector<Waiting> waiting_ CURVEFS_GUARDED_BY(mu_);
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

// Snapshots, restores and creations of copysets, one after another; and now and then the log store's Trim.
class BackgroundThread {
 public:
  explicit BackgroundThread(raft::LogStore& log);
  ~BackgroundThread();

  std::unique_ptr<Background> For(Loop& loop);

 private:
  struct Job {
    std::function<void()> work;
    Loop* loop;
    std::function<void()> then;
  };
  class Poster;
  void Main();

  raft::LogStore& log_;
  Mutex mu_;
  CondVar wake_;
  std::deque<Job> jobs_ CURVEFS_GUARDED_BY(mu_);
  bool stop_ CURVEFS_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace curvefs::metaserver
