// What is checked of an election: who changed the store while whose office lasted, what became of every
// change that was asked for, and when who served. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"

namespace curvefs::test {

// A change that is in the store.
struct Effect {
  int64_t revision = 0;     // that made it
  std::string name;         // what was made: each attempt asks for another
  int64_t term = 0;         // of office, of the MDS that wrote it, by the serial of its transaction
  int64_t leader_term = 0;  // of the candidate that was first in the election right before; 0: none was
  std::string leader;       // its name
};

// A change that was asked for.
struct Attempt {
  enum class Outcome { kAcknowledged, kRefused, kUnknown };  // kRefused: by the MDS's word nothing happened
  std::string mds;                                           // the name under which it stands for election
  std::string name;
  Outcome outcome;
};

// Effects that were not the rightful leader's: the overlap of two masters that change things. `effects` in
// the order of their revisions.
size_t Overlap(const std::vector<Effect>& effects);

// All that is wrong, one line each.
std::vector<std::string> Faults(const std::vector<Effect>& effects, const std::vector<Attempt>& attempts);

// An answer to a read; `served`: it was no refusal.
struct Answer {
  size_t mds = 0;
  SteadyTime begin, end;
  bool served = false;
};

struct Service {
  Duration nobody{};  // the longest time between two answers of whomever
  Duration
      two{};  // how long in all two of them answered, each from the first to the last of its answers in a row
  size_t changes = 0;  // of who serves
};
Service Judge(std::vector<Answer> answers);

}  // namespace curvefs::test
