#include "mds/etcd_channels.h"

#include <chrono>

namespace curvefs::mds {

void EtcdChannels::Enter(grpc::ClientContext* context) {
  const MutexLock lock(mu_);
  open_.insert(context);
}

void EtcdChannels::Leave(std::unique_ptr<grpc::ClientContext> context) {
  {
    const MutexLock lock(mu_);
    open_.erase(context.get());
    ++leaving_;
  }
  context.reset();
  const MutexLock lock(mu_);
  if (--leaving_ == 0 && open_.empty()) changed_.NotifyAll();
}

void EtcdChannels::Cancel(grpc::ClientContext* context) {
  const MutexLock lock(mu_);
  if (open_.contains(context)) context->TryCancel();
}

void EtcdChannels::Close() {
  *closed_ = true;
  {
    const MutexLock lock(mu_);
    for (grpc::ClientContext* context : open_) context->TryCancel();
    while (!open_.empty() || leaving_ > 0) changed_.Wait(mu_);
  }
  channels_.clear();
}

void EtcdChannels::Post(std::function<void()> task) {
  After(Duration::zero(), std::move(task));
}

void EtcdChannels::After(Duration delay, std::function<void()> task) {
  loop_.After(delay, [closed = closed_, task = std::move(task)] {
    if (!*closed) task();
  });
}

void SetDeadline(grpc::ClientContext* context, Duration from_now) {
  // By gRPC's monotonic clock: a step of the wall clock is no time.
  gpr_timespec now = gpr_now(GPR_CLOCK_MONOTONIC);
  context->set_deadline(gpr_time_add(now, gpr_time_from_nanos(from_now.count(), GPR_TIMESPAN)));
}

bool IsLost(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::UNKNOWN:  // what a leader that loses its office answers
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::ABORTED:
      return true;
    default:
      return false;
  }
}

Status FromGrpc(const grpc::Status& status, Code lost) {
  const std::string message = "etcd: " + status.error_message();
  if (IsLost(status)) return {lost, message};
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return {};
    case grpc::StatusCode::NOT_FOUND:
      return {Code::kNotFound, message};
    case grpc::StatusCode::OUT_OF_RANGE:  // compacted
      return {Code::kStale, message};
    case grpc::StatusCode::RESOURCE_EXHAUSTED:  // its quota of space is used up, or too many requests:
                                                // nothing happened
      return {Code::kUnavailable, message};
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::PERMISSION_DENIED:
      return {Code::kAccessDenied, message};
    default:
      return {Code::kInvalid, message};
  }
}

}  // namespace curvefs::mds
