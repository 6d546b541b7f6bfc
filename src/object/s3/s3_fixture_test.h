// What the tests of this folder share: a test server, and clients that retry quickly.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

#include "object/s3/client.h"
#include "test/support/s3_server.h"

namespace curvefs::object::s3 {

inline std::string RandomBytes(size_t n, uint32_t seed = 1) {
  std::mt19937_64 random(seed);
  std::string s(n, '\0');
  for (auto& c : s) c = static_cast<char>(random());
  return s;
}

inline ClientOptions QuickOptions(const test::S3Server& server) {
  ClientOptions o;
  o.bucket = "bucket";
  o.endpoint = *Endpoint::Parse(server.endpoint());
  o.region = "test-region-1";
  o.first_pause = std::chrono::microseconds(100);
  o.longest_pause = std::chrono::milliseconds(2);
  return o;
}

inline Result<Credentials> TestKeys() {
  return Credentials{"TESTACCESSKEY", "test/secret+key", ""};
}

class S3Test : public testing::Test {
 protected:
  using Kind = test::S3Fault::Kind;

  std::unique_ptr<Client> MakeClient(const ClientOptions& options, Client::CredentialSource keys = TestKeys,
                                     const Clock& clock = Clock::System()) {
    auto client = Client::Make(options, std::move(keys), clock);
    EXPECT_TRUE(client) << client.error().ToString();
    return *std::move(client);
  }
  // Gives up after the first try that fails.
  ClientOptions Once() const {
    ClientOptions o = QuickOptions(server_);
    o.retry_total = Duration(0);
    return o;
  }

  test::S3Server server_;
  std::unique_ptr<Client> client_ = MakeClient(QuickOptions(server_));
};

inline BufferList One(std::string_view bytes) {
  return {BufferSlice::CopyOf(bytes)};
}

inline bool Says(const Status& s, std::string_view text) {
  return s.message().find(text) != std::string::npos;
}

}  // namespace curvefs::object::s3
