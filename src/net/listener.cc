#include "net/listener.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/log.h"
#include "net/connection_rep.h"

namespace curvefs::net {
namespace {

using asio::ip::tcp;

constexpr Duration kPauseAfterFailure = std::chrono::milliseconds(100);  // no file handles left, for example

Result<tcp::endpoint> EndpointOf(asio::io_context& io, const Address& address) {
  asio::error_code error;
  if (address.host.empty()) return tcp::endpoint(tcp::v6(), address.port);
  auto ip = asio::ip::make_address(address.host, error);
  if (!error) return tcp::endpoint(ip, address.port);
  tcp::resolver resolver(io);  // at start-up, so it may wait
  auto found = resolver.resolve(address.host, std::to_string(address.port), tcp::resolver::passive, error);
  if (error) return Fail(FromAsio(error, "the address '" + address.host + "'"));
  return found.begin()->endpoint();
}

}  // namespace

struct Listener::Rep : std::enable_shared_from_this<Listener::Rep> {
  Rep(AsioLoop& l, ListenerOptions o, Events e, std::vector<AsioLoop*> ls)
      : loop(l),
        core(l.core()),
        options(std::move(o)),
        events(std::move(e)),
        lanes(std::move(ls)),
        acceptor(core->io) {}

  AsioLoop& loop;
  std::shared_ptr<AsioLoop::Core> core;
  ListenerOptions options;
  Events events;
  const std::vector<AsioLoop*> lanes;
  Address address;
  tcp::acceptor acceptor;
  bool closed = false;
  std::unordered_map<const Connection*, ConnectionPtr> shaking;  // hands
  // Connections that live; they outlive the listener.
  std::shared_ptr<std::atomic<size_t>> live = std::make_shared<std::atomic<size_t>>(0);

  Status Open();
  void Accept();
  void Take(tcp::socket socket);
  void PassOn(ConnectionPtr connection);
  void Close();
};

Status Listener::Rep::Open() {
  asio::error_code error;
  CURVEFS_TRY(tcp::endpoint endpoint, EndpointOf(core->io, options.address));
  const std::string where = "cannot listen on " + options.address.ToString();
  acceptor.open(endpoint.protocol(), error);
  if (error && options.address.host.empty()) {  // a machine without IPv6
    endpoint = tcp::endpoint(tcp::v4(), options.address.port);
    acceptor.open(endpoint.protocol(), error);
  }
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && endpoint.protocol() == tcp::v6() && options.address.host.empty())
    acceptor.set_option(asio::ip::v6_only(false), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return FromAsio(error, where);
  address = {options.address.host, acceptor.local_endpoint(error).port()};
  options.hello.lanes = static_cast<uint32_t>(std::max<size_t>(1, lanes.size()));
  core->sockets[this] = [weak = weak_from_this()] {
    if (auto rep = weak.lock()) rep->Close();
  };
  return {};
}

void Listener::Rep::Accept() {
  acceptor.async_accept([rep = shared_from_this()](const asio::error_code& error, tcp::socket socket) {
    if (rep->closed) return;
    if (error) {
      Log(LogLevel::kWarning, FromAsio(error, "a connection cannot be taken").ToString());
      rep->loop.After(kPauseAfterFailure, [weak = std::weak_ptr(rep)] {
        if (auto r = weak.lock(); r && !r->closed) r->Accept();
      });
      return;
    }
    rep->Take(std::move(socket));
    rep->Accept();
  });
}

void Listener::Rep::Take(tcp::socket socket) {
  // Beyond the limit the socket is closed at once: whoever floods us does not deserve a word.
  if (*live >= options.max_connections) return;
  ++*live;
  auto slot = std::make_shared<const Connection*>(nullptr);
  auto admit = [weak = weak_from_this()](const Hello& theirs, Hello* reply) -> Status {
    auto rep = weak.lock();
    if (!rep || rep->closed) return {Code::kUnavailable, "the server stops"};
    return rep->events.admit ? rep->events.admit(theirs, reply) : Status();
  };
  auto ready = [weak = weak_from_this(), slot](const Status& s, ConnectionPtr connection) {
    auto rep = weak.lock();
    if (!rep || rep->closed) {
      if (connection) connection->Abandon();
      return;
    }
    rep->shaking.erase(*slot);
    if (!s.ok()) {
      Log(LogLevel::kInfo, "a connection was refused: " + s.ToString());
      return;
    }
    rep->PassOn(std::move(connection));
  };
  ConnectionPtr c = Connection::Rep::Accepted(loop, std::move(socket), options.connection, options.hello,
                                              std::move(admit), std::move(ready));
  *slot = c.get();
  shaking[c.get()] = c;
  c->rep().counted = std::shared_ptr<void>(nullptr, [live = live](void*) { --*live; });
}

void Listener::Rep::PassOn(ConnectionPtr connection) {
  AsioLoop* lane = &loop;
  if (!lanes.empty()) lane = lanes[connection->theirs().lane % lanes.size()];
  if (lane == &loop) return events.connected(std::move(connection));
  // Not from within the connection's own callback.
  loop.Post([lane, connection = std::move(connection), connected = events.connected] {
    Connection::Rep::Move(connection, *lane, connected);
  });
}

void Listener::Rep::Close() {
  if (std::exchange(closed, true)) return;
  core->sockets.erase(this);
  asio::error_code ignored;
  acceptor.close(ignored);
  for (auto& [key, connection] : std::exchange(shaking, {})) connection->Abandon();
}

Result<std::unique_ptr<Listener>> Listener::Open(AsioLoop& loop, ListenerOptions options, Events events,
                                                 std::vector<AsioLoop*> lanes) {
  auto rep = std::make_shared<Rep>(loop, std::move(options), std::move(events), std::move(lanes));
  CURVEFS_CHECK_OK(rep->Open());
  rep->Accept();
  return std::unique_ptr<Listener>(new Listener(std::move(rep)));
}

Listener::~Listener() {
  rep_->Close();
}

const Address& Listener::address() const {
  return rep_->address;
}

}  // namespace curvefs::net
