// What all calls to etcd share: the endpoints, which of them is used, and the way back to the loop. For
// etcd_*.cc alone: it shows gRPC.
#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/mutex.h"
#include "mds/coordinator.h"
#include "mds/etcd_coordinator.h"

namespace curvefs::mds {

// Owned by the coordinator and every call under way. Called on the loop, but for Post and Leave, which gRPC's
// threads call.
class EtcdChannels : public std::enable_shared_from_this<EtcdChannels> {
 public:
  EtcdChannels(Loop& loop, Duration attempt, std::vector<std::shared_ptr<grpc::Channel>> channels)
      : loop_(loop), attempt_(attempt), channels_(std::move(channels)) {}

  Loop& loop() { return loop_; }
  Duration attempt() const { return attempt_; }
  size_t size() const { return channels_.size(); }
  size_t current() const { return current_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channels_[current_]; }
  // The next endpoint's turn, unless that has happened already since `failed` was the current one.
  void Failed(size_t failed) {
    if (failed == current_) current_ = (current_ + 1) % channels_.size();
  }

  // A call of gRPC's has begun; it ends with Leave, on whatever thread. Close cancels all that are open,
  // waits for them, and lets go of the endpoints.
  //
  // A context keeps its channel, and the last channel of the process must not go on a thread of gRPC's: the
  // queue of completions goes with it, and waits for its threads. So Leave ends the context before Close
  // ends.
  void Enter(grpc::ClientContext* context);
  void Leave(std::unique_ptr<grpc::ClientContext> context);
  void Cancel(grpc::ClientContext* context);  // if it has not left
  void Close();
  // Runs `task` on the loop, unless it is closed by then.
  void Post(std::function<void()> task);
  void After(Duration delay, std::function<void()> task);
  bool closed() const { return *closed_; }

 private:
  Loop& loop_;
  const Duration attempt_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;  // none, once closed
  size_t current_ = 0;
  std::shared_ptr<bool> closed_ = std::make_shared<bool>(false);  // of the loop

  Mutex mu_;  // a leaf; TryCancel under it does not call back
  CondVar changed_;
  std::set<grpc::ClientContext*> open_ CURVEFS_GUARDED_BY(mu_);
  size_t leaving_ CURVEFS_GUARDED_BY(mu_) = 0;
};

void SetDeadline(grpc::ClientContext* context, Duration from_now);
// What etcd's refusals mean. `lost`: the code for calls whose answer did not come.
Status FromGrpc(const grpc::Status& status, Code lost);
// Worth another endpoint or another time.
bool IsLost(const grpc::Status& status);

std::unique_ptr<Watch> WatchEtcd(std::shared_ptr<EtcdChannels> channels, const KeyRange& range, Revision from,
                                 Coordinator::Events events);

}  // namespace curvefs::mds
