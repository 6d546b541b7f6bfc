// Authority: a certificate authority of one's own, for a cluster on one machine and for tests: it issues
// certificates for both ends of a connection. Elliptic keys (P-256); key files can be read by their owner
// alone.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "net/tls.h"

namespace curvefs::net {

class Authority {
 public:
  // Writes STEM-ca.pem and STEM-ca.key. Its directory exists. kIo.
  static Result<std::unique_ptr<Authority>> Make(std::string stem, const std::string& name,
                                                 std::chrono::seconds valid);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  // A new key and a certificate: FILE.pem and FILE.key. `hosts`: the names and addresses that it is for, at
  // least one. Valid from an hour ago until `valid` from now, which may be over. kIo.
  Result<TlsFiles> Issue(const std::string& file, const std::vector<std::string>& hosts,
                         std::chrono::seconds valid);

 private:
  explicit Authority(std::string stem) : stem_(std::move(stem)) {}
  const std::string stem_;
  void* key_ = nullptr;          // EVP_PKEY
  void* certificate_ = nullptr;  // X509
};

}  // namespace curvefs::net
