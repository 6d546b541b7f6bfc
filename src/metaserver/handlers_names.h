// Calls about names: the functions behind the rows of handlers.cc.
#pragma once

#include "meta/txn.h"
#include "proto/metaserver.pb.h"

namespace curvefs::metaserver::calls {

using meta::Reader;
using meta::Txn;

Status GetDentry(const Reader&, const proto::GetDentryRequest&, proto::GetDentryResponse*);
Status ListDentry(const Reader&, const proto::ListDentryRequest&, proto::ListDentryResponse*);
Status CreateDentry(Txn&, const proto::CreateDentryRequest&, proto::CreateDentryResponse*);
Status UpdateDentry(Txn&, const proto::UpdateDentryRequest&, proto::UpdateDentryResponse*);
Status DeleteDentry(Txn&, const proto::DeleteDentryRequest&, proto::DeleteDentryResponse*);
Status Lookup(const Reader&, const proto::LookupRequest&, proto::LookupResponse*);
Status ReadDir(const Reader&, const proto::ReadDirRequest&, proto::ReadDirResponse*);
Status Create(Txn&, const proto::CreateRequest&, proto::CreateResponse*);
Status Link(Txn&, const proto::LinkRequest&, proto::LinkResponse*);
Status Unlink(Txn&, const proto::UnlinkRequest&, proto::UnlinkResponse*);
Status RemoveDirectory(Txn&, const proto::RemoveDirectoryRequest&, proto::RemoveDirectoryResponse*);
Status Rename(Txn&, const proto::RenameRequest&, proto::RenameResponse*);

}  // namespace curvefs::metaserver::calls
