// Calls of transactions between partitions, and what they mean for the others.
#include "meta/keys.h"
#include "meta/transaction.h"
#include "metaserver/handlers_fixture_test.h"

namespace curvefs::metaserver {
namespace {

// File system 2, of which partitions 0 and 4 are here and 3 is not.
class TransactionCallsTest : public HandlersTest {
 protected:
  void SetUp() override {
    Open({raft::ReplicaId(1)});
    ASSERT_TRUE(Format(2, "two", {PartitionId(0), PartitionId(4)}).ok());
    now = 2;
  }
  template <typename Request>
  Request Of(uint32_t partition, char id = 'a') {
    Request request;
    request.mutable_header()->set_partition_id(partition);
    request.set_transaction(std::string(16, id));
    return request;
  }
  uint64_t Reserve(uint32_t partition) {
    proto::CreateInodeRequest request;
    request.mutable_header()->set_partition_id(partition);
    request.set_mode(S_IFDIR);
    request.set_reserve(true);
    const auto made = Call<proto::CreateInodeResponse>("CreateInode", request);
    EXPECT_EQ(CodeOf(made), Code::kOk);
    return made.inode().inode_id();
  }
  std::string Key(uint64_t inode) { return meta::InodeKey(FsId(2), InodeId(inode)); }
  proto::GetRecordsResponse Get(const std::vector<std::string>& keys, char id = 'a') {
    auto request = Of<proto::GetRecordsRequest>(0, id);
    for (const auto& key : keys) request.add_key(key);
    return Call<proto::GetRecordsResponse>("GetRecords", request);
  }
  // As of a transaction that renames the inode's owner, found as it is now.
  proto::TransactionPart ChangeOf(uint64_t inode) {
    const auto found = Get({Key(inode)}, 'z');
    EXPECT_EQ(CodeOf(found), Code::kOk);
    meta::TransactionPart part;
    part.expected.push_back({Key(inode), found.record(0).value()});
    auto record = meta::DecodeInode(InodeId(inode), found.record(0).value());
    EXPECT_TRUE(record);
    record->uid = 77;
    part.writes.Set(Key(inode), meta::EncodeInode(*record));
    proto::TransactionPart wire;
    ToWire(part, &wire);
    return wire;
  }
  Code Prepare(uint32_t partition, const proto::TransactionPart& part, char id = 'a') {
    auto request = Of<proto::PrepareTransactionRequest>(partition, id);
    *request.mutable_part() = part;
    return CodeOf(Call<proto::PrepareTransactionResponse>("PrepareTransaction", request));
  }
  Code Finish(uint32_t partition, bool committed, char id = 'a') {
    auto request = Of<proto::FinishTransactionRequest>(partition, id);
    request.set_committed(committed);
    return CodeOf(Call<proto::FinishTransactionResponse>("FinishTransaction", request));
  }
  proto::GetInodeResponse Inode(uint64_t inode) {
    proto::GetInodeRequest request;
    request.set_inode_id(inode);
    return Call<proto::GetInodeResponse>("GetInode", request);
  }
};

TEST_F(TransactionCallsTest, PartitionsThatAreNotHereAreElsewhere) {
  EXPECT_EQ(CodeOf(Inode(MakeInodeId(PartitionId(3), 1).value)), Code::kElsewhere);
  EXPECT_EQ(CodeOf(Inode(MakeInodeId(PartitionId(4), 1).value)), Code::kNotFound);
  EXPECT_EQ(CodeOf(Make(MakeInodeId(PartitionId(3), 1).value, "f")), Code::kElsewhere);
  proto::NewChunksRequest chunks;
  chunks.set_count(1);
  chunks.mutable_header()->set_partition_id(3);
  EXPECT_EQ(CodeOf(Call<proto::NewChunksResponse>("NewChunks", chunks)), Code::kElsewhere);
  chunks.mutable_header()->set_partition_id(4);
  EXPECT_EQ(CodeOf(Call<proto::NewChunksResponse>("NewChunks", chunks)), Code::kOk);
  EXPECT_EQ(CodeOf(Get({Key(MakeInodeId(PartitionId(3), 1).value)})), Code::kElsewhere);
  EXPECT_EQ(Prepare(3, {}), Code::kElsewhere);
  // More of them.
  EXPECT_TRUE(Format(2, "two", {PartitionId(3), PartitionId(4)}).ok());
  EXPECT_EQ(CodeOf(Inode(MakeInodeId(PartitionId(3), 1).value)), Code::kNotFound);
  EXPECT_EQ(Format(2, "other", {PartitionId(3)}).code(), Code::kExists);
}

TEST_F(TransactionCallsTest, NamesOfWhatIsElsewhere) {
  const uint64_t away = MakeInodeId(PartitionId(3), 9).value, here = Make(1, "here").inode().inode_id();
  // As a transaction would have written it.
  meta::TransactionPart part;
  meta::Dentry dentry{InodeId(away), S_IFDIR >> 12};
  part.writes.Set(meta::DentryKey(FsId(2), kRootInode, meta::NameHash(2, "away"), "away"),
                  meta::EncodeDentry(dentry));
  auto request = Of<proto::CommitTransactionRequest>(0);
  ToWire(part, request.mutable_part());
  EXPECT_EQ(CodeOf(Call<proto::CommitTransactionResponse>("CommitTransaction", request)), Code::kOk);
  proto::LookupRequest lookup;
  lookup.set_parent_inode_id(1);
  lookup.set_name("away");
  const auto found = Call<proto::LookupResponse>("Lookup", lookup);
  EXPECT_EQ(CodeOf(found), Code::kOk);
  EXPECT_EQ(found.elsewhere_inode_id(), away);
  EXPECT_FALSE(found.has_inode());
  proto::ReadDirRequest list;
  list.set_dir_inode_id(1);
  list.set_with_inodes(true);
  const auto listed = Call<proto::ReadDirResponse>("ReadDir", list);
  ASSERT_EQ(listed.inode_size(), 2);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(listed.inode(i).inode_id(), listed.dentry(i).name() == "away" ? 0 : here);
  proto::GetInodesRequest get;
  get.add_inode_id(here);
  get.add_inode_id(away);
  const auto inodes = Call<proto::GetInodesResponse>("GetInodes", get);
  ASSERT_EQ(inodes.inode_size(), 2);
  EXPECT_EQ(inodes.inode(0).inode_id(), here);
  EXPECT_EQ(inodes.inode(1).inode_id(), 0u);
  for (int i = 0; i < 1000; ++i) get.add_inode_id(here);
  EXPECT_EQ(CodeOf(Call<proto::GetInodesResponse>("GetInodes", get)), Code::kTooBig);
  // What needs it is not done here.
  proto::UnlinkRequest unlink;
  unlink.set_parent_inode_id(1);
  unlink.set_name("away");
  EXPECT_EQ(CodeOf(Call<proto::UnlinkResponse>("Unlink", unlink)), Code::kElsewhere);
}

TEST_F(TransactionCallsTest, WhatIsLockedWaits) {
  const uint64_t dir = Reserve(4);
  ASSERT_EQ(Prepare(4, ChangeOf(dir)), Code::kOk);
  loop.Advance(std::chrono::milliseconds(200));
  const auto refused = Inode(dir);
  EXPECT_EQ(CodeOf(refused), Code::kLocked);
  const meta::LockedBy by = FromWire(refused.header().locked_by());
  EXPECT_EQ(ToWire(by.txn), std::string(16, 'a'));
  EXPECT_EQ(by.partition, PartitionId(4));
  EXPECT_EQ(by.coordinator, PartitionId(0));
  EXPECT_GE(by.age, std::chrono::milliseconds(200));
  proto::UpdateInodeRequest set;
  set.set_inode_id(dir);
  set.set_mode(0700);
  EXPECT_EQ(CodeOf(Call<proto::UpdateInodeResponse>("UpdateInode", set)), Code::kLocked);
  EXPECT_EQ(CodeOf(Get({Key(dir)}, 'b')), Code::kLocked);
  EXPECT_EQ(CodeOf(Get({Key(dir)}, 'a')), Code::kOk) << "its own";
  EXPECT_EQ(Prepare(
                4,
                [&] {
                  proto::TransactionPart part;
                  part.add_locked(Key(dir));
                  return part;
                }(),
                'b'),
            Code::kLocked);
  EXPECT_EQ(CodeOf(Make(1, "f")), Code::kOk) << "what others do not touch goes on";

  proto::ListTransactionsRequest left;
  left.mutable_header()->set_partition_id(4);
  left.set_older_than_ms(10'000);
  EXPECT_EQ(Call<proto::ListTransactionsResponse>("ListTransactions", left).intent_size(), 0);
  left.set_older_than_ms(10);
  EXPECT_EQ(Call<proto::ListTransactionsResponse>("ListTransactions", left).intent_size(), 1);

  const auto resolved =
      Call<proto::ResolveTransactionResponse>("ResolveTransaction", Of<proto::ResolveTransactionRequest>(0));
  EXPECT_EQ(CodeOf(resolved), Code::kOk);
  EXPECT_FALSE(resolved.committed());
  EXPECT_EQ(Finish(4, false), Code::kOk);
  EXPECT_EQ(CodeOf(Inode(dir)), Code::kOk);
  EXPECT_EQ(Inode(dir).inode().uid(), 0u) << "given up";
  auto late = Of<proto::CommitTransactionRequest>(0);
  EXPECT_EQ(CodeOf(Call<proto::CommitTransactionResponse>("CommitTransaction", late)), Code::kStale);
}

TEST_F(TransactionCallsTest, IsCarriedThrough) {
  const uint64_t dir = Reserve(4);
  ASSERT_EQ(Prepare(4, ChangeOf(dir)), Code::kOk);
  auto commit = Of<proto::CommitTransactionRequest>(0);
  commit.add_participant(4);
  EXPECT_EQ(CodeOf(Call<proto::CommitTransactionResponse>("CommitTransaction", commit)), Code::kOk);
  EXPECT_EQ(CodeOf(Inode(dir)), Code::kLocked) << "not before it is finished";
  EXPECT_EQ(Finish(4, true), Code::kOk);
  EXPECT_EQ(Inode(dir).inode().uid(), 77u);
  proto::ListTransactionsRequest left;
  EXPECT_EQ(Call<proto::ListTransactionsResponse>("ListTransactions", left).decision(0).participant(0), 4u);
  EXPECT_EQ(CodeOf(Call<proto::ForgetTransactionResponse>("ForgetTransaction",
                                                          Of<proto::ForgetTransactionRequest>(0))),
            Code::kOk);
  EXPECT_EQ(Call<proto::ListTransactionsResponse>("ListTransactions", left).decision_size(), 0);
}

TEST_F(TransactionCallsTest, DirectoriesDoNotMoveWhileOthersDo) {
  const uint64_t a = Make(1, "a", S_IFDIR | 0755).inode().inode_id();
  ASSERT_EQ(CodeOf(Make(1, "b", S_IFDIR | 0755)), Code::kOk);
  proto::TransactionPart part;
  part.add_locked(meta::DirectoryRenameKey(FsId(2)));
  ASSERT_EQ(Prepare(0, part), Code::kOk);
  proto::RenameRequest rename;
  rename.set_parent_inode_id(1);
  rename.set_name("b");
  rename.set_new_parent_inode_id(a);
  rename.set_new_name("b");
  EXPECT_EQ(CodeOf(Call<proto::RenameResponse>("Rename", rename)), Code::kLocked);
  EXPECT_EQ(Finish(0, false), Code::kOk);
  EXPECT_EQ(CodeOf(Call<proto::RenameResponse>("Rename", rename)), Code::kOk);
}

// What clients of ours never send.
TEST_F(TransactionCallsTest, NothingElseIsReadOrWritten) {
  const uint64_t file = Make(1, "f").inode().inode_id();
  using meta::KeyKind;
  const std::string key = Key(file);
  for (const std::string& bad :
       {std::string(), std::string("x"), key.substr(0, 9), meta::InodeKey(FsId(1), InodeId(1)),
        meta::SessionKey(1), meta::PartitionKey(FsId(2), PartitionId(0)), meta::SuperBlockKey(FsId(2)),
        meta::ChunkKey(FsId(2), InodeId(file), 0, 1), meta::LockKey(key),
        meta::IntentKey(FsId(2), PartitionId(0), {1, 2})}) {
    EXPECT_EQ(CodeOf(Get({bad})), Code::kInvalid);
    proto::TransactionPart part;
    part.add_locked(bad);
    EXPECT_EQ(Prepare(0, part), Code::kInvalid);
    if (bad.empty()) continue;
    meta::TransactionPart write;
    write.writes.Set(bad, "1");
    proto::TransactionPart wire;
    ToWire(write, &wire);
    EXPECT_EQ(Prepare(0, wire), Code::kInvalid);
    auto range = Of<proto::GetRecordsRequest>(0);
    range.set_begin(bad);
    range.set_end(kv::PrefixEnd(bad));
    if (bad != key.substr(0, 9)) {
      EXPECT_EQ(CodeOf(Call<proto::GetRecordsResponse>("GetRecords", range)), Code::kInvalid);
    }
  }
  // A range past what is of one inode.
  auto range = Of<proto::GetRecordsRequest>(0);
  const std::string entries = meta::InodePrefix(FsId(2), KeyKind::kDentry, kRootInode);
  range.set_begin(entries);
  range.set_end(kv::PrefixEnd(entries));
  const auto first = Call<proto::GetRecordsResponse>("GetRecords", range);
  EXPECT_EQ(CodeOf(first), Code::kOk);
  EXPECT_TRUE(first.first().found());
  range.set_end(kv::PrefixEnd(entries) + "x");
  EXPECT_EQ(CodeOf(Call<proto::GetRecordsResponse>("GetRecords", range)), Code::kInvalid);
  // Values that do not decode, of the partition of another, damaged, and too many.
  auto writes = [&](uint32_t partition, const std::string& at, const std::string& value) {
    meta::TransactionPart part;
    part.writes.Set(at, value);
    proto::TransactionPart wire;
    ToWire(part, &wire);
    return Prepare(partition, wire);
  };
  EXPECT_EQ(writes(0, key, "no inode"), Code::kInvalid);
  EXPECT_EQ(writes(4, key, Get({key}).record(0).value()), Code::kInvalid);
  proto::TransactionPart damaged;
  damaged.set_writes("damaged");
  EXPECT_EQ(Prepare(0, damaged), Code::kInvalid);
  proto::TransactionPart many;
  for (uint64_t i = 0; i < 300; ++i) many.add_locked(Key(i + 1));
  EXPECT_EQ(Prepare(0, many), Code::kTooBig);
  auto request = Of<proto::GetRecordsRequest>(0);
  for (int i = 0; i < 300; ++i) request.add_key(key);
  EXPECT_EQ(CodeOf(Call<proto::GetRecordsResponse>("GetRecords", request)), Code::kTooBig);
  request.clear_key();
  request.set_transaction("short");
  EXPECT_EQ(CodeOf(Call<proto::GetRecordsResponse>("GetRecords", request)), Code::kInvalid);
  EXPECT_EQ(CodeOf(Inode(file)), Code::kOk) << "nothing is locked";
}

}  // namespace
}  // namespace curvefs::metaserver
