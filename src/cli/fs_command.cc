#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdio>
#include <memory>
#include <random>

#include "cli/admin_client.h"
#include "cli/cluster_data.h"
#include "cli/commands.h"
#include "cli/mds_args.h"
#include "cli/mounts.h"
#include "cli/progress_line.h"
#include "cli/values.h"
#include "client/cluster/mds_routes.h"
#include "client/cluster/pause.h"

namespace curvefs::cli {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(100);
constexpr Duration kAttempt = std::chrono::seconds(3);

struct FsArgs {
  MdsArgs mds;
  std::string name, data, s3_endpoint, s3_region, s3_style, s3_ca, capacity, inodes, block_size, chunk_size;
  uint32_t partitions = 0;
  bool no_wait = false, yes = false, require_token = false, delete_data = false;
};

std::string StateName(proto::FsState state) {
  return state == proto::FS_NEW ? "being made" : state == proto::FS_INITED ? "ready" : "being deleted";
}

Json ToJson(const proto::FsInfo& fs) {
  Json j{{"id", fs.fs_id()},
         {"name", fs.fs_name()},
         {"uuid", fs.uuid()},
         {"state", StateName(fs.state())},
         {"data", DataText(fs)},
         {"capacity", fs.capacity()},
         {"inodes", fs.inodes()},
         {"block_size", fs.block_size()},
         {"chunk_size", fs.chunk_size()},
         {"token", fs.require_token()}};
  if (fs.has_s3())
    j["s3"] = {{"endpoint", fs.s3().endpoint()}, {"region", fs.s3().region()}, {"style", fs.s3().style()}};
  j["mounts"] = Json::array();
  for (const auto& m : fs.mountpoints())
    j["mounts"].push_back({{"host", m.host()}, {"dir", m.mount_dir()}, {"session", m.session_id()}});
  return j;
}

std::string LimitText(uint64_t limit, bool bytes) {
  return limit == 0 ? "no limit" : bytes ? FormatSize(limit) : std::to_string(limit);
}

void Print(const FsArgs& args, const proto::FsInfo& fs) {
  if (args.mds.json) return PrintJson(ToJson(fs));
  std::printf("name        %s\nid          %u\nuuid        %s\nstate       %s\ndata        %s\n",
              fs.fs_name().c_str(), fs.fs_id(), fs.uuid().c_str(), StateName(fs.state()).c_str(),
              DataText(fs).c_str());
  if (fs.has_s3()) std::printf("endpoint    %s (%s)\n", fs.s3().endpoint().c_str(), fs.s3().region().c_str());
  std::printf("capacity    %s\ninodes      %s\nblock size  %s\nchunk size  %s\nmounts      %d\n",
              LimitText(fs.capacity(), true).c_str(), LimitText(fs.inodes(), false).c_str(),
              FormatSize(fs.block_size()).c_str(), FormatSize(fs.chunk_size()).c_str(),
              fs.mountpoints_size());
  if (fs.require_token()) std::printf("token       needed to mount it\n");
  for (const auto& m : fs.mountpoints())
    std::printf("  %s:%s (session %llu)\n", m.host().c_str(), m.mount_dir().c_str(),
                static_cast<unsigned long long>(m.session_id()));
}

std::string NewUuid() {
  std::random_device device;
  std::string bytes;
  for (int i = 0; i < 16; ++i) bytes += static_cast<char>(device());
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);  // version 4, variant 1 of RFC 4122
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  return UuidText(bytes);
}

