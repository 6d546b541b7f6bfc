#include "client/served_caller.h"

#include <signal.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>

namespace curvefs::client {
namespace {

thread_local uint32_t served = 0;
thread_local const std::atomic<bool>* served_by_gone = nullptr;

}  // namespace

ServedCaller::ServedCaller(uint32_t tid, const std::atomic<bool>* gone) {
  served = tid;
  served_by_gone = gone;
}
ServedCaller::~ServedCaller() {
  served = 0;
  served_by_gone = nullptr;
}

bool CallerWasKilled() {
  if (served_by_gone != nullptr && served_by_gone->load(std::memory_order_relaxed)) return true;
  if (served == 0) return false;
  const std::string of = "/proc/" + std::to_string(served);
  std::ifstream status(of + "/status"), stat(of + "/stat");
  constexpr std::string_view kPending = "SigPnd:\t";  // of the thread, as a hexadecimal mask (proc(5))
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with(kPending)) continue;
    uint64_t mask = 0;
    std::from_chars(line.data() + kPending.size(), line.data() + line.size(), mask, 16);
    if ((mask & (uint64_t{1} << (SIGKILL - 1))) != 0) return true;
    break;
  }
  // It closes its files as it ends: PF_EXITING of the flags, the seventh field behind the name.
  std::string text;
  std::getline(stat, text);
  const size_t name_end = text.rfind(')');
  unsigned flags = 0;
  return name_end != text.npos &&
         std::sscanf(text.c_str() + name_end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
         (flags & 4) != 0;
}

}  // namespace curvefs::client
