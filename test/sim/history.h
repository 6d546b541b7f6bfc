// Is a history of reads and writes of registers linearizable?
//
// Every write of a run writes another value, so the question has a quick and complete answer (Gibbons and
// Korach, "Testing Shared Memories", 1997): the operations on one value form a zone, between the first end
// and the last begin among them if something had to lie in between, else the other way round; zones of the
// first sort must not overlap, and none of the second sort may lie inside one of the first.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace curvefs::sim {

struct Operation {
  static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
  uint64_t key = 0;
  bool write = false;
  uint64_t value = 0;     // written, or read; 0: the register was never written
  uint64_t begin = 0;     // times; any unit
  uint64_t end = kNever;  // kNever: the outcome is not known. Reads have an end
  uint64_t id = 0;        // for the report
};

// Empty if it is; else what is wrong with which operations.
std::string FindViolation(const std::vector<Operation>& history);

}  // namespace curvefs::sim