// The limits are kept by the MDS, and hold at the copyset with the root, which has to be told.
Status ApplyLimits(const FsArgs& args, client::MdsClient& mds, const proto::FsInfo& fs) {
  CURVEFS_TRY(const client::CopysetRoute root, client::FindRoot(mds, fs.fs_id()));
  CURVEFS_TRY(const Duration timeout, ParseDuration(args.mds.timeout));
  proto::SetLimitsRequest request;
  request.mutable_header()->set_copyset_id(root.copyset);
  request.set_bytes(fs.capacity());
  request.set_inodes(fs.inodes());
  Status last;
  const SteadyTime end = Clock::System().Steady() + timeout;
  do {
    for (const net::Address& address : root.servers) {
      CURVEFS_TRY(AdminClient client,
                  AdminClient::To(address.ToString(), args.mds.cluster, args.mds.tls, kAttempt));
      auto set = client.Call<proto::SetLimitsResponse>(AdminCall::kSetLimits, request);
      if (set) return {};
      if (set.error().code() != Code::kNotLeader || last.ok()) last = set.error();
    }
    client::PauseFor(kLook);
  } while (Clock::System().Steady() < end);
  return {last.code(),
          "the limits are recorded, but do not hold yet, since the metaserver that has the root could not be "
          "told: " +
              last.message() + "; repeat 'curvefs fs update " + fs.fs_name() + "' with them"};
}

Result<uint64_t> Count(const std::string& text, const char* flag) {
  uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size())
    return Fail(Code::kInvalid, std::string(flag) + ": '" + text + "' is not a number");
  return n;
}

Result<uint64_t> Size(const std::string& text, const char* flag) {
  auto size = ParseSize(text);
  if (!size) return Fail(size.error().code(), std::string(flag) + ": " + size.error().message());
  return size;
}

Result<proto::CreateFsRequest> CreateRequest(const FsArgs& args, const ObjectsOptions& objects) {
  proto::CreateFsRequest request;
  request.set_fs_name(args.name);
  request.set_uuid(NewUuid());
  request.set_partitions(args.partitions != 0 ? args.partitions : 1);
  request.set_require_token(args.require_token);
  if (!args.capacity.empty()) {
    CURVEFS_TRY(const uint64_t bytes, Size(args.capacity, "--capacity"));
    request.set_capacity(bytes);
  }
  if (!args.inodes.empty()) {
    CURVEFS_TRY(const uint64_t n, Count(args.inodes, "--inodes"));
    request.set_inodes(n);
  }
  if (!args.block_size.empty()) {
    CURVEFS_TRY(const uint64_t bytes, Size(args.block_size, "--block-size"));
    request.set_block_size(bytes);
  }
  if (!args.chunk_size.empty()) {
    CURVEFS_TRY(const uint64_t bytes, Size(args.chunk_size, "--chunk-size"));
    request.set_chunk_size(bytes);
  }
  CURVEFS_CHECK_OK(DescribeData(objects, &request));
  return request;
}

// Until its copysets are there and its root is written.
Result<proto::FsInfo> AwaitReady(const FsArgs& args, client::MdsClient& mds, proto::FsInfo fs) {
  CURVEFS_TRY(const Duration timeout, ParseDuration(args.mds.timeout));
  const SteadyTime end = Clock::System().Steady() + timeout;
  while (fs.state() == proto::FS_NEW) {
    if (Clock::System().Steady() > end) {
      return Fail(Code::kUnavailable, "'" + args.name +
                                          "' is recorded, but its copysets are not made yet: metaservers do "
                                          "not answer the MDS, whose log says why "
                                          "('curvefs status' shows which answer). It is made when they do");
    }
    client::PauseFor(kLook);
    CURVEFS_TRY(fs, FindFs(mds, args.name));
  }
  return fs;
}

