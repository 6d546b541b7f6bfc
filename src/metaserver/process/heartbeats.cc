#include "metaserver/process/heartbeats.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "metaserver/process/admin_calls.h"
#include "proto/copyset.pb.h"
#include "proto/meta_wire.h"

namespace curvefs::metaserver {
namespace {

constexpr Duration kFirstLimit = std::chrono::seconds(5);  // to register, of one that is known
constexpr Duration kLimit = std::chrono::seconds(10);      // of one heartbeat
constexpr Duration kRetry = std::chrono::seconds(1);
constexpr Duration kShortest = std::chrono::milliseconds(50), kLongest = std::chrono::minutes(10);
// A change waits for its commit; it comes again with the next heartbeat.
constexpr uint32_t kCommandLimitMs = 10'000;

proto::RegisterMetaserverRequest RequestOf(const MdsOptions& options, const Registration& registration) {
  proto::RegisterMetaserverRequest request;
  request.set_uuid(registration.uuid);
  request.set_token(registration.token);
  request.set_cluster_uuid(registration.cluster);
  request.set_pool(options.pool);
  request.set_zone(options.zone);
  request.set_host_name(options.host_name);
  return request;
}

uint16_t NumberOf(std::string_view name) {
  for (const AdminMethod& method : AdminMethods())
    if (method.name == name) return method.number;
  return 0;
}

// What trying again does not change.
bool IsRefusal(const Status& s) {
  return s.code() == Code::kNotPermitted || s.code() == Code::kInvalid || s.code() == Code::kExists;
}

}  // namespace

Result<MetaserverId> Heartbeats::Identify(const MdsOptions& options) {
  CURVEFS_TRY(Registration registration, Registration::ReadOrMake(Disk::Posix(), options.dir));
  if (registration.metaserver_id != 0) return registration.metaserver_id;
  CURVEFS_TRY(const auto link, MdsLink::To(options.mds, options.tls));
  proto::RegisterMetaserverResponse response;
  CURVEFS_CHECK_OK(link->Register(RequestOf(options, registration), &response, options.register_limit));
  registration.metaserver_id = response.metaserver().metaserver_id();
  registration.cluster = response.cluster_uuid();
  if (registration.metaserver_id == 0 || registration.cluster.empty())
    return Fail(Code::kNotSupported, "the MDS gives metaservers no ids; it is older than this one");
  CURVEFS_CHECK_OK(registration.Write(Disk::Posix(), options.dir));
  return registration.metaserver_id;
}

Heartbeats::Heartbeats(MdsOptions options, MetaServer& server, std::string grpc_address)
    : options_(std::move(options)), server_(server), grpc_address_(std::move(grpc_address)) {}

Result<std::unique_ptr<Heartbeats>> Heartbeats::Begin(MdsOptions options, MetaServer& server,
                                                      std::string grpc_address) {
  std::unique_ptr<Heartbeats> made(new Heartbeats(std::move(options), server, std::move(grpc_address)));
  CURVEFS_TRY(made->registration_, Registration::ReadOrMake(Disk::Posix(), made->options_.dir));
  CURVEFS_TRY(made->link_, MdsLink::To(made->options_.mds, made->options_.tls));
  const Status registered = made->Register(kFirstLimit);
  if (IsRefusal(registered)) return Fail(registered);
  if (!registered.ok())
    Log(LogLevel::kWarning,
        "not registered with the MDS yet: " + registered.ToString() + "; it is tried again");
  made->thread_ = std::thread([&made = *made, registered = registered.ok()] {
    if (!registered) {
      while (made.Register(kLimit).code() == Code::kUnavailable) {
      }
    }
    made.Run();
  });
  return made;
}

Heartbeats::~Heartbeats() {
  {
    const MutexLock lock(mu_);
    ending_ = true;
    changed_.NotifyAll();
  }
  if (link_) link_->Cancel();
  if (thread_.joinable()) thread_.join();
}

Status Heartbeats::Register(Duration limit) {
  proto::RegisterMetaserverRequest request = RequestOf(options_, registration_);
  request.set_address(server_.address().ToString());
  request.set_grpc_address(grpc_address_);
  proto::RegisterMetaserverResponse response;
  CURVEFS_CHECK_OK(link_->Register(request, &response, limit));
  if (response.metaserver().metaserver_id() != server_.id()) {
    return {Code::kExists, "the MDS knows this metaserver as " +
                               std::to_string(response.metaserver().metaserver_id()) + ", its directory as " +
                               std::to_string(server_.id())};
  }
  return {};
}

void Heartbeats::Run() {
  Duration interval = kRetry;
  std::string told;
  for (;;) {
    Status s = Beat(&interval);
    if (s.code() == Code::kInterrupted) return;
    // It was deleted from the topology, or the MDS has lost its memory: as at the beginning.
    if (s.code() == Code::kNotFound) s = Register(kLimit);
    const std::string text = s.ok() ? "" : s.ToString();
    if (text != told) {
      if (s.ok()) {
        Log(LogLevel::kInfo, "the MDS hears this metaserver again");
      } else {
        Log(LogLevel::kWarning, "heartbeats to the MDS fail: " + text);
      }
      told = text;
    }
    const MutexLock lock(mu_);
    const SteadyTime next = Clock::System().Steady() + (s.ok() ? interval : std::max(interval, kRetry));
    while (!ending_ && Clock::System().Steady() < next) (void)changed_.WaitUntil(mu_, next);
    if (ending_) return;
  }
}

// Blocks until the loops have answered.
std::string Heartbeats::Ask(uint16_t method, const std::string& request) {
  struct Waiting {
    Mutex mu;
    CondVar changed;
    bool there CURVEFS_GUARDED_BY(mu) = false;
    std::string bytes CURVEFS_GUARDED_BY(mu);
  };
  auto waiting = std::make_shared<Waiting>();
  server_.Handle(method, request, [waiting](std::string bytes) {
    const MutexLock lock(waiting->mu);
    waiting->there = true;
    waiting->bytes = std::move(bytes);
    waiting->changed.NotifyAll();
  });
  const SteadyTime end = Clock::System().Steady() + kLimit;
  const MutexLock lock(waiting->mu);
  while (!waiting->there && Clock::System().Steady() < end)
    (void)waiting->changed.WaitUntil(waiting->mu, end);
  return waiting->there ? waiting->bytes : EncodeFailure({Code::kTimedOut}, 0, "");
}

Status Heartbeats::Beat(Duration* interval) {
  proto::HeartbeatRequest request;
  request.set_metaserver_id(static_cast<uint32_t>(server_.id()));
  request.set_token(registration_.token);
  request.set_cluster_uuid(registration_.cluster);
  request.set_version(options_.version);
  request.set_sessions(server_.sessions());
  request.set_office_term(server_.office_term());
  if (auto space = Disk::Posix().Space(options_.dir)) {
    request.set_disk_bytes(space->total_bytes);
    request.set_disk_free_bytes(space->free_bytes);
  }
  proto::ListCopysetsResponse list;
  if (!list.ParseFromString(Ask(NumberOf("ListCopysets"), proto::ListCopysetsRequest().SerializeAsString())))
    return {Code::kIo, "the list of copysets cannot be read"};
  CURVEFS_CHECK_OK(StatusOf(list.header()));
  request.mutable_copyset()->Swap(list.mutable_status());

  proto::HeartbeatResponse response;
  CURVEFS_CHECK_OK(link_->Heartbeat(request, &response, kLimit));
  *interval = std::clamp<Duration>(std::chrono::milliseconds(response.interval_ms()), kShortest, kLongest);
  for (const auto& peer : response.peer())
    server_.LearnAddress(raft::ReplicaId(peer.replica_id()), peer.address());
  if (response.has_access()) {
    if (Status s = server_.access().Learn(response.access()); !s.ok())
      Log(LogLevel::kWarning, "who may do what, as the MDS says, cannot be kept: " + s.ToString());
  }
  for (const auto& command : response.command()) Carry(command);
  return {};
}

void Heartbeats::Carry(const proto::HeartbeatCommand& command) {
  auto carry = [this](const char* name, auto request) {
    request.mutable_header()->set_timeout_ms(kCommandLimitMs);
    proto::CreateCopysetResponse response;  // all have the header first
    const std::string what =
        "the MDS wants " + std::string(name) + " of copyset " + std::to_string(request.header().copyset_id());
    // Without a term of office it would count as an operator's.
    if (request.header().office_term() == 0)
      return Log(LogLevel::kWarning, what + " without a term of office: not done");
    Status s(Code::kIo, "no answer");
    if (response.ParseFromString(Ask(NumberOf(name), request.SerializeAsString())))
      s = StatusOf(response.header());
    const bool expected =
        s.ok() || s.code() == Code::kExists || s.code() == Code::kBusy || s.code() == Code::kNotLeader;
    Log(expected ? LogLevel::kInfo : LogLevel::kWarning, what + ": " + s.ToString());
  };
  if (command.has_create()) carry("CreateCopyset", command.create());
  if (command.has_change()) carry("ChangePeers", command.change());
  if (command.has_transfer()) carry("TransferLeader", command.transfer());
  if (command.has_destroy()) carry("DestroyCopyset", command.destroy());
}

}  // namespace curvefs::metaserver
