// Fleet: what metaservers have said in this office: who is there, what they hold, who leads. From that comes
// what the schedulers see, and from their operators what metaservers are told. Pure: the time comes in. One
// thread; thrown away with the office.
//
// Metaservers that never registered themselves (no token) send no heartbeats and are not judged. Nobody is
// offline before this office has lasted as long as that takes.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "mds/schedule.h"
#include "mds/state.h"
#include "proto/heartbeat.pb.h"

namespace curvefs::mds {

struct FleetOptions {
  Duration interval = std::chrono::seconds(5);         // of heartbeats
  Duration unstable_after = std::chrono::seconds(20);  // of silence
  Duration offline_after = std::chrono::minutes(10);   // of silence: its replicas are replaced
  Duration settle_after = std::chrono::minutes(1);     // back for so long, it is given something again
  double full_at = 0.9;                                // share of the disk in use: no more replicas
};

class Fleet {
 public:
  Fleet(FleetOptions options, SteadyTime begun) : options_(options), begun_(begun) {}

  // kNotFound, kNotPermitted: nothing of it was taken in.
  Status Heard(const State& state, const proto::HeartbeatRequest& heartbeat, SteadyTime now);
  // Whether all have had the time to be heard.
  bool Judges(SteadyTime now) const { return now - begun_ >= 2 * options_.interval; }
  // Copysets whose leader says of its members what the state does not; with those.
  std::vector<std::pair<uint32_t, google::protobuf::RepeatedPtrField<proto::CopysetPeer>>> MembersToRecord(
      const State& state) const;
  ClusterView View(const State& state, SteadyTime now) const;
  // Metaservers whose health has changed since the last call, in words.
  std::vector<Notice> HealthChanges(const ClusterView& view, SteadyTime now);
  // Those that should get no new replica; of `view`.
  static std::set<uint32_t> Unreachable(const ClusterView& view);
  // What `metaserver` is told. `judges`: replicas that nobody wants are destroyed.
  void Answer(const State& state, const ClusterView& view, const Schedule& schedule, uint32_t metaserver,
              uint64_t term, bool judges, proto::HeartbeatResponse* response) const;

  // For people.
  void List(const State& state, SteadyTime now, proto::ListMetaserversResponse* response) const;
  const FleetOptions& options() const { return options_; }
  SteadyTime begun() const { return begun_; }

 private:
  struct Heartbeats {
    SteadyTime last{}, back{};
    proto::HeartbeatRequest said;  // the last
  };
  struct Leader {
    uint32_t metaserver = 0;
    uint64_t term = 0, applied = 0;
    SteadyTime at{};
    google::protobuf::RepeatedPtrField<proto::CopysetPeer> members;
  };
  Health HealthOf(const proto::Metaserver& metaserver, SteadyTime now) const;
  Duration Silence(uint32_t metaserver, SteadyTime now) const;
  bool IsOrphan(const State& state, const Schedule& schedule, const proto::CopysetStatus& replica,
                SteadyTime said) const;

  const FleetOptions options_;
  const SteadyTime begun_;
  std::map<uint32_t, Heartbeats> heard_;
  std::map<uint32_t, Leader> leaders_;  // by copyset: the one of the highest term
  std::map<uint32_t, uint64_t> terms_;  // by copyset: the highest that any replica has spoken of
  std::map<uint32_t, Health> told_;     // by metaserver
};

}  // namespace curvefs::mds
