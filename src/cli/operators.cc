#include "cli/operators.h"

#include <cstdio>
#include <string>

#include "cli/values.h"
#include "proto/heartbeat.pb.h"

namespace curvefs::cli {
namespace {

// "350ms", "12s", "5m", "3h": rounded down.
std::string Age(uint64_t ms) {
  if (ms < 1000) return std::to_string(ms) + "ms";
  const uint64_t s = ms / 1000;
  if (s < 120) return std::to_string(s) + "s";
  if (s < 2 * 3600) return std::to_string(s / 60) + "m";
  return std::to_string(s / 3600) + "h";
}

std::string ReplicaName(uint64_t replica) {  // its lower half is the metaserver's id
  return replica == 0 ? "" : "metaserver " + std::to_string(static_cast<uint32_t>(replica));
}

// "add metaserver 4, remove metaserver 2"
std::string Purpose(const proto::OperatorState& op) {
  std::string text;
  auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (op.add_replica() != 0) add("add " + ReplicaName(op.add_replica()));
  if (op.remove_replica() != 0) add("remove " + ReplicaName(op.remove_replica()));
  if (op.lead_metaserver() != 0) add("let metaserver " + std::to_string(op.lead_metaserver()) + " lead");
  return text;
}

Json ToJson(const proto::GetOperatorsResponse& r) {
  Json j{{"judges_in_ms", r.judges_in_ms()}, {"operators", Json::array()}, {"events", Json::array()}};
  for (const auto& op : r.operator_()) {
    j["operators"].push_back({{"copyset", op.copyset_id()},
                              {"scheduler", op.scheduler()},
                              {"reason", op.reason()},
                              {"add_replica", op.add_replica()},
                              {"remove_replica", op.remove_replica()},
                              {"lead_metaserver", op.lead_metaserver()},
                              {"step", op.step()},
                              {"step_at", op.step_at()},
                              {"age_ms", op.age_ms()},
                              {"left_ms", op.left_ms()}});
  }
  for (const auto& e : r.event())
    j["events"].push_back({{"age_ms", e.age_ms()}, {"warning", e.warning()}, {"text", e.text()}});
  return j;
}

const char* HealthName(const proto::MetaserverState& m) {
  switch (m.health()) {
    case proto::METASERVER_ONLINE:
      return "online";
    case proto::METASERVER_UNSTABLE:
      return "unstable";
    case proto::METASERVER_OFFLINE:
      return "offline";
    default:
      return "unknown";
  }
}

Json ToJson(const proto::ListMetaserversResponse& r) {
  Json all = Json::array();
  for (const auto& m : r.metaserver()) {
    all.push_back({{"id", m.metaserver().metaserver_id()},
                   {"address", m.metaserver().address()},
                   {"grpc_address", m.metaserver().grpc_address()},
                   {"zone", m.zone()},
                   {"health", HealthName(m)},
                   {"retired", m.metaserver().retired()},
                   {"silent_ms", m.silent_ms()},
                   {"version", m.version()},
                   {"disk_bytes", m.disk_bytes()},
                   {"disk_free_bytes", m.disk_free_bytes()},
                   {"sessions", m.sessions()},
                   {"replicas", m.replicas()},
                   {"leaders", m.leaders()}});
  }
  return all;
}

}  // namespace

Status ShowOperators(const MdsArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args));
  CURVEFS_TRY(const auto r, mds->Call<proto::GetOperatorsResponse>("ScheduleService/GetOperators",
                                                                   proto::GetOperatorsRequest()));
  if (args.json) {
    PrintJson(ToJson(r));
    return {};
  }
  if (r.judges_in_ms() > 0)
    std::printf("the MDS was elected a moment ago and listens to heartbeats; it judges in %s\n",
                Age(r.judges_in_ms()).c_str());
  std::printf("operators under way: %d\n", r.operator__size());
  for (const auto& op : r.operator_()) {
    std::printf("  copyset %u, %s scheduler: %s, because %s\n", op.copyset_id(), op.scheduler().c_str(),
                Purpose(op).c_str(), op.reason().c_str());
    const std::string where =
        op.step_at() == 0 ? ", nobody can for now" : " at metaserver " + std::to_string(op.step_at());
    std::printf("    next: %s%s; begun %s ago, given up in %s\n",
                op.step().empty() ? "none" : op.step().c_str(), where.c_str(), Age(op.age_ms()).c_str(),
                Age(op.left_ms()).c_str());
  }
  std::printf("what has happened since this MDS leads%s\n", r.event_size() == 0 ? ": nothing" : ":");
  for (const auto& e : r.event())
    std::printf("  %6s ago %s %s\n", Age(e.age_ms()).c_str(), e.warning() ? "!" : " ", e.text().c_str());
  return {};
}

Status ShowMetaservers(const MdsArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args));
  CURVEFS_TRY(const auto r, mds->Call<proto::ListMetaserversResponse>("ScheduleService/ListMetaservers",
                                                                      proto::ListMetaserversRequest()));
  if (args.json) {
    PrintJson(ToJson(r));
    return {};
  }
  std::printf("%4s %-21s %-12s %-10s %9s %8s %8s %8s  %s\n", "id", "address", "zone", "health", "heard",
              "replicas", "leaders", "clients", "disk free");
  for (const auto& m : r.metaserver()) {
    std::string disk = "?";
    if (m.disk_bytes() > 0) disk = RoundedSize(m.disk_free_bytes()) + " of " + RoundedSize(m.disk_bytes());
    const std::string heard = m.health() == proto::METASERVER_UNKNOWN ? "" : Age(m.silent_ms()) + " ago";
    std::printf("%4u %-21s %-12s %-10s %9s %8u %8u %8llu  %s%s\n", m.metaserver().metaserver_id(),
                m.metaserver().address().c_str(), m.zone().c_str(), HealthName(m), heard.c_str(),
                m.replicas(), m.leaders(), static_cast<unsigned long long>(m.sessions()), disk.c_str(),
                m.metaserver().retired() ? ", gets no new replicas" : "");
  }
  return {};
}

}  // namespace curvefs::cli
