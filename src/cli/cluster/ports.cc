#include "cli/cluster/ports.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <random>

namespace curvefs::cli {
namespace {

constexpr uint16_t kFirst = 20'000, kLast = 30'000;  // below what Linux hands out by default, from 32768 on
constexpr size_t kMaxAnswer = 64 << 10;

class Socket {
 public:
  Socket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

bool PortIsFree(uint16_t port) {
  const Socket socket;
  // A connection that ended a moment ago does not count; a listener does.
  const int on = 1;
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = Loopback(port);
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
         ::listen(socket.get(), 1) == 0;
}

Result<uint16_t> FreePorts(uint16_t count) {
  std::random_device device;
  const int rows = (kLast - kFirst) / count, first = static_cast<int>(device() % static_cast<unsigned>(rows));
  for (int i = 0; i < rows; ++i) {
    const auto base = static_cast<uint16_t>(kFirst + (first + i) % rows * count);
    bool free = true;
    for (uint16_t n = 0; free && n < count; ++n) free = PortIsFree(static_cast<uint16_t>(base + n));
    if (free) return base;
  }
  return Fail(Code::kUnavailable, "no " + std::to_string(count) +
                                      " ports in a row are free on loopback, from " + std::to_string(kFirst) +
                                      " to " + std::to_string(kLast));
}

bool HttpSays(uint16_t port, const std::string& path, const std::string& needle) {
  const Socket socket;
  const timeval limit{.tv_sec = 1, .tv_usec = 0};
  for (int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    (void)::setsockopt(socket.get(), SOL_SOCKET, option, &limit, sizeof limit);
  const sockaddr_in address = Loopback(port);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return false;
  const std::string request = "GET " + path + " HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size()))
    return false;
  std::string answer;
  char buffer[4096];
  for (ssize_t n = 0; answer.size() < kMaxAnswer && (n = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;)
    answer.append(buffer, static_cast<size_t>(n));
  return answer.find(needle) != answer.npos;
}

}  // namespace curvefs::cli
