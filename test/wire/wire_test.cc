// Raft groups on three processes over real sockets: they elect, replicate, lose a process and take it back.
#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <vector>

#include "base/log.h"
#include "test/support/certificates.h"
#include "test/wire/process.h"

namespace curvefs::test {
namespace {

using namespace std::chrono_literals;

struct Cluster {
  explicit Cluster(ProcessOptions o)
      : options(std::move(o)), disks(options.processes), ports(options.processes) {
    SetLogSink([](LogLevel, const std::string&) {});
    for (auto& disk : disks) disk = std::make_unique<SimDisk>();
    for (ProcessId p = 1; p <= options.processes; ++p) Make(p);
    for (auto& process : processes) Introduce(*process);
    for (auto& process : processes) process->Run();
  }
  ~Cluster() {
    processes.clear();
    SetLogSink({});
  }
  void Make(ProcessId p) {
    if (processes.size() < p) processes.resize(p);
    processes[p - 1] = std::make_unique<Process>(p, options, *disks[p - 1], ports[p - 1]);
    ports[p - 1] = processes[p - 1]->address().port;
  }
  void Introduce(Process& process) {
    for (ProcessId p = 1; p <= options.processes; ++p) {
      if (&*processes[p - 1] != &process) process.Knows(p, {"127.0.0.1", ports[p - 1]});
    }
  }
  bool Wait(const std::function<bool()>& condition) {
    const SteadyTime end = Clock::System().Steady() + 60s;
    while (!condition()) {
      if (Clock::System().Steady() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
  // Writes to whoever leads, until it is done.
  Index Write(GroupId group, uint64_t key, uint64_t value) {
    Index index = 0;
    Wait([&] {
      for (auto& process : processes) {
        if (process && index == 0) index = process->Write(group, key, value);
      }
      return index != 0;
    });
    return index;
  }
  // The value by whoever leads.
  uint64_t Read(GroupId group, uint64_t key) {
    std::optional<uint64_t> found;
    Wait([&] {
      for (auto& process : processes) {
        if (!process || found) continue;
        auto value = process->Read(group, key);
        if (value) found = *value;
      }
      return found.has_value();
    });
    return found.value_or(0);
  }

  const ProcessOptions options;
  std::vector<std::unique_ptr<SimDisk>> disks;
  std::vector<uint16_t> ports;
  std::vector<std::unique_ptr<Process>> processes;
};

void LoseEachInTurn(ProcessOptions options) {
  options.groups = 5;
  options.tick = 20ms;
  options.wire.min_pause = 5ms;
  options.wire.max_pause = 50ms;
  Cluster c(options);
  uint64_t value = 0;
  std::vector<uint64_t> last(options.groups + 1);
  auto write_all = [&] {
    for (uint64_t g = 1; g <= options.groups; ++g) {
      for (uint64_t key = 0; key < 3; ++key) {
        last[g] = ++value;
        ASSERT_NE(c.Write(GroupId(g), key, value), 0u);
      }
    }
  };
  write_all();
  for (ProcessId lost = 1; lost <= 3; ++lost) {
    c.processes[lost - 1].reset();
    write_all();
    c.Make(lost);
    c.Introduce(*c.processes[lost - 1]);
    c.processes[lost - 1]->Run();
    write_all();
    for (uint64_t g = 1; g <= options.groups; ++g) {
      EXPECT_EQ(c.Read(GroupId(g), 2), last[g]);
      // Everybody gets there, to the same state.
      EXPECT_TRUE(c.Wait([&] {
        const std::string dump = c.processes[0]->Dump(GroupId(g));
        return dump == c.processes[1]->Dump(GroupId(g)) && dump == c.processes[2]->Dump(GroupId(g));
      })) << "group "
          << g << " without process " << lost;
    }
  }
}

TEST(Wire, GroupsSurviveTheLossOfEachProcess) {
  LoseEachInTurn({});
}

TEST(Wire, TheSameWithSnapshots) {
  ProcessOptions options;
  options.raft.snapshot_entries = 10;
  options.raft.keep_entries = 2;
  LoseEachInTurn(options);
}

}  // namespace
}  // namespace curvefs::test
