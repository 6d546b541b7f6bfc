#include "metaserver/process/registration.h"

#include <cstdio>
#include <random>
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace curvefs::metaserver {
namespace {

constexpr const char* kFile = "/registration.toml";
constexpr int64_t kFormat = 1;

std::string RandomHex() {
  std::random_device random;
  std::string text;
  for (int i = 0; i < 4; ++i) {
    char part[9];
    std::snprintf(part, sizeof part, "%08x", random());
    text += part;
  }
  return text;
}

}  // namespace

Result<Registration> Registration::ReadOrMake(Disk& disk, const std::string& dir) {
  const std::string path = dir + kFile;
  CURVEFS_CHECK_OK(disk.MakeDir(dir));
  auto text = disk.ReadWholeFile(path, 64 << 10);
  if (!text) {
    if (text.error().code() != Code::kNotFound) return Fail(text.error());
    Registration made{.uuid = RandomHex(), .token = RandomHex()};
    CURVEFS_CHECK_OK(made.Write(disk, dir));
    return made;
  }
  toml::parse_result parsed = toml::parse(*text);
  if (!parsed) return Fail(Code::kCorrupt, path + ": " + std::string(parsed.error().description()));
  const toml::table& table = parsed.table();
  const int64_t format = table["format"].value_or(int64_t{0});
  if (format > kFormat) return Fail(Code::kUnsupportedVersion, path + " is of a newer curvefs-metaserver");
  const int64_t id = table["id"].value_or(int64_t{0});
  Registration found{.uuid = table["uuid"].value_or(std::string()),
                     .token = table["token"].value_or(std::string()),
                     .cluster = table["cluster"].value_or(std::string()),
                     .metaserver_id = static_cast<uint32_t>(id)};
  if (format < 1 || found.uuid.empty() || found.token.empty() || id < 0 || id > UINT32_MAX ||
      (id != 0) == found.cluster.empty())
    return Fail(Code::kCorrupt, path + " does not say who this metaserver is");
  return found;
}

Status Registration::Write(Disk& disk, const std::string& dir) const {
  return disk.WriteFileAtomically(dir + kFile,
                                  "# Who this metaserver is to the MDS. The token is a secret; nothing here "
                                  "is meant to be edited.\nformat = " +
                                      std::to_string(kFormat) + "\nuuid = \"" + uuid + "\"\ntoken = \"" +
                                      token + "\"\ncluster = \"" + cluster +
                                      "\"\nid = " + std::to_string(metaserver_id) + "\n");
}

}  // namespace curvefs::metaserver
