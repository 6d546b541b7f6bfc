#include "cli/cluster/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/disk.h"
#include "base/log.h"
#include "cli/cluster/control_socket.h"

extern char** environ;

namespace curvefs::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr Duration kFirstPause = std::chrono::milliseconds(500), kLongestPause = std::chrono::seconds(10);
constexpr Duration kSettled = std::chrono::seconds(30);   // so long up: the next pause is the first again
constexpr Duration kEndLimit = std::chrono::seconds(15);  // for those that are asked to end
constexpr off_t kLogBytes = 10 << 20;

class Supervisor {
 public:
  Supervisor(std::vector<ProcessPlan> plans, ControlSocket& control) : control_(control) {
    for (ProcessPlan& plan : plans) children_.push_back({.plan = std::move(plan)});
    MakeEnvironment();
  }

  Status Run(int signals) {
    for (Child& child : children_) Start(child);
    while (!AllEnded()) {
      pollfd wait[] = {{.fd = signals, .events = POLLIN, .revents = 0},
                       {.fd = control_.fd(), .events = POLLIN, .revents = 0}};
      if (::poll(wait, 2, Timeout()) < 0 && errno != EINTR) return FromErrno(errno, "poll");
      signalfd_siginfo info{};
      while (::read(signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGCHLD) End();
      }
      Reap();
      if ((wait[1].revents & POLLIN) != 0)
        control_.Serve([this](const Json& request) { return Answer(request); });
      Tick();
    }
    control_.Release(Json{{"ok", true}});
    return {};
  }

 private:
  struct Child {
    ProcessPlan plan;
    pid_t pid = 0;
    bool wanted = true;
    uint64_t restarts = 0;
    SteadyTime began{}, retry{};
    Duration pause = kFirstPause;
    std::string last_end;
  };
  static SteadyTime now() { return Clock::System().Steady(); }

  // The knobs of whoever types `cluster up` are not those of its processes.
  void MakeEnvironment() {
    for (char** v = environ; *v != nullptr; ++v) {
      const std::string_view text(*v);
      if (!text.starts_with("CURVEFS_") && !text.starts_with("ETCD_")) environment_.push_back(*v);
    }
    environment_.push_back(nullptr);
  }

  void Start(Child& child) {
    std::vector<char*> argv;
    for (std::string& arg : child.plan.command) argv.push_back(arg.data());
    argv.push_back(nullptr);
    struct stat st{};
    if (::stat(child.plan.log.c_str(), &st) == 0 && st.st_size > kLogBytes)
      (void)::rename(child.plan.log.c_str(), (child.plan.log + ".1").c_str());
    const int log = ::open(child.plan.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const pid_t parent = ::getpid(), pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      ::setpgid(0, 0);  // Ctrl-C is for the supervisor, which ends them in order
      ::dup2(null, 0);
      ::dup2(log, 1);
      ::dup2(log, 2);
      sigset_t none;
      sigemptyset(&none);
      ::sigprocmask(SIG_SETMASK, &none, nullptr);
      ::execve(argv[0], argv.data(), environment_.data());
      constexpr std::string_view kWhy =
          "this program could not be started: it is missing, or may not be run\n";
      (void)!::write(2, kWhy.data(), kWhy.size());
      ::_exit(127);
    }
    if (log >= 0) ::close(log);
    if (null >= 0) ::close(null);
    child.began = now();
    if (pid > 0) {
      child.pid = pid;
      Log(LogLevel::kInfo, child.plan.name + " started, process " + std::to_string(pid));
    } else {
      Ended(child, "it could not be started: " + FromErrno(errno, "fork").ToString());
    }
  }

  void Ended(Child& child, const std::string& how) {
    child.pid = 0;
    child.last_end = how;
    if (!child.wanted || ending_ != 0) return Log(LogLevel::kInfo, child.plan.name + " has ended: " + how);
    if (now() - child.began > kSettled) child.pause = kFirstPause;
    child.retry = now() + child.pause;
    Log(LogLevel::kWarning,
        child.plan.name + " has ended: " + how + "; it is started again, its log is " + child.plan.log);
    child.pause = std::min<Duration>(2 * child.pause, kLongestPause);
  }

  void Reap() {
    for (Child& child : children_) {
      int status = 0;
      if (child.pid == 0 || ::waitpid(child.pid, &status, WNOHANG) != child.pid) continue;
      Ended(child, WIFEXITED(status) ? "exit code " + std::to_string(WEXITSTATUS(status))
                                     : std::string("signal ") + ::strsignal(WTERMSIG(status)));
    }
  }

  // The servers first, so that they can still tell etcd.
  bool IsTurn(const Child& child) const { return (child.plan.kind == ProcessKind::kEtcd) == (ending_ == 2); }
  void End() {
    if (ending_ != 0) return;
    Log(LogLevel::kInfo, "the cluster ends");
    BeginEnding(1);
  }
  void BeginEnding(int stage) {
    ending_ = stage;
    ending_until_ = now() + kEndLimit;
    for (const Child& child : children_) {
      if (child.pid != 0 && IsTurn(child)) ::kill(child.pid, SIGTERM);
    }
  }

