#include "test/cluster/cluster.h"

#include <filesystem>
#include <optional>

namespace curvefs::cluster {
namespace {

constexpr Duration kLimit = std::chrono::seconds(20);

std::string Emptied(std::string root) {
  std::filesystem::remove_all(root);
  std::filesystem::create_directories(root);
  return root;
}

}  // namespace

Cluster::Cluster(std::string program, std::string root, std::vector<std::string> flags)
    : servers_(std::move(program), Emptied(std::move(root)), 3, std::move(flags)) {
  client_ = std::make_unique<Client>(loop_, servers_.addresses());
}

Cluster::~Cluster() {
  client_.reset();
}

Result<std::string> Cluster::Ask(size_t server, uint16_t method, const std::string& request) {
  auto answer = std::make_shared<std::optional<Result<std::string>>>();
  client_->Ask(server, method, request, [answer](Result<std::string> got) { *answer = std::move(got); });
  loop_.RunUntil([&] { return answer->has_value(); }, kLimit);
  if (!*answer) return Fail(Code::kTimedOut);
  return **std::move(answer);
}

Status Cluster::CreateCopysets(uint64_t first, uint64_t last) {
  for (uint64_t id = first; id <= last; ++id) {
    for (size_t i = 0; i < client_->servers(); ++i) {
      proto::CreateCopysetRequest request;
      request.mutable_header()->set_copyset_id(id);
      request.set_replica_id(i + 1);
      request.set_fs_id(1);
      request.set_hash_seed(id);
      for (size_t j = 0; j < client_->servers(); ++j) request.add_peer()->set_replica_id(j + 1);
      auto made = Admin<proto::CreateCopysetResponse>(i, "CreateCopyset", request);
      if (!made) return made.error();
    }
  }
  return {};
}

Status Cluster::MakeCopysets(size_t n) {
  CURVEFS_CHECK_OK(CreateCopysets(1, n));
  for (uint64_t id = 1; id <= n; ++id) {
    CURVEFS_TRY(const size_t leader, Leader(id));
    proto::FormatCopysetRequest format;
    format.mutable_header()->set_copyset_id(id);
    format.set_fs_id(1);
    format.set_fs_name("test");
    auto formatted = Admin<proto::FormatCopysetResponse>(leader, "FormatCopyset", format);
    if (!formatted) return formatted.error();
    std::optional<Status> opened;
    client_->OpenSession(id, [&](Status s) { opened = s; });
    loop_.RunUntil([&] { return opened.has_value(); }, kLimit);
    if (!opened) return Code::kTimedOut;
    CURVEFS_CHECK_OK(*opened);
  }
  return {};
}

Result<proto::CopysetStatus> Cluster::Find(size_t server, uint64_t copyset) {
  proto::GetCopysetStatusRequest request;
  request.mutable_header()->set_copyset_id(copyset);
  CURVEFS_TRY(const auto response,
              Admin<proto::GetCopysetStatusResponse>(server, "GetCopysetStatus", request));
  return response.status();
}

Result<size_t> Cluster::Leader(uint64_t copyset, Duration limit) {
  const SteadyTime end = loop_.clock().Steady() + limit;
  while (loop_.clock().Steady() < end) {
    for (size_t i = 0; i < client_->servers(); ++i) {
      if (!servers_.running(i)) continue;
      auto status = Find(i, copyset);
      if (status && status->leads()) return i;
    }
    loop_.RunUntil([] { return false; }, std::chrono::milliseconds(20));
  }
  return Fail(Code::kTimedOut, "copyset " + std::to_string(copyset) + " has no leader");
}

std::string Cluster::CompareReplicas(uint64_t copyset) {
  const SteadyTime end = loop_.clock().Steady() + std::chrono::seconds(60);
  std::string seen;
  while (loop_.clock().Steady() < end) {
    std::vector<proto::GetStateDigestResponse> digests;
    proto::GetStateDigestRequest request;
    request.mutable_header()->set_copyset_id(copyset);
    seen.clear();
    for (size_t i = 0; i < client_->servers(); ++i) {
      auto digest = Admin<proto::GetStateDigestResponse>(i, "GetStateDigest", request);
      seen += "  " + std::to_string(i + 1) + ": ";
      if (!digest) {
        seen += digest.error().ToString() + "\n";
        continue;
      }
      seen += "applied " + std::to_string(digest->applied()) + ", pairs " + std::to_string(digest->pairs()) +
              ", digest " + std::to_string(digest->digest()) + "\n";
      digests.push_back(*std::move(digest));
    }
    bool same_place = digests.size() == client_->servers(), same_state = true;
    for (const auto& d : digests) {
      same_place &= d.applied() == digests[0].applied();
      same_state &= d.digest() == digests[0].digest() && d.pairs() == digests[0].pairs();
    }
    if (same_place)
      return same_state ? std::string()
                        : "replicas of copyset " + std::to_string(copyset) + " differ:\n" + seen;
    loop_.RunUntil([] { return false; }, std::chrono::milliseconds(50));
  }
  return "replicas of copyset " + std::to_string(copyset) + " do not get to the same place:\n" + seen;
}

}  // namespace curvefs::cluster
