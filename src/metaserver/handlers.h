// Handlers: the metadata service of a copyset, request bytes in, response bytes out. It knows no transport:
// gRPC and the hot wire both end here.
//
// One row of MetaMethods is one call of MetaServerService: decoded, checked, evaluated in the copyset,
// encoded. A new operation is one more row.
//
// Everything on the loop of the copyset.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "metaserver/replicated_copyset.h"
#include "raft/types.h"

namespace curvefs::metaserver {

// What a handler works on.
struct MetaTarget {
  ReplicatedCopyset* copyset = nullptr;
  raft::Group* group = nullptr;
  FsId fs;  // whom the copyset was made for; it may hold others too
  // Where a replica is to be found; empty if it is not known.
  std::function<std::string(raft::ReplicaId)> address_of;
  std::shared_ptr<ClientLink> link;  // of the client that asks; null: it cannot be told anything later
};

// Called exactly once, perhaps before the call returns, with an encoded response.
using Answer = std::function<void(std::string)>;

struct MetaMethod {
  uint16_t number;        // on the hot wire; never reused
  std::string_view name;  // in MetaServerService
  bool changes;
  void (*run)(const MetaTarget& target, std::string_view request, Answer answer);
};
std::span<const MetaMethod> MetaMethods();
const MetaMethod* FindMetaMethod(uint16_t number);
const MetaMethod* FindMetaMethod(std::string_view name);

// The bounds of an answer that lists: a client asks again for what is behind.
inline constexpr size_t kMaxListed = 10'000;
inline constexpr size_t kMaxListedBytes = 1 << 20;

// The encoded failure of a call that came to this target.
std::string FailureOf(const MetaTarget& target, const Status& status);

}  // namespace curvefs::metaserver
