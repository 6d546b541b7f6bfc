#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

#include "cli/admin_client.h"
#include "cli/cluster_data.h"
#include "cli/commands.h"
#include "cli/health.h"
#include "cli/mds_args.h"
#include "cli/operators.h"
#include "cli/values.h"

namespace curvefs::cli {
namespace {

constexpr Duration kLook = std::chrono::seconds(3);  // at one metaserver
constexpr size_t kAtOnce = 16;

// Asks every metaserver, some at a time.
void AskMetaservers(const MdsArgs& args, ClusterView* view) {
  const auto& all = view->topology.metaserver();
  std::vector<Result<proto::ListCopysetsResponse>> said(static_cast<size_t>(all.size()),
                                                        Fail(Code::kUnavailable));
  std::atomic<int> next = 0;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(kAtOnce, said.size()); ++i) {
    threads.emplace_back([&] {
      for (int at = next++; at < all.size(); at = next++) {
        auto client = AdminClient::To(all.at(at).address(), args.cluster, args.tls, kLook);
        if (client) {
          said[static_cast<size_t>(at)] =
              client->Call<proto::ListCopysetsResponse>(AdminCall::kList, proto::ListCopysetsRequest());
        } else {
          said[static_cast<size_t>(at)] = Fail(client.error());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int at = 0; at < all.size(); ++at)
    view->metaservers.emplace(all.at(at).metaserver_id(), std::move(said[static_cast<size_t>(at)]));
}

Result<ClusterView> Look(const MdsArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args));
  // One that leads is waited for; without one the rest cannot be known.
  ClusterView view;
  auto topology =
      mds->Call<proto::ListTopologyResponse>("TopologyService/ListTopology", proto::ListTopologyRequest());
  view.mds = mds->Look();
  if (!topology) {
    for (const client::MdsSeen& seen : view.mds) {
      if (seen.answers.ok()) return view;
    }
    return Fail(topology.error());
  }
  view.topology = *std::move(topology);
  CURVEFS_TRY(view.copysets, mds->Call<proto::ListCopysetResponse>("TopologyService/ListCopyset",
                                                                   proto::ListCopysetRequest()));
  CURVEFS_TRY(view.file_systems,
              mds->Call<proto::ListFsInfoResponse>("MdsService/ListFsInfo", proto::ListFsInfoRequest()));
  AskMetaservers(args, &view);
  return view;
}

Json ToJson(const ClusterView& view, const Health& health) {
  Json j{{"health", LevelName(health.level)}, {"problems", health.problems}, {"leader", health.leader}};
  j["mds"] = Json::array();
  for (const auto& m : view.mds)
    j["mds"].push_back({{"address", m.address}, {"answers", m.answers.ok()}, {"leads", m.leads}});
  j["metaservers"] = Json::array();
  for (const auto& m : view.topology.metaserver()) {
    const auto said = view.metaservers.find(m.metaserver_id());
    const bool up = said != view.metaservers.end() && said->second.has_value();
    uint32_t leads = 0;
    if (up) {
      for (const auto& s : said->second->status()) leads += s.leads();
    }
    j["metaservers"].push_back({{"id", m.metaserver_id()},
                                {"address", m.address()},
                                {"answers", up},
                                {"replicas", up ? said->second->status_size() : 0},
                                {"leads", leads}});
  }
  j["copysets"] = {
      {"all", view.copysets.copyset_size()}, {"led", health.copysets_led}, {"whole", health.copysets_whole}};
  j["file_systems"] = Json::array();
  for (const auto& fs : view.file_systems.fs())
    j["file_systems"].push_back({{"name", fs.fs_name()},
                                 {"id", fs.fs_id()},
                                 {"ready", fs.state() == proto::FS_INITED},
                                 {"mounts", fs.mount_num()}});
  return j;
}

void PrintText(const ClusterView& view, const Health& health) {
  std::printf("%s\n", LevelName(health.level));
  for (const std::string& problem : health.problems) std::printf("  ! %s\n", problem.c_str());
  size_t up = 0;
  for (const auto& m : view.mds) up += m.answers.ok();
  std::printf("mds           %zu of %zu answer", up, view.mds.size());
  std::printf(health.leader.empty() ? ", none leads\n" : ", %s leads\n", health.leader.c_str());
  if (health.leader.empty()) return;
  std::printf("metaservers   %u of %d answer\n", health.metaservers_up, view.topology.metaserver_size());
  std::printf("copysets      %d, %u with a leader, %u with all replicas\n", view.copysets.copyset_size(),
              health.copysets_led, health.copysets_whole);
  std::printf("file systems  %d\n", view.file_systems.fs_size());
  for (const auto& fs : view.file_systems.fs()) {
    std::printf("  %-24s %s, mounted %u times, data in %s\n", fs.fs_name().c_str(),
                fs.state() == proto::FS_INITED ? "ready"
                : fs.state() == proto::FS_NEW  ? "being made"
                                               : "being deleted",
                fs.mount_num(), DataText(fs).c_str());
  }
}

int Run(const MdsArgs& args) {
  auto view = Look(args);
  if (!view) return ExitCodeOf("status", view.error());
  const Health health = Judge(*view);
  if (args.json) {
    PrintJson(ToJson(*view, health));
  } else {
    PrintText(*view, health);
  }
  return health.level == Health::kHealthy    ? kExitOk
         : health.level == Health::kDegraded ? kExitDegraded
                                             : kExitErrorsLeft;
}

}  // namespace

void AddStatus(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<MdsArgs>();
  auto operators = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("status", "Show how a cluster is; the exit code says it too");
  AddMdsOptions(*command, args.get());
  AddMetaserverOptions(*command, args.get());
  command->add_flag("--operators", *operators,
                    "What the MDS's schedulers do, and what they have done since it leads, with the reasons");
  command->callback(
      [=] { *exit_code = *operators ? ExitCodeOf("status", ShowOperators(*args)) : Run(*args); });
  command->footer(
      "Exit codes: 0 healthy; 1 degraded: all works, but something is missing; 4 broken: something does not "
      "work;\n"
      "8 no MDS answers.\n\nExamples:\n"
      "  curvefs status --mds 10.0.0.1:8300,10.0.0.2:8300,10.0.0.3:8300\n"
      "  CURVEFS_MDS=127.0.0.1:8300 curvefs status --json\n"
      "  curvefs status --operators --mds 10.0.0.1:8300    # which replicas move, and why");
}

}  // namespace curvefs::cli
