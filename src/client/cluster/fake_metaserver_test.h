// A metaserver for tests of the client: its answers are scripted.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "client/cluster/copyset_client.h"
#include "net/listener.h"
#include "net/server.h"
#include "proto/meta_methods.h"
#include "proto/meta_wire.h"

namespace curvefs::client {

struct Seen {
  proto::MetaCall call;
  proto::RequestHeader header;
  std::vector<uint64_t> inodes;  // of OpenInode, CloseInode and TouchInodes
};

// A metaserver: sessions are granted and renewed; what a Create is answered the test says, in this order;
// after that it succeeds. An empty answer is none at all.
// Inodes are opened and closed as they are asked to.
class FakeServer {
 public:
  FakeServer()
      : server_({.request = [this](net::Session&, const net::Request& r, net::Reply reply) {
          Serve(r, std::move(reply));
        }}) {
    auto opened =
        net::Listener::Open(loop_, {.address = {"127.0.0.1", 0}},
                            {.connected = [this](net::ConnectionPtr c) { server_.Adopt(std::move(c)); }});
    CURVEFS_CHECK(opened.has_value());
    listener_ = *std::move(opened);
    thread_ = std::thread([this] { loop_.Run(); });
  }
  ~FakeServer() {
    loop_.Stop();
    thread_.join();
  }
  net::Address address() const { return listener_->address(); }
  void Script(std::deque<std::string> answers) {
    MutexLock lock(mu_);
    answers_ = std::move(answers);
  }
  std::vector<Seen> Changes() {
    MutexLock lock(mu_);
    return seen_;
  }
  // Nothing is answered any more.
  void Hang() {
    MutexLock lock(mu_);
    hangs_ = true;
  }
  uint64_t sessions() {
    MutexLock lock(mu_);
    return sessions_;
  }
  // RenewSession that asked for it, and the last reclaimed_term.
  uint64_t settles() {
    MutexLock lock(mu_);
    return settles_;
  }
  uint64_t reclaimed() {
    MutexLock lock(mu_);
    return reclaimed_;
  }
  void SetCommitted(uint64_t term, uint64_t order) {
    MutexLock lock(mu_);
    committed_term_ = term;
    committed_order_ = order;
  }

  static std::string Failure(Code code, const std::string& leader = "") {
    return EncodeFailure({code, "scripted"}, 0, leader);
  }

 private:
  void Serve(const net::Request& request, net::Reply reply) {
    MutexLock lock(mu_);
    if (hangs_) return;
    const auto call = static_cast<proto::MetaCall>(request.type);
    if (call == proto::MetaCall::kOpenSession) {
      proto::OpenSessionResponse response;
      response.set_session_id(++sessions_);
      response.set_lease_ms(60'000);
      return reply(response.SerializeAsString());
    }
    if (call == proto::MetaCall::kRenewSession) {
      proto::RenewSessionResponse response;
      response.set_lease_ms(60'000);
      proto::RenewSessionRequest in;
      CURVEFS_CHECK(in.ParseFromArray(request.bytes.data(), static_cast<int>(request.bytes.size())));
      if (in.reclaimed_term() != 0) reclaimed_ = in.reclaimed_term();
      if (in.settle()) {
        ++settles_;
        response.mutable_header()->set_term(committed_term_);
        response.mutable_header()->set_committed_order(committed_order_);
      }
      return reply(response.SerializeAsString());
    }
    if (call == proto::MetaCall::kCloseSession)
      return reply(proto::CloseSessionResponse().SerializeAsString());
    if (call == proto::MetaCall::kOpenInode) {
      proto::OpenInodeResponse response;
      for (const uint64_t inode : Note<proto::OpenInodeRequest>(call, request.bytes).inodes) {
        response.add_status(proto::OK);
        response.add_inode()->set_inode_id(inode);
      }
      return reply(response.SerializeAsString());
    }
    if (call == proto::MetaCall::kCloseInode) {
      Note<proto::CloseInodeRequest>(call, request.bytes);
      return reply(proto::CloseInodeResponse().SerializeAsString());
    }
    if (call == proto::MetaCall::kTouchInodes) {
      proto::TouchInodesRequest in;
      CURVEFS_CHECK(in.ParseFromArray(request.bytes.data(), static_cast<int>(request.bytes.size())));
      Seen& seen = seen_.emplace_back(Seen{call, in.header(), {}});
      for (const auto& touched : in.touched()) seen.inodes.push_back(touched.inode_id());
      return reply(proto::TouchInodesResponse().SerializeAsString());
    }
    proto::CreateRequest in;
    ASSERT_TRUE(in.ParseFromArray(request.bytes.data(), static_cast<int>(request.bytes.size())));
    seen_.push_back({call, in.header(), {}});
    if (answers_.empty()) {
      proto::CreateResponse response;
      response.mutable_inode()->set_inode_id(42);
      return reply(response.SerializeAsString());
    }
    std::string answer = std::move(answers_.front());
    answers_.pop_front();
    if (!answer.empty()) reply(std::move(answer));
  }

  template <typename Request>
  const Seen& Note(proto::MetaCall call, std::string_view bytes) CURVEFS_REQUIRES(mu_) {
    Request in;
    CURVEFS_CHECK(in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    return seen_.emplace_back(Seen{call, in.header(), {in.inode_id().begin(), in.inode_id().end()}});
  }

  net::AsioLoop loop_;
  net::Server server_;
  std::unique_ptr<net::Listener> listener_;
  Mutex mu_;
  std::deque<std::string> answers_ CURVEFS_GUARDED_BY(mu_);
  std::vector<Seen> seen_ CURVEFS_GUARDED_BY(mu_);
  uint64_t sessions_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint64_t settles_ CURVEFS_GUARDED_BY(mu_) = 0, reclaimed_ CURVEFS_GUARDED_BY(mu_) = 0;
  uint64_t committed_term_ CURVEFS_GUARDED_BY(mu_) = 0, committed_order_ CURVEFS_GUARDED_BY(mu_) = 0;
  bool hangs_ CURVEFS_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

// A copyset of one such server, and a client of it.
struct FakeCopyset {
  FakeCopyset() {
    CopysetClientOptions options;
    options.servers = {server.address()};
    options.copyset = 7;
    options.fs = FsId(1);
    options.owner = "test";
    auto opened = CopysetClient::Open(std::move(options));
    CURVEFS_CHECK(opened.has_value());
    copyset = *std::move(opened);
  }
  size_t Calls(proto::MetaCall call) {
    return static_cast<size_t>(std::ranges::count(server.Changes(), call, &Seen::call));
  }
  // The inodes of all calls of this kind, one after another.
  std::vector<uint64_t> Named(proto::MetaCall call) {
    std::vector<uint64_t> all;
    for (const Seen& seen : server.Changes())
      if (seen.call == call) all.insert(all.end(), seen.inodes.begin(), seen.inodes.end());
    return all;
  }
  void Await(proto::MetaCall call, size_t named) {
    const SteadyTime end = Clock::System().Steady() + std::chrono::seconds(30);
    while (Named(call).size() < named && Clock::System().Steady() < end) std::this_thread::yield();
  }

  FakeServer server;
  std::unique_ptr<CopysetClient> copyset;
};

}  // namespace curvefs::client
