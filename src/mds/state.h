// What the MDS knows of a cluster: rows of records (the messages of mds.proto and topology.proto), each under
// a key of text. Pure: no I/O, no clock. One thread.
//
// A change goes through a Draft: it puts and removes rows of the state at once, and Take hands out what is to
// be made durable; a draft that is not taken leaves no trace. The state is thus ahead of the store while a
// transaction is under way; an MDS that cannot make its changes durable loses its office, and throws the
// state away.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "mds/coordinator.h"
#include "proto/mds.pb.h"
#include "proto/topology.pb.h"

namespace curvefs::mds {

// Keys of rows (docs/FORMATS.md "The state of the MDS"); numbers in 8 or 16 hexadecimal digits, so that they
// list in order.
std::string FsKey(uint32_t fs);
std::string MountKey(uint32_t fs, uint64_t session);
std::string MountPrefix(uint32_t fs);
std::string PoolKey(uint32_t pool);
std::string ZoneKey(uint32_t zone);
std::string ServerKey(uint32_t server);
std::string MetaserverKey(uint32_t metaserver);
std::string CopysetKey(uint32_t copyset);
std::string PartitionKey(uint32_t fs, uint32_t partition);
std::string PartitionPrefix(uint32_t fs);
std::string TokenKey(uint32_t fs, uint32_t token);
std::string TokenPrefix(uint32_t fs);
std::string CounterKey(const std::string& name);
inline constexpr const char* kClusterKey = "cluster/info";

inline std::string KeyOf(const proto::FsInfo& m) {
  return FsKey(m.fs_id());
}
inline std::string KeyOf(const proto::Mountpoint& m) {
  return MountKey(m.fs_id(), m.session_id());
}
inline std::string KeyOf(const proto::Pool& m) {
  return PoolKey(m.pool_id());
}
inline std::string KeyOf(const proto::Zone& m) {
  return ZoneKey(m.zone_id());
}
inline std::string KeyOf(const proto::Server& m) {
  return ServerKey(m.server_id());
}
inline std::string KeyOf(const proto::Metaserver& m) {
  return MetaserverKey(m.metaserver_id());
}
inline std::string KeyOf(const proto::Copyset& m) {
  return CopysetKey(m.copyset_id());
}
inline std::string KeyOf(const proto::Partition& m) {
  return PartitionKey(m.fs_id(), m.partition_id());
}
inline std::string KeyOf(const proto::FsToken& m) {
  return TokenKey(m.fs_id(), m.token_id());
}
inline std::string KeyOf(const proto::Counter& m) {
  return CounterKey(m.name());
}
inline std::string KeyOf(const proto::ClusterInfo&) {
  return kClusterKey;
}

class State {
 public:
  template <typename Row>
  using Table = std::map<std::string, Row>;  // by key

  template <typename Row>
  const Table<Row>& All() const {
    return std::get<Table<Row>>(tables_);
  }
  template <typename Row>
  const Row* Find(const std::string& key) const {
    auto found = All<Row>().find(key);
    return found == All<Row>().end() ? nullptr : &found->second;
  }
  // Calls f(row) for those whose keys begin so, in order.
  template <typename Row, typename F>
  void ForEach(const std::string& prefix, F f) const {
    for (auto i = All<Row>().lower_bound(prefix); i != All<Row>().end() && i->first.starts_with(prefix); ++i)
      f(i->second);
  }

  // A row as it is in the store. kCorrupt: it is no record of its table; kUnsupportedVersion: a table that is
  // not known.
  Status Load(const std::string& key, const std::string& value);
  // All rows, as they would be in the store.
  std::map<std::string, std::string> Dump() const;

 private:
  friend class Draft;
  template <typename Row>
  Status LoadRow(const std::string& key, const std::string& value);

  std::tuple<Table<proto::FsInfo>, Table<proto::Mountpoint>, Table<proto::Pool>, Table<proto::Zone>,
             Table<proto::Server>, Table<proto::Metaserver>, Table<proto::Copyset>, Table<proto::Partition>,
             Table<proto::Counter>, Table<proto::ClusterInfo>, Table<proto::FsToken>>
      tables_;
};

// The names of counters.
inline constexpr const char* kFsIds = "fs";
inline constexpr const char* kSessionIds = "session";
inline constexpr const char* kTokenIds = "token";
inline constexpr const char* kPoolIds = "pool";
inline constexpr const char* kZoneIds = "zone";
inline constexpr const char* kServerIds = "server";
inline constexpr const char* kMetaserverIds = "metaserver";
inline constexpr const char* kCopysetIds = "copyset";
inline constexpr const char* kChunkIds = "chunk";
inline constexpr const char* kReplicaGenerations = "replica";  // the upper halves of replicas' ids
std::string PartitionIds(uint32_t fs);                         // "partition/FS"
// No counter: a mark, 1, that the copyset was there and has been deleted.
std::string GoneCopyset(uint32_t copyset);  // "gone/COPYSET"

class Draft {
 public:
  explicit Draft(State& state) : state_(state) {}
  ~Draft();  // takes everything back, unless it was taken
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  const State& state() const { return state_; }
  template <typename Row>
  void Put(Row row) {
    const std::string key = KeyOf(row);
    changes_[key] = row.SerializeAsString();
    auto& table = std::get<State::Table<Row>>(state_.tables_);
    Remember(key, &table);
    table[key] = std::move(row);
  }
  template <typename Row>
  void Remove(const Row& row) {
    const std::string key = KeyOf(row);
    changes_[key] = std::nullopt;
    auto& table = std::get<State::Table<Row>>(state_.tables_);
    Remember(key, &table);
    table.erase(key);
  }
  // The first of `count` ids that nobody ever got, from 1 on; 0 is none. They are lost if the draft is not
  // made durable.
  uint64_t NextIds(const std::string& counter, uint64_t count = 1);

  size_t size() const { return changes_.size(); }
  // What is to be made durable.
  std::vector<Change> Take();

 private:
  template <typename Row>
  void Remember(const std::string& key, State::Table<Row>* table) {
    auto found = table->find(key);
    if (found == table->end()) {
      undo_.push_back([=] { table->erase(key); });
    } else {
      undo_.push_back([=, row = found->second] { (*table)[key] = row; });
    }
  }

  State& state_;
  std::map<std::string, std::optional<std::string>> changes_;
  std::vector<std::function<void()>> undo_;  // in order
};

}  // namespace curvefs::mds