Status Create(const FsArgs& args) {
  auto given = [](const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); };
  std::string data = args.data;
  if (data.starts_with(kDirectoryData) && data.size() > kDirectoryData.size())
    data = std::string(kDirectoryData) + AbsolutePath(data.substr(kDirectoryData.size()));
  const ObjectsOptions objects{.data = given(data),
                               .s3_endpoint = given(args.s3_endpoint),
                               .s3_region = given(args.s3_region),
                               .s3_style = given(args.s3_style),
                               .s3_ca = given(args.s3_ca)};
  CURVEFS_TRY(const proto::CreateFsRequest request, CreateRequest(args, objects));
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  auto made = mds->Call<proto::CreateFsResponse>("MdsService/CreateFs", request);
  if (!made) return made.error();
  proto::FsInfo fs = made->fs();
  if (Status claimed = ClaimData(Disk::Posix(), fs, objects); !claimed.ok()) {
    proto::DeleteFsInfoRequest undo;
    undo.set_fs_name(fs.fs_name());
    undo.set_uuid(fs.uuid());
    auto undone = mds->Call<proto::DeleteFsInfoResponse>("MdsService/DeleteFsInfo", undo);
    if (!undone)
      return {claimed.code(), claimed.message() + "; '" + fs.fs_name() +
                                  "' is recorded all the same, since the MDS could not be told: delete it"};
    return claimed;
  }
  if (!args.no_wait) {
    CURVEFS_TRY(fs, AwaitReady(args, *mds, std::move(fs)));
    if (fs.capacity() > 0 || fs.inodes() > 0) CURVEFS_CHECK_OK(ApplyLimits(args, *mds, fs));
  }
  if (args.mds.json) {
    PrintJson(ToJson(fs));
    return {};
  }
  std::printf("the file system '%s' is %s; its data are in %s\nmount it:  curvefs mount mds://%s/%s MNT\n",
              fs.fs_name().c_str(), StateName(fs.state()).c_str(), DataText(fs).c_str(), args.mds.mds.c_str(),
              fs.fs_name().c_str());
  return {};
}

Status List(const FsArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  CURVEFS_TRY(const auto all,
              mds->Call<proto::ListFsInfoResponse>("MdsService/ListFsInfo", proto::ListFsInfoRequest()));
  if (args.mds.json) {
    Json out = Json::array();
    for (const auto& fs : all.fs()) out.push_back(ToJson(fs));
    PrintJson(out);
    return {};
  }
  std::printf("%6s  %-24s %-14s %7s %12s  %s\n", "id", "name", "state", "mounts", "capacity", "data");
  for (const auto& fs : all.fs()) {
    std::printf("%6u  %-24s %-14s %7u %12s  %s\n", fs.fs_id(), fs.fs_name().c_str(),
                StateName(fs.state()).c_str(), fs.mount_num(), LimitText(fs.capacity(), true).c_str(),
                DataText(fs).c_str());
  }
  return {};
}

Status Info(const FsArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  CURVEFS_TRY(const proto::FsInfo fs, FindFs(*mds, args.name));
  Print(args, fs);
  return {};
}

Status Update(const FsArgs& args) {
  if (args.capacity.empty() && args.inodes.empty())
    return {Code::kInvalid, "say what is to change: --capacity SIZE, --inodes N, or both; 0: no limit"};
  proto::UpdateFsInfoRequest request;
  request.set_fs_name(args.name);
  if (!args.capacity.empty()) {
    CURVEFS_TRY(const uint64_t bytes, Size(args.capacity, "--capacity"));
    request.set_capacity(bytes);
  }
  if (!args.inodes.empty()) {
    CURVEFS_TRY(const uint64_t n, Count(args.inodes, "--inodes"));
    request.set_inodes(n);
  }
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  CURVEFS_TRY(proto::FsInfo fs, FindFs(*mds, args.name));
  CURVEFS_TRY(const auto updated, mds->Call<proto::UpdateFsInfoResponse>("MdsService/UpdateFsInfo", request));
  CURVEFS_TRY(fs, AwaitReady(args, *mds, updated.fs()));
  CURVEFS_CHECK_OK(ApplyLimits(args, *mds, fs));
  Print(args, fs);
  return {};
}

