// What the harness and main.cc share.
#pragma once

#include <atomic>
#include <string>

namespace posix {

// In memory that all processes of a run share.
struct Counters {
  std::atomic<long> passed{0}, failed{0}, skipped{0};
};
Counters& SharedCounters();
void SetCurrentTest(const char* name);
void Failure(const char* file, int line, const std::string& what);

}  // namespace posix
