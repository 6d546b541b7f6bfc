// `curvefs fs token`: the tokens by which a file system is mounted.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <memory>

#include "cli/commands.h"
#include "cli/mds_args.h"
#include "cli/values.h"
#include "net/token.h"
#include "proto/mds.pb.h"

namespace curvefs::cli {
namespace {

struct TokenArgs {
  MdsArgs mds;
  std::string fs, expires, comment, out, subdir;
  uint32_t id = 0;
  bool read_only = false;
};

std::string TimeText(int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm tm{};
  char text[32] = "";
  (void)::gmtime_r(&time, &tm);
  (void)std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%SZ", &tm);
  return text;
}

std::string RightsText(const proto::FsToken& token, int64_t now) {
  std::string text = token.read_only() ? "read-only" : "read-write";
  if (!token.subdir().empty()) text += ", " + token.subdir() + " alone";
  if (token.expires_s() == 0) return text + ", for ever";
  return text + (token.expires_s() <= now ? ", expired " : ", until ") + TimeText(token.expires_s());
}

Json ToJson(const proto::FsToken& token) {
  return {{"id", token.token_id()},       {"read_only", token.read_only()}, {"created", token.created_s()},
          {"expires", token.expires_s()}, {"subdir", token.subdir()},       {"comment", token.comment()}};
}

// A new file that nobody else can read.
Status WriteSecret(const std::string& path, const std::string& token) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return FromErrno(errno, "--out: make " + path);
  const std::string line = token + "\n";
  const bool written =
      ::write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && ::fsync(fd) == 0;
  const int error = errno;
  ::close(fd);
  return written ? Status() : FromErrno(error, "--out: write " + path);
}

Status Create(const TokenArgs& args) {
  const int64_t now = Clock::System().Wall().sec();
  proto::CreateFsTokenRequest request;
  request.set_fs_name(args.fs);
  request.set_read_only(args.read_only);
  request.set_created_s(now);
  request.set_comment(args.comment);
  request.set_subdir(args.subdir);
  if (!args.expires.empty()) {
    auto left = ParseDuration(args.expires);
    if (!left) return {Code::kInvalid, "--expires: " + left.error().message()};
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*left).count();
    if (seconds <= 0) return {Code::kInvalid, "--expires: a token is good for a second at least"};
    request.set_expires_s(now + seconds);
  }
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  CURVEFS_TRY(const std::string token, net::NewToken());
  request.set_hash(net::TokenHash(token));
  // First the file: a token that nobody has is of no use.
  if (!args.out.empty()) CURVEFS_CHECK_OK(WriteSecret(args.out, token));
  auto made = mds->Call<proto::CreateFsTokenResponse>("MdsService/CreateFsToken", request);
  if (!made) {
    if (!args.out.empty()) (void)::unlink(args.out.c_str());
    return made.error();
  }
  if (args.mds.json) {
    Json j = ToJson(made->token());
    if (args.out.empty()) j["token"] = token;
    PrintJson(j);
    return {};
  }
  const std::string rights = RightsText(made->token(), now);
  std::printf("token %u of '%s', %s\n", made->token().token_id(), args.fs.c_str(), rights.c_str());
  if (args.out.empty()) {
    std::printf("%s\nIt is shown this once: keep it in a file that only you can read\n", token.c_str());
  } else {
    std::printf("mount with it: curvefs mount mds://%s/%s MNT --token-file %s\n", args.mds.mds.c_str(),
                args.fs.c_str(), args.out.c_str());
  }
  return {};
}

Status List(const TokenArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  proto::ListFsTokensRequest request;
  request.set_fs_name(args.fs);
  CURVEFS_TRY(const auto all, mds->Call<proto::ListFsTokensResponse>("MdsService/ListFsTokens", request));
  if (args.mds.json) {
    Json out = Json::array();
    for (const auto& token : all.token()) out.push_back(ToJson(token));
    PrintJson(out);
    return {};
  }
  CURVEFS_TRY(const proto::FsInfo fs, FindFs(*mds, args.fs));
  if (!fs.require_token())
    std::printf("'%s' has no token, and is mounted without one\n", args.fs.c_str());
  else if (all.token().empty())
    std::printf("'%s' is mounted with a token only, and has none\n", args.fs.c_str());
  else
    std::printf("%6s  %-20s  %-44s  %s\n", "id", "created", "rights", "comment");
  for (const auto& token : all.token()) {
    std::printf("%6u  %-20s  %-44s  %s\n", token.token_id(), TimeText(token.created_s()).c_str(),
                RightsText(token, Clock::System().Wall().sec()).c_str(), token.comment().c_str());
  }
  return {};
}

Status Revoke(const TokenArgs& args) {
  CURVEFS_TRY(auto mds, ConnectMds(args.mds));
  proto::RevokeFsTokenRequest request;
  request.set_fs_name(args.fs);
  request.set_token_id(args.id);
  auto revoked = mds->Call<proto::RevokeFsTokenResponse>("MdsService/RevokeFsToken", request);
  if (!revoked) return revoked.error();
  if (args.mds.json) {
    PrintJson({{"revoked", args.id}, {"fs", args.fs}});
  } else {
    std::printf("token %u of '%s' is revoked; mounts with it get nothing more within a few heartbeats\n",
                args.id, args.fs.c_str());
  }
  return {};
}

}  // namespace

void AddFsToken(CLI::App& fs, int* exit_code) {
  auto args = std::make_shared<TokenArgs>();
  CLI::App* command =
      fs.add_subcommand("token", "Make, list and revoke the tokens by which a file system is mounted");
  command->require_subcommand(1);
  auto add = [&](const std::string& name, const char* help, Status (*run)(const TokenArgs&)) {
    CLI::App* sub = command->add_subcommand(name, help);
    sub->add_option("NAME", args->fs, "The file system's name")->type_name("")->required();
    AddMdsOptions(*sub, &args->mds);
    sub->callback([=] { *exit_code = ExitCodeOf("fs token " + name, run(*args)); });
    return sub;
  };
  CLI::App* create = add("create", "Make a token, and show it this once", &Create);
  create->add_flag("--read-only", args->read_only, "It gives read-only mounts");
  create->add_option("--expires", args->expires, "How long it is good for: 12h, 30d; default: for ever")
      ->type_name("TIME");
  create->add_option("--subdir", args->subdir, "It mounts this directory, /a/b, as if it were all there is")
      ->type_name("PATH");
  create->add_option("--comment", args->comment, "For people: whose it is")->type_name("TEXT");
  create->add_option("--out", args->out, "Write it to this new file, and do not show it")->type_name("FILE");
  create->footer(
      "From its first token on a file system is mounted with a token only, also when all are revoked. The "
      "cluster\nkeeps hashes of tokens: what is lost cannot be shown again.\n\nExamples:\n"
      "  curvefs fs token create home --out /etc/curvefs/home.token --mds 10.0.0.1:8300\n"
      "  curvefs fs token create home --read-only --expires 30d --comment 'the web servers'");
  add("list", "List its tokens; not what they are", &List)
      ->footer("Example:\n  curvefs fs token list home --mds 10.0.0.1:8300");
  CLI::App* revoke = add("revoke", "Take a token back: mounts with it end", &Revoke);
  revoke->add_option("ID", args->id, "As 'fs token list' shows it")->type_name("")->required();
  revoke->footer("Example:\n  curvefs fs token revoke home 3 --mds 10.0.0.1:8300");
  command->footer("Example:\n  curvefs fs token create home --out ~/home.token --mds 10.0.0.1:8300");
}

}  // namespace curvefs::cli
