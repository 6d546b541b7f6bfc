#include "test/support/certificates.h"

#include <chrono>
#include <utility>

namespace curvefs::test {
namespace {

constexpr std::chrono::seconds kDay = std::chrono::hours(24), kOver(-1);

}  // namespace

Authority::Authority(const std::string& directory, const std::string& name) : stem_(directory + "/" + name) {
  auto made = net::Authority::Make(stem_, name, kDay);
  CURVEFS_CHECK(made.has_value());
  authority_ = *std::move(made);
}

net::TlsFiles Authority::Issue(const std::string& host, bool expired) {
  auto issued = authority_->Issue(stem_ + "-" + std::to_string(++issued_), {host}, expired ? kOver : kDay);
  CURVEFS_CHECK(issued.has_value());
  return *std::move(issued);
}

}  // namespace curvefs::test
