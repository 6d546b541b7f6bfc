// The records of the metadata and the messages of metaserver.proto, converted into one another: the
// metaserver and the client both need it.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "meta/records.h"
#include "meta/transaction.h"
#include "proto/metaserver.pb.h"

namespace curvefs {

// Codes and MetaStatusCode have the same numbers. One that this program does not know is kIo.
proto::MetaStatusCode ToWire(Code code);
Code FromWire(proto::MetaStatusCode code);
// The status that a response's header states.
Status StatusOf(const proto::ResponseHeader& header);
// An encoded response, of whatever call, that has a header and nothing else.
std::string EncodeFailure(const Status& status, uint64_t leader, const std::string& leader_address);

// The same, of a call that met a lock (kLocked).
std::string EncodeLocked(const Status& status, const meta::LockedBy& by);

// 16 bytes. kInvalid: another number of them.
std::string ToWire(const meta::TransactionId& id);
Result<meta::TransactionId> TransactionIdOf(std::string_view bytes);
meta::LockedBy FromWire(const proto::LockedBy& by);
void ToWire(const meta::TransactionPart& part, proto::TransactionPart* out);
Result<meta::TransactionPart> FromWire(const proto::TransactionPart& part);  // kInvalid

void ToWire(FsId fs, const meta::Inode& inode, proto::Inode* out);
meta::Inode FromWire(const proto::Inode& in);

// `file`: whose content it is.
void ToWire(InodeId file, const meta::ChunkRecord& record, proto::S3ChunkInfo* out);
Result<meta::ChunkRecord> FromWire(InodeId file, const proto::S3ChunkInfo& in);  // kInvalid
Result<std::vector<meta::ChunkRecord>> FromWire(
    InodeId file, const google::protobuf::RepeatedPtrField<proto::S3ChunkInfo>& in);

}  // namespace curvefs
