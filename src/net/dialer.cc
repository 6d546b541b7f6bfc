#include "net/dialer.h"

#include <algorithm>
#include <random>
#include <utility>

#include "net/connection_rep.h"

namespace curvefs::net {
namespace {

using asio::ip::tcp;

}  // namespace

struct Dialer::Rep : std::enable_shared_from_this<Dialer::Rep> {
  Rep(AsioLoop& l, DialerOptions o, Events e)
      : loop(l),
        core(l.core()),
        options(std::move(o)),
        events(std::move(e)),
        resolver(core->io),
        socket(core->io),
        chance(std::random_device()()) {
    if (options.tls_name.empty()) options.tls_name = options.address.host;
  }

  AsioLoop& loop;
  std::shared_ptr<AsioLoop::Core> core;
  DialerOptions options;
  Events events;
  tcp::resolver resolver;
  tcp::socket socket;
  std::minstd_rand chance;
  ConnectionPtr shaking;
  Duration pause{};
  uint64_t attempt = 0;  // numbers attempts and pauses: what belongs to an older one is ignored
  bool dialing = false, closed = false;
  SteadyTime last_dial{};

  void Dial();
  void Connect(uint64_t number, std::vector<tcp::endpoint> endpoints, size_t next);
  void Shake(uint64_t number);
  void Failed(uint64_t number, const Status& why);
  void Pause();
  void Close();
  bool Stale(uint64_t number) const { return closed || number != attempt; }
};

void Dialer::Rep::Dial() {
  const uint64_t number = ++attempt;
  dialing = true;
  last_dial = loop.clock().Steady();
  loop.After(options.connect_limit, [weak = weak_from_this(), number] {
    auto rep = weak.lock();
    if (!rep || rep->Stale(number) || rep->shaking) return;  // the handshake has its own limit
    rep->Failed(number, {Code::kTimedOut, rep->options.address.ToString() + " does not answer"});
  });
  asio::error_code error;
  auto ip = asio::ip::make_address(options.address.host, error);
  if (!error) return Connect(number, {tcp::endpoint(ip, options.address.port)}, 0);
  resolver.async_resolve(
      options.address.host, std::to_string(options.address.port),
      [rep = shared_from_this(), number](const asio::error_code& failure, tcp::resolver::results_type found) {
        if (rep->Stale(number)) return;
        if (failure) {
          return rep->Failed(number, FromAsio(failure, "the address '" + rep->options.address.host + "'"));
        }
        std::vector<tcp::endpoint> endpoints;
        for (const auto& entry : found) endpoints.push_back(entry.endpoint());
        rep->Connect(number, std::move(endpoints), 0);
      });
}

void Dialer::Rep::Connect(uint64_t number, std::vector<tcp::endpoint> endpoints, size_t next) {
  asio::error_code ignored;
  socket.close(ignored);
  socket = tcp::socket(core->io);
  const tcp::endpoint endpoint = endpoints[next];
  socket.async_connect(endpoint, [rep = shared_from_this(), number, endpoints = std::move(endpoints),
                                  next](const asio::error_code& failure) mutable {
    if (rep->Stale(number)) return;
    if (!failure) return rep->Shake(number);
    if (next + 1 < endpoints.size()) return rep->Connect(number, std::move(endpoints), next + 1);
    rep->Failed(number, FromAsio(failure, rep->options.address.ToString()));
  });
}

void Dialer::Rep::Shake(uint64_t number) {
  shaking =
      Connection::Rep::Dialled(loop, std::move(socket), options.connection, options.hello, options.tls_name,
                               [weak = weak_from_this(), number](const Status& s, ConnectionPtr connection) {
                                 auto rep = weak.lock();
                                 if (!rep || rep->Stale(number)) {
                                   if (connection) connection->Abandon();
                                   return;
                                 }
                                 rep->shaking = nullptr;
                                 if (!s.ok()) return rep->Failed(number, s);
                                 ++rep->attempt;  // nothing that still waits is about it
                                 rep->dialing = false;
                                 rep->pause = {};
                                 if (auto connected = rep->events.connected) connected(std::move(connection));
                               });
  socket = tcp::socket(core->io);
}

void Dialer::Rep::Failed(uint64_t number, const Status& why) {
  if (Stale(number)) return;
  ++attempt;
  asio::error_code ignored;
  socket.close(ignored);
  resolver.cancel();
  dialing = false;
  Pause();
  if (auto failed = events.failed) failed(why);
}

// The next pause is twice the last, give or take half of it, so that those who lost a server together do not
// come back together.
void Dialer::Rep::Pause() {
  const uint64_t number = ++attempt;
  const Duration base = std::clamp(pause * 2, options.min_pause, options.max_pause);
  std::uniform_real_distribution<double> spread(0.5, 1.0);
  pause = base;
  loop.After(Duration(static_cast<int64_t>(static_cast<double>(base.count()) * spread(chance))),
             [weak = weak_from_this(), number] {
               auto rep = weak.lock();
               if (rep && !rep->Stale(number)) rep->Dial();
             });
}

void Dialer::Rep::Close() {
  if (std::exchange(closed, true)) return;
  core->sockets.erase(this);
  events = {};
  asio::error_code ignored;
  socket.close(ignored);
  resolver.cancel();
  if (auto connection = std::exchange(shaking, nullptr)) connection->Abandon();
}

Dialer::Dialer(AsioLoop& loop, DialerOptions options, Events events)
    : rep_(std::make_shared<Rep>(loop, std::move(options), std::move(events))) {
  rep_->core->sockets[rep_.get()] = [weak = rep_->weak_from_this()] {
    if (auto rep = weak.lock()) rep->Close();
  };
  loop.Post([weak = std::weak_ptr(rep_)] {
    auto rep = weak.lock();
    if (rep && !rep->closed && rep->attempt == 0) rep->Dial();
  });
  rep_->dialing = true;
}

Dialer::~Dialer() {
  rep_->Close();
}

void Dialer::Redial() {
  if (!rep_->dialing && !rep_->closed) rep_->Pause();
}

void Dialer::Hurry() {
  if (rep_->dialing || rep_->closed) return;
  if (rep_->loop.clock().Steady() - rep_->last_dial < rep_->options.min_pause) return;
  rep_->Dial();
}

bool Dialer::dialing() const {
  return rep_->dialing;
}

const Address& Dialer::address() const {
  return rep_->options.address;
}

}  // namespace curvefs::net