Status Delete(const FsArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  CURVEFS_TRY(const proto::FsInfo fs, FindFs(*mds, args.name));
  if (!args.yes) {
    return {Code::kInvalid, "this takes the file system '" + args.name +
                                "' and all that is in it away for good (uuid " + fs.uuid() + ", data in " +
                                DataText(fs) + "); if that is meant, add --yes"};
  }
  // That it can be reached, before there is no way back.
  OpenedObjects opened;
  if (args.delete_data) {
    ObjectsOptions way;
    if (!args.s3_ca.empty()) way.s3_ca = args.s3_ca;
    CURVEFS_TRY(opened, OpenData(Disk::Posix(), fs, way, /*read_only=*/false));
  }
  proto::DeleteFsInfoRequest request;
  request.set_fs_name(args.name);
  request.set_uuid(fs.uuid());
  auto deleted = mds->Call<proto::DeleteFsInfoResponse>("MdsService/DeleteFsInfo", request);
  if (!deleted && deleted.error().code() == Code::kBusy) {
    std::string where;
    for (const auto& m : fs.mountpoints())
      where += (where.empty() ? "" : ", ") + m.host() + ":" + m.mount_dir();
    return {Code::kBusy, deleted.error().message() + (where.empty() ? "" : " (" + where + ")") +
                             "; unmount it there first. The record of a mount that died goes by itself after "
                             "its session time"};
  }
  // Not found any more: an answer was lost on the way.
  if (!deleted && deleted.error().code() != Code::kNotFound) return deleted.error();
  uint64_t objects = 0, foreign = 0;
  if (args.delete_data) {
    ProgressLine line("objects deleted");
    auto gone = DeleteData(Disk::Posix(), fs, *opened.store, [&](uint64_t n) { line.Show(n, 0); }, &foreign);
    line.End();
    opened.give_up();
    if (!gone)
      return {gone.error().code(), "'" + fs.fs_name() +
                                       "' is deleted, but not all of its data: " + gone.error().ToString() +
                                       "; remove what is left in " + DataText(fs) + " by hand"};
    objects = *gone;
  }
  if (args.mds.json) {
    Json j{{"deleted", fs.fs_name()}, {"uuid", fs.uuid()}, {"data", DataText(fs)}};
    if (args.delete_data) j["objects_deleted"] = objects;
    PrintJson(j);
  } else if (args.delete_data) {
    std::printf("'%s' is deleted, and its %llu objects in %s\n", fs.fs_name().c_str(),
                static_cast<unsigned long long>(objects), DataText(fs).c_str());
    if (foreign > 0)
      std::printf("%llu other files are there, too, and are left as they are\n",
                  static_cast<unsigned long long>(foreign));
  } else {
    std::printf(
        "'%s' is deleted. Its data in %s are left there; remove them when nobody needs them (with --data it "
        "would have been done)\n",
        fs.fs_name().c_str(), DataText(fs).c_str());
  }
  return {};
}

void AddLimits(CLI::App& command, FsArgs* args) {
  command
      .add_option("--capacity", args->capacity,
                  "The most that its files may hold together, by their lengths: 10G; 0: no limit")
      ->type_name("SIZE");
  command.add_option("--inodes", args->inodes, "The most files and directories; 0: no limit")->type_name("N");
}

}  // namespace

