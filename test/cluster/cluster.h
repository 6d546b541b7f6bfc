// Three metaservers, copysets on all of them, and a client: what tests and measurements begin with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proto/copyset.pb.h"
#include "test/cluster/client.h"
#include "test/cluster/servers.h"

namespace curvefs::cluster {

class Cluster {
 public:
  // Starts them. `root` is emptied.
  Cluster(std::string program, std::string root, std::vector<std::string> flags = {});
  ~Cluster();

  // Makes copysets 1 … n of three replicas, each with a file system and a session of the client; waits for
  // leaders.
  Status MakeCopysets(size_t n);
  // Copysets first … last, empty.
  Status CreateCopysets(uint64_t first, uint64_t last);
  Servers& servers() { return servers_; }
  Client& client() { return *client_; }
  net::AsioLoop& loop() { return loop_; }

  // A call of CopysetService at one server; the header is the caller's.
  template <typename Response, typename Request>
  Result<Response> Admin(size_t server, std::string_view name, const Request& request) {
    CURVEFS_TRY(const std::string bytes, Ask(server, AdminMethodNumber(name), request.SerializeAsString()));
    Response response;
    if (!response.ParseFromString(bytes)) return Fail(Code::kCorrupt);
    CURVEFS_CHECK_OK(StatusOf(response.header()));
    return response;
  }
  Result<proto::CopysetStatus> Find(size_t server, uint64_t copyset);
  // The server that leads it; waits for one.
  Result<size_t> Leader(uint64_t copyset, Duration limit = std::chrono::seconds(20));

  // Waits until all replicas have applied the same, and says how their states differ; empty: they do not.
  // Nothing may change the state meanwhile.
  std::string CompareReplicas(uint64_t copyset);

 private:
  Result<std::string> Ask(size_t server, uint16_t method, const std::string& request);

  net::AsioLoop loop_;
  Servers servers_;
  std::unique_ptr<Client> client_;
};

}  // namespace curvefs::cluster
