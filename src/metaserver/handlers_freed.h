// Calls about objects that wait for deletion: rows of handlers.cc.
#pragma once

#include "metaserver/handlers.h"

namespace curvefs::metaserver::calls {

void ListFreed(const MetaTarget& target, std::string_view request, Answer answer);
void DropFreed(const MetaTarget& target, std::string_view request, Answer answer);

}  // namespace curvefs::metaserver::calls
