#include "test/support/etcd/etcd_cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include "proto/etcd.pb.h"

extern char** environ;

namespace curvefs::test {
namespace {

constexpr const char* kEtcd = "/usr/bin/etcd";
constexpr const char* kSetpriv = "/usr/bin/setpriv";
constexpr Duration kStartLimit = std::chrono::seconds(60);

std::string Read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

template <typename Request, typename Response>
grpc::Status Ask(const std::string& endpoint, const net::TlsFiles& tls, const std::string& method,
                 const Request& request, Response* response) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!tls.ca.empty()) credentials = grpc::SslCredentials({Read(tls.ca), Read(tls.key), Read(tls.cert)});
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto channel = grpc::CreateCustomChannel(endpoint, credentials, arguments);
  grpc::TemplatedGenericStub<Request, Response> stub(channel);
  grpc::ClientContext context;
  context.set_wait_for_ready(true);  // the time that a member takes to start is waited for here
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, method, {}, &request, response,
                 [&done](grpc::Status status) { done.set_value(std::move(status)); });
  return done.get_future().get();
}

}  // namespace

std::vector<uint16_t> FreePorts(size_t count) {
  std::vector<int> open;
  std::vector<uint16_t> ports;
  for (size_t i = 0; i < count; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CURVEFS_CHECK(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    CURVEFS_CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    ports.push_back(ntohs(address.sin_port));
    open.push_back(fd);
  }
  for (int fd : open) ::close(fd);
  return ports;
}

bool EtcdCluster::Installed() {
  return ::access(kEtcd, X_OK) == 0 && ::access(kSetpriv, X_OK) == 0;
}

EtcdCluster::EtcdCluster(EtcdClusterOptions options)
    : options_(std::move(options)), members_(options_.members) {
  std::string name = (std::filesystem::temp_directory_path() / "curvefs-etcd-XXXXXX").string();
  CURVEFS_CHECK(::mkdtemp(name.data()) != nullptr);
  dir_ = name;
  const auto ports = FreePorts(2 * members_.size());
  for (size_t i = 0; i < members_.size(); ++i) {
    members_[i].client_port = ports[2 * i];
    members_[i].peer_port = ports[2 * i + 1];
  }
}

EtcdCluster::~EtcdCluster() {
  for (size_t i = 0; i < members_.size(); ++i) Kill(i);
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

std::string EtcdCluster::Log(size_t i) const {
  return dir_ + "/" + std::to_string(i) + ".log";
}

void EtcdCluster::Start(size_t i) {
  Member& member = members_[i];
  CURVEFS_CHECK(member.pid == 0);
  std::string cluster;
  for (size_t j = 0; j < members_.size(); ++j) {
    cluster += (j ? "," : "") + std::string("m") + std::to_string(j) +
               "=http://127.0.0.1:" + std::to_string(members_[j].peer_port);
  }
  auto ms = [](Duration d) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
  };
  const std::string client = (options_.tls.ca.empty() ? "http://127.0.0.1:" : "https://127.0.0.1:") +
                             std::to_string(member.client_port);
  const std::string peer = "http://127.0.0.1:" + std::to_string(member.peer_port);
  std::vector<std::string> args = {kSetpriv,
                                   "--pdeathsig",
                                   "KILL",
                                   kEtcd,
                                   "--name",
                                   "m" + std::to_string(i),
                                   "--data-dir",
                                   dir_ + "/" + std::to_string(i),
                                   "--listen-client-urls",
                                   client,
                                   "--advertise-client-urls",
                                   client,
                                   "--listen-peer-urls",
                                   peer,
                                   "--initial-advertise-peer-urls",
                                   peer,
                                   "--initial-cluster",
                                   cluster,
                                   "--initial-cluster-token",
                                   dir_,
                                   "--heartbeat-interval",
                                   ms(options_.heartbeat),
                                   "--election-timeout",
                                   ms(options_.election)};
  if (!options_.tls.ca.empty()) {
    for (const std::string& arg :
         {std::string("--cert-file"), options_.tls.cert, std::string("--key-file"), options_.tls.key,
          std::string("--client-cert-auth"), std::string("--trusted-ca-file"), options_.tls.ca})
      args.push_back(arg);
  }
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, Log(i).c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  CURVEFS_CHECK(::posix_spawn(&member.pid, argv[0], &actions, nullptr, argv.data(), environ) == 0);
  posix_spawn_file_actions_destroy(&actions);
}

Status EtcdCluster::StartAll() {
  for (size_t i = 0; i < members_.size(); ++i) Start(i);
  return AwaitLeader();
}

Status EtcdCluster::AwaitLeader() {
  const SteadyTime end = Clock::System().Steady() + kStartLimit;
  while (Clock::System().Steady() < end) {
    bool all = true;
    for (size_t i = 0; i < members_.size() && all; ++i) {
      if (!running(i)) continue;
      // A linearizable read: it needs a leader.
      etcdserverpb::RangeRequest request;
      request.set_key("x");
      etcdserverpb::RangeResponse response;
      all = Ask(endpoints()[i], options_.tls, "/etcdserverpb.KV/Range", request, &response).ok();
    }
    if (all) return {};
  }
  return {Code::kUnavailable, "etcd did not start:\n" + Read(Log(0))};
}

void EtcdCluster::Signal(size_t i, int signal) {
  if (members_[i].pid != 0) ::kill(members_[i].pid, signal);
}

void EtcdCluster::Kill(size_t i) {
  if (members_[i].pid == 0) return;
  ::kill(members_[i].pid, SIGKILL);
  ::waitpid(members_[i].pid, nullptr, 0);
  members_[i].pid = 0;
}

std::vector<std::string> EtcdCluster::endpoints() const {
  std::vector<std::string> endpoints;
  for (const Member& member : members_)
    endpoints.push_back("127.0.0.1:" + std::to_string(member.client_port));
  return endpoints;
}

size_t EtcdCluster::Leader() {
  for (size_t i = 0; i < members_.size(); ++i) {
    if (!running(i)) continue;
    etcdserverpb::StatusResponse status;
    if (Ask(endpoints()[i], options_.tls, "/etcdserverpb.Maintenance/Status", etcdserverpb::StatusRequest(),
            &status)
            .ok() &&
        status.leader() == status.header().member_id())
      return i;
  }
  return members_.size();
}

Status EtcdCluster::Compact(int64_t revision) {
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  etcdserverpb::CompactionResponse response;
  const auto status = Ask(endpoints()[0], options_.tls, "/etcdserverpb.KV/Compact", request, &response);
  return status.ok() ? Status() : Status(Code::kUnavailable, status.error_message());
}

}  // namespace curvefs::test
