// The calls of CopysetService: request bytes in, response bytes out, as handlers.h has it for the metadata.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "metaserver/handlers.h"

namespace curvefs::metaserver {

class MetaServer;

struct AdminMethod {
  uint16_t number;                                                           // on the hot wire; never reused
  std::string_view name;                                                     // in CopysetService
  void (*run)(MetaServer& server, std::string_view request, Answer answer);  // on any thread
};
std::span<const AdminMethod> AdminMethods();
const AdminMethod* FindAdminMethod(uint16_t number);

}  // namespace curvefs::metaserver
