// The handshake: what the two ends of a connection tell each other first (src/proto/net.proto).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::net {

// Each direction begins with these bytes; then comes the frame kHello.
inline constexpr std::string_view kPreface = "CURVEFSN";

inline constexpr uint32_t kVersion = 1;        // of the wire that this program speaks …
inline constexpr uint32_t kOldestVersion = 1;  // … and the oldest that it understands

enum class Role : uint8_t { kSession = 1, kPeer = 2, kPeerSnapshots = 3 };

struct Hello {
  uint32_t version = kVersion;
  uint32_t oldest = kOldestVersion;
  uint64_t features = 0;  // bits: what the sender can do …
  uint64_t needs = 0;     // … and what it needs the receiver to be able to do
  Role role = Role::kSession;
  uint64_t sender = 0;       // its id: a process of the cluster, or a session; 0 if it has none
  uint64_t receiver = 0;     // whom it means to speak to; 0: whoever is there
  uint64_t incarnation = 0;  // drawn at the sender's start, so that a restart shows
  std::string cluster;       // both ends must have the same, unless one is empty
  uint32_t max_payload = 0;  // of the frames that the sender takes
  uint32_t lane = 0;         // wanted by the dialling side: which of the server's loops
  uint32_t lanes = 0;        // how many the server has
  std::string info;          // the application's, at most kMaxInfo bytes
};
inline constexpr size_t kMaxInfo = 64 << 10;
inline constexpr size_t kMaxCluster = 64;

std::string EncodeHello(const Hello& hello);
Result<Hello> DecodeHello(std::string_view bytes);

// Whether the two can speak with each other: kUnsupportedVersion; kInvalid if it is the wrong partner.
Status CheckHello(const Hello& mine, const Hello& theirs);

// A Status as a payload: of kGoodbye, and of replies with kError.
std::string EncodeStatus(const Status& status);
Status DecodeStatus(std::string_view bytes);  // kCorrupt if it is not one, or ok

// "host:port", with brackets around an address of IPv6.
struct Address {
  std::string host;
  uint16_t port = 0;
  std::string ToString() const;
  friend bool operator==(const Address&, const Address&) = default;
};
Result<Address> ParseAddress(std::string_view text);

}  // namespace curvefs::net
