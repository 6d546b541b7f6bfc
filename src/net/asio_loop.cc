#include "net/asio_loop.h"

#include <algorithm>

#include "net/asio_core.h"

namespace curvefs::net {
namespace {

// asio's own waits are in milliseconds and end by themselves after a while.
constexpr Duration kLongestSleep = std::chrono::seconds(60);

}  // namespace

Status FromAsio(const asio::error_code& error, const std::string& what) {
  const bool ended = error == asio::error::eof || error == asio::error::connection_reset;
  return {Code::kUnavailable, what + ": " + (ended ? "the other end has closed" : error.message())};
}

// ---- Core

void AsioLoop::Core::Wake() {
  asio::post(io, [] {});
}

void AsioLoop::Core::After(SteadyTime due, bool later, Task task) {
  bool wake = false;
  {
    MutexLock lock(mu);
    if (gone) return;
    (later ? delayed : posted).emplace_back(due, std::move(task));
    wake = std::exchange(sleeping, false);
  }
  if (wake) Wake();
}

// Posted tasks and timers, merged by due time.
void AsioLoop::Core::RunTasks() {
  std::vector<std::pair<SteadyTime, Task>> tasks, later;
  {
    MutexLock lock(mu);
    tasks.swap(posted);
    later.swap(delayed);
  }
  for (auto& [due, task] : later) timers.emplace(due, std::move(task));
  if (tasks.empty() && timers.empty()) return;
  const SteadyTime now = Clock::System().Steady();
  auto run_timers = [&](SteadyTime until) {
    while (!timers.empty() && timers.begin()->first <= until) {
      Task task = std::move(timers.begin()->second);
      timers.erase(timers.begin());
      task();
    }
  };
  for (auto& [due, task] : tasks) {
    run_timers(std::min(due, now));
    task();
    task = nullptr;  // what it holds goes before the next one runs
  }
  run_timers(now);
}

void AsioLoop::Core::RunEnds() {
  while (!ends.empty()) {
    for (Task& end : std::exchange(ends, {})) end();
  }
}

void AsioLoop::Core::Work() {
  RunTasks();
  for (size_t i = 0; i < hooks.size(); ++i) {
    std::shared_ptr<Hook> hook = hooks[i];  // it may remove itself
    hook->run();
  }
  RunEnds();
}

bool AsioLoop::Core::Sleep(SteadyTime until) {
  {
    MutexLock lock(mu);
    if (!posted.empty() || !delayed.empty() || stop) return false;
    sleeping = true;
  }
  const SteadyTime now = Clock::System().Steady();
  until = std::min(until, now + kLongestSleep);
  if (!timers.empty()) until = std::min(until, timers.begin()->first);
  bool slept = until > now;
  if (slept) io.run_one_until(until);
  MutexLock lock(mu);
  sleeping = false;
  return slept;
}

// ---- AsioLoop

AsioLoop::AsioLoop() : core_(std::make_shared<Core>()) {}

AsioLoop::~AsioLoop() {
  CURVEFS_CHECK(core_->runner.load() == std::thread::id());
  for (auto& [owner, end] : std::exchange(core_->sockets, {})) end();
  {
    MutexLock lock(core_->mu);
    core_->gone = true;
  }
  // Handlers hold what they belong to, and that the core: they must run before it can go.
  core_->work.reset();
  core_->hooks.clear();
  while (core_->io.poll() > 0) {
  }
  core_->ends.clear();
  core_->timers.clear();
  MutexLock lock(core_->mu);
  core_->posted.clear();
  core_->delayed.clear();
}

void AsioLoop::After(Duration delay, Task task) {
  const bool later = delay > Duration::zero();
  core_->After(clock().Steady() + (later ? delay : Duration::zero()), later, std::move(task));
}

void AsioLoop::Run() {
  CURVEFS_CHECK(core_->runner.exchange(std::this_thread::get_id()) == std::thread::id());
  for (;;) {
    core_->Work();
    {
      MutexLock lock(core_->mu);
      if (std::exchange(core_->stop, false)) break;
    }
    core_->Sleep(SteadyTime::max());
    core_->io.poll();
  }
  core_->runner = std::thread::id();
}

void AsioLoop::Stop() {
  bool wake = false;
  {
    MutexLock lock(core_->mu);
    core_->stop = true;
    wake = std::exchange(core_->sleeping, false);
  }
  if (wake) core_->Wake();
}

bool AsioLoop::RunUntil(const std::function<bool()>& done, Duration limit) {
  CURVEFS_CHECK(core_->runner.exchange(std::this_thread::get_id()) == std::thread::id());
  const SteadyTime end = clock().Steady() + limit;
  bool holds = false;
  for (;;) {
    core_->Work();
    if ((holds = done()) || clock().Steady() >= end) break;
    // What the one handler queued must not stay behind, or nobody writes it until the next run.
    if (core_->Sleep(end) && done()) {
      core_->RunEnds();
      holds = true;
      break;
    }
    core_->io.poll();
  }
  core_->runner = std::thread::id();
  return holds;
}

bool AsioLoop::InLoop() const {
  return core_->runner.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

void AsioLoop::AddHook(const void* owner, std::function<void()> hook) {
  core_->hooks.push_back(std::make_shared<Core::Hook>(Core::Hook{.owner = owner, .run = std::move(hook)}));
}

void AsioLoop::RemoveHook(const void* owner) {
  std::erase_if(core_->hooks, [&](const auto& hook) { return hook->owner == owner; });
}

void AsioLoop::AtRoundEnd(Task task) {
  core_->ends.push_back(std::move(task));
}

}  // namespace curvefs::net
