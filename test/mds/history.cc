#include "test/mds/history.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace curvefs::test {
namespace {

bool Rightful(const Effect& effect, int64_t highest_term) {
  return effect.term == effect.leader_term && effect.term >= highest_term;
}

}  // namespace

size_t Overlap(const std::vector<Effect>& effects) {
  size_t count = 0;
  int64_t highest = 0;
  for (const Effect& effect : effects) {
    if (!Rightful(effect, highest)) ++count;
    highest = std::max(highest, effect.term);
  }
  return count;
}

std::vector<std::string> Faults(const std::vector<Effect>& effects, const std::vector<Attempt>& attempts) {
  std::vector<std::string> faults;
  std::map<std::string, const Effect*> made;
  int64_t highest = 0;
  for (const Effect& effect : effects) {
    const std::string what = "revision " + std::to_string(effect.revision) + " (" + effect.name + ")";
    if (!Rightful(effect, highest)) {
      faults.push_back(what + " was made in term " + std::to_string(effect.term) + " while the leader was " +
                       (effect.leader_term == 0 ? "nobody" : effect.leader) + " of term " +
                       std::to_string(effect.leader_term) + ", after one of term " + std::to_string(highest));
    }
    highest = std::max(highest, effect.term);
    if (!made.emplace(effect.name, &effect).second) faults.push_back(what + " was made twice");
  }
  for (const Attempt& attempt : attempts) {
    const auto at = made.find(attempt.name);
    const std::string what = attempt.name + " of " + attempt.mds;
    if (at == made.end()) {
      if (attempt.outcome == Attempt::Outcome::kAcknowledged)
        faults.push_back(what + " was acknowledged and is not there");
      continue;
    }
    if (attempt.outcome == Attempt::Outcome::kRefused) faults.push_back(what + " was refused and is there");
    if (at->second->leader != attempt.mds)
      faults.push_back(what + " was made while " + at->second->leader + " led");
  }
  return faults;
}

Service Judge(std::vector<Answer> answers) {
  std::ranges::sort(answers, {}, &Answer::end);
  struct Run {
    size_t mds;
    SteadyTime begin, end;
  };
  std::vector<Run> runs;
  std::map<size_t, size_t> open;  // by MDS: its run that lasts
  Service service;
  std::optional<SteadyTime> last;
  std::optional<size_t> who;
  for (const Answer& answer : answers) {
    if (!answer.served) {
      open.erase(answer.mds);
      continue;
    }
    const auto [at, is_new] = open.emplace(answer.mds, runs.size());
    if (is_new) runs.push_back({answer.mds, answer.begin, answer.end});
    runs[at->second].end = answer.end;
    if (last) service.nobody = std::max(service.nobody, answer.end - *last);
    last = answer.end;
    if (who && *who != answer.mds) ++service.changes;
    who = answer.mds;
  }
  for (size_t i = 0; i < runs.size(); ++i) {
    for (size_t j = i + 1; j < runs.size(); ++j) {
      if (runs[i].mds == runs[j].mds) continue;
      const Duration both = std::min(runs[i].end, runs[j].end) - std::max(runs[i].begin, runs[j].begin);
      if (both > Duration::zero()) service.two += both;
    }
  }
  return service;
}

}  // namespace curvefs::test
