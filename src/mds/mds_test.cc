// The state of the MDS on the store in memory: every operation, every transaction failing in every way,
// take-overs.
#include "mds/mds.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>

#include "mds/memory_store.h"
#include "mds/placement.h"

namespace curvefs::mds {
namespace {

using namespace std::chrono_literals;

class Cluster {
 public:
  Cluster() : store_(loop_) {}
  ~Cluster() { mds_.clear(); }

  void Begin(int n) {
    coordinators_[n] = store_.Connect("mds" + std::to_string(n));
    MdsOptions options{.random = [this] { return random_(); }};
    options.election.name = "mds" + std::to_string(n);
    options.ledger.canary_unfenced = unfenced;
    options.session_time = session_time;
    mds_[n] = std::make_unique<Mds>(loop_, *coordinators_[n], metaservers, options);
    mds_[n]->Start();
  }
  void Kill(int n) {
    mds_.erase(n);
    coordinators_.erase(n);
  }
  Mds& At(int n) { return *mds_.at(n); }
  std::map<int, std::unique_ptr<Mds>>& all() { return mds_; }
  // The one that serves, waited for; null after a minute.
  Mds* Leader() {
    for (int i = 0; i < 60'000; ++i) {
      for (auto& [n, mds] : mds_) {
        if (mds->serves()) return mds.get();
      }
      loop_.Advance(1ms);
    }
    return nullptr;
  }
  // The operation's answer, from whoever leads. kInterrupted: none came in a minute.
  Status Change(const std::function<Status(Draft&, Volatile&)>& operation) {
    Mds* leader = Leader();
    if (leader == nullptr) return Code::kInterrupted;
    auto result = std::make_shared<std::optional<Status>>();
    leader->Change(operation, [result](Status s) {
      EXPECT_FALSE(result->has_value());
      *result = std::move(s);
    });
    return Wait(result);
  }
  template <typename Response>
  Result<Response> Do(std::function<Status(Draft&, Volatile&, Response*)> operation) {
    Response response;
    Status s = Change([&](Draft& d, Volatile& v) { return operation(d, v, &response); });
    if (!s.ok()) return Fail(s);
    return response;
  }
  Status Read(const std::function<Status(const State&)>& operation) {
    Mds* leader = Leader();
    if (leader == nullptr) return Code::kInterrupted;
    auto result = std::make_shared<std::optional<Status>>();
    leader->Read(operation, [result](Status s) { *result = std::move(s); });
    return Wait(result);
  }
  Status Wait(const std::shared_ptr<std::optional<Status>>& result) {
    for (int i = 0; i < 60'000 && !result->has_value(); ++i) loop_.Advance(1ms);
    return result->value_or(Status(Code::kInterrupted));
  }

  // What the store has, without the serial.
  std::map<std::string, std::string> Stored() {
    std::map<std::string, std::string> rows;
    for (const auto& [key, entry] : store_.entries()) {
      if (key.starts_with("curvefs/state/") && key != "curvefs/state/serial")
        rows[key.substr(14)] = entry.value;
    }
    return rows;
  }
  // Zones 1 to `zones` with `each` metaservers.
  void BuildTopology(int zones, int each) {
    auto pool = Do<proto::CreatePoolResponse>([](Draft& d, Volatile&, auto* r) {
      proto::CreatePoolRequest q;
      q.set_name("pool");
      return CreatePool(d, q, r);
    });
    ASSERT_TRUE(pool.has_value());
    for (int z = 1; z <= zones; ++z) {
      auto zone = Do<proto::CreateZoneResponse>([&](Draft& d, Volatile&, auto* r) {
        proto::CreateZoneRequest q;
        q.set_pool_id(pool->pool().pool_id());
        q.set_name("zone" + std::to_string(z));
        return CreateZone(d, q, r);
      });
      ASSERT_TRUE(zone.has_value());
      for (int m = 1; m <= each; ++m) {
        const std::string name = std::to_string(z) + "-" + std::to_string(m);
        auto server = Do<proto::CreateServerResponse>([&](Draft& d, Volatile&, auto* r) {
          proto::CreateServerRequest q;
          q.set_zone_id(zone->zone().zone_id());
          q.set_host_name("host" + name);
          return CreateServer(d, q, r);
        });
        ASSERT_TRUE(server.has_value());
        auto metaserver = Do<proto::RegisterMetaserverResponse>([&](Draft& d, Volatile&, auto* r) {
          proto::RegisterMetaserverRequest q;
          q.set_server_id(server->server().server_id());
          q.set_uuid("uuid" + name);
          q.set_address("10.0." + std::to_string(z) + "." + std::to_string(m) + ":8200");
          q.set_grpc_address("grpc" + name);
          return RegisterMetaserver(d, q, r);
        });
        ASSERT_TRUE(metaserver.has_value());
      }
    }
  }
  Result<proto::FsInfo> MakeFs(const std::string& name, const std::string& uuid = "") {
    auto made = Do<proto::CreateFsResponse>([&](Draft& d, Volatile& v, auto* r) {
      proto::CreateFsRequest q;
      q.set_fs_name(name);
      q.set_uuid(uuid);
      q.set_directory("/objects");
      return CreateFs(d, v, q, r);
    });
    if (!made) return Fail(made.error());
    return made->fs();
  }
  Result<proto::MountFsResponse> Mount(const std::string& name, const std::string& dir,
                                       const std::string& uuid) {
    return Do<proto::MountFsResponse>([&](Draft& d, Volatile& v, auto* r) {
      proto::MountFsRequest q;
      q.set_fs_name(name);
      q.set_host("host");
      q.set_mount_dir(dir);
      q.set_client_uuid(uuid);
      return MountFs(d, v, q, r);
    });
  }
  Result<uint64_t> Chunks(uint32_t fs, uint32_t count) {
    auto made = Do<proto::AllocateS3ChunkResponse>([&](Draft& d, Volatile& v, auto* r) {
      proto::AllocateS3ChunkRequest q;
      q.set_fs_id(fs);
      q.set_count(count);
      return AllocateS3Chunk(d, v, q, r);
    });
    if (!made) return Fail(made.error());
    return made->first_chunk_id();
  }
  Status Ready(uint32_t fs) {
    return Change([fs](Draft& d, Volatile&) { return FsIsReady(d, fs); });
  }

  ManualLoop loop_;
  MemoryStore store_;
  Metaservers* metaservers = nullptr;
  bool unfenced = false;
  Duration session_time = 60s;

 private:
  std::mt19937_64 random_{1};
  std::map<int, std::unique_ptr<Coordinator>> coordinators_;
  std::map<int, std::unique_ptr<Mds>> mds_;
};

proto::FsInfo Info(Cluster& c, const std::string& name) {
  proto::GetFsInfoResponse response;
  proto::GetFsInfoRequest request;
  request.set_fs_name(name);
  EXPECT_TRUE(c.Read([&](const State& s) { return GetFsInfo(s, request, &response); }).ok());
  return response.fs();
}

TEST(Mds, AFileSystemsLife) {
  Cluster c;
  c.Begin(1);
  EXPECT_EQ(c.MakeFs("data").error().code(), Code::kUnavailable) << "no metaservers";
  c.BuildTopology(3, 1);
  auto fs = c.MakeFs("data", "a-uuid");
  ASSERT_TRUE(fs.has_value()) << fs.error().ToString();
  EXPECT_EQ(fs->state(), proto::FS_NEW);
  EXPECT_EQ(fs->root_inode_id(), 1u);
  EXPECT_EQ(c.MakeFs("data", "a-uuid")->fs_id(), fs->fs_id()) << "asked again";
  EXPECT_EQ(c.MakeFs("data", "other").error().code(), Code::kExists);
  EXPECT_EQ(c.MakeFs("data").error().code(), Code::kExists);
  EXPECT_EQ(c.MakeFs("a/b").error().code(), Code::kInvalid);
  EXPECT_EQ(c.MakeFs("other")->uuid().size(), 36u);
  EXPECT_EQ(c.Mount("data", "/mnt", "x").error().code(), Code::kBusy) << "not ready";
  EXPECT_TRUE(c.Ready(fs->fs_id()).ok());

  auto mount = c.Mount("data", "/mnt", "x");
  ASSERT_TRUE(mount.has_value());
  EXPECT_EQ(mount->fs().mount_num(), 1u);
  EXPECT_EQ(c.Mount("data", "/mnt", "x")->session_id(), mount->session_id()) << "asked again";
  EXPECT_EQ(c.Mount("data", "/mnt", "y").error().code(), Code::kExists) << "the mount point is taken";
  EXPECT_NE(c.Mount("data", "/mnt2", "y")->session_id(), mount->session_id());
  EXPECT_EQ(Info(c, "data").mount_num(), 2u);
  EXPECT_EQ(Info(c, "data").mountpoints(0).mount_dir(), "/mnt");

  proto::DeleteFsInfoRequest del;
  del.set_fs_name("data");
  auto delete_fs = [&] { return c.Change([&](Draft& d, Volatile&) { return DeleteFsInfo(d, del); }); };
  EXPECT_EQ(delete_fs().code(), Code::kBusy);
  proto::UmountFsRequest umount;
  umount.set_fs_name("data");
  for (uint64_t session : {mount->session_id(), mount->session_id() + 1}) {
    umount.set_session_id(session);
    EXPECT_TRUE(c.Change([&](Draft& d, Volatile&) { return UmountFs(d, umount); }).ok());
    EXPECT_EQ(c.Change([&](Draft& d, Volatile&) { return UmountFs(d, umount); }).code(), Code::kNotFound);
  }
  EXPECT_TRUE(delete_fs().ok());
  EXPECT_EQ(delete_fs().code(), Code::kNotFound);
  EXPECT_GT(c.MakeFs("data")->fs_id(), fs->fs_id()) << "the name is free, the id is not";

  proto::UpdateFsInfoRequest update;
  proto::UpdateFsInfoResponse updated;
  update.set_fs_name("data");
  update.set_capacity(1 << 30);
  EXPECT_TRUE(c.Change([&](Draft& d, Volatile&) { return UpdateFsInfo(d, update, &updated); }).ok());
  EXPECT_EQ(Info(c, "data").capacity(), 1u << 30);
}

TEST(Mds, PartitionsOwnTheirIdsAndLieInThreeZones) {
  Cluster c;
  c.Begin(1);
  c.BuildTopology(4, 2);
  auto fs = c.MakeFs("data");
  ASSERT_TRUE(fs.has_value());
  proto::CreatePartitionRequest more;
  more.set_fs_id(fs->fs_id());
  more.set_count(10);
  auto made = c.Do<proto::CreatePartitionResponse>(
      [&](Draft& d, Volatile& v, auto* r) { return CreatePartition(d, v, more, r); });
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->partition_size(), 7) << "three were there";
  for (uint32_t full : {0, 4}) more.add_full(full);
  made = c.Do<proto::CreatePartitionResponse>(
      [&](Draft& d, Volatile& v, auto* r) { return CreatePartition(d, v, more, r); });
  EXPECT_EQ(made->partition_size(), 2) << "those that are full do not count";

