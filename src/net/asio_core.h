// The inside of AsioLoop, for the sockets of this folder; the only header with asio in it.
#pragma once

#include <asio.hpp>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "net/asio_loop.h"

namespace curvefs::net {

struct AsioLoop::Core {
  using WorkGuard = asio::executor_work_guard<asio::io_context::executor_type>;

  asio::io_context io{1};
  WorkGuard work{asio::make_work_guard(io)};
  std::atomic<std::thread::id> runner{};

  // Thread-safe part. Tasks without a delay keep their order and take no map node.
  Mutex mu;  // a leaf
  std::vector<std::pair<SteadyTime, Task>> posted CURVEFS_GUARDED_BY(mu);
  std::vector<std::pair<SteadyTime, Task>> delayed CURVEFS_GUARDED_BY(mu);
  bool sleeping CURVEFS_GUARDED_BY(mu) = false;  // a task that comes must wake the loop
  bool stop CURVEFS_GUARDED_BY(mu) = false;
  bool gone CURVEFS_GUARDED_BY(mu) = false;  // tasks are dropped

  // On the loop.
  std::multimap<SteadyTime, Task> timers;
  struct Hook {
    const void* owner;
    std::function<void()> run;
  };
  std::vector<std::shared_ptr<Hook>> hooks;
  std::vector<Task> ends;
  // What to do to those who hold a socket when the loop goes.
  std::unordered_map<const void*, std::function<void()>> sockets;

  // What is not thread-safe may be called: on the thread that runs the loop, or while none does.
  bool Mine() const {
    const std::thread::id id = runner.load(std::memory_order_relaxed);
    return id == std::thread::id() || id == std::this_thread::get_id();
  }
  void After(SteadyTime due, bool later, Task task);
  void Wake();
  void Work();  // tasks, hooks, ends
  void RunTasks();
  void RunEnds();
  // Sleeps until a handler has run, a task is due or comes, or `until`. False: there was no need to.
  bool Sleep(SteadyTime until);
};

// What became of the network, as a Status: kUnavailable, with a text for people.
Status FromAsio(const asio::error_code& error, const std::string& what);

}  // namespace curvefs::net
