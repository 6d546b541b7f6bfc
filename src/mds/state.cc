#include "mds/state.h"

#include <cstdio>

namespace curvefs::mds {
namespace {

std::string Hex(uint32_t id) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", id);
  return text;
}
std::string Hex64(uint64_t id) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(id));
  return text;
}

}  // namespace

std::string FsKey(uint32_t fs) {
  return "fs/" + Hex(fs);
}
std::string MountPrefix(uint32_t fs) {
  return "mount/" + Hex(fs) + "/";
}
std::string MountKey(uint32_t fs, uint64_t session) {
  return MountPrefix(fs) + Hex64(session);
}
std::string PoolKey(uint32_t pool) {
  return "pool/" + Hex(pool);
}
std::string ZoneKey(uint32_t zone) {
  return "zone/" + Hex(zone);
}
std::string ServerKey(uint32_t server) {
  return "server/" + Hex(server);
}
std::string MetaserverKey(uint32_t metaserver) {
  return "metaserver/" + Hex(metaserver);
}
std::string CopysetKey(uint32_t copyset) {
  return "copyset/" + Hex(copyset);
}
std::string PartitionPrefix(uint32_t fs) {
  return "partition/" + Hex(fs) + "/";
}
std::string PartitionKey(uint32_t fs, uint32_t partition) {
  return PartitionPrefix(fs) + Hex(partition);
}
std::string TokenPrefix(uint32_t fs) {
  return "token/" + Hex(fs) + "/";
}
std::string TokenKey(uint32_t fs, uint32_t token) {
  return TokenPrefix(fs) + Hex(token);
}
std::string CounterKey(const std::string& name) {
  return "counter/" + name;
}
std::string GoneCopyset(uint32_t copyset) {
  return "gone/" + Hex(copyset);
}
std::string PartitionIds(uint32_t fs) {
  return "partition/" + Hex(fs);
}

template <typename Row>
Status State::LoadRow(const std::string& key, const std::string& value) {
  Row row;
  if (!row.ParseFromString(value) || KeyOf(row) != key)
    return {Code::kCorrupt, "the store's '" + key + "' is no record of its kind"};
  std::get<Table<Row>>(tables_)[key] = std::move(row);
  return {};
}

Status State::Load(const std::string& key, const std::string& value) {
  const std::string table = key.substr(0, key.find('/'));
  if (table == "fs") return LoadRow<proto::FsInfo>(key, value);
  if (table == "mount") return LoadRow<proto::Mountpoint>(key, value);
  if (table == "pool") return LoadRow<proto::Pool>(key, value);
  if (table == "zone") return LoadRow<proto::Zone>(key, value);
  if (table == "server") return LoadRow<proto::Server>(key, value);
  if (table == "metaserver") return LoadRow<proto::Metaserver>(key, value);
  if (table == "copyset") return LoadRow<proto::Copyset>(key, value);
  if (table == "partition") return LoadRow<proto::Partition>(key, value);
  if (table == "cluster") return LoadRow<proto::ClusterInfo>(key, value);
  if (table == "token") return LoadRow<proto::FsToken>(key, value);
  if (table == "counter") return LoadRow<proto::Counter>(key, value);
  return {Code::kUnsupportedVersion, "the store's '" + key + "' is of a newer program"};
}

std::map<std::string, std::string> State::Dump() const {
  std::map<std::string, std::string> rows;
  std::apply(
      [&](const auto&... table) {
        auto add = [&](const auto& t) {
          for (const auto& [key, row] : t) rows[key] = row.SerializeAsString();
        };
        (add(table), ...);
      },
      tables_);
  return rows;
}

Draft::~Draft() {
  for (; !undo_.empty(); undo_.pop_back()) undo_.back()();
}

uint64_t Draft::NextIds(const std::string& counter, uint64_t count) {
  proto::Counter row;
  row.set_name(counter);
  if (const auto* found = state_.Find<proto::Counter>(CounterKey(counter))) row = *found;
  const uint64_t first = row.value() + 1;
  row.set_value(row.value() + count);
  Put(std::move(row));
  return first;
}

std::vector<Change> Draft::Take() {
  std::vector<Change> changes;
  for (auto& [key, value] : changes_) changes.push_back({key, std::move(value), {}});
  changes_.clear();
  undo_.clear();
  return changes;
}

}  // namespace curvefs::mds
