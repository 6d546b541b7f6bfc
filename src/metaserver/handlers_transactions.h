// Calls of transactions between partitions: rows of handlers.cc.
#pragma once

#include "metaserver/handlers.h"

namespace curvefs::metaserver::calls {

void GetRecords(const MetaTarget& target, std::string_view request, Answer answer);
void PrepareTransaction(const MetaTarget& target, std::string_view request, Answer answer);
void CommitTransaction(const MetaTarget& target, std::string_view request, Answer answer);
void FinishTransaction(const MetaTarget& target, std::string_view request, Answer answer);
void ResolveTransaction(const MetaTarget& target, std::string_view request, Answer answer);
void ForgetTransaction(const MetaTarget& target, std::string_view request, Answer answer);
void ListTransactions(const MetaTarget& target, std::string_view request, Answer answer);

}  // namespace curvefs::metaserver::calls
