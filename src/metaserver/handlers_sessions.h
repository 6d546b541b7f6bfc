// Calls about sessions and what they have open: rows of handlers.cc.
#pragma once

#include "metaserver/handlers.h"

namespace curvefs::metaserver::calls {

void OpenSession(const MetaTarget& target, std::string_view request, Answer answer);
void RenewSession(const MetaTarget& target, std::string_view request, Answer answer);
void CloseSession(const MetaTarget& target, std::string_view request, Answer answer);
void OpenInode(const MetaTarget& target, std::string_view request, Answer answer);
void CloseInode(const MetaTarget& target, std::string_view request, Answer answer);
// kBusy: it has names, or a session has it open. kUnavailable: a new leader does not know yet who has.
void DeleteInode(const MetaTarget& target, std::string_view request, Answer answer);

}  // namespace curvefs::metaserver::calls
