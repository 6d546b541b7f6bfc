// Calls about sessions: rows of handlers.cc.
#pragma once

#include "metaserver/handlers.h"

namespace curvefs::metaserver::calls {

void OpenSession(const MetaTarget& target, std::string_view request, Answer answer);
void RenewSession(const MetaTarget& target, std::string_view request, Answer answer);
void CloseSession(const MetaTarget& target, std::string_view request, Answer answer);

}  // namespace curvefs::metaserver::calls
