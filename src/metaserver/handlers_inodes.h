// Calls about inodes and content: the functions behind the rows of handlers.cc.
#pragma once

#include "meta/txn.h"
#include "proto/metaserver.pb.h"

namespace curvefs::metaserver::calls {

using meta::Reader;
using meta::Txn;

Status GetInode(const Reader&, const proto::GetInodeRequest&, proto::GetInodeResponse*);
Status GetInodes(const Reader&, const proto::GetInodesRequest&, proto::GetInodesResponse*);
Status CreateInode(Txn&, const proto::CreateInodeRequest&, proto::CreateInodeResponse*);
Status UpdateInode(Txn&, const proto::UpdateInodeRequest&, proto::UpdateInodeResponse*);
Status TouchInodes(Txn&, const proto::TouchInodesRequest&, proto::TouchInodesResponse*);
Status SetXattr(Txn&, const proto::SetXattrRequest&, proto::SetXattrResponse*);
Status RemoveXattr(Txn&, const proto::RemoveXattrRequest&, proto::RemoveXattrResponse*);
Status GetXattr(const Reader&, const proto::GetXattrRequest&, proto::GetXattrResponse*);
Status ListXattr(const Reader&, const proto::ListXattrRequest&, proto::ListXattrResponse*);

Status ListChunks(const Reader&, const proto::ListChunksRequest&, proto::ListChunksResponse*);
Status AppendChunks(Txn&, const proto::AppendChunksRequest&, proto::AppendChunksResponse*);
Status ReplaceChunks(Txn&, const proto::ReplaceChunksRequest&, proto::ReplaceChunksResponse*);
Status ZeroRange(Txn&, const proto::ZeroRangeRequest&, proto::ZeroRangeResponse*);
Status Allocate(Txn&, const proto::AllocateRequest&, proto::AllocateResponse*);
Status CloneRange(Txn&, const proto::CloneRangeRequest&, proto::CloneRangeResponse*);
Status NewChunks(Txn&, const proto::NewChunksRequest&, proto::NewChunksResponse*);
Status GetUsage(const Reader&, const proto::GetUsageRequest&, proto::GetUsageResponse*);

}  // namespace curvefs::metaserver::calls
