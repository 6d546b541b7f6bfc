#include "cli/mount_identity.h"

#include <unistd.h>

#include <array>
#include <fstream>
#include <random>
#include <vector>

namespace curvefs::cli {
namespace {

constexpr size_t kParts = 6;  // machine/boot/namespace/pid/start/random

std::string Line(const std::string& path) {
  std::ifstream in(path);  // files of /proc do not say how long they are
  std::string line;
  std::getline(in, line);
  return line;
}

std::string Namespace() {
  std::array<char, 128> target{};
  const ssize_t n = ::readlink("/proc/self/ns/pid", target.data(), target.size());
  if (n <= 0) return {};
  std::string digits;
  for (char c : std::string_view(target.data(), static_cast<size_t>(n))) {
    if (c >= '0' && c <= '9') digits += c;
  }
  return digits;
}

// When a process began, in ticks since the boot; empty if there is none.
std::string StartOf(const std::string& pid) {
  const std::string stat = Line("/proc/" + pid + "/stat");
  // Behind the name, which is in brackets and may be anything, come fields 3, 4, …; this is the 22nd. A dead
  // one whose parent has not looked yet is a zombie: gone.
  size_t at = stat.rfind(") ");
  if (at == std::string::npos || stat[at + 2] == 'Z') return {};
  at += 2;
  for (int field = 3; field < 22; ++field) {
    at = stat.find(' ', at);
    if (at == std::string::npos) return {};
    ++at;
  }
  return stat.substr(at, stat.find(' ', at) - at);
}

}  // namespace

std::string MountIdentity() {
  std::random_device device;
  const std::string pid = std::to_string(::getpid());
  return Line("/etc/machine-id") + "/" + Line("/proc/sys/kernel/random/boot_id") + "/" + Namespace() + "/" +
         pid + "/" + StartOf(pid) + "/" + std::to_string(uint64_t{device()} << 32 | device());
}

bool IsGone(std::string_view identity) {
  std::vector<std::string> parts(1);
  for (char c : identity) {
    if (c == '/') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (parts.size() != kParts) return false;
  const std::string boot = Line("/proc/sys/kernel/random/boot_id");
  if (boot.empty() || parts[1].empty()) return false;
  // Of another boot of this machine; a machine without an id cannot tell it from another machine.
  if (parts[1] != boot)
    return !parts[0].empty() && parts[0] == Line("/etc/machine-id") && parts[2] == Namespace();
  // Of this boot: those of one namespace of processes see each other.
  if (parts[2].empty() || parts[2] != Namespace()) return false;
  return StartOf(parts[3]) != parts[4];
}

}  // namespace curvefs::cli
