#include "net/blocking_client.h"

#include <pthread.h>

#include <list>
#include <optional>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace curvefs::net {
namespace {

constexpr Duration kNap = std::chrono::milliseconds(1);  // no call for so long: the keeper takes over
constexpr Duration kForEver = std::chrono::hours(24 * 365);

// A call that waits; all of it under the mutex of its client.
struct Waiter {
  CondVar wake;
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

  Mutex mu;  // taken by handlers of the loop; before the loop's own
  CondVar keeper_wake;
  bool driven CURVEFS_GUARDED_BY(mu) = false;  // somebody drives
  bool keeper_drives CURVEFS_GUARDED_BY(mu) = false;
  bool give_way CURVEFS_GUARDED_BY(mu) = false;  // the keeper shall stop driving
  bool stop CURVEFS_GUARDED_BY(mu) = false;
  uint64_t calls CURVEFS_GUARDED_BY(mu) = 0;
  std::list<Waiter*> waiters CURVEFS_GUARDED_BY(mu);  // without a reply, and not driving
  std::thread keeper;

  void Keep();
  void Drive(Waiter& waiter);
  void HandOver() CURVEFS_REQUIRES(mu);  // who calls drives no more
  void Kick();
};

BlockingClient::BlockingClient(ClientOptions options, Client::Events events, Shape shape)
    : rep_(std::make_unique<Rep>(std::move(options), std::move(events), shape)) {
  rep_->keeper = std::thread([rep = rep_.get()] { rep->Keep(); });
  pthread_setname_np(rep_->keeper.native_handle(), "net-client");
}

BlockingClient::~BlockingClient() {
  {
    MutexLock lock(rep_->mu);
    rep_->stop = true;
    rep_->keeper_wake.NotifyOne();
  }
  rep_->loop.Post([] {});
  rep_->keeper.join();
  rep_->client.reset();
}

// Runs the loop while nobody else does.
void BlockingClient::Rep::Keep() {
  RelockableMutexLock lock(mu);
  while (!stop) {
    const uint64_t seen = calls;
    if (shape == Shape::kCallerRuns) keeper_wake.WaitUntil(mu, Clock::System().Steady() + kNap);
    if (stop) return;
    if (driven || (seen != calls && shape == Shape::kCallerRuns)) continue;
    driven = keeper_drives = true;
    give_way = false;
    lock.Unlock();
    auto enough = [this] {
      MutexLock again(mu);
      return stop || give_way;
    };
    loop.RunUntil(enough, kForEver);
    lock.Lock();
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
  next->wake.NotifyOne();
}

void BlockingClient::Rep::Drive(Waiter& waiter) {
  // Set by a handler that this thread runs, so it may look without the mutex.
  loop.RunUntil([&] { return waiter.done; }, kForEver);
  MutexLock lock(mu);
  HandOver();
}

// What was given to the loop goes out now, if nobody drives.
void BlockingClient::Rep::Kick() {
  RelockableMutexLock lock(mu);
  ++calls;
  if (driven) return;  // whoever drives was woken
  driven = true;
  lock.Unlock();
  loop.RunUntil([] { return true; }, Duration::zero());
  lock.Lock();
  HandOver();
}

Result<std::string> BlockingClient::Call(FrameType type, std::string bytes, Duration deadline) {
  Rep& rep = *rep_;
  Waiter waiter;
  RelockableMutexLock lock(rep.mu);
  ++rep.calls;
  bool drives = !rep.driven && rep.shape == Shape::kCallerRuns;
  std::list<Waiter*>::iterator place;
  if (drives) {
    rep.driven = true;
  } else {
    rep.waiters.push_back(&waiter);
    rep.give_way |= rep.keeper_drives && rep.shape == Shape::kCallerRuns;
  }
  lock.Unlock();
  rep.client->Call(type, std::move(bytes), deadline, [&rep, &waiter](Result<std::string> outcome) {
    MutexLock in(rep.mu);
    waiter.outcome = std::move(outcome);
    waiter.done = true;
    if (waiter.drive) return;  // it is us who run this
    rep.waiters.remove(&waiter);
    waiter.wake.NotifyOne();
  });
  if (drives) {
    rep.Drive(waiter);
    return std::move(waiter.outcome);
  }
  lock.Lock();
  while (!waiter.done && !waiter.drive) waiter.wake.Wait(rep.mu);
  if (!waiter.done) {
    lock.Unlock();
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
