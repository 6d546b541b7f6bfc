#include "cli/control_client.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cli/mounts.h"

namespace curvefs::cli {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Result<PathInMount> FindPathInMount(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0) return Fail(FromErrno(errno, path));
  // By device, not by name: bind mounts and links lead into a mount as well.
  const std::string device = std::to_string(major(st.st_dev)) + ":" + std::to_string(minor(st.st_dev));
  for (const MountEntry& m : CurrentMounts()) {
    if (m.type == kFsType && m.device == device && m.root == "/")
      return PathInMount{path, m.mount_point, st.st_ino, S_ISDIR(st.st_mode)};
  }
  return Fail(Code::kNotSupported,
              path + " is not in a mounted CurveFS; mount it, and give a path below the mount point");
}

Result<ControlClient> ControlClient::For(const std::string& path) {
  CURVEFS_TRY(PathInMount found, FindPathInMount(path));
  return ControlClient(found.mount_point);
}

Result<ControlFields> ControlClient::Call(const ControlRequest& request,
                                          const std::function<void(const ControlFields&)>& progress) const {
  const std::string name = mount_point_ + "/.control";
  const Descriptor file(::open(name.c_str(), O_RDWR | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == EACCES)
      return Fail(Code::kAccessDenied, "only root and the user who mounted " + mount_point_ + " may do this");
    if (errno == ENOENT)
      return Fail(Code::kNotSupported, mount_point_ + " has no .control; is it a mount of an older curvefs?");
    if (errno == EBUSY)
      return Fail(Code::kBusy, "too many commands are running on " + mount_point_ + "; try again later");
    return Fail(FromErrno(errno, name));
  }
  const std::string line = EncodeControlRequest(request) + "\n";
  for (size_t at = 0; at < line.size();) {
    ssize_t n = ::write(file.get(), line.data() + at, std::min<size_t>(line.size() - at, 64 << 10));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(FromErrno(errno, "writing to " + name));
    at += static_cast<size_t>(n);
  }
  std::string text;
  std::string buffer(64 << 10, '\0');
  while (true) {
    ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(FromErrno(errno, "reading from " + name));
    if (n == 0) break;
    text.append(buffer, 0, static_cast<size_t>(n));
    for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      if (end == 0) continue;  // still working
      CURVEFS_TRY(ControlLine answer, DecodeControlLine(std::string_view(text).substr(0, end)));
      if (answer.kind == ControlLine::Kind::kError) return Fail(answer.error);
      if (answer.kind == ControlLine::Kind::kResult) return std::move(answer.fields);
      if (progress) progress(answer.fields);
    }
  }
  return Fail(Code::kInterrupted, "the mount at " + mount_point_ + " ended before the command did");
}

}  // namespace curvefs::cli