void AddFs(CLI::App& app, int* exit_code) {
  auto args = std::make_shared<FsArgs>();
  CLI::App* command = app.add_subcommand("fs", "Make, list, change and delete file systems of a cluster");
  command->require_subcommand(1);
  auto add = [&](const std::string& name, const char* help, bool named, Status (*run)(const FsArgs&)) {
    CLI::App* sub = command->add_subcommand(name, help);
    if (named)
      sub->add_option("NAME", args->name, "Its name: letters, digits, '-', '_', '.'")
          ->type_name("")
          ->required();
    AddMdsOptions(*sub, &args->mds);
    sub->callback([=] { *exit_code = ExitCodeOf("fs " + name, run(*args)); });
    return sub;
  };
  CLI::App* create = add("create", "Make a file system, and wait until it can be mounted", true, &Create);
  AddMetaserverOptions(*create, &args->mds);
  create
      ->add_option("--data", args->data,
                   "Where its data are to lie: dir:PATH, a directory that every machine that mounts it "
                   "reaches under this path, or s3://BUCKET/PREFIX. "
                   "Nothing else may be there")
      ->type_name("PLACE");
  create
      ->add_option("--s3-endpoint", args->s3_endpoint,
                   "The S3 server: https://HOST or http://HOST:PORT. Default: Amazon's in the region")
      ->type_name("URL");
  create->add_option("--s3-region", args->s3_region, "The region of the bucket. Default: us-east-1")
      ->type_name("REGION");
  create->add_option("--s3-style", args->s3_style, "How the bucket is addressed")
      ->check(CLI::IsMember({"path", "virtual"}));
  create
      ->add_option("--s3-ca", args->s3_ca,
                   "A file with the certificates of the authorities that may vouch for the S3 server; each "
                   "mount names its own")
      ->type_name("FILE");
  AddLimits(*create, args.get());
  create->add_option("--block-size", args->block_size, "Of an object: 4MiB; this version has no other")
      ->type_name("SIZE");
  create->add_option("--chunk-size", args->chunk_size, "Of the index: 64MiB; this version has no other")
      ->type_name("SIZE");
  create
      ->add_option("--partitions", args->partitions,
                   "Of its metadata, to begin with; several are in as many copysets; 0: one")
      ->type_name("N");
  create->add_flag("--require-token", args->require_token,
                   "It is mounted with a token only ('fs token create'), from the beginning");
  create->add_flag("--no-wait", args->no_wait,
                   "Return when it is recorded; its limits are then to be set with 'fs update'");
  create->footer(
      "The keys to S3 come from the environment or ~/.aws/credentials, here and at each mount.\n\nExamples:\n"
      "  curvefs fs create home --mds 10.0.0.1:8300,10.0.0.2:8300 --data s3://bucket/home --s3-endpoint "
      "https://s3.example.org --capacity 1T\n"
      "  CURVEFS_MDS=127.0.0.1:8300 curvefs fs create scratch --data dir:/shared/scratch");
  add("list", "List the file systems, with those that are being made or deleted", false, &List)
      ->footer("Example:\n  curvefs fs list --mds 10.0.0.1:8300 --json");
  add("info", "Show a file system: its limits, where its data are, who has mounted it", true, &Info)
      ->footer("Example:\n  curvefs fs info home --mds 10.0.0.1:8300");
  CLI::App* update = add("update", "Change the limits of a file system, mounted or not", true, &Update);
  AddMetaserverOptions(*update, &args->mds);
  AddLimits(*update, args.get());
  update->footer("Example:\n  curvefs fs update home --capacity 2T --mds 10.0.0.1:8300");
  CLI::App* remove = add("delete", "Delete a file system that nobody has mounted", true, &Delete);
  remove->add_flag("--yes", args->yes, "Do it");
  remove->add_flag(
      "--data", args->delete_data,
      "Delete its objects, too, from here: the directory must be reachable, for S3 the keys known");
  remove->add_option("--s3-ca", args->s3_ca, "Authorities that may vouch for the S3 server")
      ->type_name("FILE");
  remove->footer(
      "Examples:\n  curvefs fs delete scratch --yes --mds 10.0.0.1:8300\n"
      "  curvefs fs delete scratch --yes --data");
  AddFsToken(*command, exit_code);
  command->footer(
      "Examples:\n"
      "  curvefs fs create home --mds 10.0.0.1:8300,10.0.0.2:8300 --data dir:/shared/home\n"
      "  curvefs mount mds://10.0.0.1:8300,10.0.0.2:8300/home /mnt");
}

}  // namespace curvefs::cli
