// Transport: HTTP exchanges for any number of threads over one driver thread with kept connections.
//
// A thread starts exchanges and waits for each. Bodies are not copied: what is sent is read from the caller's
// buffers, what is received is written into them. Lanes bound how many exchanges run at once; those of one
// lane wait for a place in their order of arrival. An exchange that is slow holds one place of its lane and
// nothing else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/clock.h"

namespace curvefs::object::s3 {

enum class Lane { kUpload, kDownload, kControl };

struct TransportOptions {
  std::string ca_file;                          // empty: the system's certificates
  std::array<size_t, 3> at_once = {16, 32, 8};  // by Lane, each at least 1
  uint64_t upload_bytes_per_second = 0;         // of all uploads together; 0: no limit
  uint64_t download_bytes_per_second = 0;
  Duration connect_timeout = std::chrono::seconds(10);
  // An exchange that moves less than kStallBytes in this time, and is not held back by a limit, is given up.
  Duration stall_timeout = std::chrono::seconds(20);
};
inline constexpr uint64_t kStallBytes = 1024;
inline constexpr size_t kMaxAnswerText = 8 << 20;  // of an answer that is not received into buffers

// A request and its answer.
struct Exchange {
  enum class Outcome {
    kAnswered,      // there is a status
    kNoAddress,     // the name of the host is not known
    kNoConnection,  // nobody answers there
    kUntrusted,     // TLS: the server's certificate does not verify
    kTimedOut,      // the time-out passed, or nothing moved for the stall time-out
    kBroken,        // the connection broke before the answer was whole
    kTooLong,       // the answer is longer than there is room for
  };

  // The request.
  Lane lane = Lane::kControl;
  std::string method;
  std::string url;
  std::vector<std::string> headers;             // "Name: value"
  const BufferList* body = nullptr;             // kept unchanged until the end
  std::vector<std::span<char>> into;            // where the body of a 2xx answer goes; empty: to `text`
  Duration timeout = std::chrono::seconds(60);  // from its start, without the time that a limit held it back

  // The answer.
  Outcome outcome = Outcome::kBroken;
  std::string error;  // in words, unless kAnswered
  int status = 0;
  std::vector<std::pair<std::string, std::string>> answer_headers;  // names in lower case
  std::string text;
  size_t received = 0;  // bytes in `into`
  Duration waited{0};   // for a place in its lane

  // The value of an answer's header; empty if it has none.
  std::string Header(std::string_view name) const;
};

struct TransportStats {
  uint64_t exchanges = 0, connections = 0, sent_bytes = 0, received_bytes = 0;
  uint64_t in_flight = 0, waiting = 0;  // now: under way, and for a place in their lane
};

// Thread-safe.
class Transport {
 public:
  explicit Transport(TransportOptions options);
  ~Transport();  // nothing runs any more
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Runs them all; returns when the last has ended. Each is the caller's until then and may not be touched.
  void Run(std::span<Exchange* const> exchanges);
  // From now on exchanges fail at once, with kTimedOut, those under way too. For the end of a process.
  void GiveUp();
  TransportStats stats() const;

 private:
  class Driver;
  std::unique_ptr<Driver> driver_;
};

}  // namespace curvefs::object::s3
