#include "test/wire/process.h"

#include <future>
#include <utility>

#include "raft/etcd/etcd_engine.h"

namespace curvefs::test {

Process::Process(ProcessId id, const ProcessOptions& options, SimDisk& disk, uint16_t port)
    : id_(id), options_(options), disk_(disk), engine_(raft::MakeEtcdEngine()) {
  auto there = disk_.Exists("/log");
  const bool create = there.has_value() && !*there;
  if (create) CURVEFS_CHECK(disk_.MakeDir("/log").ok() && disk_.SyncDir("/").ok());
  auto log = raft::LogStore::Open(disk_, "/log",
                                  {.journal = {.segment_bytes = 4 << 20, .prepare_ahead = false}}, nullptr);
  CURVEFS_CHECK(log.has_value());
  log_ = *std::move(log);
  transport_ = std::make_unique<raft::NetTransport>(loop_, id, options.wire);
  net::ListenerOptions listen{.address = {"127.0.0.1", port}, .connection = options.wire.connection};
  listen.hello.sender = id;
  auto listener = net::Listener::Open(
      loop_, std::move(listen),
      {.admit = [this](const net::Hello& h, net::Hello* r) { return transport_->Admit(h, r); },
       .connected = [this](net::ConnectionPtr c) { transport_->Adopt(std::move(c)); }});
  CURVEFS_CHECK(listener.has_value());
  listener_ = *std::move(listener);
  host_ = std::make_unique<raft::Host>(options.raft, *engine_, *log_, *transport_, *this);
  for (uint64_t g = 1; g <= options.groups; ++g) OpenGroup(GroupId(g), create);
  transport_->Start(*this);
  loop_.AddHook(this, [this] {
    ++rounds_;
    host_->Pump();
  });
  Tick();
}

void Process::OpenGroup(GroupId group, bool create) {
  raft::SnapshotMeta first{.index = 1, .term = 1, .members = {}};
  for (ProcessId p = 1; p <= options_.processes; ++p) {
    first.members.voters.push_back(ReplicaOf(p, group));
    if (p != id_) transport_->SetRoute(group, ReplicaOf(p, group), p);
  }
  sim::Watcher watcher{.applied = [](const raft::Entry&, uint64_t) {},
                       .restored = [](Index, uint64_t) {},
                       .leads = [](bool, raft::Term) {},
                       .members = [](const raft::Members&) {},
                       .later = [this](std::function<void()> call) { loop_.Post(std::move(call)); }};
  auto& machine = machines_[group];
  machine = std::make_unique<sim::RegisterMachine>(disk_, "/state-" + std::to_string(group.value), first,
                                                   std::move(watcher));
  auto opened = create ? host_->Create(group, ReplicaOf(id_, group), *machine)
                       : host_->Open(group, ReplicaOf(id_, group), *machine);
  CURVEFS_CHECK(opened.has_value());
  machine->Attach(*opened);
}

void Process::Run() {
  running_ = true;
  raft::StartEngineThread([this] {
    loop_.Run();
    ended_ = true;
    ended_.notify_one();
  });
}

Process::~Process() {
  if (running_) {
    loop_.Stop();
    ended_.wait(false);
  }
  listener_.reset();
  transport_.reset();
  host_.reset();
}

void Process::Tick() {
  loop_.After(options_.tick, [this] {
    host_->Tick();
    Tick();
  });
}

void Process::Sync(std::function<void(Status)> done) {
  loop_.Post([s = log_->Sync(), done = std::move(done)] { done(s); });
}

void Process::On(const std::function<void()>& call) {
  std::promise<void> done;
  loop_.Post([&] {
    call();
    done.set_value();
  });
  done.get_future().wait();
}

size_t Process::Leads() {
  size_t n = 0;
  On([&] {
    for (const auto& [group, machine] : machines_) n += host_->Find(group)->leads();
  });
  return n;
}

Index Process::Write(GroupId group, uint64_t key, uint64_t value) {
  auto done = std::make_shared<std::promise<Index>>();
  loop_.Post([=, this] {
    machines_[group]->Write(key, value, 0,
                            [done](Result<Index> index) { done->set_value(index.value_or(0)); });
  });
  return done->get_future().get();
}

Result<uint64_t> Process::Read(GroupId group, uint64_t key) {
  auto done = std::make_shared<std::promise<Result<uint64_t>>>();
  loop_.Post([=, this] {
    machines_[group]->Read(key, [done](Result<uint64_t> value) { done->set_value(std::move(value)); });
  });
  return done->get_future().get();
}

Index Process::Applied(GroupId group) {
  Index applied = 0;
  On([&] { applied = machines_[group]->applied(); });
  return applied;
}

std::string Process::Dump(GroupId group) {
  std::string dump;
  On([&] { dump = machines_[group]->Dump(); });
  return dump;
}

uint64_t Process::runs() {
  uint64_t runs = 0;
  On([&] { runs = host_->runs(); });
  return runs;
}

}  // namespace curvefs::test
