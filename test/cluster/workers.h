// A load that knows what must come of it. Each worker has a directory of its own and does one thing after
// another there, so that every answer is known in advance: an acknowledged change that is lost, or one that
// is done twice, gives another answer. Beside that all workers write and read shared registers, whose history
// must be linearizable, and draw chunk ids, which must be handed out once each, without gaps.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "test/cluster/cluster.h"
#include "test/sim/history.h"

namespace curvefs::cluster {

class Workers {
 public:
  // `careless`: changes are sent again without their request id, as if nobody had thought of it. For the
  // canary.
  Workers(Cluster& cluster, size_t copysets, size_t workers, uint64_t seed, bool careless = false);
  ~Workers();

  Status Prepare();  // directories and registers
  void Begin();
  // No new operations; true when all that were begun have ended.
  bool End(Duration limit);

  // What is wrong; empty: nothing. The history only after End.
  const std::string& complaint() const { return complaint_; }
  std::string CheckHistory() const;
  // That the ids drawn in each copyset are all there. Draws one more in each.
  std::string CheckChunks();
  uint64_t done() const { return done_; }
  const std::vector<sim::Operation>& history(uint64_t copyset) const { return histories_.at(copyset); }

 private:
  struct Worker;
  static constexpr uint64_t kRegisters = 4;  // of each copyset

  void Step(Worker& w);
  template <typename Response, typename Request>
  void Change(Worker& w, const char* name, Request request, std::function<void(const Response&)> then);
  template <typename Response, typename Request>
  void Read(Worker& w, const char* name, Request request, std::function<void(const Response&)> then);
  void Expect(const Worker& w, const char* what, const std::string& name, Code got, Code wanted);
  void Complain(const std::string& what);
  uint64_t Now() const;

  Cluster& cluster_;
  const size_t copysets_;
  const bool careless_;
  bool stop_ = false;
  size_t running_ = 0;
  uint64_t done_ = 0, next_value_ = 0, next_operation_ = 0;
  std::string complaint_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::map<uint64_t, std::vector<uint64_t>> registers_;  // inodes, by copyset
  std::map<uint64_t, std::vector<sim::Operation>> histories_;
  std::map<uint64_t, std::set<uint64_t>> chunks_;
};

}  // namespace curvefs::cluster
