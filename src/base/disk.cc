#include "base/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace curvefs {
namespace {

// Runs the system call again while a signal interrupts it.
template <typename F>
auto Retry(F&& call) {
  decltype(call()) r;
  do {
    r = call();
  } while (r == -1 && errno == EINTR);
  return r;
}

Status Error(std::string_view what, const std::string& path) {
  int error = errno;
  return FromErrno(error, std::string(what) + " " + path);
}

std::string ParentOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A descriptor that is closed at the end of the scope.
struct Fd {
  explicit Fd(int fd) : fd(fd) {}
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int fd;
};

bool IsAligned(uint64_t offset, const void* memory, size_t n) {
  return (offset | reinterpret_cast<uintptr_t>(memory) | n) % File::kDirectUnit == 0;
}

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixFile() override { ::close(fd_); }

  // Through a descriptor of its own: others may be reading through fd_ into memory that is not aligned.
  Result<size_t> ReadDirect(uint64_t offset, char* out, size_t n) override {
    if (!IsAligned(offset, out, n)) return Read(offset, out, n);
    const std::string self = "/proc/self/fd/" + std::to_string(fd_);
    Fd direct(Retry([&] { return ::open(self.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC); }));
    if (direct.fd < 0) return Read(offset, out, n);
    ssize_t r = Retry([&] { return ::pread(direct.fd, out, n, static_cast<off_t>(offset)); });
    // Cut short, or not possible after all: what is missing comes the common way, or its error does.
    const size_t got = r > 0 ? static_cast<size_t>(r) : 0;
    if (got == n) return n;
    CURVEFS_TRY(const size_t rest, Read(offset + got, out + got, n - got));
    return got + rest;
  }

  Status WriteDirect(uint64_t offset, std::span<const iovec> pieces) override {
    bool aligned = offset % kDirectUnit == 0;
    for (const iovec& piece : pieces) aligned = aligned && IsAligned(0, piece.iov_base, piece.iov_len);
    const int flags = aligned ? ::fcntl(fd_, F_GETFL) : -1;
    if (flags < 0 || ::fcntl(fd_, F_SETFL, flags | O_DIRECT) != 0) return Write(offset, pieces);
    Status s = Write(offset, pieces);
    ::fcntl(fd_, F_SETFL, flags);
    return s.code() == Code::kInvalid ? Write(offset, pieces)
                                      : s;  // EINVAL: not that way on this file system
  }

  Result<size_t> Read(uint64_t offset, char* out, size_t n) override {
    size_t done = 0;
    while (done < n) {
      ssize_t r =
          Retry([&] { return ::pread(fd_, out + done, n - done, static_cast<off_t>(offset + done)); });
      if (r < 0)
        return std::unexpected(
            Error("read " + std::to_string(n) + " bytes at " + std::to_string(offset) + " of", path_));
      if (r == 0) break;
      done += static_cast<size_t>(r);
    }
    return done;
  }

  Status Write(uint64_t offset, std::span<const iovec> pieces) override {
    std::vector<iovec> left(pieces.begin(), pieces.end());
    size_t i = 0;
    while (i < left.size()) {
      int n = static_cast<int>(std::min<size_t>(left.size() - i, IOV_MAX));
      ssize_t r = Retry([&] { return ::pwritev(fd_, &left[i], n, static_cast<off_t>(offset)); });
      if (r < 0) return Error("write at " + std::to_string(offset) + " of", path_);
      offset += static_cast<uint64_t>(r);
      auto done = static_cast<size_t>(r);
      while (i < left.size() && done >= left[i].iov_len) done -= left[i++].iov_len;
      if (done == 0) continue;
      left[i].iov_base = static_cast<char*>(left[i].iov_base) + done;
      left[i].iov_len -= done;
    }
    return {};
  }

  Status Sync() override {
    if (Retry([&] { return ::fdatasync(fd_); }) != 0) return Error("sync", path_);
    return {};
  }

  // The zeros are written, not only reserved: overwriting written blocks later changes no file metadata, so
  // that an fdatasync then is one device write and no commit of the file system's own journal.
  Status Allocate(uint64_t size) override {
    CURVEFS_TRY(uint64_t old_size, Size());
    if (Retry([&] { return ::fallocate(fd_, 0, 0, static_cast<off_t>(size)); }) != 0 && errno != EOPNOTSUPP &&
        errno != ENOSYS) {
      return Error("reserve " + std::to_string(size) + " bytes for", path_);
    }
    static constexpr size_t kZeros = 1 << 20;
    static const std::vector<char> zeros(kZeros);
    for (uint64_t at = old_size; at < size;) {
      size_t n = static_cast<size_t>(std::min<uint64_t>(kZeros, size - at));
      CURVEFS_CHECK_OK(File::Write(at, std::string_view(zeros.data(), n)));
      at += n;
    }
    return {};
  }

  Status Truncate(uint64_t size) override {
    if (Retry([&] { return ::ftruncate(fd_, static_cast<off_t>(size)); }) != 0)
      return Error("truncate", path_);
    return {};
  }

  Result<uint64_t> Size() override {
    struct stat st;
    if (::fstat(fd_, &st) != 0) return std::unexpected(Error("stat", path_));
    return static_cast<uint64_t>(st.st_size);
  }

