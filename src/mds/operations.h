// What the MDS can be asked, as pure functions: they look at the state through a draft, change it there, and
// fill the response. The header of the response is the caller's business; the Status is what it says. A draft
// whose function failed is thrown away.
//
// Files: operations_fs.cc, operations_token.cc, operations_topology.cc, operations_register.cc,
// operations_upkeep.cc, operations_partition.cc (with the choice of places).
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "mds/state.h"
#include "proto/heartbeat.pb.h"

namespace curvefs::mds {

inline constexpr size_t kMaxFsName = 255;
inline constexpr size_t kMaxText = 4096;               // bytes of a host, a directory, an address
inline constexpr uint32_t kFirstPartitions = 3;        // of a new file system (SPEC M5)
inline constexpr uint32_t kMostPartitionsAtOnce = 16;  // in one draft
inline constexpr uint32_t kMostChunkIdsAtOnce = 65'536;
inline constexpr size_t kMostPartitionsOfCopyset = 64;  // then another copyset is made
inline constexpr size_t kReplicas = 3;                  // in as many zones
inline constexpr uint32_t kEndOfPartitionIds = 1u << 24;

// What an operation may know that is not in the state, and does not outlive this MDS's office.
struct Volatile {
  // Chunk ids: from here to what the counter says are ours to give out. What is left of them at the end of an
  // office is lost.
  uint64_t next_chunk = 0;
  uint64_t chunk_batch = 1 << 20;  // taken from the counter at a time
  std::function<uint64_t()> random = [] { return uint64_t{0}; };
  uint32_t session_time_ms = 0;
  std::function<int64_t()> now_s = [] { return int64_t{0}; };  // seconds since 1970
  // Metaservers that no new replica should go to: they are not heard of.
  std::set<uint32_t> unreachable;
  // Generations of replicas (kReplicaGenerations) that are ours to give out: the first, and the one after the
  // last.
  uint64_t next_generation = 0, end_generation = 0;
};

// ---- File systems
Status CreateFs(Draft& draft, Volatile& v, const proto::CreateFsRequest& request,
                proto::CreateFsResponse* response);
// NEW → INITED: its copysets are made and its root is written. kInvalid: it is not NEW.
Status FsIsReady(Draft& draft, uint32_t fs);
// Their copysets know of them; a new file system of which that is so of all is ready.
Status PartitionsAreKnown(Draft& draft, uint32_t fs, const std::vector<uint32_t>& partitions);
Status MountFs(Draft& draft, Volatile& v, const proto::MountFsRequest& request,
               proto::MountFsResponse* response);
// ---- Tokens (operations_token.cc)
Status CreateFsToken(Draft& draft, const proto::CreateFsTokenRequest& request,
                     proto::CreateFsTokenResponse* response);
Status ListFsTokens(const State& state, const proto::ListFsTokensRequest& request,
                    proto::ListFsTokensResponse* response);
Status RevokeFsToken(Draft& draft, const proto::RevokeFsTokenRequest& request);
// Which token of `fs` this text is; none: it needs none. kNotPermitted.
Result<const proto::FsToken*> CheckToken(const State& state, const proto::FsInfo& fs,
                                         const std::string& token, int64_t now_s);
void FillAccess(const State& state, proto::AccessRules* rules);

Status UmountFs(Draft& draft, const proto::UmountFsRequest& request);
Status GetFsInfo(const State& state, const proto::GetFsInfoRequest& request,
                 proto::GetFsInfoResponse* response);
Status ListFsInfo(const State& state, proto::ListFsInfoResponse* response);
Status UpdateFsInfo(Draft& draft, const proto::UpdateFsInfoRequest& request,
                    proto::UpdateFsInfoResponse* response);
// → DELETING.
Status DeleteFsInfo(Draft& draft, const proto::DeleteFsInfoRequest& request);
// kNotFound: it has ended before.
Status EndMount(Draft& draft, uint32_t fs, uint64_t session);
Status AllocateS3Chunk(Draft& draft, Volatile& v, const proto::AllocateS3ChunkRequest& request,
                       proto::AllocateS3ChunkResponse* response);

// ---- Topology. A name is unique in what it belongs to; made again with the same it is the one that is there
// (EXISTS does not come).
Status CreatePool(Draft& draft, const proto::CreatePoolRequest& request, proto::CreatePoolResponse* response);
Status DeletePool(Draft& draft, const proto::DeletePoolRequest& request);
Status CreateZone(Draft& draft, const proto::CreateZoneRequest& request, proto::CreateZoneResponse* response);
Status DeleteZone(Draft& draft, const proto::DeleteZoneRequest& request);
Status CreateServer(Draft& draft, const proto::CreateServerRequest& request,
                    proto::CreateServerResponse* response);
Status DeleteServer(Draft& draft, const proto::DeleteServerRequest& request);
Status RegisterMetaserver(Draft& draft, const proto::RegisterMetaserverRequest& request,
                          proto::RegisterMetaserverResponse* response);
// The same for one that may come by itself (operations_register.cc): its pool, zone and server are made if
// they are not there. kNotPermitted: another cluster's, or not who it says it is.
Status JoinCluster(Draft& draft, Volatile& v, const proto::RegisterMetaserverRequest& request,
                   proto::RegisterMetaserverResponse* response);
Status DeleteMetaserver(Draft& draft, const proto::DeleteMetaserverRequest& request);
Status ListTopology(const State& state, proto::ListTopologyResponse* response);

// ---- Partitions and copysets
Status CreatePartition(Draft& draft, Volatile& v, const proto::CreatePartitionRequest& request,
                       proto::CreatePartitionResponse* response);
Status ListPartition(const State& state, const proto::ListPartitionRequest& request,
                     proto::ListPartitionResponse* response);
Status ListCopyset(const State& state, proto::ListCopysetResponse* response);

// What the leader of a copyset says its members are becomes the record's.
Status MembersChanged(Draft& draft, uint32_t copyset,
                      const google::protobuf::RepeatedPtrField<proto::CopysetPeer>& peers);
// Puts where metaservers are now into records of copysets, for answers.
void FillAddresses(const State& state, proto::Copyset* copyset);
// A random UUID, version 4 (RFC 4122).
std::string NewUuid(Volatile& v);

// ---- What is done without being asked (operations_upkeep.cc)
// File systems of whose partitions some are full, with how many should be able to make inodes: three. So a
// client finds the next one there already.
std::vector<std::pair<uint32_t, uint32_t>> PartitionsNeeded(const State& state);
std::vector<uint32_t> FsToEnd(const State& state);
// A part of what there is of a file system that is DELETING, and at last its own record. Its replicas go when
// their metaservers speak of them and there is no such copyset any more.
Status EndFs(Draft& draft, uint32_t fs);

// ---- Between them
const proto::FsInfo* FindFs(const State& state, const std::string& name);  // that is not DELETING
// Partitions of `fs` until `wanted` can make inodes. kUnavailable: no three zones of a pool have metaservers.
Status EnsurePartitions(Draft& draft, Volatile& v, uint32_t fs, uint32_t wanted,
                        const std::function<void(const proto::Partition&)>& made);

}  // namespace curvefs::mds
