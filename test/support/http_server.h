// A small HTTP/1.1 server for tests, with or without TLS, that can misbehave on the wire.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace curvefs::test {

struct HttpRequest {
  std::string method;
  std::string path, query;                                   // as they came: percent-encoded
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  std::string Header(std::string_view name) const;
};

struct HttpReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::shared_ptr<const std::string> body;  // null: none
  size_t offset = 0, bytes = 0;             // the part of it that is sent
  static HttpReply Text(int status, std::string body);
};

// What happens to a request on the wire.
enum class WireFault {
  kNone,
  kReset,      // the connection is reset before the request is looked at
  kLostReply,  // the request is carried out, then the connection is reset
  kTruncate,   // half of the body of the reply, then the end
  kBlackHole,  // the request is read and nothing comes back
  kHold,       // the reply waits for Release()
};

struct Certificate {
  std::string certificate, key;  // PEM
};
// A new one, signed by itself, for "localhost" and 127.0.0.1.
Certificate MakeCertificate();

class HttpServer {
 public:
  using Handler = std::function<HttpReply(const HttpRequest&)>;
  using FaultChooser = std::function<WireFault(HttpRequest&)>;  // may mark the request

  // Listens on 127.0.0.1. Both functions are called by many threads. `certificate`: with TLS.
  HttpServer(uint16_t port, Handler handler, FaultChooser faults, const Certificate* certificate = nullptr);
  ~HttpServer();  // ends every connection
  uint16_t port() const { return port_; }
  uint64_t connections() const { return connections_; }

  void Release();              // lets replies that are held go, and all later ones
  void AwaitHeld(uint64_t n);  // until that many replies are held, or have been
  void AwaitBlackHoles(uint64_t n);

 private:
  class Stream;
  struct Connection {
    int fd;
    std::atomic<bool> done = false;
    std::thread thread;
  };
  void Accept();
  void Serve(int fd);
  bool ServeOne(Stream& stream, std::string* left);

  const Handler handler_;
  const FaultChooser faults_;
  void* tls_ = nullptr;  // SSL_CTX
  int listen_ = -1;
  uint16_t port_ = 0;
  std::atomic<uint64_t> connections_ = 0;
  std::mutex mu_;
  std::condition_variable changed_;
  bool stop_ = false, released_ = false;
  uint64_t held_ = 0, black_holes_ = 0;
  std::list<Connection> open_;
  std::thread accept_;
};

}  // namespace curvefs::test
