#include "metaserver/process/sync_thread.h"

#include <pthread.h>

#include <utility>

#include "base/log.h"

namespace curvefs::metaserver {
namespace {

constexpr Duration kTrimInterval = std::chrono::seconds(5);

}  // namespace

class SyncThread::Syncer final : public raft::LogSyncer {
 public:
  Syncer(SyncThread& thread, Loop& loop) : thread_(thread), loop_(loop) {}
  void Sync(std::function<void(Status)> done) override {
    {
      const MutexLock lock(thread_.mu_);
      thread_.waiting_.push_back({&loop_, std::move(done)});
    }
    thread_.wake_.NotifyOne();
  }

 private:
  SyncThread& thread_;
  Loop& loop_;
};

SyncThread::SyncThread(raft::LogStore& log) : log_(log), thread_([this] { Main(); }) {
  pthread_setname_np(thread_.native_handle(), "log-sync");
}

SyncThread::~SyncThread() {
  {
    const MutexLock lock(mu_);
    stop_ = true;
  }
  wake_.NotifyOne();
  thread_.join();
}

std::unique_ptr<raft::LogSyncer> SyncThread::For(Loop& loop) {
  return std::make_unique<Syncer>(*this, loop);
}

void SyncThread::Main() {
  std::vector<Waiting> taken;
  RelockableMutexLock lock(mu_);
  while (true) {
    while (!stop_ && waiting_.empty()) wake_.Wait(mu_);
    if (stop_) return;
    taken.swap(waiting_);
    lock.Unlock();
    const SteadyTime begin = Clock::System().Steady();
    const Status status = log_.Sync();
    times_.Record(Clock::System().Steady() - begin);
    for (Waiting& w : taken) w.loop->Post([done = std::move(w.done), status] { done(status); });
    taken.clear();
    lock.Lock();
  }
}

class BackgroundThread::Poster final : public Background {
 public:
  Poster(BackgroundThread& thread, Loop& loop) : thread_(thread), loop_(loop) {}
  void Run(std::function<void()> work, std::function<void()> then) override {
    {
      const MutexLock lock(thread_.mu_);
      thread_.jobs_.push_back({std::move(work), &loop_, std::move(then)});
    }
    thread_.wake_.NotifyOne();
  }

 private:
  BackgroundThread& thread_;
  Loop& loop_;
};

BackgroundThread::BackgroundThread(raft::LogStore& log) : log_(log), thread_([this] { Main(); }) {
  pthread_setname_np(thread_.native_handle(), "background");
}

BackgroundThread::~BackgroundThread() {
  {
    const MutexLock lock(mu_);
    stop_ = true;
  }
  wake_.NotifyOne();
  thread_.join();
}

std::unique_ptr<Background> BackgroundThread::For(Loop& loop) {
  return std::make_unique<Poster>(*this, loop);
}

void BackgroundThread::Main() {
  SteadyTime trimmed = Clock::System().Steady();
  RelockableMutexLock lock(mu_);
  while (true) {
    bool due = false;
    while (!stop_ && jobs_.empty() && !due) due = !wake_.WaitUntil(mu_, trimmed + kTrimInterval);
    if (stop_) return;
    if (!jobs_.empty()) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.Unlock();
      job.work();
      job.loop->Post(std::move(job.then));
      lock.Lock();
    }
    if (Clock::System().Steady() < trimmed + kTrimInterval) continue;
    lock.Unlock();
    if (Status s = log_.Trim(); !s.ok())
      Log(LogLevel::kWarning, "the log cannot be trimmed: " + s.ToString());
    trimmed = Clock::System().Steady();
    lock.Lock();
  }
}

}  // namespace curvefs::metaserver
