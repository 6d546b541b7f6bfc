#include "client/vfs/control.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

namespace curvefs::client {

class ControlFiles::Exchange final : public ControlReply {
 public:
  bool Send(std::string_view line) override {
    MutexLock lock(mu_);
    while (!cancelled_ && waiting_.size() >= kMaxWaiting) room_.Wait(mu_);
    if (cancelled_) return false;
    waiting_.append(line).push_back('\n');
    lines_.NotifyAll();
    return true;
  }
  bool cancelled() const override {
    MutexLock lock(mu_);
    return cancelled_;
  }

  Status Add(std::string_view part) {
    MutexLock lock(mu_);
    if (begun_) return {Code::kBusy, ".control takes one request for each time it is opened"};
    if (part.size() > kMaxRequest - request_.size())
      return {Code::kTooBig, ".control takes requests of at most " + std::to_string(kMaxRequest) + " bytes"};
    request_ += part;
    return {};
  }
  bool complete() const {
    MutexLock lock(mu_);
    return !begun_ && request_.find('\n') != std::string::npos;
  }
  // True for the first who asks: he runs the request.
  bool Claim(std::string* request) {
    MutexLock lock(mu_);
    if (std::exchange(begun_, true)) return false;
    *request = std::move(request_);
    request->resize(std::min(request->size(), request->find('\n')));
    return true;
  }
  std::string Take(size_t n) {
    MutexLock lock(mu_);
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!cancelled_ && !ended_ && waiting_.empty() && lines_.WaitUntil(mu_, until)) {
    }
    if (waiting_.empty()) return cancelled_ || ended_ ? std::string() : std::string("\n").substr(0, n);
    std::string part = waiting_.substr(0, n);
    waiting_.erase(0, n);
    room_.NotifyAll();
    return part;
  }
  void Cancel() {
    MutexLock lock(mu_);
    cancelled_ = true;
    lines_.NotifyAll();
    room_.NotifyAll();
  }
  void End() {
    MutexLock lock(mu_);
    ended_ = true;
    lines_.NotifyAll();
  }
  bool ended() const {
    MutexLock lock(mu_);
    return ended_;
  }

 private:
  mutable Mutex mu_;
  CondVar lines_, room_;
  std::string request_ CURVEFS_GUARDED_BY(mu_), waiting_ CURVEFS_GUARDED_BY(mu_);
  bool begun_ CURVEFS_GUARDED_BY(mu_) = false, ended_ CURVEFS_GUARDED_BY(mu_) = false,
              cancelled_ CURVEFS_GUARDED_BY(mu_) = false;
};

Status ControlFiles::Open(uint64_t handle) {
  Reap();
  MutexLock lock(mu_);
  if (stopped_) return {Code::kBusy, "the mount is ending"};
  if (open_.size() >= kMaxOpen || running_.size() >= kMaxOpen)
    return {Code::kBusy, std::to_string(kMaxOpen) + " commands are running on this mount; wait for one"};
  open_.emplace(handle, std::make_shared<Exchange>());
  return {};
}

std::shared_ptr<ControlFiles::Exchange> ControlFiles::Find(uint64_t handle) {
  MutexLock lock(mu_);
  auto found = open_.find(handle);
  return found == open_.end() ? nullptr : found->second;
}

void ControlFiles::Begin(const std::shared_ptr<Exchange>& exchange) {
  MutexLock lock(mu_);
  std::string request;
  if (stopped_ || !exchange->Claim(&request)) return;
  std::thread thread([this, exchange, request = std::move(request)] {
    service_(request, *exchange);
    exchange->End();
  });
  running_.push_back({exchange, std::move(thread)});
}

// Joins threads that are through.
void ControlFiles::Reap() {
  MutexLock lock(mu_);
  running_.remove_if([](Running& r) {
    if (!r.exchange->ended()) return false;
    r.thread.join();
    return true;
  });
}

Status ControlFiles::Write(uint64_t handle, std::string_view part) {
  auto exchange = Find(handle);
  if (exchange == nullptr) return Code::kBadHandle;
  CURVEFS_CHECK_OK(exchange->Add(part));
  if (exchange->complete()) Begin(exchange);
  return {};
}

Result<std::string> ControlFiles::Read(uint64_t handle, size_t n) {
  auto exchange = Find(handle);
  if (exchange == nullptr) return Fail(Code::kBadHandle);
  Begin(exchange);
  return exchange->Take(n);
}

void ControlFiles::Close(uint64_t handle) {
  {
    MutexLock lock(mu_);
    auto found = open_.find(handle);
    if (found == open_.end()) return;
    found->second->Cancel();
    open_.erase(found);
  }
  Reap();
}

void ControlFiles::Stop() {
  std::list<Running> running;
  {
    MutexLock lock(mu_);
    stopped_ = true;
    for (auto& [handle, exchange] : open_) exchange->Cancel();
    running.swap(running_);
    for (Running& r : running) r.exchange->Cancel();
  }
  for (Running& r : running) r.thread.join();
}

}  // namespace curvefs::client
