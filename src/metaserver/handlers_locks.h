// Calls about advisory locks: rows of handlers.cc.
#pragma once

#include "metaserver/handlers.h"

namespace curvefs::metaserver::calls {

void SetLock(const MetaTarget& target, std::string_view request, Answer answer);
void GetLock(const MetaTarget& target, std::string_view request, Answer answer);
void SayLocks(const MetaTarget& target, std::string_view request, Answer answer);

}  // namespace curvefs::metaserver::calls
