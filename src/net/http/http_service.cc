#include "net/http/http_service.h"

#include <httplib.h>
#include <pthread.h>

#include <thread>
#include <utility>

namespace curvefs::net {

struct HttpService::Rep {
  httplib::Server server;
  int port = 0;
  std::thread thread;
};

HttpService::HttpService(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}

Result<std::unique_ptr<HttpService>> HttpService::Start(const std::string& host, int port, Page metrics,
                                                        Page health) {
  auto rep = std::make_unique<Rep>();
  rep->server.new_task_queue = [] { return new httplib::ThreadPool(1); };
  // Not SO_REUSEPORT, which the library would set: another process on the same port is an error.
  rep->server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  });
  rep->server.Get("/metrics",
                  [page = std::move(metrics)](const httplib::Request&, httplib::Response& response) {
                    response.set_content(page(), "text/plain; version=0.0.4");
                  });
  rep->server.Get("/health",
                  [page = std::move(health)](const httplib::Request&, httplib::Response& response) {
                    response.set_content(page(), "text/plain");
                  });
  const std::string at = host.empty() ? "0.0.0.0" : host;
  if (port == 0) {
    rep->port = rep->server.bind_to_any_port(at.c_str());
  } else if (rep->server.bind_to_port(at.c_str(), port)) {
    rep->port = port;
  }
  if (rep->port <= 0) {
    return Fail(Code::kUnavailable, "cannot serve HTTP on " + at + ":" + std::to_string(port) +
                                        ": the address is in use, or not of this machine");
  }
  rep->thread = std::thread([&server = rep->server] { server.listen_after_bind(); });
  pthread_setname_np(rep->thread.native_handle(), "http");
  return std::unique_ptr<HttpService>(new HttpService(std::move(rep)));
}

HttpService::~HttpService() {
  // stop() before the thread has begun to listen would be forgotten.
  while (!rep_->server.is_running()) std::this_thread::yield();
  rep_->server.stop();
  rep_->thread.join();
}

int HttpService::port() const {
  return rep_->port;
}

}  // namespace curvefs::net