  void Tick() {
    if (ending_ == 0) {
      for (Child& child : children_) {
        if (!child.wanted || child.pid != 0 || child.retry > now()) continue;
        ++child.restarts;
        Start(child);
      }
      return;
    }
    bool left = false;
    for (const Child& child : children_) {
      if (child.pid == 0 || !IsTurn(child)) continue;
      left = true;
      if (now() > ending_until_) ::kill(child.pid, SIGKILL);
    }
    if (!left && ending_ == 1) BeginEnding(2);
  }

  bool AllEnded() const {
    return ending_ == 2 && std::ranges::all_of(children_, [](const Child& c) { return c.pid == 0; });
  }

  int Timeout() const {
    SteadyTime next = now() + std::chrono::seconds(60);
    if (ending_ != 0) next = ending_until_;
    for (const Child& child : children_) {
      if (ending_ == 0 && child.wanted && child.pid == 0) next = std::min(next, child.retry);
    }
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(next - now()).count() + 1;
    return static_cast<int>(std::clamp<int64_t>(ms, 1, 60'000));
  }

  // Nothing: the answer comes at the end.
  std::optional<Json> Answer(const Json& request) {
    const std::string command = request.value("command", ""), name = request.value("name", "");
    if (command == "status") {
      Json rows = Json::array();
      for (const Child& c : children_) {
        rows.push_back({{"name", c.plan.name},
                        {"state", ending_ != 0 ? "ends"
                                  : c.pid != 0 ? "runs"
                                  : c.wanted   ? "restarts"
                                               : "killed"},
                        {"pid", c.pid},
                        {"restarts", c.restarts},
                        {"last_end", c.last_end}});
      }
      return Json{{"ok", true}, {"processes", std::move(rows)}};
    }
    if (command == "down") {
      End();
      return std::nullopt;
    }
    const auto child = std::ranges::find(children_, name, [](const Child& c) { return c.plan.name; });
    if (child == children_.end()) return Json{{"ok", false}, {"error", "there is no process '" + name + "'"}};
    if (command == "kill") {
      child->wanted = false;
      if (child->pid != 0) ::kill(child->pid, SIGKILL);
      return Json{{"ok", true}};
    }
    if (command == "start") {
      child->wanted = true;
      child->pause = kFirstPause;
      child->retry = now();
      return Json{{"ok", true}};
    }
    return Json{{"ok", false}, {"error", "there is no command '" + command + "'"}};
  }

  ControlSocket& control_;
  std::vector<Child> children_;
  std::vector<char*> environment_;
  int ending_ = 0;  // 1: the servers end; 2: etcd does
  SteadyTime ending_until_{};
};

Result<Json> Ask(const std::string& dir, const Json& request) {
  CURVEFS_TRY(Json reply, AskControl(dir, request));
  if (!reply.value("ok", false))
    return Fail(Code::kNotFound, reply.value("error", std::string("the supervisor refuses")));
  return reply;
}

}  // namespace

Status Supervise(const std::string& dir, std::vector<ProcessPlan> processes,
                 const std::function<void()>& ready) {
  auto lock = Disk::Posix().Lock(dir + "/LOCK");
  if (!lock) {
    if (lock.error().code() != Code::kBusy) return lock.error();
    return {Code::kBusy,
            "a cluster runs in " + dir + " already; 'curvefs cluster status " + dir + "' shows it"};
  }
  CURVEFS_TRY(auto control, ControlSocket::Listen(dir));
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, s);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  const int signals = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return FromErrno(errno, "signalfd");
  ready();
  const Status status = Supervisor(std::move(processes), *control).Run(signals);
  ::close(signals);
  return status;
}

Result<std::vector<ProcessState>> SupervisorStatus(const std::string& dir) {
  CURVEFS_TRY(const Json reply, Ask(dir, {{"command", "status"}}));
  std::vector<ProcessState> all;
  for (const Json& row : reply.value("processes", Json::array())) {
    all.push_back({.name = row.value("name", ""),
                   .state = row.value("state", ""),
                   .last_end = row.value("last_end", ""),
                   .pid = row.value("pid", int64_t{0}),
                   .restarts = row.value("restarts", uint64_t{0})});
  }
  return all;
}

Status SupervisorKill(const std::string& dir, const std::string& name) {
  CURVEFS_TRY(const Json reply, Ask(dir, {{"command", "kill"}, {"name", name}}));
  return {};
}

Status SupervisorStart(const std::string& dir, const std::string& name) {
  CURVEFS_TRY(const Json reply, Ask(dir, {{"command", "start"}, {"name", name}}));
  return {};
}

Status SupervisorDown(const std::string& dir) {
  CURVEFS_TRY(const Json reply, Ask(dir, {{"command", "down"}}));
  return {};
}

}  // namespace curvefs::cli
