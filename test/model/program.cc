// Running programs, and cutting failing ones down.
#include <algorithm>
#include <chrono>

#include "test/model/runner.h"

namespace curvefs::test {

Outcome RunProgram(const RunSetup& setup, const std::vector<Op>& program) {
  Runner runner(setup);
  for (size_t i = 0; i < program.size(); i++) {
    if (std::string wrong = runner.Step(program[i]); !wrong.empty()) return {i, wrong};
  }
  std::string wrong = runner.CheckAll();
  return {program.size(), wrong};
}

Outcome RunRandom(const RunSetup& setup, size_t n, std::vector<Op>* program) {
  std::mt19937_64 random(setup.seed);
  Runner runner(setup);
  program->clear();
  for (size_t i = 0; i < n; i++) {
    program->push_back(RandomOp(&random, {.remounts = true, .crashes = setup.crashes}));
    if (std::string wrong = runner.Step(program->back()); !wrong.empty()) return {i, wrong};
  }
  return {n, runner.CheckAll()};
}

namespace {

// Background flushes run by the machine's clock, so a program may fail only now and then.
Outcome RunSeveralTimes(const RunSetup& setup, const std::vector<Op>& program, int times) {
  for (int i = 1;; i++) {
    Outcome o = RunProgram(setup, program);
    if (!o.ok() || i >= times) return o;
  }
}

}  // namespace

std::vector<Op> Shrink(const RunSetup& setup, std::vector<Op> program, Outcome* outcome) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  program.resize(std::min(program.size(), outcome->step + 1));
  const int times = RunProgram(setup, program).ok() ? 20 : 1;
  for (size_t chunk = std::max<size_t>(1, program.size() / 2); chunk > 0;) {
    bool cut = false;
    for (size_t at = 0; at < program.size();) {
      if (std::chrono::steady_clock::now() > deadline) return program;
      std::vector<Op> less(program.begin(), program.begin() + at);
      less.insert(less.end(), program.begin() + std::min(program.size(), at + chunk), program.end());
      Outcome o = RunSeveralTimes(setup, less, times);
      if (o.ok()) {
        at += chunk;
        continue;
      }
      less.resize(std::min(less.size(), o.step + 1));
      program = std::move(less);
      *outcome = o;
      cut = true;
    }
    if (!cut || chunk > 1) chunk = chunk == 1 ? 0 : (chunk + 1) / 2;
  }
  return program;
}

}  // namespace curvefs::test
