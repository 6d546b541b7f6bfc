// MdsClient: calls on the MDS of a cluster, over gRPC, in plain blocking code. It finds the one that leads,
// among those that are named and those that they name, and sends again while nobody answers.
//
// A request may be carried out twice: the services are made so that this does no harm (mds.proto,
// topology.proto). Only a deletion may find at the second time that there is nothing more: kNotFound, to
// whoever knows that it was there, is success.
//
// Thread-safe. gRPC's headers stay in the .cc.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "net/hello.h"
#include "net/tls.h"
#include "proto/meta_wire.h"

namespace curvefs::client {

struct MdsClientOptions {
  std::vector<net::Address> servers;                 // at least one
  net::TlsFiles tls;                                 // all three, or none
  Duration attempt_limit = std::chrono::seconds(3);  // of one attempt at one MDS
  Duration timeout = std::chrono::seconds(30);  // of a call, all attempts together; longer than an election
  Duration silence =
      std::chrono::seconds(5);  // a call is given up earlier if nobody at all answers for so long
};

// "HOST:PORT,HOST:PORT…". kInvalid: it is none, or empty.
Result<std::vector<net::Address>> ParseMdsList(std::string_view text);

// What one MDS says of itself.
struct MdsSeen {
  std::string address;
  Status answers;  // ok: it does
  bool leads = false;
  std::string leader;  // as far as it knows; empty: nobody
};

class MdsClient {
 public:
  static Result<std::unique_ptr<MdsClient>> To(
      MdsClientOptions options);  // kInvalid: no server, or TLS files that are no good. Asks nothing
  ~MdsClient();

  // `method`: "MdsService/GetFsInfo". The errors of the call itself, and kUnavailable: nobody answers, or
  // nobody leads, as the message says; whether something was done is not known then. kInterrupted: Stop.
  template <typename Response, typename Request>
  Result<Response> Call(std::string_view method, const Request& request) {
    CURVEFS_TRY(const std::string bytes, Ask(method, request.SerializeAsString()));
    Response response;
    if (!response.ParseFromString(bytes)) return Fail(Code::kIo, "the answer of an MDS cannot be understood");
    if (Status s = StatusOf(response.header()); !s.ok()) return Fail(std::move(s));
    return response;
  }

  // Asks each once, for at most `attempt_limit`, all at the same time.
  std::vector<MdsSeen> Look();
  // The one that answered last as the leader; empty if none has.
  std::string leader();

  // Calls that wait fail, and so do those that come.
  void Stop();

 private:
  struct Impl;
  MdsClient(MdsClientOptions options, std::unique_ptr<Impl> impl);
  Result<std::string> Ask(std::string_view method, const std::string& bytes);

  const MdsClientOptions options_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace curvefs::client
