// Tokens: by which file systems are mounted.
#include <utility>
#include <vector>

#include "mds/operations.h"
#include "net/token.h"

namespace curvefs::mds {
namespace {

constexpr size_t kMostTokens = 1000;  // of a file system: metaservers are told of all
constexpr size_t kMaxComment = 255;

// "/a/b": absolute, nothing empty, and no way up.
Status CheckSubdir(const std::string& subdir) {
  if (subdir.empty()) return {};
  bool good = subdir.front() == '/' && subdir.size() > 1 && subdir.size() <= kMaxText;
  for (size_t at = 1; good && at <= subdir.size();) {
    const std::string name = subdir.substr(at, subdir.find('/', at) - at);
    good = !name.empty() && name != "." && name != "..";
    at += name.size() + 1;
  }
  if (good) return {};
  return {Code::kInvalid, "'" + subdir + "' is no directory from the root of the file system on, as /a/b is"};
}

Result<const proto::FsInfo*> Named(const State& state, const std::string& name) {
  const proto::FsInfo* fs = FindFs(state, name);
  if (fs == nullptr) return Fail(Code::kNotFound, "there is no file system '" + name + "'");
  return fs;
}

template <typename F>
const proto::FsToken* FindToken(const State& state, uint32_t fs, F is_it) {
  const proto::FsToken* found = nullptr;
  state.ForEach<proto::FsToken>(TokenPrefix(fs), [&](const proto::FsToken& t) {
    if (is_it(t)) found = &t;
  });
  return found;
}

}  // namespace

Status CreateFsToken(Draft& draft, const proto::CreateFsTokenRequest& request,
                     proto::CreateFsTokenResponse* response) {
  CURVEFS_TRY(const proto::FsInfo* fs, Named(draft.state(), request.fs_name()));
  if (request.hash().size() != net::kTokenHashBytes)
    return {Code::kInvalid, "a token is recorded by its SHA-256"};
  if (request.comment().size() > kMaxComment) return {Code::kInvalid, "a comment has at most 255 bytes"};
  CURVEFS_CHECK_OK(CheckSubdir(request.subdir()));
  const uint32_t id = fs->fs_id();
  if (const auto* same =
          FindToken(draft.state(), id, [&](const auto& t) { return t.hash() == request.hash(); })) {
    *response->mutable_token() = *same;
    response->mutable_token()->clear_hash();
    return {};
  }
  size_t tokens = 0, mounts = 0;
  draft.state().ForEach<proto::FsToken>(TokenPrefix(id), [&](const auto&) { ++tokens; });
  if (tokens >= kMostTokens)
    return {Code::kTooBig, "'" + request.fs_name() + "' has 1000 tokens already; revoke some"};
  if (!fs->require_token()) {
    draft.state().ForEach<proto::Mountpoint>(MountPrefix(id), [&](const auto&) { ++mounts; });
    if (mounts > 0)
      return {Code::kBusy, "'" + request.fs_name() + "' is mounted " + std::to_string(mounts) +
                               " times without a token, and from the first token on it is mounted with one "
                               "only: unmount it first ('curvefs fs info' shows where)"};
    proto::FsInfo closed = *fs;
    closed.set_require_token(true);
    draft.Put(std::move(closed));
  }
  proto::FsToken token;
  token.set_fs_id(id);
  token.set_token_id(static_cast<uint32_t>(draft.NextIds(kTokenIds)));
  token.set_hash(request.hash());
  token.set_read_only(request.read_only());
  token.set_created_s(request.created_s());
  token.set_expires_s(request.expires_s());
  token.set_comment(request.comment());
  token.set_subdir(request.subdir());
  draft.Put(token);
  token.clear_hash();
  *response->mutable_token() = std::move(token);
  return {};
}

Status ListFsTokens(const State& state, const proto::ListFsTokensRequest& request,
                    proto::ListFsTokensResponse* response) {
  CURVEFS_TRY(const proto::FsInfo* fs, Named(state, request.fs_name()));
  state.ForEach<proto::FsToken>(TokenPrefix(fs->fs_id()), [&](const proto::FsToken& t) {
    auto* out = response->add_token();
    *out = t;
    out->clear_hash();
  });
  return {};
}

Status RevokeFsToken(Draft& draft, const proto::RevokeFsTokenRequest& request) {
  CURVEFS_TRY(const proto::FsInfo* fs, Named(draft.state(), request.fs_name()));
  const uint32_t id = fs->fs_id();
  const auto* found = draft.state().Find<proto::FsToken>(TokenKey(id, request.token_id()));
  if (found == nullptr)
    return {Code::kNotFound,
            "'" + request.fs_name() + "' has no token " + std::to_string(request.token_id())};
  const proto::FsToken token = *found;
  std::vector<proto::Mountpoint> mounts;
  draft.state().ForEach<proto::Mountpoint>(MountPrefix(id), [&](const proto::Mountpoint& m) {
    if (m.token_id() == token.token_id()) mounts.push_back(m);
  });
  for (const proto::Mountpoint& mount : mounts) draft.Remove(mount);
  draft.Remove(token);
  return {};
}

Result<const proto::FsToken*> CheckToken(const State& state, const proto::FsInfo& fs, const std::string& text,
                                         int64_t now_s) {
  if (!fs.require_token()) return nullptr;
  if (text.empty()) {
    return Fail(Code::kNotPermitted,
                "'" + fs.fs_name() +
                    "' is mounted with a token only: --token-file FILE, or CURVEFS_TOKEN "
                    "in the environment; 'curvefs fs token create' makes one");
  }
  const std::string hash = net::TokenHash(text);
  const proto::FsToken* token = FindToken(state, fs.fs_id(), [&](const auto& t) { return t.hash() == hash; });
  if (token == nullptr)
    return Fail(Code::kNotPermitted,
                "the token is none of '" + fs.fs_name() + "', or was revoked: ask for another one");
  if (token->expires_s() != 0 && now_s >= token->expires_s()) {
    return Fail(Code::kNotPermitted, "the token (" + std::to_string(token->token_id()) + ") of '" +
                                         fs.fs_name() + "' has expired: ask for another one");
  }
  return token;
}

void FillAccess(const State& state, proto::AccessRules* rules) {
  for (const auto& [key, fs] : state.All<proto::FsInfo>()) {
    if (!fs.require_token() || fs.state() == proto::FS_DELETING) continue;
    auto* out = rules->add_fs();
    out->set_fs_id(fs.fs_id());
    state.ForEach<proto::FsToken>(TokenPrefix(fs.fs_id()), [&](const proto::FsToken& t) {
      auto* token = out->add_token();
      token->set_hash(t.hash());
      token->set_read_only(t.read_only());
      token->set_expires_s(t.expires_s());
    });
  }
}

}  // namespace curvefs::mds
