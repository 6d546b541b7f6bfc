// What a browser, Prometheus and a load balancer ask: GET /metrics and GET /health, by plain HTTP.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/status.h"

namespace curvefs::net {

class HttpService {
 public:
  // Path to text; called on threads of its own, one at a time.
  using Page = std::function<std::string()>;

  // Serves on "HOST:PORT", port 0: any. kUnavailable: the address is not to be had.
  static Result<std::unique_ptr<HttpService>> Start(const std::string& host, int port, Page metrics,
                                                    Page health);
  ~HttpService();  // waits for requests under way

  int port() const;

 private:
  struct Rep;
  explicit HttpService(std::unique_ptr<Rep> rep);
  std::unique_ptr<Rep> rep_;
};

}  // namespace curvefs::net