  void WillNeed(uint64_t offset, uint64_t n) override {
    ::posix_fadvise(fd_, static_cast<off_t>(offset), static_cast<off_t>(n), POSIX_FADV_WILLNEED);
  }

  int fd() const { return fd_; }

 private:
  const int fd_;
  const std::string path_;
};

class PosixDisk final : public Disk {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, Mode mode) override {
    CURVEFS_TRY(auto file, OpenPosix(path, mode));
    return file;
  }

  Status MakeDir(const std::string& path) override {
    if (::mkdir(path.c_str(), 0777) == 0) return {};
    int error = errno;
    struct stat st;
    if (error == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) return {};
    return FromErrno(error, "make directory " + path);
  }

  Status Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return Error("remove", path);
    return {};
  }

  Status RemoveDir(const std::string& path) override {
    if (::rmdir(path.c_str()) != 0) return Error("remove directory", path);
    return {};
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return Error("rename " + from + " to", to);
    return {};
  }

  Status Link(const std::string& from, const std::string& to) override {
    if (::link(from.c_str(), to.c_str()) != 0) return Error("link " + from + " as", to);
    return {};
  }

  Status SyncDir(const std::string& path) override {
    Fd dir(Retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (dir.fd < 0 || Retry([&] { return ::fsync(dir.fd); }) != 0) return Error("sync directory", path);
    return {};
  }

  Status SyncAll(const std::string& path) override {
    Fd fd(Retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
    if (fd.fd < 0 || Retry([&] { return ::syncfs(fd.fd); }) != 0) return Error("sync file system of", path);
    return {};
  }

  Result<std::vector<std::string>> List(const std::string& path) override {
    DIR* dir = ::opendir(path.c_str());
    if (dir == nullptr) return std::unexpected(Error("list", path));
    std::vector<std::string> names;
    errno = 0;
    while (dirent* entry = ::readdir(dir)) {
      std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
      errno = 0;
    }
    int error = errno;
    ::closedir(dir);
    if (error != 0) return std::unexpected(FromErrno(error, "list " + path));
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<bool> Exists(const std::string& path) override {
    struct stat st;
    if (::stat(path.c_str(), &st) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return std::unexpected(Error("stat", path));
  }

  Result<Timestamp> ModifiedAt(const std::string& path) override {
    struct stat st;
    if (::stat(path.c_str(), &st) != 0) return std::unexpected(Error("stat", path));
    return Timestamp::From(st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  }

  Result<DiskSpace> Space(const std::string& path) override {
    struct statvfs st;
    if (Retry([&] { return ::statvfs(path.c_str(), &st); }) != 0)
      return std::unexpected(Error("get the free space of", path));
    return DiskSpace{.total_bytes = uint64_t{st.f_blocks} * st.f_frsize,
                     .free_bytes = uint64_t{st.f_bavail} * st.f_frsize};
  }

  // flock belongs to the open file, not to the process, so a second Lock here is refused as elsewhere.
  Result<std::unique_ptr<File>> Lock(const std::string& path) override {
    CURVEFS_TRY(auto file, OpenPosix(path, Mode::kCreate));
    if (Retry([&] { return ::flock(file->fd(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) return Fail(Code::kBusy, path + " is locked: it is in use");
      return std::unexpected(Error("lock", path));
    }
    return file;
  }

 private:
  static Result<std::unique_ptr<PosixFile>> OpenPosix(const std::string& path, Mode mode) {
    int flags = O_CLOEXEC | (mode == Mode::kRead ? O_RDONLY : O_RDWR);
    if (mode == Mode::kCreate) flags |= O_CREAT;
    if (mode == Mode::kCreateNew) flags |= O_CREAT | O_EXCL;
    int fd = Retry([&] { return ::open(path.c_str(), flags, 0666); });
    if (fd < 0) return std::unexpected(Error("open", path));
    return std::make_unique<PosixFile>(fd, path);
  }
};

}  // namespace

Disk& Disk::Posix() {
  static PosixDisk disk;
  return disk;
}

Status Disk::WriteFileAtomically(const std::string& path, std::string_view content) {
  std::string temporary = path + ".tmp";
  Status written = [&]() -> Status {
    CURVEFS_TRY(auto file, Open(temporary, Mode::kCreate));
    CURVEFS_CHECK_OK(file->Truncate(0));  // left by a crash
    CURVEFS_CHECK_OK(file->Write(0, content));
    CURVEFS_CHECK_OK(file->Sync());
    return Rename(temporary, path);
  }();
  if (!written.ok()) {
    (void)Remove(temporary);
    return written;
  }
  return SyncDir(ParentOf(path));
}

Result<std::string> Disk::ReadWholeFile(const std::string& path, size_t limit) {
  CURVEFS_TRY(auto file, Open(path, Mode::kRead));
  CURVEFS_TRY(uint64_t size, file->Size());
  if (size > limit) {
    return Fail(Code::kTooBig,
                path + " has " + std::to_string(size) + " bytes, the limit is " + std::to_string(limit));
  }
  std::string content(size, '\0');
  CURVEFS_TRY(size_t n, file->Read(0, content.data(), content.size()));
  content.resize(n);
  return content;
}

}  // namespace curvefs
