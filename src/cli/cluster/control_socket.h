// The way to the supervisor of a cluster: a socket DIR/control, on which each connection brings one line of
// JSON and gets one back. Both ends trust one another: DIR is its owner's.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace curvefs::cli {

class ControlSocket {
 public:
  using Json = nlohmann::ordered_json;

  // One that is there already is taken away: hold a lock against another listener.
  static Result<std::unique_ptr<ControlSocket>> Listen(const std::string& dir);
  ~ControlSocket();

  int fd() const { return fd_; }  // readable: somebody comes
  // Serves one who has come. Without an answer it waits for Release.
  void Serve(const std::function<std::optional<Json>(const Json&)>& answer);
  void Release(const Json& answer);  // to all who wait

 private:
  ControlSocket(std::string dir, int fd) : dir_(std::move(dir)), fd_(fd) {}
  const std::string dir_;
  const int fd_;
  std::vector<int> waiting_;
};

// Sends a request and waits for the answer. kNotFound: nobody listens there.
Result<nlohmann::ordered_json> AskControl(const std::string& dir, const nlohmann::ordered_json& request);

}  // namespace curvefs::cli
