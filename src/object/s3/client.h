// Client: the requests of S3 that CurveFS needs, on one bucket, with retries.
//
//   CURVEFS_TRY(auto client, s3::Client::Make(options, [] { return FindCredentials(…); }, Clock::System()));
//   CURVEFS_CHECK_OK(client->Put("a/b", data));
//
// Every call blocks until it has succeeded, failed for good, or has been tried for `retry_total`. What may
// pass by itself (5xx, 429, SlowDown, resets, time-outs) is tried again after a growing, random pause. When
// the store blames the keys they are read anew, once per call. Errors: object/s3/errors.h.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/status.h"
#include "object/s3/client_stats.h"
#include "object/s3/credentials.h"
#include "object/s3/errors.h"
#include "object/s3/location.h"
#include "object/s3/transport.h"
#include "object/s3/xml.h"

namespace curvefs::object::s3 {

struct ClientOptions {
  std::string bucket;
  Endpoint endpoint;
  Style style = Style::kPath;
  std::string region = "us-east-1";
  bool sign_payload = true;  // else bodies are not covered by the signature; only over TLS
  TransportOptions transport;
  Duration request_timeout = std::chrono::seconds(60);  // of one try
  Duration retry_total =
      std::chrono::seconds(60);  // no further try begins after this, counted from the first
  Duration first_pause = std::chrono::milliseconds(100);
  Duration longest_pause = std::chrono::seconds(5);
  uint64_t part_bytes =
      16 << 20;  // what is larger is uploaded in parts of this size; S3 wants at least 5 MiB
};

inline constexpr size_t kMaxDeleteBatch = 1000;  // keys of one request, by S3
inline constexpr size_t kMaxParts = 10'000;      // of one upload, by S3

// A part of an object to read, and where to.
struct RangeRead {
  std::string key;
  bool from_end = false;  // the last `bytes` bytes, or all if the object is shorter; offset is not used
  uint64_t offset = 0;
  uint64_t bytes = 0;                 // at least 1
  std::vector<std::span<char>> into;  // together at least `bytes` bytes

  // After success: what came, [first, first + received) of an object of `total` bytes. Less than was asked
  // for only at the object's end.
  uint64_t first = 0, received = 0, total = 0;
  Status status;
};

// Thread-safe.
class Client {
 public:
  using CredentialSource = std::function<Result<Credentials>()>;

  // Makes no request. `clock` (for signatures) outlives it.
  static Result<std::unique_ptr<Client>> Make(ClientOptions options, CredentialSource credentials,
                                              const Clock& clock);
  ~Client();

  // With `if_absent` kExists when the key is there. (Also when an earlier try of the same call put it, and
  // its answer was lost: whoever needs to know reads it.)
  Status Put(const std::string& key, const BufferList& body, bool if_absent = false);
  // A whole object of at most kMaxAnswerText bytes.
  Result<std::string> Get(const std::string& key);
  // All at the same time; each has its own status, and the first that is not ok is returned.
  Status Read(std::span<RangeRead> reads);
  // The size. kNotFound also when the bucket is not there: HEAD gives no details.
  Result<uint64_t> Head(const std::string& key);
  Status Delete(const std::string& key);  // of one that is not there: ok
  Status DeleteMany(std::span<const std::string> keys);
  // Keys that begin with `prefix` and are greater than `after`, in the order of their bytes, until `visit`
  // returns false. It may make requests.
  Status List(const std::string& prefix, const std::string& after,
              const std::function<bool(const ListedObject&)>& visit);

  // From now on nothing is tried again, and what is under way fails: for the end of a process whose store is
  // away.
  void GiveUp();

  ErrorContext Context(std::string_view method, std::string_view key) const;
  ClientStats stats() const;

 private:
  struct Request;

  Client(ClientOptions options, CredentialSource source, Credentials credentials, const Clock& clock);
  void Execute(std::span<Request*> requests);
  void Execute(Request* request);
  void Prepare(Request* request, const Credentials& credentials);
  bool Judge(Request* request, const Credentials& used);  // whether it is to be tried again
  bool Reread(const Credentials& used);
  Duration Pause(size_t tries);
  bool Wait(Duration pause);  // false: GiveUp has been called
  void Report(const Request& request, bool gave_up);
  Status PutParts(const std::string& key, const BufferList& body, bool if_absent);
  Status DeleteBatch(std::span<const std::string> keys);

  const ClientOptions options_;
  const CredentialSource source_;
  const Clock& clock_;
  Transport transport_;
  std::array<std::atomic<bool>, 3> failing_ = {};  // by Lane: what was last said in the log
  std::atomic<bool> no_delete_many_ = false;
  std::atomic<uint64_t> retries_ = 0, failures_ = 0;
  std::array<std::atomic<uint64_t>, kKindNames.size()> requests_ = {};
  std::array<std::atomic<uint64_t>, kErrorClassNames.size()> errors_ = {};

  mutable Mutex mu_;  // a leaf
  CondVar gave_up_;
  bool given_up_ CURVEFS_GUARDED_BY(mu_) = false;
  Credentials credentials_ CURVEFS_GUARDED_BY(mu_);
  std::mt19937_64 random_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace curvefs::object::s3
