// `curvefs cluster`: a whole cluster on one machine.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <tuple>

#include "base/disk.h"
#include "cli/cluster/bring_up.h"
#include "cli/cluster/plan.h"
#include "cli/cluster/ports.h"
#include "cli/cluster/supervisor.h"
#include "cli/commands.h"
#include "cli/daemon.h"
#include "cli/log.h"
#include "cli/mds_args.h"
#include "cli/mounts.h"
#include "client/cluster/pause.h"
#include "net/authority.h"
#include "proto/mds.pb.h"

namespace curvefs::cli {
namespace {

constexpr const char* kPlanFile = "/cluster.json";
constexpr size_t kMaxPlan = 64 << 10;
constexpr Duration kSupervisorLimit = std::chrono::seconds(10);

struct ClusterArgs {
  std::string dir, name;
  uint32_t etcd = 0, mds = 0, metaservers = 0;  // 0: as it is, or 3
  bool tls = false, foreground = false, force = false, json = false;
};

Result<std::string> Programs() {
  std::error_code failed;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
  if (failed) return Fail(Code::kIo, "/proc is needed, to find the programs of the servers");
  for (const char* program : {"/curvefs-mds", "/curvefs-metaserver"}) {
    if (::access((here.string() + program).c_str(), X_OK) != 0) {
      return Fail(Code::kNotFound, here.string() + program +
                                       " is missing, which belongs beside this program" +
                                       (std::string_view(program) == "/curvefs-metaserver"
                                            ? "; building it needs Go: 'make deps' gets it"
                                            : ""));
    }
  }
  return here.string();
}

Result<ClusterPlan> LoadPlan(const std::string& dir) {
  auto text = Disk::Posix().ReadWholeFile(dir + kPlanFile, kMaxPlan);
  if (!text && text.error().code() == Code::kNotFound)
    return Fail(Code::kNotFound, dir + " holds no cluster; 'curvefs cluster up " + dir + "' makes one");
  if (!text) return Fail(text.error());
  auto plan = ParsePlan(*text);
  if (!plan) return Fail(plan.error().code(), dir + kPlanFile + ": " + plan.error().message());
  return plan;
}

Result<ClusterPlan> NewPlan(const ClusterArgs& args) {
  std::random_device device;
  char name[32];
  std::snprintf(name, sizeof name, "cluster-%08x", device());
  auto or_three = [](uint32_t n) { return n == 0 ? 3 : n; };
  ClusterPlan plan{.name = name,
                   .etcd = or_three(args.etcd),
                   .mds = or_three(args.mds),
                   .metaservers = or_three(args.metaservers),
                   .tls = args.tls};
  CURVEFS_TRY(plan.base, FreePorts(kPorts));
  CURVEFS_CHECK_OK(CheckPlan(plan));
  return plan;
}

// An authority of this cluster's own, and a certificate of it for each process and for clients.
Status MakeCertificates(const ClusterPlan& plan, const std::string& dir) {
  constexpr auto kValid = std::chrono::hours(24 * 3650);
  const std::string at = dir + "/tls/";
  CURVEFS_CHECK_OK(Disk::Posix().MakeDir(dir + "/tls"));
  CURVEFS_TRY(const auto authority, net::Authority::Make(at + "cluster", "CurveFS " + plan.name, kValid));
  std::vector<std::string> names{"client"};
  for (const ProcessPlan& process : ProcessesOf(plan, dir, "")) names.push_back(process.name);
  for (const std::string& name : names) {
    auto issued = authority->Issue(at + name, {"127.0.0.1", "localhost"}, kValid);
    if (!issued) return issued.error();
  }
  return {};
}

// The plan of DIR; a missing or empty DIR gets one.
Result<ClusterPlan> PlanOf(const ClusterArgs& args) {
  std::error_code error;
  std::filesystem::create_directories(args.dir, error);
  if (error) return Fail(FromErrno(error.value(), "make " + args.dir));
  auto plan = LoadPlan(args.dir);
  if (!plan && plan.error().code() != Code::kNotFound) return plan;
  if (plan) {
    auto differs = [](uint32_t wanted, uint32_t is) { return wanted != 0 && wanted != is; };
    if (differs(args.etcd, plan->etcd) || differs(args.mds, plan->mds) ||
        differs(args.metaservers, plan->metaservers)) {
      return Fail(Code::kInvalid,
                  "the cluster in " + args.dir + " has " + std::to_string(plan->etcd) + " etcd, " +
                      std::to_string(plan->mds) + " MDS and " + std::to_string(plan->metaservers) +
                      " metaservers, and keeps them; leave the numbers out, or take another directory");
    }
    if (args.tls && !plan->tls)
      return Fail(Code::kInvalid, "the cluster in " + args.dir +
                                      " was made without --tls, and stays so; take another directory");
    return plan;
  }
  CURVEFS_TRY(const auto there, Disk::Posix().List(args.dir));
  if (!there.empty())
    return Fail(Code::kExists, args.dir + " is not empty (" + there.front() +
                                   "), and holds no cluster; give another directory");
  CURVEFS_TRY(plan, NewPlan(args));
  if (plan->tls) CURVEFS_CHECK_OK(MakeCertificates(*plan, args.dir));
  CURVEFS_CHECK_OK(Disk::Posix().WriteFileAtomically(args.dir + kPlanFile, FormatPlan(*plan)));
  return plan;
}

Status CheckPorts(const std::vector<ProcessPlan>& processes, const std::string& dir) {
  for (const ProcessPlan& process : processes) {
    for (uint16_t port : process.ports) {
      if (!PortIsFree(port))
        return {Code::kBusy, "port " + std::to_string(port) + ", which is " + process.name +
                                 "'s, is used by another program; end that one ('ss -ltnp' names it). A "
                                 "cluster keeps its ports: they are in its data in " +
                                 dir};
    }
  }
  return {};
}

void Banner(const ClusterArgs& args, const ClusterPlan& plan) {
  const std::string mds = MdsList(plan);
  const char* dir = args.dir.c_str();
  const net::TlsFiles tls = TlsOfClients(plan, args.dir);
  std::string keys;
  if (tls.given())
    keys = "  export CURVEFS_TLS_CA=" + tls.ca + " CURVEFS_TLS_CERT=" + tls.cert +
           " CURVEFS_TLS_KEY=" + tls.key + "\n";
  std::printf(
      "\nThe cluster is up%s.\n"
      "  MDS   %s\n  data  %s\n  logs  %s/log\n\nNext:\n"
      "  export CURVEFS_MDS=%s\n%s"
      "  curvefs fs create demo --data dir:%s/objects/demo\n"
      "  mkdir -p ~/mnt && curvefs mount mds://%s/demo ~/mnt\n"
      "  curvefs status                      # how it is\n"
      "  curvefs cluster kill %s mds1      # see what happens; 'cluster start' brings it back\n"
      "  curvefs umount ~/mnt && curvefs cluster down %s\n",
      args.foreground ? "; Ctrl-C takes it down" : ", and goes on in the background", mds.c_str(), dir, dir,
      mds.c_str(), keys.c_str(), dir, mds.c_str(), dir, dir);
}

Json UpJson(const ClusterArgs& args, const ClusterPlan& plan) {
  Json j{{"dir", args.dir}, {"mds", MdsList(plan)}, {"name", plan.name}, {"logs", args.dir + "/log"}};
  if (const net::TlsFiles tls = TlsOfClients(plan, args.dir); tls.given())
    j["tls"] = {{"ca", tls.ca}, {"cert", tls.cert}, {"key", tls.key}};
  return j;
}

// In a process of its own, or in this one in front.
Status RunSupervisor(const ClusterArgs& args, const std::vector<ProcessPlan>& processes,
                     Readiness& readiness) {
  CURVEFS_CHECK_OK(StartLog(args.dir + "/log/supervisor.log", "info"));
  return Supervise(args.dir, processes, [&] { readiness.Ready(); });
}

Status BringUpAndTell(const ClusterArgs& args, const ClusterPlan& plan,
                      const std::vector<ProcessPlan>& processes) {
  CURVEFS_CHECK_OK(BringUp(args.dir, plan, processes));
  if (args.json) {
    PrintJson(UpJson(args, plan));
  } else {
    Banner(args, plan);
  }
  std::fflush(stdout);
  return {};
}

// The supervisor stays in this process; a child looks on until all is ready.
Status UpInFront(const ClusterArgs& args, const ClusterPlan& plan,
                 const std::vector<ProcessPlan>& processes) {
  const pid_t supervisor = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return FromErrno(errno, "fork");
  if (child == 0) {
    const SteadyTime end = Clock::System().Steady() + kSupervisorLimit;
    while (!SupervisorStatus(args.dir) && Clock::System().Steady() < end)
      client::PauseFor(std::chrono::milliseconds(20));
    const Status status = BringUpAndTell(args, plan, processes);
    if (!status.ok()) {
      (void)Complain("cluster up", status, kExitFailed);
      ::kill(supervisor, SIGTERM);
    }
    std::fflush(stdout);
    ::_exit(status.ok() ? 0 : 1);
  }
  Readiness nobody(-1);
  const Status status = RunSupervisor(args, processes, nobody);
  int ended = 0;
  (void)::waitpid(child, &ended, 0);
  if (!status.ok()) return status;
  return WIFEXITED(ended) && WEXITSTATUS(ended) == 0
             ? Status()
             : Status(Code::kUnavailable, "the cluster did not come up");
}

Status Up(const ClusterArgs& args) {
  CURVEFS_TRY(const std::string programs, Programs());
  if (::access(kEtcdProgram, X_OK) != 0)
    return {Code::kNotFound,
            std::string(kEtcdProgram) + " is missing; install it: apt-get install etcd-server"};
  CURVEFS_TRY(const ClusterPlan plan, PlanOf(args));
  const auto processes = ProcessesOf(plan, args.dir, programs);
  for (const char* sub : {"/log", "/objects"}) CURVEFS_CHECK_OK(Disk::Posix().MakeDir(args.dir + sub));
  if (SupervisorStatus(args.dir)) {
    if (args.foreground)
      return {Code::kBusy, "the cluster in " + args.dir + " is up already, in the background"};
    if (!args.json) std::printf("The cluster in %s is up already:\n", args.dir.c_str());
    return BringUpAndTell(args, plan, processes);
  }
  CURVEFS_CHECK_OK(CheckPorts(processes, args.dir));
  if (!args.json) std::printf("Starting a cluster in %s\n", args.dir.c_str());
  std::fflush(stdout);
  if (args.foreground) return UpInFront(args, plan, processes);
  CURVEFS_CHECK_OK(RunInBackground([&](Readiness& readiness) {
    const Status status = RunSupervisor(args, processes, readiness);
    readiness.Failed(status);
    return status.ok() ? 0 : 1;
  }));
  const Status status = BringUpAndTell(args, plan, processes);
  if (!status.ok()) (void)SupervisorDown(args.dir);
  return status;
}

// The exit code: 0 all run, 1 some do not.
Result<int> Show(const ClusterArgs& args) {
  CURVEFS_TRY(const ClusterPlan plan, LoadPlan(args.dir));
  CURVEFS_TRY(const auto states, SupervisorStatus(args.dir));
  CURVEFS_TRY(const auto servers, client::ParseMdsList(MdsList(plan)));
  CURVEFS_TRY(auto mds, client::MdsClient::To({.servers = servers,
                                               .tls = TlsOfClients(plan, args.dir),
                                               .attempt_limit = std::chrono::seconds(2)}));
  const auto seen = mds->Look();
  const auto processes = ProcessesOf(plan, args.dir, "");
  bool all = true;
  Json rows = Json::array();
  if (!args.json)
    std::printf("%-14s %-10s %8s %9s  %-18s %s\n", "name", "state", "pid", "restarts", "address", "");
  for (const ProcessPlan& process : processes) {
    const auto found = std::ranges::find(states, process.name, &ProcessState::name);
    if (found == states.end()) continue;
    std::string state = found->state;
    if (state == "runs") state = IsReady(process, plan, args.dir) ? "ready" : "starting";
    all &= state == "ready";
    const auto of_mds = std::ranges::find(seen, process.address, &client::MdsSeen::address);
    const bool leads = of_mds != seen.end() && of_mds->leads;
    if (args.json) {
      rows.push_back({{"name", process.name},
                      {"state", state},
                      {"pid", found->pid},
                      {"restarts", found->restarts},
                      {"address", process.address},
                      {"leads", leads},
                      {"log", process.log}});
    } else {
      std::printf("%-14s %-10s %8lld %9llu  %-18s %s\n", process.name.c_str(), state.c_str(),
                  static_cast<long long>(found->pid), static_cast<unsigned long long>(found->restarts),
                  process.address.c_str(), leads ? "leads" : "");
    }
  }
  if (args.json) {
    PrintJson({{"dir", args.dir}, {"mds", MdsList(plan)}, {"processes", std::move(rows)}});
  } else {
    std::printf("\nlogs: %s/log   the file systems on it: curvefs status --mds %s\n", args.dir.c_str(),
                MdsList(plan).c_str());
  }
  return all ? kExitOk : kExitDegraded;
}

// Whoever has a file of it open would wait for the cluster.
Status CheckMounts(const ClusterPlan& plan, const std::string& dir) {
  CURVEFS_TRY(const auto servers, client::ParseMdsList(MdsList(plan)));
  constexpr Duration kShort = std::chrono::seconds(3);
  CURVEFS_TRY(auto mds, client::MdsClient::To({.servers = servers,
                                               .tls = TlsOfClients(plan, dir),
                                               .attempt_limit = kShort,
                                               .timeout = kShort,
                                               .silence = kShort}));
  char host[256] = "";
  (void)::gethostname(host, sizeof host - 1);
  // A mount of this machine that is out of sight has been unmounted, and its process is about to say so; or
  // could not, and its record goes with its session.
  constexpr Duration kGoodbye = std::chrono::seconds(5), kLookAgain = std::chrono::milliseconds(100);
  std::string where;
  bool leaving = true;
  for (Duration waited{}; leaving && waited < kGoodbye; waited += kLookAgain) {
    if (waited > Duration()) client::PauseFor(kLookAgain);
    auto all = mds->Call<proto::ListFsInfoResponse>("MdsService/ListFsInfo", proto::ListFsInfoRequest());
    if (!all) return {};  // it is down as far as mounts are concerned
    where.clear();
    leaving = false;
    for (const auto& fs : all->fs()) {
      for (const auto& m : fs.mountpoints()) {
        if (m.host() == host && !FindMount(m.mount_dir())) {
          leaving = true;
        } else {
          where += (where.empty() ? "" : ", ") + fs.fs_name() + " at " + m.host() + ":" + m.mount_dir();
        }
      }
    }
    if (!where.empty()) break;
  }
  if (where.empty()) return {};
  return {Code::kBusy, "file systems of the cluster in " + dir + " are mounted (" + where +
                           "), and would hang: unmount them first, or give --force"};
}

Status Down(const ClusterArgs& args) {
  CURVEFS_TRY(const ClusterPlan plan, LoadPlan(args.dir));
  CURVEFS_TRY(const auto states, SupervisorStatus(args.dir));
  if (!args.force) CURVEFS_CHECK_OK(CheckMounts(plan, args.dir));
  CURVEFS_CHECK_OK(SupervisorDown(args.dir));
  if (args.json) {
    PrintJson({{"down", args.dir}});
  } else {
    std::printf(
        "the cluster in %s is down; 'curvefs cluster up %s' starts it again, with all that is in it\n",
        args.dir.c_str(), args.dir.c_str());
  }
  return {};
}

Status KillOne(const ClusterArgs& args) {
  CURVEFS_CHECK_OK(SupervisorKill(args.dir, args.name));
  if (args.json) {
    PrintJson({{"killed", args.name}});
  } else {
    std::printf("%s is killed; 'curvefs cluster start %s %s' starts it again\n", args.name.c_str(),
                args.dir.c_str(), args.name.c_str());
  }
  return {};
}

Status StartOne(const ClusterArgs& args) {
  CURVEFS_TRY(const ClusterPlan plan, LoadPlan(args.dir));
  CURVEFS_CHECK_OK(SupervisorStart(args.dir, args.name));
  const auto processes = ProcessesOf(plan, args.dir, "");
  const auto process = std::ranges::find(processes, args.name, &ProcessPlan::name);
  for (const SteadyTime end = Clock::System().Steady() + std::chrono::seconds(60);
       process != processes.end() && !IsReady(*process, plan, args.dir);) {
    if (Clock::System().Steady() > end)
      return {Code::kUnavailable, args.name + " was started, and is not ready yet; see its log, " +
                                      process->log + ":\n" + LastLines(process->log, 3)};
    client::PauseFor(std::chrono::milliseconds(100));
  }
  if (args.json) {
    PrintJson({{"started", args.name}});
  } else {
    std::printf("%s is ready\n", args.name.c_str());
  }
  return {};
}

}  // namespace

void AddCluster(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<ClusterArgs>();
  CLI::App* command =
      app.add_subcommand("cluster", "Run a whole cluster on this machine, to try things out and to test");
  command->require_subcommand(1);
  auto add = [&](const std::string& name, const char* help, std::function<int(const ClusterArgs&)> run) {
    CLI::App* sub = command->add_subcommand(name, help);
    sub->add_option("DIR", args->dir, "The directory of the cluster: data, logs, ports")
        ->type_name("")
        ->required();
    sub->add_flag("--json", args->json, "Print JSON");
    sub->callback([=] {
      args->dir = AbsolutePath(args->dir);
      *exit_code = run(*args);
    });
    return sub;
  };
  auto plain = [](const char* name, Status (*run)(const ClusterArgs&)) {
    return [=](const ClusterArgs& a) { return ExitCodeOf(name, run(a)); };
  };
  CLI::App* up =
      add("up", "Start the cluster in DIR, a new one if DIR is missing or empty; returns when it is ready",
          plain("cluster up", &Up));
  up->add_option("--metaservers", args->metaservers, "How many of a new cluster: 3 to 9, default 3")
      ->type_name("N");
  up->add_option("--mds", args->mds, "1 to 5, default 3")->type_name("N");
  up->add_option("--etcd", args->etcd, "1, 3 or 5, default 3")->type_name("N");
  up->add_flag("--tls", args->tls,
               "A new one speaks TLS on every wire: an authority and certificates are made in DIR/tls");
  up->add_flag("-f,--foreground", args->foreground, "Stay in front; Ctrl-C takes the cluster down");
  up->footer(
      "Every process is on loopback, and is started again when it dies. etcd is Debian's package "
      "etcd-server.\n\n"
      "Examples:\n  curvefs cluster up ~/cluster\n  curvefs cluster up --tls ~/cluster");
  add("status", "Show its processes; exit code 0 if all are ready, 1 if not", [](const ClusterArgs& a) {
    auto code = Show(a);
    return code ? *code : ExitCodeOf("cluster status", code.error());
  })->footer("Example:\n  curvefs cluster status ~/cluster");
  CLI::App* down = add("down", "End all its processes; what is in it stays", plain("cluster down", &Down));
  down->add_flag("--force", args->force, "Though it is mounted");
  down->footer("Example:\n  curvefs cluster down ~/cluster");
  for (auto [name, help, run] : {std::tuple{"kill", "Kill a process (SIGKILL), and leave it dead", &KillOne},
                                 std::tuple{"start", "Start a process that was killed", &StartOne}}) {
    const std::string text = name;
    CLI::App* sub =
        add(name, help, [=](const ClusterArgs& a) { return ExitCodeOf("cluster " + text, run(a)); });
    sub->add_option("NAME", args->name, "As 'cluster status' shows it: mds1, metaserver2, etcd3")
        ->type_name("")
        ->required();
    sub->footer("Example:\n  curvefs cluster " + text + " ~/cluster metaserver2");
  }
  command->footer(
      "Examples:\n  curvefs cluster up ~/cluster\n  curvefs cluster status ~/cluster\n  curvefs cluster kill "
      "~/cluster mds1\n  curvefs cluster down ~/cluster");
}

}  // namespace curvefs::cli