  proto::ListPartitionRequest list;
  list.set_fs_id(fs->fs_id());
  proto::ListPartitionResponse all;
  ASSERT_TRUE(c.Read([&](const State& s) { return ListPartition(s, list, &all); }).ok());
  EXPECT_EQ(all.partition_size(), 12);
  uint64_t end = 0;
  for (const auto& p : all.partition()) {
    EXPECT_GT(p.start(), end) << "no id twice";
    end = p.end();
    EXPECT_EQ(PartitionOf(InodeId(p.start())).value, p.partition_id());
    EXPECT_EQ(PartitionOf(InodeId(p.end())).value, p.partition_id());
  }
  EXPECT_EQ(all.partition(0).start(), kRootInode.value);
  EXPECT_EQ(all.copyset_size(), 3);
  const State& state = c.Leader()->state();
  for (const auto& copyset : all.copyset()) {
    std::set<uint32_t> zones;
    for (const auto& peer : copyset.peer()) {
      const auto* m = state.Find<proto::Metaserver>(MetaserverKey(static_cast<uint32_t>(peer.replica_id())));
      zones.insert(state.Find<proto::Server>(ServerKey(m->server_id()))->zone_id());
      EXPECT_EQ(peer.address(), m->address());
    }
    EXPECT_EQ(zones.size(), 3u);
  }
  more.add_full(99);
  EXPECT_EQ(c.Do<proto::CreatePartitionResponse>(
                 [&](Draft& d, Volatile& v, auto* r) { return CreatePartition(d, v, more, r); })
                .error()
                .code(),
            Code::kNotFound);
  more.clear_full();
  more.set_count(kMostPartitionsAtOnce + 1);
  EXPECT_FALSE(c.Do<proto::CreatePartitionResponse>(
      [&](Draft& d, Volatile& v, auto* r) { return CreatePartition(d, v, more, r); }));
}

TEST(Placement, IsEvenAndKeepsAway) {
  State state;
  uint32_t next = 0;
  {
    Draft draft(state);
    for (uint32_t z = 1; z <= 5; ++z) {
      proto::Zone zone;
      zone.set_zone_id(z);
      zone.set_pool_id(1);
      draft.Put(zone);
      proto::Server server;
      server.set_server_id(z);
      server.set_zone_id(z);
      draft.Put(server);
      for (int m = 0; m < 6; ++m) {
        proto::Metaserver metaserver;
        metaserver.set_metaserver_id(++next);
        metaserver.set_server_id(z);
        metaserver.set_retired(next == 7);
        draft.Put(metaserver);
      }
    }
    draft.Take();
  }
  std::mt19937_64 random(1);
  std::map<uint32_t, int> load;
  for (uint32_t id = 1; id <= 1000; ++id) {
    auto place = ChoosePlace(state, 3, {9, 10}, random());
    ASSERT_TRUE(place.has_value());
    proto::Copyset copyset;
    copyset.set_copyset_id(id);
    for (uint32_t m : place->metaservers) {
      copyset.add_peer()->set_replica_id(m);
      ++load[m];
    }
    Draft draft(state);
    draft.Put(copyset);
    draft.Take();
  }
  EXPECT_EQ(load.size(), 27u) << "not to the retired one, nor to those out of reach";
  for (auto [id, n] : load) EXPECT_NEAR(n, 3000.0 / 27, 4) << id;
  std::set<uint32_t> away;
  for (uint32_t id = 1; id <= 18; ++id) away.insert(id);
  EXPECT_EQ(ChoosePlace(state, 3, away, 1).error().code(), Code::kUnavailable);
}

TEST(Mds, TopologyIsHeldTogether) {
  Cluster c;
  c.Begin(1);
  c.BuildTopology(3, 1);
  c.BuildTopology(3, 1);  // again: it is there
  proto::ListTopologyResponse all;
  EXPECT_TRUE(c.Read([&](const State& s) { return ListTopology(s, &all); }).ok());
  EXPECT_EQ(all.pool_size(), 1);
  EXPECT_EQ(all.zone_size(), 3);
  EXPECT_EQ(all.metaserver_size(), 3);
  ASSERT_TRUE(c.MakeFs("data").has_value());

  proto::DeletePoolRequest pool;
  pool.set_pool_id(1);
  EXPECT_EQ(c.Change([&](Draft& d, Volatile&) { return DeletePool(d, pool); }).code(), Code::kNotEmpty);
  proto::DeleteZoneRequest zone;
  zone.set_zone_id(1);
  EXPECT_EQ(c.Change([&](Draft& d, Volatile&) { return DeleteZone(d, zone); }).code(), Code::kNotEmpty);
  proto::DeleteServerRequest server;
  server.set_server_id(1);
  EXPECT_EQ(c.Change([&](Draft& d, Volatile&) { return DeleteServer(d, server); }).code(), Code::kNotEmpty);
  proto::DeleteMetaserverRequest metaserver;
  metaserver.set_metaserver_id(1);
  EXPECT_EQ(c.Change([&](Draft& d, Volatile&) { return DeleteMetaserver(d, metaserver); }).code(),
            Code::kBusy);
  metaserver.set_metaserver_id(9);
  EXPECT_EQ(c.Change([&](Draft& d, Volatile&) { return DeleteMetaserver(d, metaserver); }).code(),
            Code::kNotFound);

  proto::RegisterMetaserverRequest reg;
  reg.set_uuid("uuid1-1");
  reg.set_server_id(1);
  reg.set_address("10.9.9.9:1");
  auto again = c.Do<proto::RegisterMetaserverResponse>(
      [&](Draft& d, Volatile&, auto* r) { return RegisterMetaserver(d, reg, r); });
  EXPECT_EQ(again->metaserver().metaserver_id(), 1u);
  EXPECT_EQ(again->metaserver().address(), "10.9.9.9:1");
  reg.set_uuid("stranger");
  EXPECT_EQ(c.Change([&](Draft& d, Volatile&) {
               proto::RegisterMetaserverResponse r;
               return RegisterMetaserver(d, reg, &r);
             }).code(),
            Code::kExists);
}

TEST(Mds, SessionsExpire) {
  Cluster c;
  c.Begin(1);
  c.BuildTopology(3, 1);
  auto fs = c.MakeFs("data");
  EXPECT_TRUE(c.Ready(fs->fs_id()).ok());
  auto quiet = c.Mount("data", "/quiet", "a"), alive = c.Mount("data", "/alive", "b");
  auto refresh = [&](uint64_t session) {
    auto result = std::make_shared<std::optional<Status>>();
    c.Leader()->RefreshSession(fs->fs_id(), session, [result](Status s) { *result = s; });
    return c.Wait(result);
  };
  for (int i = 0; i < 10; ++i) {
    c.loop_.Advance(10s);
    EXPECT_TRUE(refresh(alive->session_id()).ok());
  }
  EXPECT_EQ(refresh(quiet->session_id()).code(), Code::kFenced);
  ASSERT_EQ(Info(c, "data").mount_num(), 1u);
  EXPECT_EQ(Info(c, "data").mountpoints(0).mount_dir(), "/alive");
  EXPECT_TRUE(c.Mount("data", "/quiet", "c").has_value()) << "the mount point is free";
  // Whoever takes over gives everybody a session time from then on.
  c.Begin(2);
  c.loop_.Advance(50s);
  EXPECT_TRUE(refresh(alive->session_id()).ok());
  c.Kill(1);
  ASSERT_NE(c.Leader(), nullptr);
  c.loop_.Advance(50s);
  EXPECT_EQ(Info(c, "data").mount_num(), 2u);
  c.loop_.Advance(20s);
  EXPECT_EQ(Info(c, "data").mount_num(), 0u);
}

TEST(Mds, ChunkIdsAreGivenOutOnceAcrossOffices) {
  Cluster c;
  c.Begin(1);
  c.BuildTopology(3, 1);
  const uint32_t fs = c.MakeFs("data")->fs_id();
  EXPECT_EQ(*c.Chunks(fs, 10), 1u);
  EXPECT_EQ(*c.Chunks(fs, 10), 11u);
  const uint64_t before = c.Leader()->counters().commits;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(c.Chunks(fs, 64).has_value());
  EXPECT_EQ(c.Leader()->counters().commits, before) << "a batch lasts";
  const uint64_t last = *c.Chunks(fs, 65'536) + 65'535;
  c.Kill(1);
  c.Begin(2);
  const uint64_t next = *c.Chunks(fs, 1);
  EXPECT_GT(next, last);
  EXPECT_LE(next, (1 << 20) + 1) << "at most a batch is lost";
  EXPECT_EQ(c.Chunks(fs, 0).error().code(), Code::kInvalid);
  EXPECT_EQ(c.Chunks(99, 1).error().code(), Code::kNotFound);
}

TEST(Mds, WhatComesTogetherIsCommittedTogether) {
  Cluster c;
  c.Begin(1);
  c.BuildTopology(3, 1);
  const uint64_t before = c.Leader()->counters().commits;
  int done = 0;
  for (int i = 0; i < 500; ++i) {
    c.Leader()->Change(
        [i](Draft& d, Volatile&) {
          proto::CreatePoolRequest q;
          proto::CreatePoolResponse r;
          q.set_name("pool" + std::to_string(i));
          return CreatePool(d, q, &r);
        },
        [&](const Status& s) { done += s.ok(); });
  }
  c.loop_.Advance(1s);
  EXPECT_EQ(done, 500);
  EXPECT_LE(c.Leader()->counters().commits - before, 8u) << "one at once, the others by up to 99 rows each";
  EXPECT_EQ(c.Leader()->state().Dump(), c.Stored());
}

TEST(Mds, AStandbySaysWhoLeads) {
  Cluster c;
  c.Begin(1);
  ASSERT_NE(c.Leader(), nullptr);
  c.Begin(2);
  c.loop_.Advance(1s);
  std::optional<Status> status;
  c.At(2).Read([](const State&) { return Status(); }, [&](Status s) { status = s; });
  EXPECT_EQ(status->code(), Code::kNotLeader);
  EXPECT_EQ(c.At(2).leader(), "mds1");
}

TEST(Mds, ResigningFinishesWhatHasBegun) {
  Cluster c;
  c.Begin(1);
  ASSERT_NE(c.Leader(), nullptr);
  c.Begin(2);
  c.loop_.Advance(1s);
  std::optional<Status> status;
  bool resigned = false;
  auto make = [](Draft& d, Volatile&) {
    proto::CreatePoolRequest q;
    proto::CreatePoolResponse r;
    q.set_name("p");
    return CreatePool(d, q, &r);
  };
  c.At(1).Change(make, [&](Status s) { status = s; });
  c.At(1).Resign(2s, [&] { resigned = true; });
  std::optional<Status> late;
  c.At(1).Change(make, [&](Status s) { late = s; });
  EXPECT_EQ(late->code(), Code::kUnavailable);
  c.loop_.Advance(100ms);
  EXPECT_TRUE(status->ok());
  EXPECT_TRUE(resigned);
  EXPECT_TRUE(c.At(2).serves());
  EXPECT_EQ(c.At(2).state().All<proto::Pool>().size(), 1u);
}

// Metaservers that remember what they were told.
class FakeMetaservers final : public Metaservers {
 public:
  explicit FakeMetaservers(Loop& loop) : loop_(loop) {}
  void Create(const std::string& address, const proto::CreateCopysetRequest& request, Done done) override {
    Answer(address, request.header().office_term(), std::move(done), [=, this]() -> Status {
      EXPECT_EQ(request.peer_size(), 3);
      const auto [there, made] =
          copysets.emplace(std::pair{address, request.header().copyset_id()}, request.replica_id());
      EXPECT_EQ(there->second, request.replica_id());
      return made ? Status() : Status(Code::kExists);
    });
  }
  void Format(const std::string& address, const proto::FormatCopysetRequest& request, Done done) override {
    Answer(address, request.header().office_term(), std::move(done), [=, this]() -> Status {
      EXPECT_TRUE(copysets.contains({address, request.header().copyset_id()}));
      if (address != "grpc2-1") return Code::kNotLeader;
      bool any = false;
      for (const uint32_t id : request.partition_id())
        any |= formatted[{request.fs_id(), id}].insert(request.header().copyset_id()).second;
      return any ? Status() : Status(Code::kExists);
    });
  }
  std::map<std::pair<std::string, uint64_t>, uint64_t> copysets;
  std::map<std::pair<uint32_t, uint32_t>, std::set<uint64_t>> formatted;  // (fs, partition), and where
  std::set<uint64_t> terms;
  std::function<bool()> lose = [] { return false; };  // the answer

 private:
  void Answer(const std::string& address, uint64_t term, Done done, const std::function<Status()>& work) {
    EXPECT_FALSE(address.empty());
    terms.insert(term);
    Status status = work();
    if (lose()) status = Code::kTimedOut;
    loop_.After(1ms, [=] { done(status); });
  }
  Loop& loop_;
};

TEST(Mds, WhatIsPlannedIsMade) {
  Cluster c;
  FakeMetaservers fake(c.loop_);
  c.metaservers = &fake;
  std::mt19937 random(3);
  bool all_lost = true;
  fake.lose = [&] { return all_lost || random() % 3 == 0; };
  c.Begin(1);
  c.BuildTopology(3, 1);
  auto fs = c.MakeFs("data");
  ASSERT_TRUE(fs.has_value());
  c.loop_.Advance(5s);
  EXPECT_EQ(Info(c, "data").state(), proto::FS_NEW);
  // In the middle of it another one takes over, with a higher term.
  c.Kill(1);
  c.Begin(2);
  ASSERT_NE(c.Leader(), nullptr);
  all_lost = false;
  c.loop_.Advance(10s);
  EXPECT_EQ(Info(c, "data").state(), proto::FS_INITED);
  EXPECT_EQ(fake.copysets.size(), 9u) << "three copysets, each on three metaservers";
  ASSERT_EQ(fake.formatted.size(), 3u);
  auto check = [&](uint32_t partitions) {
    uint64_t seed = 0;
    uint32_t found = 0;
    c.Leader()->state().ForEach<proto::Partition>(PartitionPrefix(fs->fs_id()), [&](const auto& p) {
      ++found;
      EXPECT_TRUE(p.formatted()) << p.partition_id();
      const std::pair key{fs->fs_id(), p.partition_id()};
      EXPECT_EQ(fake.formatted[key], std::set<uint64_t>{p.copyset_id()});
      const auto* copyset = c.Leader()->state().template Find<proto::Copyset>(CopysetKey(p.copyset_id()));
      ASSERT_NE(copyset, nullptr);
      if (p.partition_id() == 0) seed = copyset->hash_seed();
      EXPECT_EQ(copyset->hash_seed(), seed) << "directories are in one order";
    });
    EXPECT_EQ(found, partitions);
  };
  check(3);
  // Those that come later are told, too.
  proto::CreatePartitionRequest more;
  more.set_fs_id(fs->fs_id());
  more.set_count(5);
  ASSERT_TRUE(c.Do<proto::CreatePartitionResponse>(
      [&](Draft& d, Volatile& v, auto* r) { return CreatePartition(d, v, more, r); }));
  c.loop_.Advance(10s);
  check(5);
  ASSERT_EQ(fake.terms.size(), 2u);
  EXPECT_EQ(*fake.terms.rbegin(), static_cast<uint64_t>(c.At(2).term()));
  for (const auto& [key, copyset] : c.Leader()->state().All<proto::Copyset>())
    EXPECT_EQ(copyset.state(), proto::COPYSET_READY);
  EXPECT_TRUE(c.Mount("data", "/mnt", "x").has_value());
}

// A state that a newer program wrote is not touched.
TEST(Mds, WhatItDoesNotUnderstandItDoesNotServe) {
  Cluster c;
  auto writer = c.store_.Connect("writer");
  writer->Commit({.changes = {{"curvefs/state/future/1", "x", {}}}}, 1s, [](auto) {});
  c.loop_.Advance(1s);
  c.Begin(1);
  c.loop_.Advance(10s);
  EXPECT_FALSE(c.At(1).serves());
  EXPECT_GT(c.At(1).counters().offices, 1u) << "it tries again";
}

// ---- Every transaction fails, once, in every way; the one who leads goes on, or another takes over.

enum class Fate { kRequestLost, kReplyLost, kLate, kLateAndDead, kReplyLostAndDead, kRequestLostAndDead };

// A life of a cluster, each step of which may be tried again by a client that had no answer.
class Life {
 public:
  // What happened to the cluster's ids.
  std::set<uint64_t> chunks;
  std::set<uint32_t> file_systems;
  std::set<uint64_t> sessions;

  void Run(Cluster& c) {
    Again([&] { return Pool(c, "pool"); });
    for (int z = 1; z <= 3; ++z) Again([&] { return ZoneAndServer(c, z); });
    for (const char* name : {"one", "two", "three"}) {
      uint32_t fs = 0;
      Again([&] {
        auto made = c.MakeFs(name, std::string("uuid-") + name);
        if (made) fs = made->fs_id();
        return made ? Status() : made.error();
      });
      EXPECT_TRUE(file_systems.insert(fs).second) << "an fs id twice";
      Again([&] {
        Status s = c.Ready(fs);
        return s.code() == Code::kInvalid ? Status() : s;  // it was, the first time
      });
      for (int i = 0; i < 3; ++i) {
        // Chunk ids that nobody got an answer about are lost, never given again.
        auto first = c.Chunks(fs, 700'000 / 16);
        if (!first) continue;
        for (uint64_t id = *first; id < *first + 700'000 / 16; id += 1000)
          EXPECT_TRUE(chunks.insert(id).second) << "a chunk id twice";
      }
      uint64_t session = 0;
      Again([&] {
        auto mount = c.Mount(name, "/mnt", "client");
        if (mount) session = mount->session_id();
        return mount ? Status() : mount.error();
      });
      EXPECT_TRUE(sessions.insert(session).second) << "a session twice";
    }
    proto::UmountFsRequest umount;
    umount.set_fs_name("two");
    umount.set_session_id(*std::next(sessions.begin()));
    Again([&] {
      Status s = c.Change([&](Draft& d, Volatile&) { return UmountFs(d, umount); });
      return s.code() == Code::kNotFound ? Status() : s;
    });
  }
  // Nothing that was acknowledged is missing, and what the leader holds is what the store has.
  void Check(Cluster& c) {
    c.loop_.Advance(30s);
    ASSERT_NE(c.Leader(), nullptr);
    EXPECT_EQ(c.Leader()->state().Dump(), c.Stored());
    EXPECT_EQ(c.Leader()->state().All<proto::FsInfo>().size(), 3u);
    EXPECT_EQ(c.Leader()->state().All<proto::Mountpoint>().size(), 2u);
    EXPECT_EQ(c.Leader()->state().All<proto::Partition>().size(), 9u);
    EXPECT_EQ(c.Leader()->state().All<proto::Copyset>().size(), 9u);
    EXPECT_EQ(c.Leader()->state().All<proto::Metaserver>().size(), 3u);
    EXPECT_EQ(Info(c, "one").state(), proto::FS_INITED);
  }

 private:
  // As a client does.
  static void Again(const std::function<Status()>& step) {
    Status s;
    for (int i = 0; i < 20; ++i) {
      s = step();
      if (s.code() != Code::kTimedOut && s.code() != Code::kNotLeader && s.code() != Code::kUnavailable)
        break;
    }
    EXPECT_TRUE(s.ok()) << s.ToString();
  }
  static Status Pool(Cluster& c, const char* name) {
    return c.Change([&](Draft& d, Volatile&) {
      proto::CreatePoolRequest q;
      proto::CreatePoolResponse r;
      q.set_name(name);
      return CreatePool(d, q, &r);
    });
  }
  static Status ZoneAndServer(Cluster& c, int z) {
    return c.Change([&](Draft& d, Volatile&) -> Status {
      proto::CreateZoneRequest zone;
      proto::CreateZoneResponse made;
      zone.set_pool_id(1);
      zone.set_name("z" + std::to_string(z));
      CURVEFS_CHECK_OK(CreateZone(d, zone, &made));
      proto::CreateServerRequest server;
      proto::CreateServerResponse host;
      server.set_zone_id(made.zone().zone_id());
      server.set_host_name("h" + std::to_string(z));
      CURVEFS_CHECK_OK(CreateServer(d, server, &host));
      proto::RegisterMetaserverRequest reg;
      proto::RegisterMetaserverResponse registered;
      reg.set_server_id(host.server().server_id());
      reg.set_uuid("u" + std::to_string(z));
      reg.set_address("a" + std::to_string(z) + ":1");
      return RegisterMetaserver(d, reg, &registered);
    });
  }
};

// Runs a life in which the `which`th transaction of the state meets its fate. Returns how many there were.
int LiveWith(Cluster& c, Life& life, int which, Fate fate) {
  int count = 0;
  bool struck = false;
  std::string victim;
  c.store_.OnCommit([&](const std::string& client, const Transaction& t) -> MemoryStore::Fault {
    if (!t.changes[0].key.starts_with("curvefs/state/")) return {};
    if (++count != which) return {};
    struck = true;
    const bool dead =
        fate == Fate::kLateAndDead || fate == Fate::kReplyLostAndDead || fate == Fate::kRequestLostAndDead;
    if (dead) {
      // It loses its way to the store in the same moment, until long after another leads.
      c.loop_.After(1500us, [&c, client] { c.store_.Cut(client, true); });
      c.loop_.After(40s, [&c, client] { c.store_.Cut(client, false); });
    }
    switch (fate) {
      case Fate::kRequestLost:
      case Fate::kRequestLostAndDead:
        return {.lose_request = true};
      case Fate::kReplyLost:
      case Fate::kReplyLostAndDead:
        return {.lose_reply = true};
      case Fate::kLate:
        return {.late = 4s};  // after it has been sent again
      case Fate::kLateAndDead:
        return {.late = 60s};  // after the cut, and after another leads
    }
    return {};
  });
  for (int n : {1, 2, 3}) c.Begin(n);
  life.Run(c);
  c.loop_.Advance(70s);
  EXPECT_EQ(struck, which != 0 && which <= count);
  c.store_.OnCommit(nullptr);
  return count;
}

TEST(MdsFailures, EveryTransactionInEveryWay) {
  int transactions = 0;
  {
    Cluster c;
    c.session_time = 1h;
    Life life;
    transactions = LiveWith(c, life, 0, Fate::kReplyLost);
    life.Check(c);
  }
  ASSERT_GE(transactions, 15);
  for (Fate fate : {Fate::kRequestLost, Fate::kReplyLost, Fate::kLate, Fate::kLateAndDead,
                    Fate::kReplyLostAndDead, Fate::kRequestLostAndDead}) {
    for (int which = 1; which <= transactions; ++which) {
      SCOPED_TRACE("fate " + std::to_string(static_cast<int>(fate)) + ", transaction " +
                   std::to_string(which));
      Cluster c;
      c.session_time = 1h;
      Life life;
      LiveWith(c, life, which, fate);
      life.Check(c);
      if (testing::Test::HasFailure()) return;
    }
  }
}

// The checks would notice: without conditions the late write of a dead master is made.
TEST(MdsFailures, CanaryWithoutTheFenceTheStateIsDamaged) {
  int damaged = 0;
  for (int which = 1; which <= 20; ++which) {
    Cluster c;
    c.session_time = 1h;
    c.unfenced = true;
    Life life;
    int count = 0;
    c.store_.OnCommit([&](const std::string& client, const Transaction& t) -> MemoryStore::Fault {
      if (!t.changes[0].key.starts_with("curvefs/state/") || ++count != which) return {};
      c.loop_.After(1500us, [&c, client] { c.store_.Cut(client, true); });
      c.loop_.After(40s, [&c, client] { c.store_.Cut(client, false); });
      return {.late = 60s};
    });
    for (int n : {1, 2, 3}) c.Begin(n);
    life.Run(c);
    c.loop_.Advance(70s);
    Mds* leader = c.Leader();
    damaged += leader == nullptr || leader->state().Dump() != c.Stored();
  }
  EXPECT_GT(damaged, 0);
}

TEST(MdsFailures, RandomKillsAndFaults) {
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Cluster c;
    c.session_time = 1h;
    c.store_.OnCommit([&](const std::string&, const Transaction&) -> MemoryStore::Fault {
      if (random() % 100 >= 15) return {};
      return {.lose_reply = random() % 2 == 0,
              .lose_request = random() % 3 == 0,
              .late = random() % 4 == 0 ? 12s : 0s};
    });
    for (int n : {1, 2, 3}) c.Begin(n);
    std::set<uint64_t> chunks;
    std::map<std::string, uint32_t> made;
    uint32_t fs = 0;
    for (int step = 0; step < 40; ++step) {
      const int n = 1 + static_cast<int>(random() % 3);
      switch (random() % 6) {
        case 0:
          c.Kill(n);
          c.Begin(n);
          break;
        case 1:
          c.store_.Cut("mds" + std::to_string(n), random() % 2 == 0);
          break;
        case 2:
          if (random() % 4 == 0) c.store_.LapseAll();
          break;
        default:
          break;
      }
      for (int k : {1, 2, 3}) {
        if (k != n) c.store_.Cut("mds" + std::to_string(k), false);
      }
      const std::string name = "p" + std::to_string(random() % 30);
      proto::CreatePoolRequest q;
      q.set_name(name);
      proto::CreatePoolResponse r;
      if (c.Change([&](Draft& d, Volatile&) { return CreatePool(d, q, &r); }).ok()) {
        auto [there, fresh] = made.emplace(name, r.pool().pool_id());
        EXPECT_EQ(there->second, r.pool().pool_id()) << "it has got another id";
      }
      if (fs == 0) {
        // Enough for chunk ids.
        Status s = c.Change([&](Draft& d, Volatile&) {
          proto::FsInfo info;
          info.set_fs_id(7);
          d.Put(info);
          return Status();
        });
        if (s.ok()) fs = 7;
      }
      if (auto first = fs != 0 ? c.Chunks(fs, 1000) : Fail(Code::kNotFound)) {
        EXPECT_TRUE(chunks.insert(*first).second) << "a chunk id twice";
      }
    }
    c.store_.OnCommit(nullptr);
    for (int k : {1, 2, 3}) c.store_.Cut("mds" + std::to_string(k), false);
    c.loop_.Advance(60s);
    ASSERT_NE(c.Leader(), nullptr);
    EXPECT_TRUE(c.Read([](const State&) { return Status(); }).ok());
    EXPECT_EQ(c.Leader()->state().Dump(), c.Stored());
    std::set<uint32_t> ids;
    for (const auto& [name, id] : made) {
      EXPECT_TRUE(ids.insert(id).second) << "a pool id twice";
      const auto* pool = c.Leader()->state().Find<proto::Pool>(PoolKey(id));
      EXPECT_TRUE(pool != nullptr && pool->name() == name) << "acknowledged and lost: " << name;
    }
    if (testing::Test::HasFailure()) return;
  }
}

// ---- Rows

TEST(StateTest, ADraftThatIsNotTakenLeavesNothing) {
  State state;
  proto::Pool pool;
  pool.set_pool_id(1);
  pool.set_name("a");
  {
    Draft draft(state);
    draft.Put(pool);
    draft.NextIds("x", 5);
    EXPECT_EQ(draft.Take().size(), 2u);
  }
  const auto before = state.Dump();
  {
    Draft draft(state);
    pool.set_name("b");
    draft.Put(pool);
    draft.Put(pool);
    draft.Remove(pool);
    EXPECT_EQ(draft.NextIds("x"), 6u);
    EXPECT_EQ(draft.NextIds("x"), 7u);
    EXPECT_EQ(draft.NextIds("y", 3), 1u);
    EXPECT_EQ(state.All<proto::Pool>().size(), 0u);
  }
  EXPECT_EQ(state.Dump(), before);
}

TEST(StateTest, BadRowsAreRefused) {
  State state;
  proto::Pool pool;
  pool.set_pool_id(1);
  EXPECT_TRUE(state.Load("pool/00000001", pool.SerializeAsString()).ok());
  EXPECT_EQ(state.Load("pool/00000002", pool.SerializeAsString()).code(), Code::kCorrupt) << "of another key";
  EXPECT_EQ(state.Load("pool/00000001", "\xff\xff").code(), Code::kCorrupt);
  EXPECT_EQ(state.Load("what/1", "").code(), Code::kUnsupportedVersion);
}

}  // namespace
}  // namespace curvefs::mds
