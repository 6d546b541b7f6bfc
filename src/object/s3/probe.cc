// What is looked at before an S3 store is used: whether it does what is needed, and whose it is.
#include <nlohmann/json.hpp>
#include <random>

#include "base/log.h"
#include "object/s3/encoding.h"
#include "object/s3/store.h"

namespace curvefs::object::s3 {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kMarker = "curvefs.json";
constexpr int kMarkerVersion = 1;
constexpr size_t kProbeBytes = 20'000;

Status During(const char* step, const Location& location, const Status& s) {
  return {s.code(),
          "the object store " + location.ToString() + " cannot be used (" + step + "): " + s.message()};
}
Status Wrong(const char* step, const Location& location, const std::string& what) {
  return During(step, location, {Code::kIo, what + "; is there a faulty proxy, or a cache, before it?"});
}

struct Owner {
  std::string uuid, name;
};
Result<Owner> ReadMarker(Client& client, const Location& location) {
  CURVEFS_TRY(const std::string text, client.Get(location.Key(kMarker)));
  const Json j = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  auto field = [&j](const char* name) {
    return j.is_object() && j.contains(name) && j[name].is_string() ? j[name].get<std::string>()
                                                                    : std::string();
  };
  Owner owner{field("uuid"), field("name")};
  if (owner.uuid.empty()) {
    return Fail(Code::kCorrupt, location.ToString() + "/" + std::string(kMarker) +
                                    " is not what curvefs writes; choose another prefix, or put it back");
  }
  if (j.value("curvefs", 0) > kMarkerVersion)
    return Fail(Code::kUnsupportedVersion,
                location.ToString() + " was made by a newer curvefs; use that version");
  return owner;
}

Status OtherOwner(const Location& location, const Owner& owner) {
  return {Code::kExists, location.ToString() + " holds the data of another file system ('" + owner.name +
                             "', " + owner.uuid + "); choose another bucket or prefix with --data"};
}

Status ProbeWrites(Client& client, const Location& location, const std::string& key) {
  std::mt19937_64 random(std::random_device{}());
  BufferList body{{Buffer::Make(kProbeBytes), 0, kProbeBytes}};
  for (size_t i = 0; i < kProbeBytes; ++i) body[0].buffer->data()[i] = static_cast<char>(random());
  const std::string_view sent = body[0].view();
  if (Status s = client.Put(key, body); !s.ok()) return During("writing", location, s);
  Status again = client.Put(key, body, /*if_absent=*/true);
  if (again.ok()) {
    Log(LogLevel::kWarning,
        location.ToString() +
            ": the store ignores If-None-Match, so two file systems made at the same moment "
            "could take the same prefix");
  } else if (again.code() != Code::kExists && again.code() != Code::kNotSupported) {
    return During("writing under a condition", location, again);
  }
  auto whole = client.Get(key);
  if (!whole) return During("reading", location, whole.error());
  if (*whole != sent) return Wrong("reading", location, "it gave back other bytes than were written");

  std::string middle(5000, '\0'), tail(3000, '\0');
  std::array<RangeRead, 2> reads;
  reads[0] = {.key = key, .offset = 1000, .bytes = middle.size(), .into = {middle}};
  reads[1] = {.key = key, .from_end = true, .bytes = tail.size(), .into = {tail}};
  if (Status s = client.Read(reads); !s.ok()) return During("reading ranges", location, s);
  if (middle != sent.substr(1000, middle.size()) || tail != sent.substr(kProbeBytes - tail.size()) ||
      reads[1].total != kProbeBytes) {
    return Wrong("reading ranges", location, "it gave other bytes than were asked for");
  }
  bool listed = false;
  Status s = client.List(key, "", [&](const ListedObject& object) {
    listed |= object.key == key;
    return true;
  });
  if (!s.ok()) return During("listing", location, s);
  if (!listed) return Wrong("listing", location, "what was just written is not in the list");
  return {};
}

}  // namespace

Status Probe(Client& client, const Location& location, bool read_only) {
  if (read_only) {
    Status s = client.List(location.Key("objects/"), "", [](const ListedObject&) { return false; });
    return s.ok() ? s : During("listing", location, s);
  }
  std::random_device device;
  std::string name;
  for (int i = 0; i < 4; ++i) name += std::to_string(device());
  const std::string key = location.Key("probe-" + name);
  Status s = ProbeWrites(client, location, key);
  if (s.code() == Code::kUnavailable) return s;  // somebody waits; it would not be deleted either
  Status deleted = client.Delete(key);
  CURVEFS_CHECK_OK(s);
  if (!deleted.ok()) return During("deleting", location, deleted);
  auto after = client.Get(key);
  if (after) return Wrong("deleting", location, "what was deleted is still there");
  return after.error().code() == Code::kNotFound ? Status() : During("deleting", location, after.error());
}

Status CheckClaim(Client& client, const Location& location, const std::string& uuid) {
  auto owner = ReadMarker(client, location);
  if (owner) return owner->uuid == uuid ? Status() : OtherOwner(location, *owner);
  if (owner.error().code() != Code::kNotFound) return owner.error();
  return {Code::kNotFound,
          location.ToString() + "/" + std::string(kMarker) +
              " is missing, which says whose data this is: the data were moved or deleted, or this is "
              "another store; bring back everything below " +
              location.ToString()};
}

Status Claim(Client& client, const Location& location, const std::string& uuid, const std::string& name) {
  Status s = CheckClaim(client, location, uuid);
  if (s.code() != Code::kNotFound) return s;
  std::string found;
  CURVEFS_CHECK_OK(client.List(location.Key("objects/"), "", [&](const ListedObject& object) {
    found = object.key;
    return false;
  }));
  if (!found.empty()) {
    return {Code::kExists, location.ToString() + " holds objects already (" + found + "), but no " +
                               std::string(kMarker) +
                               " that says whose they are; choose another prefix, or delete them"};
  }
  Json j = {{"curvefs", kMarkerVersion}, {"uuid", uuid}, {"name", name}};
  const BufferList body{BufferSlice::CopyOf(j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n")};
  s = client.Put(location.Key(kMarker), body, /*if_absent=*/true);
  if (s.code() == Code::kNotSupported) s = client.Put(location.Key(kMarker), body);
  // kExists: another one was faster, or an earlier try of ours whose answer was lost.
  if (!s.ok() && s.code() != Code::kExists) return s;
  return CheckClaim(client, location, uuid);
}

}  // namespace curvefs::object::s3
