// What groups cost that do nothing: messages, bytes and CPU of three processes (threads) with so many groups.
//   wire_idle [groups] [seconds] [tick in ms] [ticks from heartbeat to heartbeat]
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>

#include "test/wire/process.h"

namespace {

using namespace curvefs;
using test::Process;

double Cpu() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return of(use.ru_utime) + of(use.ru_stime);
}

void Wait(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));  // a measurement, not a test
}

}  // namespace

int main(int argc, char** argv) {
  test::ProcessOptions options;
  options.groups = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 300;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 10;
  options.tick = std::chrono::milliseconds(argc > 3 ? std::atoi(argv[3]) : 100);
  options.raft.heartbeat_ticks = argc > 4 ? static_cast<uint32_t>(std::atoi(argv[4])) : 1;
  options.raft.election_ticks = 10 * options.raft.heartbeat_ticks;
  test::SimDisk disks[3];
  std::optional<Process> p[3];
  const double begin = Cpu();
  for (size_t i = 0; i < 3; ++i) p[i].emplace(i + 1, options, disks[i]);
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) {
      if (i != j) p[i]->Knows(j + 1, p[j]->address());
    }
  }
  for (auto& process : p) process->Run();
  size_t led = 0;
  for (int i = 0; i < 600 && led < options.groups; ++i) {
    Wait(0.1);
    led = p[0]->Leads() + p[1]->Leads() + p[2]->Leads();
  }
  std::printf("%zu groups, all with leaders (%zu %zu %zu): %.2f s CPU\n", options.groups, p[0]->Leads(),
              p[1]->Leads(), p[2]->Leads(), Cpu() - begin);
  Wait(2);
  auto sum = [&](auto of) {
    uint64_t total = 0;
    for (auto& process : p) total += of(*process);
    return static_cast<double>(total);
  };
  auto measure = [&](double* m) {
    m[0] = sum([](Process& q) { return q.transport().counters().messages_out; });
    m[1] = sum([](Process& q) { return q.transport().counters().frames_out; });
    m[2] = sum([](Process& q) { return q.transport().counters().bytes_out; });
    m[3] = sum([](Process& q) { return q.rounds(); });
    m[4] = sum([](Process& q) { return q.runs(); });
    m[5] = Cpu();
  };
  double before[6], after[6];
  measure(before);
  Wait(seconds);
  measure(after);
  auto rate = [&](int i) { return (after[i] - before[i]) / seconds; };
  std::printf(
      "all three together, per second: %.0f messages in %.0f frames, %.0f KiB; %.0f rounds, %.0f runs of the "
      "engine; "
      "CPU %.2f %% of a core\n",
      rate(0), rate(1), rate(2) / 1024, rate(3), rate(4), rate(5) * 100);
  return 0;
}
