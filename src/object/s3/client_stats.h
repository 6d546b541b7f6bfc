// What a client has asked a store and what it was told: counters for .stats (docs/OPERATIONS.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "object/s3/errors.h"
#include "object/s3/transport.h"

namespace curvefs::object::s3 {

// The kinds of request. Parts of a large object are of kMultipart, as are its begin and end.
enum class Kind : uint8_t { kPut, kGet, kHead, kDelete, kDeleteMany, kList, kMultipart };
inline constexpr std::array<std::string_view, 7> kKindNames = {"put",         "get",  "head",     "delete",
                                                               "delete_many", "list", "multipart"};

struct ClientStats {
  TransportStats transport;
  std::array<uint64_t, kKindNames.size()> requests = {};      // by Kind; each try counts
  std::array<uint64_t, kErrorClassNames.size()> errors = {};  // by ErrorClass; each failed try counts
  uint64_t retries = 0;
  uint64_t failures = 0;  // requests that were tried for as long as allowed, in vain

  uint64_t of(Kind kind) const { return requests[static_cast<size_t>(kind)]; }
  uint64_t of(ErrorClass c) const { return errors[static_cast<size_t>(c)]; }
};

// Lines "s3_… N".
std::string StatsText(const ClientStats& stats);

}  // namespace curvefs::object::s3
