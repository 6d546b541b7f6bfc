#include "cli/mounts.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

namespace curvefs::cli {
namespace {

// Space, tab, newline and backslash are written as \ooo.
std::string Unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    auto digit = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string ReadLink(const std::string& path) {
  char target[PATH_MAX];
  ssize_t n = ::readlink(path.c_str(), target, sizeof target);
  return n < 0 ? std::string() : std::string(target, static_cast<size_t>(n));
}

std::vector<std::string> NamesIn(const std::string& path) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), &::closedir);
  if (dir == nullptr) return names;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

bool IsBelow(const std::string& path, const std::string& top) {
  return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
}

}  // namespace

std::vector<MountEntry> ParseMountInfo(std::string_view text) {
  std::vector<MountEntry> mounts;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    // 36 35 98:0 /root /mount/point options [optional fields] - type source super-options
    std::istringstream words(line);
    std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
    auto dash = std::ranges::find(fields, "-");
    if (fields.size() < 5 || std::distance(dash, fields.end()) < 3) continue;
    mounts.push_back({Unescaped(fields[4]), dash[1], Unescaped(dash[2]), fields[2], Unescaped(fields[3])});
  }
  return mounts;
}

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(path, error).lexically_normal();
  if (error) return path;
  if (!absolute.has_filename()) absolute = absolute.parent_path();
  std::filesystem::path parent = std::filesystem::weakly_canonical(absolute.parent_path(), error);
  if (error || !absolute.has_filename()) return absolute.string();
  // A symbolic link to a mount point means the mount point; a mount point itself is no link, and is not
  // asked: its servers may be away.
  std::filesystem::path whole = parent / absolute.filename();
  if (FindMount(whole.string())) return whole.string();
  if (std::filesystem::is_symlink(whole, error)) {
    std::filesystem::path target = std::filesystem::weakly_canonical(whole, error);
    if (!error) return target.string();
  }
  return whole.string();
}

std::vector<MountEntry> CurrentMounts() {
  std::ifstream file("/proc/self/mountinfo");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  return ParseMountInfo(text);
}

Result<MountEntry> FindMount(const std::string& mount_point) {
  std::vector<MountEntry> mounts = CurrentMounts();
  for (auto m = mounts.rbegin(); m != mounts.rend(); ++m) {
    if (m->mount_point != mount_point) continue;
    if (m->type == kFsType) return *m;
    return Fail(Code::kNotFound, mount_point + " is a mount of type " + m->type + ", not of CurveFS");
  }
  return Fail(Code::kNotFound, "nothing is mounted at " + mount_point);
}

Result<std::string> DirectoryOfFs(const std::string& path) {
  std::string dir = AbsolutePath(path);
  auto mount = FindMount(dir);
  if (!mount) return dir;
  if (mount->source.find("://") != std::string::npos)
    return Fail(Code::kInvalid, dir + " is where " + mount->source +
                                    " is mounted: a file system of a cluster, for " +
                                    "which there is no such tool");
  return Fail(Code::kInvalid, dir + " is where " + mount->source +
                                  " is mounted: name that directory, after 'curvefs " + "umount " + dir +
                                  "'");
}

std::vector<std::string> UsersOf(const std::string& mount_point, size_t max) {
  std::vector<std::string> users;
  for (const std::string& pid : NamesIn("/proc")) {
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string proc = "/proc/" + pid;
    bool uses = IsBelow(ReadLink(proc + "/cwd"), mount_point) ||
                IsBelow(ReadLink(proc + "/root"), mount_point) ||
                IsBelow(ReadLink(proc + "/exe"), mount_point);
    if (!uses) {
      std::vector<std::string> fds = NamesIn(proc + "/fd");
      uses = std::ranges::any_of(
          fds, [&](const std::string& fd) { return IsBelow(ReadLink(proc + "/fd/" + fd), mount_point); });
    }
    if (!uses) continue;
    std::ifstream comm(proc + "/comm");
    std::string command;
    std::getline(comm, command);
    users.push_back(pid + " (" + command + ")");
    if (users.size() == max) break;
  }
  return users;
}

}  // namespace curvefs::cli
