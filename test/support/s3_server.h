// An S3 server for tests: one process, objects in memory. It checks what a real one checks (signatures,
// payload hashes, times, keys, permissions, conditions), with its own code, and fails as it is told.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "test/support/http_server.h"

namespace curvefs::test {

struct S3ServerOptions {
  uint16_t port = 0;  // 0: any
  std::string access_key = "TESTACCESSKEY", secret_key = "test/secret+key";
  std::string session_token;  // if set, requests must bring it
  std::string region = "test-region-1";
  std::vector<std::string> buckets = {"bucket"};
  size_t page = 1000;  // keys of a list's page
  const Certificate* certificate = nullptr;
  uint64_t seed = 1;  // of faults that happen to a share of the requests
};

struct S3Fault {
  enum class Kind {
    kReset,
    kLostReply,
    kTruncate,
    kBlackHole,
    kHold,
    kSlowDown,     // 503 with the code SlowDown
    kInternal,     // 500
    kThrottled,    // 429 without a body
    kFlipBit,      // one bit of the body of the reply is wrong
    kIgnoreRange,  // the whole object in place of the range
  };
  Kind kind = Kind::kReset;
  std::string method;        // empty: any
  std::string part_of_path;  // of the path and query as they came; empty: any
  uint64_t after = 0;        // so many matching requests pass first
  uint64_t count = 1;        // then so many fail
  double share = 1;          // of those, by chance
};

class S3Server {
 public:
  explicit S3Server(S3ServerOptions options = {});
  ~S3Server();

  std::string endpoint() const;          // "http://127.0.0.1:PORT"
  std::string virtual_endpoint() const;  // "http://localhost:PORT", for BUCKET.localhost
  HttpServer& http() { return *http_; }

  void Inject(S3Fault fault);
  void ClearFaults();
  void SetKeys(std::string access_key, std::string secret_key);
  void Deny(std::set<std::string> methods);             // AccessDenied for these from now on
  void set_conditions(bool on) { conditions_ = on; }    // off: If-None-Match is ignored
  void set_delete_many(bool on) { delete_many_ = on; }  // off: 501

  std::map<std::string, std::string> Objects(const std::string& bucket = "bucket") const;
  void SetObject(const std::string& key, std::string content, const std::string& bucket = "bucket");
  uint64_t requests(const std::string& method) const;  // that were answered or failed; empty: all
  uint64_t injected() const { return injected_; }
  size_t unfinished_uploads() const;

 private:
  struct Object {
    std::shared_ptr<const std::string> content;
    std::string etag;
  };
  struct Upload {
    std::string bucket, key;
    std::map<uint64_t, Object> parts;
  };
  using Bucket = std::map<std::string, Object>;
  using Query = std::map<std::string, std::string>;

  WireFault Choose(HttpRequest& request);
  HttpReply Handle(const HttpRequest& request);
  HttpReply Authorize(const HttpRequest& request);  // status 200: go on
  HttpReply OnBucket(const HttpRequest& request, const std::string& bucket, const Query& query);
  HttpReply OnObject(const HttpRequest& request, const std::string& bucket, const std::string& key,
                     const Query& query);
  HttpReply Get(const HttpRequest& request, const Object& object);
  HttpReply List(Bucket& bucket, const Query& query);
  HttpReply DeleteMany(const HttpRequest& request, Bucket& bucket);
  HttpReply Multipart(const HttpRequest& request, const std::string& bucket, const std::string& key,
                      const Query& query);

  S3ServerOptions options_;
  mutable std::mutex mu_;
  std::map<std::string, Bucket> buckets_;
  std::map<std::string, Upload> uploads_;
  std::vector<S3Fault> faults_;
  std::map<std::string, uint64_t> requests_;
  std::set<std::string> denied_;
  std::mt19937_64 random_;
  uint64_t next_upload_ = 1;
  std::atomic<uint64_t> injected_ = 0;
  std::atomic<bool> conditions_ = true, delete_many_ = true;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace curvefs::test
