#include "metaserver/handlers_freed.h"

#include "meta/keys.h"
#include "metaserver/handler_call.h"
#include "metaserver/space.h"

namespace curvefs::metaserver::calls {
namespace {

Status Listing(const MetaTarget& target, const meta::Reader&, const proto::ListFreedRequest& in,
               proto::ListFreedResponse* out) {
  const uint64_t session = in.header().session_id();
  if (!target.copyset->KeepAlive(session, in.header().acknowledged()))
    return {Code::kFenced, "there is no such session, or it has ended"};
  for (const object::ObjectName& name : target.copyset->FreedFor(session, target.fs, kDeleteSlice)) {
    proto::FreedObject* object = out->add_object();
    object->set_chunk_id(name.chunk.value);
    object->set_block(name.block);
    object->set_compaction(name.compaction);
    object->set_inode_id(name.inode.value);
  }
  return {};
}

}  // namespace

void ListFreed(const MetaTarget& target, std::string_view bytes, Answer answer) {
  AtLeader(&Listing, target, bytes, std::move(answer));
}

void DropFreed(const MetaTarget& target, std::string_view bytes, Answer answer) {
  auto drop = [](meta::Txn& txn, const proto::DropFreedRequest& in, proto::DropFreedResponse*) -> Status {
    if (in.object_size() > static_cast<int>(kDeleteSlice))
      return {Code::kTooBig, "too many objects in one request"};
    for (const proto::FreedObject& object : in.object())
      txn.Del(
          meta::FreeKey(txn.fs().fs, PartitionOf(InodeId(object.inode_id())), ChunkId(object.chunk_id())));
    return {};
  };
  RunChange<proto::DropFreedRequest, proto::DropFreedResponse>(drop, target, bytes, std::move(answer));
}

}  // namespace curvefs::metaserver::calls
