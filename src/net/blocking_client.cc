#include "net/blocking_client.h"

#include <pthread.h>

#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace curvefs::net {
namespace {

constexpr Duration kNap = std::chrono::milliseconds(1);  // no call for so long: the keeper takes over
constexpr Duration kForEver = std::chrono::hours(24 * 365);

struct Waiter {
  std::condition_variable wake;
  bool done = false;
  bool drive = false;  // its turn to drive
  Result<std::string> outcome;
};

}  // namespace

struct BlockingClient::Rep {
  Rep(ClientOptions options, Client::Events events, Shape s)
      : shape(s), client(std::in_place, loop, std::move(options), std::move(events)) {}

  const Shape shape;
  AsioLoop loop;  // run by whoever drives
  std::optional<Client> client;

  std::mutex mu;
  std::condition_variable keeper_wake;
  bool driven = false;  // somebody drives
  bool keeper_drives = false;
  bool give_way = false;  // the keeper shall stop driving
  bool stop = false;
  uint64_t calls = 0;
  std::list<Waiter*> waiters;  // without a reply, and not driving
  std::thread keeper;

  void Keep();
  void Drive(Waiter& waiter);
  void HandOver();  // mu held; who calls drives no more
  void Kick();
};

BlockingClient::BlockingClient(ClientOptions options, Client::Events events, Shape shape)
    : rep_(std::make_unique<Rep>(std::move(options), std::move(events), shape)) {
  rep_->keeper = std::thread([rep = rep_.get()] { rep->Keep(); });
  pthread_setname_np(rep_->keeper.native_handle(), "net-client");
}

BlockingClient::~BlockingClient() {
  {
    std::lock_guard lock(rep_->mu);
    rep_->stop = true;
    rep_->keeper_wake.notify_one();
  }
  rep_->loop.Post([] {});
  rep_->keeper.join();
  rep_->client.reset();
}

// Runs the loop while nobody else does.
void BlockingClient::Rep::Keep() {
  std::unique_lock lock(mu);
  while (!stop) {
    const uint64_t seen = calls;
    if (shape == Shape::kCallerRuns && keeper_wake.wait_for(lock, kNap, [this] { return stop; })) return;
    if (driven || (seen != calls && shape == Shape::kCallerRuns)) continue;
    driven = keeper_drives = true;
    give_way = false;
    lock.unlock();
    auto enough = [this] {
      std::lock_guard again(mu);
      return stop || give_way;
    };
    loop.RunUntil(enough, kForEver);
    lock.lock();
    keeper_drives = false;
    HandOver();
  }
}

void BlockingClient::Rep::HandOver() {
  driven = !waiters.empty() && shape == Shape::kCallerRuns;
  if (!driven) return;
  Waiter* next = waiters.front();
  waiters.pop_front();
  next->drive = true;
  next->wake.notify_one();
}

void BlockingClient::Rep::Drive(Waiter& waiter) {
  loop.RunUntil([&] { return waiter.done; }, kForEver);
  std::lock_guard lock(mu);
  HandOver();
}

// What was given to the loop goes out now, if nobody drives.
void BlockingClient::Rep::Kick() {
  std::unique_lock lock(mu);
  ++calls;
  if (driven) return;  // whoever drives was woken
  driven = true;
  lock.unlock();
  loop.RunUntil([] { return true; }, Duration::zero());
  lock.lock();
  HandOver();
}

Result<std::string> BlockingClient::Call(FrameType type, std::string bytes, Duration deadline) {
  Rep& rep = *rep_;
  Waiter waiter;
  std::unique_lock lock(rep.mu);
  ++rep.calls;
  bool drives = !rep.driven && rep.shape == Shape::kCallerRuns;
  std::list<Waiter*>::iterator place;
  if (drives) {
    rep.driven = true;
  } else {
    rep.waiters.push_back(&waiter);
    rep.give_way |= rep.keeper_drives && rep.shape == Shape::kCallerRuns;
  }
  lock.unlock();
  rep.client->Call(type, std::move(bytes), deadline, [&rep, &waiter](Result<std::string> outcome) {
    std::lock_guard in(rep.mu);
    waiter.outcome = std::move(outcome);
    waiter.done = true;
    if (waiter.drive) return;  // it is us who run this
    rep.waiters.remove(&waiter);
    waiter.wake.notify_one();
  });
  if (drives) {
    rep.Drive(waiter);
    return std::move(waiter.outcome);
  }
  lock.lock();
  waiter.wake.wait(lock, [&] { return waiter.done || waiter.drive; });
  if (!waiter.done) {
    lock.unlock();
    rep.Drive(waiter);
  }
  return std::move(waiter.outcome);
}

void BlockingClient::Notify(FrameType type, std::string bytes) {
  rep_->client->Notify(type, std::move(bytes));
  rep_->Kick();
}

void BlockingClient::Start(FrameType type, std::string bytes, Duration deadline, Client::Done done) {
  rep_->client->Call(type, std::move(bytes), deadline, std::move(done));
  rep_->Kick();
}

bool BlockingClient::connected() const {
  return rep_->client->connected();
}

}  // namespace curvefs::net
