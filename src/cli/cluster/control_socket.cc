#include "cli/cluster/control_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace curvefs::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxLine = 1 << 20;
constexpr int kPatience = 5;  // seconds, of the supervisor with who comes

// The name of a socket has 107 bytes at most, that of a directory has no limit: so by way of the open
// directory.
struct Name {
  explicit Name(const std::string& dir) : fd(::open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    address.sun_family = AF_UNIX;
    const std::string path = "/proc/self/fd/" + std::to_string(fd) + "/control";
    path.copy(address.sun_path, sizeof address.sun_path - 1);
  }
  ~Name() {
    if (fd >= 0) ::close(fd);
  }
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }

  const int fd;
  sockaddr_un address{};
};

std::string ReadLine(int fd) {
  std::string line;
  char buffer[4096];
  while (line.find('\n') == line.npos && line.size() < kMaxLine) {
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return {};
    line.append(buffer, static_cast<size_t>(n));
  }
  return line;
}

bool WriteLine(int fd, const Json& json) {
  const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  for (size_t at = 0; at < line.size();) {
    const ssize_t n = ::send(fd, line.data() + at, line.size() - at, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += static_cast<size_t>(n);
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<ControlSocket>> ControlSocket::Listen(const std::string& dir) {
  const Name name(dir);
  if (name.fd < 0) return Fail(FromErrno(errno, "open " + dir));
  (void)::unlink((dir + "/control").c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || ::bind(fd, name.get(), sizeof name.address) != 0 || ::listen(fd, 16) != 0) {
    Status failed = FromErrno(errno, "listen on " + dir + "/control");
    if (fd >= 0) ::close(fd);
    return Fail(std::move(failed));
  }
  return std::unique_ptr<ControlSocket>(new ControlSocket(dir, fd));
}

ControlSocket::~ControlSocket() {
  for (int fd : waiting_) ::close(fd);
  ::close(fd_);
  (void)::unlink((dir_ + "/control").c_str());
}

void ControlSocket::Serve(const std::function<std::optional<Json>(const Json&)>& answer) {
  const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return;
  const timeval limit{.tv_sec = kPatience, .tv_usec = 0};
  for (int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    (void)::setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit);
  const Json request = Json::parse(ReadLine(fd), nullptr, /*allow_exceptions=*/false);
  if (request.is_object()) {
    if (auto reply = answer(request)) {
      (void)WriteLine(fd, *reply);
    } else {
      waiting_.push_back(fd);
      return;
    }
  }
  ::close(fd);
}

void ControlSocket::Release(const Json& answer) {
  for (int fd : waiting_) {
    (void)WriteLine(fd, answer);
    ::close(fd);
  }
  waiting_.clear();
}

Result<Json> AskControl(const std::string& dir, const Json& request) {
  const Name name(dir);
  auto nobody = [&] {
    return Fail(Code::kNotFound,
                "no cluster runs in " + dir + "; 'curvefs cluster up " + dir + "' starts one");
  };
  if (name.fd < 0) return nobody();
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Fail(FromErrno(errno, "socket"));
  Json reply;
  const bool there = ::connect(fd, name.get(), sizeof name.address) == 0;
  const int why = errno;
  if (there && WriteLine(fd, request)) reply = Json::parse(ReadLine(fd), nullptr, /*allow_exceptions=*/false);
  ::close(fd);
  if (!there && why != ENOENT && why != ECONNREFUSED)
    return Fail(FromErrno(why, "ask the supervisor of " + dir));
  if (!there) return nobody();
  if (!reply.is_object())
    return Fail(Code::kIo,
                "the supervisor of " + dir + " ended before it answered; see " + dir + "/log/supervisor.log");
  return reply;
}

}  // namespace curvefs::cli
