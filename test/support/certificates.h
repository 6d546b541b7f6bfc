// Certificates for tests of TLS: an authority that lasts as long as the test, with its files in a directory.
#pragma once

#include <string>

#include "net/tls.h"

namespace curvefs::test {

class Authority {
 public:
  // Writes NAME-ca.pem into `directory`, which exists.
  Authority(std::string directory, std::string name);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  // A certificate for `host`: a name, or an address.
  net::TlsFiles Issue(const std::string& host);

 private:
  const std::string directory_, name_;
  void* key_ = nullptr;          // EVP_PKEY
  void* certificate_ = nullptr;  // X509
  long serial_ = 1;              // NOLINT: OpenSSL's type
};

}  // namespace curvefs::test
