#include "cli/cluster/bring_up.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/disk.h"
#include "cli/admin_client.h"
#include "cli/cluster/ports.h"
#include "cli/cluster/supervisor.h"
#include "client/cluster/mds_client.h"
#include "client/cluster/pause.h"

namespace curvefs::cli {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(100);
constexpr Duration kAttempt = std::chrono::seconds(2);
constexpr Duration kLimit = std::chrono::seconds(120);
constexpr uint64_t kTooOften = 5;  // restarts of one that never becomes ready
constexpr size_t kMaxLog = size_t{64} << 20;

// Lines that change where they stand on a terminal; elsewhere a line is printed when it is final.
class Lines {
 public:
  explicit Lines(const std::vector<ProcessPlan>& processes) : terminal_(::isatty(STDOUT_FILENO) == 1) {
    for (const ProcessPlan& p : processes) {
      char text[128];
      std::snprintf(text, sizeof text, "  %-12s %-18s ", p.name.c_str(), p.address.c_str());
      heads_.emplace_back(text);
      tails_.emplace_back("starting");
    }
    if (terminal_) Draw();
  }
  void Final(size_t i, const std::string& text) {
    tails_[i] = text;
    if (!terminal_) {
      std::printf("%s%s\n", heads_[i].c_str(), text.c_str());
      std::fflush(stdout);
      return;
    }
    std::printf("\033[%zuA", heads_.size());
    Draw();
  }

 private:
  void Draw() {
    for (size_t i = 0; i < heads_.size(); ++i)
      std::printf("%s%s\033[K\n", heads_[i].c_str(), tails_[i].c_str());
    std::fflush(stdout);
  }
  const bool terminal_;
  std::vector<std::string> heads_, tails_;
};

std::string Seconds(Duration d) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f s", std::chrono::duration<double>(d).count());
  return text;
}

}  // namespace

std::string LastLines(const std::string& path, size_t lines) {
  auto text = Disk::Posix().ReadWholeFile(path, kMaxLog);
  if (!text) return {};
  while (text->ends_with('\n')) text->pop_back();
  size_t at = text->size();
  for (size_t i = 0; i < lines && at != text->npos && at > 0; ++i) at = text->rfind('\n', at - 1);
  return at == text->npos ? *text : text->substr(at == 0 ? 0 : at + 1);
}

bool IsReady(const ProcessPlan& process, const ClusterPlan& plan, const std::string& dir) {
  const auto address = net::ParseAddress(process.address);
  if (!address) return false;
  switch (process.kind) {
    case ProcessKind::kEtcd:
      return HttpSays(process.health, "/health", "\"health\":\"true\"");
    case ProcessKind::kMds: {
      auto mds = client::MdsClient::To(
          {.servers = {*address}, .tls = TlsOfClients(plan, dir), .attempt_limit = kAttempt});
      if (!mds) return false;
      const client::MdsSeen seen = (*mds)->Look().front();
      return seen.answers.ok() && !seen.leader.empty();
    }
    case ProcessKind::kMetaserver: {
      auto client = AdminClient::To(process.address, plan.name, TlsOfClients(plan, dir), kAttempt);
      return client &&
             client->Call<proto::ListCopysetsResponse>(AdminCall::kList, proto::ListCopysetsRequest())
                 .has_value();
    }
  }
  return false;
}

Status BringUp(const std::string& dir, const ClusterPlan& plan, const std::vector<ProcessPlan>& processes) {
  Lines lines(processes);
  std::vector<bool> done(processes.size());
  const SteadyTime begin = Clock::System().Steady();
  while (std::ranges::find(done, false) != done.end()) {
    CURVEFS_TRY(const auto states, SupervisorStatus(dir));
    const Duration waited = Clock::System().Steady() - begin;
    for (size_t i = 0; i < processes.size(); ++i) {
      if (done[i]) continue;
      const ProcessPlan& process = processes[i];
      const auto state = std::ranges::find(states, process.name, &ProcessState::name);
      if (state == states.end()) return {Code::kIo, "the supervisor does not know " + process.name};
      if (state->state == "killed" || (state->pid != 0 && IsReady(process, plan, dir))) {
        done[i] = true;
        lines.Final(i, state->state == "killed" ? "killed"
                                                : "ready after " + Seconds(Clock::System().Steady() - begin));
        continue;
      }
      if (state->restarts < kTooOften && waited < kLimit) continue;
      lines.Final(i, "failed");
      const std::string last = LastLines(process.log, 3);
      return {Code::kUnavailable,
              process.name + " does not become ready" +
                  (state->last_end.empty() ? "" : " (it ended: " + state->last_end + ")") + "; its log, " +
                  process.log + (last.empty() ? ", is empty" : ", ends:\n" + last)};
    }
    client::PauseFor(kLook);
  }
  return {};
}

}  // namespace curvefs::cli
