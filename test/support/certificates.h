// Certificates for tests of TLS: an authority that lasts as long as the test, with its files in a directory.
#pragma once

#include <memory>
#include <string>

#include "net/authority.h"

namespace curvefs::test {

class Authority {
 public:
  // Writes NAME-ca.pem and NAME-ca.key into `directory`, which exists.
  Authority(const std::string& directory, const std::string& name);

  // A certificate for `host`: a name, or an address. `expired`: since a moment ago.
  net::TlsFiles Issue(const std::string& host, bool expired = false);

 private:
  const std::string stem_;
  std::unique_ptr<net::Authority> authority_;
  int issued_ = 0;
};

}  // namespace curvefs::test
