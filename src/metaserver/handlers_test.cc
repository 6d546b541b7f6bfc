// Every call of MetaServerService over a copyset with one replica, and with a leader that is none.
#include "metaserver/handlers.h"

#include <gtest/gtest.h>

#include <deque>
#include <set>

#include "metaserver/handlers_fixture_test.h"

namespace curvefs::metaserver {
namespace {

TEST_F(HandlersTest, EveryCallOfTheServiceHasOneRow) {
  const auto* service = proto::GetInodeRequest::descriptor()->file()->FindServiceByName("MetaServerService");
  ASSERT_NE(service, nullptr);
  std::set<std::string_view> rows;
  std::set<uint16_t> numbers;
  for (const MetaMethod& method : MetaMethods()) {
    EXPECT_TRUE(rows.insert(method.name).second) << method.name;
    EXPECT_TRUE(numbers.insert(method.number).second) << method.name;
    EXPECT_EQ(FindMetaMethod(method.number), &method);
    EXPECT_NE(service->FindMethodByName(std::string(method.name)), nullptr) << method.name;
  }
  EXPECT_EQ(rows.size(), static_cast<size_t>(service->method_count()));
  EXPECT_EQ(FindMetaMethod(uint16_t{1}), nullptr);
  EXPECT_EQ(FindMetaMethod(uint16_t{60'000}), nullptr);
}

TEST_F(HandlersTest, NamesAndAttributes) {
  Open({raft::ReplicaId(1)});
  const auto dir = Make(1, "d", S_IFDIR | 0755);
  ASSERT_EQ(CodeOf(dir), Code::kOk);
  const uint64_t d = dir.inode().inode_id();
  const auto file = Make(d, "f");
  EXPECT_EQ(file.inode().uid(), 10u);
  EXPECT_EQ(file.inode().fs_id(), 1u);
  EXPECT_EQ(CodeOf(Make(d, "f")), Code::kExists);

  proto::CreateRequest open;
  open.set_parent_inode_id(d);
  open.set_name("f");
  open.set_mode(S_IFREG | 0600);
  open.set_open_existing(true);
  const auto opened = Call<proto::CreateResponse>("Create", open);
  EXPECT_EQ(CodeOf(opened), Code::kOk);
  EXPECT_TRUE(opened.existed());
  EXPECT_EQ(opened.inode().inode_id(), file.inode().inode_id());
  EXPECT_EQ(opened.inode().mode(), S_IFREG | 0644u);

  proto::UpdateInodeRequest set;
  set.set_inode_id(file.inode().inode_id());
  set.set_mode(0600);
  set.set_length(100);
  const auto changed = Call<proto::UpdateInodeResponse>("UpdateInode", set);
  EXPECT_EQ(changed.inode().mode(), S_IFREG | 0600u);
  EXPECT_EQ(changed.inode().length(), 100u);
  EXPECT_EQ(changed.inode().uid(), 10u) << "not given: as it was";

  proto::LookupRequest lookup;
  lookup.set_parent_inode_id(d);
  lookup.set_name("f");
  EXPECT_EQ(Call<proto::LookupResponse>("Lookup", lookup).inode().SerializeAsString(),
            changed.inode().SerializeAsString());
  proto::GetInodeRequest get;
  get.set_inode_id(file.inode().inode_id());
  EXPECT_EQ(Call<proto::GetInodeResponse>("GetInode", get).inode().length(), 100u);

  proto::LinkRequest link;
  link.set_inode_id(file.inode().inode_id());
  link.set_parent_inode_id(1);
  link.set_name("g");
  EXPECT_EQ(Call<proto::LinkResponse>("Link", link).inode().nlink(), 2u);

  proto::RenameRequest rename;
  rename.set_parent_inode_id(1);
  rename.set_name("g");
  rename.set_new_parent_inode_id(d);
  rename.set_new_name("h");
  const auto renamed = Call<proto::RenameResponse>("Rename", rename);
  EXPECT_EQ(CodeOf(renamed), Code::kOk);
  EXPECT_FALSE(renamed.has_replaced());
  rename.set_kind(static_cast<proto::RenameKind>(77));
  EXPECT_EQ(CodeOf(Call<proto::RenameResponse>("Rename", rename)), Code::kNotSupported);

  proto::UnlinkRequest unlink;
  unlink.set_parent_inode_id(d);
  unlink.set_name("f");
  EXPECT_EQ(Call<proto::UnlinkResponse>("Unlink", unlink).inode().nlink(), 1u);
  EXPECT_EQ(CodeOf(Call<proto::UnlinkResponse>("Unlink", unlink)), Code::kNotFound);

  proto::RemoveDirectoryRequest rmdir;
  rmdir.set_parent_inode_id(1);
  rmdir.set_name("d");
  EXPECT_EQ(CodeOf(Call<proto::RemoveDirectoryResponse>("RemoveDirectory", rmdir)), Code::kNotEmpty);
  unlink.set_name("h");
  EXPECT_EQ(Call<proto::UnlinkResponse>("Unlink", unlink).inode().nlink(), 0u);
  EXPECT_EQ(CodeOf(Call<proto::RemoveDirectoryResponse>("RemoveDirectory", rmdir)), Code::kOk);
}

TEST_F(HandlersTest, PlainCalls) {
  Open({raft::ReplicaId(1)});
  proto::CreateInodeRequest make;
  make.set_parent_inode_id(1);
  make.set_mode(S_IFDIR | 0755);
  EXPECT_EQ(CodeOf(Call<proto::CreateInodeResponse>("CreateInode", make)), Code::kNotSupported);
  make.set_mode(S_IFREG | 0644);
  const auto inode = Call<proto::CreateInodeResponse>("CreateInode", make).inode();
  EXPECT_EQ(inode.nlink(), 0u);
  proto::CreateDentryRequest name;
  name.mutable_dentry()->set_parent_inode_id(1);
  name.mutable_dentry()->set_name("a");
  name.mutable_dentry()->set_inode_id(inode.inode_id());
  EXPECT_EQ(Call<proto::CreateDentryResponse>("CreateDentry", name).inode().nlink(), 1u);
  EXPECT_EQ(CodeOf(Call<proto::CreateDentryResponse>("CreateDentry", name)), Code::kExists);

  proto::GetDentryRequest get;
  get.set_parent_inode_id(1);
  get.set_name("a");
  auto found = Call<proto::GetDentryResponse>("GetDentry", get);
  EXPECT_EQ(found.dentry().inode_id(), inode.inode_id());
  EXPECT_EQ(found.dentry().type(), static_cast<uint32_t>(S_IFREG >> 12));

  // The name comes to stand for another file.
  const auto other = Make(1, "b").inode();
  proto::UpdateDentryRequest update;
  *update.mutable_dentry() = name.dentry();
  update.mutable_dentry()->set_inode_id(other.inode_id());
  const auto updated = Call<proto::UpdateDentryResponse>("UpdateDentry", update);
  EXPECT_EQ(updated.inode().nlink(), 2u);
  EXPECT_EQ(updated.replaced().inode_id(), inode.inode_id());
  EXPECT_EQ(updated.replaced().nlink(), 0u);
  EXPECT_EQ(Call<proto::GetDentryResponse>("GetDentry", get).dentry().inode_id(), other.inode_id());
  EXPECT_EQ(CodeOf(Call<proto::UpdateDentryResponse>("UpdateDentry", update)), Code::kOk) << "as it is";

  proto::DeleteInodeRequest gone;
  gone.set_inode_id(other.inode_id());
  EXPECT_EQ(CodeOf(Call<proto::DeleteInodeResponse>("DeleteInode", gone)), Code::kBusy);
  gone.set_inode_id(inode.inode_id());
  EXPECT_TRUE(Call<proto::DeleteInodeResponse>("DeleteInode", gone).gone());
  EXPECT_EQ(CodeOf(Call<proto::DeleteInodeResponse>("DeleteInode", gone)), Code::kNotFound);

  // Directories too.
  Make(1, "dir", S_IFDIR | 0755);
  proto::DeleteDentryRequest remove;
  remove.set_parent_inode_id(1);
  remove.set_name("dir");
  EXPECT_EQ(Call<proto::DeleteDentryResponse>("DeleteDentry", remove).inode().nlink(), 0u);
}

// Both ways to go through a directory show each entry once, also while others come and go.
TEST_F(HandlersTest, Listings) {
  Open({raft::ReplicaId(1)});
  std::set<std::string> names;
  for (int i = 0; i < 50; ++i) {
    names.insert("n" + std::to_string(i));
    Make(1, "n" + std::to_string(i));
  }
  std::multiset<std::string> by_name, by_cookie;
  proto::ListDentryRequest list;
  list.set_dir_inode_id(1);
  list.set_count(7);
  proto::UnlinkRequest unlink;
  unlink.set_parent_inode_id(1);
  while (true) {
    const auto page = Call<proto::ListDentryResponse>("ListDentry", list);
    EXPECT_LE(page.dentry_size(), 7);
    if (page.dentry_size() == 0) break;
    for (const auto& dentry : page.dentry()) by_name.insert(dentry.name());
    list.set_last(page.dentry().rbegin()->name());
    unlink.set_name(list.last());  // the place is there without the name
    EXPECT_EQ(CodeOf(Call<proto::UnlinkResponse>("Unlink", unlink)), Code::kOk);
    Make(1, list.last());
  }
  proto::ReadDirRequest read;
  read.set_dir_inode_id(1);
  read.set_count(7);
  read.set_with_inodes(true);
  while (true) {
    const auto page = Call<proto::ReadDirResponse>("ReadDir", read);
    if (page.dentry_size() == 0) break;
    ASSERT_EQ(page.inode_size(), page.dentry_size());
    for (int i = 0; i < page.dentry_size(); ++i) {
      by_cookie.insert(page.dentry(i).name());
      EXPECT_EQ(page.inode(i).inode_id(), page.dentry(i).inode_id());
    }
    read.set_cookie(page.dentry().rbegin()->cookie());
  }
  EXPECT_EQ(by_name, std::multiset<std::string>(names.begin(), names.end()));
  EXPECT_EQ(by_cookie, by_name);
  list.set_dir_inode_id(99);
  EXPECT_EQ(CodeOf(Call<proto::ListDentryResponse>("ListDentry", list)), Code::kNotFound);
}

TEST_F(HandlersTest, ContentAndExtendedAttributes) {
  Open({raft::ReplicaId(1)});
  const uint64_t f = Make(1, "f").inode().inode_id(), g = Make(1, "g").inode().inode_id();
  proto::SetXattrRequest xattr;
  xattr.set_inode_id(f);
  xattr.set_name("user.a");
  xattr.set_value("v");
  EXPECT_EQ(CodeOf(Call<proto::SetXattrResponse>("SetXattr", xattr)), Code::kOk);
  proto::GetXattrRequest get;
  get.set_inode_id(f);
  get.set_name("user.a");
  EXPECT_EQ(Call<proto::GetXattrResponse>("GetXattr", get).value(), "v");
  proto::ListXattrRequest list;
  list.set_inode_id(f);
  EXPECT_EQ(Call<proto::ListXattrResponse>("ListXattr", list).names(), std::string("user.a\0", 7));
  proto::RemoveXattrRequest remove;
  remove.set_inode_id(f);
  remove.set_name("user.a");
  EXPECT_EQ(CodeOf(Call<proto::RemoveXattrResponse>("RemoveXattr", remove)), Code::kOk);
  EXPECT_EQ(CodeOf(Call<proto::GetXattrResponse>("GetXattr", get)), Code::kNoAttribute);

  proto::NewChunksRequest chunks;
  EXPECT_EQ(CodeOf(Call<proto::NewChunksResponse>("NewChunks", chunks)), Code::kInvalid);
  chunks.set_count(3);
  const uint64_t chunk = Call<proto::NewChunksResponse>("NewChunks", chunks).chunk_id();
  EXPECT_EQ(Call<proto::NewChunksResponse>("NewChunks", chunks).chunk_id(), chunk + 3);

  proto::AppendChunksRequest append;
  for (uint64_t file : {f, uint64_t{77}}) {
    auto* part = append.add_file();
    part->set_inode_id(file);
    auto* record = part->add_chunk();
    record->set_len(1000);
    record->set_size(1000);
    record->set_chunk_id(chunk + (file == f ? 0 : 1));
  }
  const auto appended = Call<proto::AppendChunksResponse>("AppendChunks", append);
  ASSERT_EQ(appended.file_size(), 2);
  EXPECT_EQ(appended.file(0).inode().length(), 1000u);
  EXPECT_EQ(appended.file(0).chunk(0).records(), 1u);
  EXPECT_EQ(appended.file(1).status(), proto::NOT_FOUND);
  append.mutable_file(0)->mutable_chunk(0)->set_size(10);
  EXPECT_EQ(CodeOf(Call<proto::AppendChunksResponse>("AppendChunks", append)), Code::kInvalid);

  proto::CloneRangeRequest clone;
  clone.set_from_inode_id(f);
  clone.set_to_inode_id(g);
  clone.set_len(500);
  EXPECT_EQ(Call<proto::CloneRangeResponse>("CloneRange", clone).bytes(), 500u);
  proto::ZeroRangeRequest zero;
  zero.set_inode_id(f);
  zero.set_len(100);
  EXPECT_EQ(CodeOf(Call<proto::ZeroRangeResponse>("ZeroRange", zero)), Code::kOk);
  proto::AllocateRequest allocate;
  allocate.set_inode_id(f);
  allocate.set_end(5000);
  allocate.set_extend(true);
  EXPECT_EQ(Call<proto::AllocateResponse>("Allocate", allocate).inode().length(), 5000u);

  proto::ListChunksRequest records;
  records.set_inode_id(f);
  records.set_len(5000);
  auto listed = Call<proto::ListChunksResponse>("ListChunks", records);
  ASSERT_EQ(listed.chunk_size(), 1);
  EXPECT_EQ(listed.chunk(0).offset(), 100u);
  EXPECT_EQ(listed.chunk(0).object_offset(), 100u);
  EXPECT_EQ(listed.chunk(0).object_inode(), 0u) << "the file's own";

  proto::ReplaceChunksRequest replace;
  auto* file = replace.add_file();
  file->set_inode_id(f);
  *file->mutable_before() = listed.chunk();
  auto* after = file->add_after();
  *after = listed.chunk(0);
  after->set_chunk_id(chunk + 2);
  after->set_object_offset(0);
  after->set_size(after->len());
  const auto replaced = Call<proto::ReplaceChunksResponse>("ReplaceChunks", replace);
  ASSERT_EQ(replaced.status_size(), 1);
  EXPECT_EQ(replaced.status(0), proto::OK);
  EXPECT_EQ(Call<proto::ListChunksResponse>("ListChunks", records).chunk(0).chunk_id(), chunk + 2);

  EXPECT_EQ(Call<proto::GetUsageResponse>("GetUsage", proto::GetUsageRequest()).inodes(), 2u)
      << "all but the root";
}

// ---- What sessions have open

class OpenFilesTest : public HandlersTest {
 protected:
  uint64_t OpenSession() {
    return Call<proto::OpenSessionResponse>("OpenSession", proto::OpenSessionRequest()).session_id();
  }
  Code OpenInode(uint64_t session, uint64_t inode, uint64_t order, bool again = false) {
    proto::OpenInodeRequest request;
    request.mutable_header()->set_session_id(session);
    request.add_inode_id(inode);
    request.set_order(order);
    request.set_again(again);
    const auto response = Call<proto::OpenInodeResponse>("OpenInode", request);
    if (CodeOf(response) != Code::kOk) return CodeOf(response);
    EXPECT_EQ(response.term(), target.group->status().term);
    return FromWire(response.status(0));
  }
  Code CloseInode(uint64_t session, uint64_t inode, uint64_t order) {
    proto::CloseInodeRequest request;
    request.mutable_header()->set_session_id(session);
    request.add_inode_id(inode);
    request.set_order(order);
    return CodeOf(Call<proto::CloseInodeResponse>("CloseInode", request));
  }
  void Unlink(const std::string& name) {
    proto::UnlinkRequest request;
    request.set_parent_inode_id(1);
    request.set_name(name);
    EXPECT_EQ(CodeOf(Call<proto::UnlinkResponse>("Unlink", request)), Code::kOk);
  }
  Code Renew(uint64_t session) {
    proto::RenewSessionRequest request;
    request.mutable_header()->set_session_id(session);
    return CodeOf(Call<proto::RenewSessionResponse>("RenewSession", request));
  }
  bool Exists(uint64_t inode) {
    proto::GetInodeRequest request;
    request.set_inode_id(inode);
    return CodeOf(Call<proto::GetInodeResponse>("GetInode", request)) == Code::kOk;
  }
  void Housekeep(int times = 1) {
    for (; times > 0; --times) {
      copyset->Housekeep();
      for (int i = 0; i < 10; ++i) Turn();
    }
  }
  Code Delete(uint64_t inode) {
    proto::DeleteInodeRequest request;
    request.set_inode_id(inode);
    return CodeOf(Call<proto::DeleteInodeResponse>("DeleteInode", request));
  }
};

TEST_F(OpenFilesTest, GetLaterAccessTimesManyAtOnce) {
  Open({raft::ReplicaId(1)});
  const proto::Inode made = Make(1, "f").inode();
  auto touch = [&](uint64_t inode, int64_t atime, int times) {
    proto::TouchInodesRequest request;
    for (int i = 0; i < times; ++i) {
      request.add_touched()->set_inode_id(inode);
      request.mutable_touched(i)->set_atime_ns(atime);
    }
    return CodeOf(Call<proto::TouchInodesResponse>("TouchInodes", request));
  };
  auto get = [&] {
    proto::GetInodeRequest request;
    request.set_inode_id(made.inode_id());
    return Call<proto::GetInodeResponse>("GetInode", request).inode();
  };
  EXPECT_EQ(touch(made.inode_id(), made.atime_ns() + 5, 1), Code::kOk);
  EXPECT_EQ(get().atime_ns(), made.atime_ns() + 5);
  EXPECT_EQ(get().ctime_ns(), made.ctime_ns());
  EXPECT_EQ(touch(made.inode_id(), made.atime_ns() + 3, 1), Code::kOk);
  EXPECT_EQ(get().atime_ns(), made.atime_ns() + 5) << "what comes late changes nothing";
  EXPECT_EQ(touch(99, 5, 1), Code::kOk) << "gone";
  EXPECT_EQ(touch(99, 5, 2'001), Code::kTooBig);
}

TEST_F(OpenFilesTest, AreOpenedWithTheirAttributesIfAskedFor) {
  Open({raft::ReplicaId(1)});
  const uint64_t session = OpenSession(), f = Make(1, "f").inode().inode_id();
  proto::OpenInodeRequest request;
  request.mutable_header()->set_session_id(session);
  request.set_order(1);
  for (const uint64_t id : {f, uint64_t{99}}) request.add_inode_id(id);
  EXPECT_EQ(Call<proto::OpenInodeResponse>("OpenInode", request).inode_size(), 0);
  request.set_with_inodes(true);
  const auto response = Call<proto::OpenInodeResponse>("OpenInode", request);
  ASSERT_EQ(response.status_size(), 2);
  EXPECT_EQ(response.status(1), proto::NOT_FOUND);
  ASSERT_EQ(response.inode_size(), 1) << "only of those that are there";
  EXPECT_EQ(response.inode(0).inode_id(), f);
}

TEST_F(OpenFilesTest, StayWithoutANameUntilTheyAreClosed) {
  Open({raft::ReplicaId(1)});
  const uint64_t one = OpenSession(), two = OpenSession(), f = Make(1, "f").inode().inode_id();
  EXPECT_EQ(OpenInode(one, f, 1), Code::kOk);
  EXPECT_EQ(OpenInode(two, f, 1), Code::kOk);
  EXPECT_EQ(OpenInode(one, 99, 2), Code::kNotFound);
  EXPECT_EQ(OpenInode(77, f, 1), Code::kFenced);
  Unlink("f");
  Housekeep(2);
  EXPECT_TRUE(Exists(f));
  EXPECT_EQ(Delete(f), Code::kBusy);
  EXPECT_EQ(CloseInode(one, f, 3), Code::kOk);
  Housekeep(2);
  EXPECT_TRUE(Exists(f)) << "the other one has it";
  // Who has it open can be asked for it; a late copy of an open or close changes nothing.
  EXPECT_EQ(OpenInode(one, f, 4), Code::kOk);
  EXPECT_EQ(CloseInode(one, f, 3), Code::kOk);
  EXPECT_EQ(CloseInode(two, f, 2), Code::kOk);
  Housekeep(2);
  EXPECT_TRUE(Exists(f));
  EXPECT_EQ(CloseInode(one, f, 5), Code::kOk);
  // It was looked up before its name went, perhaps.
  EXPECT_EQ(OpenInode(two, f, 6), Code::kOk);
  Housekeep(2);
  EXPECT_TRUE(Exists(f));
  EXPECT_EQ(CloseInode(two, f, 7), Code::kOk);
  Housekeep(2);
  EXPECT_FALSE(Exists(f));
  EXPECT_EQ(OpenInode(two, f, 8), Code::kNotFound);
}

// Not once its content is going.
TEST_F(OpenFilesTest, WhatIsBeingReclaimedCannotBeOpened) {
  Open({raft::ReplicaId(1)});
  const uint64_t one = OpenSession(), f = Make(1, "f").inode().inode_id();
  EXPECT_EQ(OpenInode(one, f, 1), Code::kOk);
  Unlink("f");
  EXPECT_EQ(CloseInode(one, f, 2), Code::kOk);
  copyset->Housekeep();  // begins
  EXPECT_EQ(OpenInode(one, f, 3), Code::kNotFound);
  Housekeep(2);
  EXPECT_FALSE(Exists(f));
}

TEST_F(OpenFilesTest, AreClosedWithTheirSession) {
  Open({raft::ReplicaId(1)});
  const uint64_t closed = OpenSession(), fenced = OpenSession(), alive = OpenSession();
  std::vector<uint64_t> files;
  for (const char* name : {"a", "b", "c"}) files.push_back(Make(1, name).inode().inode_id());
  EXPECT_EQ(OpenInode(closed, files[0], 1), Code::kOk);
  EXPECT_EQ(OpenInode(fenced, files[1], 1), Code::kOk);
  EXPECT_EQ(OpenInode(alive, files[2], 1), Code::kOk);
  for (const char* name : {"a", "b", "c"}) Unlink(name);
  proto::CloseSessionRequest close;
  close.mutable_header()->set_session_id(closed);
  EXPECT_EQ(CodeOf(Call<proto::CloseSessionResponse>("CloseSession", close)), Code::kOk);
  Housekeep(2);
  EXPECT_FALSE(Exists(files[0]));
  EXPECT_TRUE(Exists(files[1]));
  for (int i = 0; i < 4; ++i) {
    loop.Advance(std::chrono::seconds(10));
    EXPECT_EQ(Renew(alive), Code::kOk);
    Housekeep(2);
  }
  EXPECT_EQ(Renew(fenced), Code::kFenced);
  EXPECT_FALSE(Exists(files[1]));
  EXPECT_TRUE(Exists(files[2]));
}

TEST_F(OpenFilesTest, CanBeMadeOpen) {
  Open({raft::ReplicaId(1)});
  const uint64_t session = OpenSession();
  proto::CreateInodeRequest unnamed;
  unnamed.set_parent_inode_id(1);
  unnamed.set_mode(S_IFREG | 0600);
  const uint64_t lost = Call<proto::CreateInodeResponse>("CreateInode", unnamed).inode().inode_id();
  unnamed.set_open_order(1);
  EXPECT_EQ(CodeOf(Call<proto::CreateInodeResponse>("CreateInode", unnamed)), Code::kInvalid) << "by nobody";
  unnamed.mutable_header()->set_session_id(session);
  unnamed.mutable_header()->set_sequence(1);
  const uint64_t kept = Call<proto::CreateInodeResponse>("CreateInode", unnamed).inode().inode_id();
  EXPECT_EQ(Call<proto::CreateInodeResponse>("CreateInode", unnamed).inode().inode_id(), kept) << "again";
  proto::CreateRequest named;
  named.set_parent_inode_id(1);
  named.set_name("f");
  named.set_mode(S_IFREG | 0600);
  named.set_open_order(2);
  named.mutable_header()->set_session_id(session);
  named.mutable_header()->set_sequence(2);
  const uint64_t f = Call<proto::CreateResponse>("Create", named).inode().inode_id();
  Unlink("f");
  Housekeep(2);
  EXPECT_FALSE(Exists(lost));
  EXPECT_TRUE(Exists(kept));
  EXPECT_TRUE(Exists(f));
  EXPECT_EQ(CloseInode(session, f, 3), Code::kOk);
  EXPECT_EQ(CloseInode(session, kept, 3), Code::kOk);
  Housekeep(2);
  EXPECT_FALSE(Exists(kept));
  EXPECT_FALSE(Exists(f));
}

// However many are held, those behind them go.
TEST_F(OpenFilesTest, HideNoneThatCanGo) {
  Open({raft::ReplicaId(1)});
  const uint64_t session = OpenSession();
  uint64_t last = 0;
  for (int i = 0; i < 150; ++i) {
    last = Make(1, "f").inode().inode_id();
    if (i < 149) {
      EXPECT_EQ(OpenInode(session, last, 1), Code::kOk);
    }
    Unlink("f");
  }
  Housekeep(2);
  EXPECT_FALSE(Exists(last));
  EXPECT_TRUE(Exists(last - 1));
}

TEST_F(OpenFilesTest, LocksAreOfTheSessionAndGoWithIt) {
  Open({raft::ReplicaId(1)});
  const uint64_t one = OpenSession(), two = OpenSession(), f = Make(1, "f").inode().inode_id();
  auto set = [&](uint64_t session, uint64_t inode, uint64_t order, proto::LockType type) {
    proto::SetLockRequest request;
    request.mutable_header()->set_session_id(session);
    request.set_inode_id(inode);
    request.set_order(order);
    request.mutable_lock()->set_kind(proto::LOCK_RANGE);
    request.mutable_lock()->set_type(type);
    request.mutable_lock()->set_last(9);
    request.mutable_lock()->set_pid(33);
    return CodeOf(Call<proto::SetLockResponse>("SetLock", request));
  };
  EXPECT_EQ(set(one, f, 1, proto::WRITE_LOCK), Code::kOk);
  EXPECT_EQ(set(two, f, 1, proto::READ_LOCK), Code::kWouldBlock);
  EXPECT_EQ(set(two, 99, 2, proto::READ_LOCK), Code::kNotFound);
  EXPECT_EQ(set(77, f, 1, proto::READ_LOCK), Code::kFenced);
  proto::GetLockRequest get;
  get.mutable_header()->set_session_id(two);
  get.set_inode_id(f);
  EXPECT_EQ(CodeOf(Call<proto::GetLockResponse>("GetLock", get)), Code::kInvalid) << "a lock of no kind";
  get.mutable_lock()->set_kind(proto::LOCK_RANGE);
  get.mutable_lock()->set_type(proto::WRITE_LOCK);
  get.mutable_lock()->set_last(100);
  auto found = Call<proto::GetLockResponse>("GetLock", get);
  EXPECT_EQ(found.lock().type(), proto::WRITE_LOCK);
  EXPECT_EQ(found.lock().last(), 9u);
  EXPECT_EQ(found.lock().pid(), 33u);
  EXPECT_FALSE(found.of_session());
  proto::CloseSessionRequest close;
  close.mutable_header()->set_session_id(one);
  EXPECT_EQ(CodeOf(Call<proto::CloseSessionResponse>("CloseSession", close)), Code::kOk);
  EXPECT_EQ(Call<proto::GetLockResponse>("GetLock", get).lock().kind(), proto::LOCK_NONE);
  EXPECT_EQ(set(two, f, 3, proto::WRITE_LOCK), Code::kOk);
  proto::SayLocksRequest say;
  say.mutable_header()->set_session_id(two);
  say.set_order(4);
  EXPECT_EQ(CodeOf(Call<proto::SayLocksResponse>("SayLocks", say)), Code::kOk) << "none";
  EXPECT_EQ(copyset->locks().size(), 0u);
}

TEST_F(OpenFilesTest, FreedObjectsAreDeletedByOneClientAtATime) {
  Open({raft::ReplicaId(1)});
  const uint64_t one = OpenSession(), two = OpenSession(), f = Make(1, "f").inode().inode_id();
  proto::AppendChunksRequest append;
  auto* file = append.add_file();
  file->set_inode_id(f);
  proto::S3ChunkInfo* chunk = file->add_chunk();
  chunk->set_chunk_id(7);
  chunk->set_len(4096);
  chunk->set_size(4096);
  ASSERT_EQ(CodeOf(Call<proto::AppendChunksResponse>("AppendChunks", append)), Code::kOk);
  auto list = [&](uint64_t session) {
    proto::ListFreedRequest request;
    request.mutable_header()->set_session_id(session);
    return Call<proto::ListFreedResponse>("ListFreed", request);
  };
  EXPECT_EQ(list(one).object_size(), 0) << "it is in use";
  Unlink("f");
  Housekeep(2);
  ASSERT_EQ(list(one).object_size(), 1);
  EXPECT_EQ(list(one).object(0).chunk_id(), 7u);
  EXPECT_EQ(list(one).object(0).inode_id(), f);
  EXPECT_EQ(list(two).object_size(), 0) << "the other is at it";
  EXPECT_EQ(CodeOf(list(99)), Code::kFenced);
  loop.Advance(std::chrono::seconds(25));
  EXPECT_EQ(Renew(one), Code::kOk);
  EXPECT_EQ(Renew(two), Code::kOk);
  loop.Advance(std::chrono::seconds(10));
  ASSERT_EQ(list(two).object_size(), 1) << "the other has not come back";
  proto::DropFreedRequest drop;
  *drop.add_object() = list(two).object(0);
  EXPECT_EQ(CodeOf(Call<proto::DropFreedResponse>("DropFreed", drop)), Code::kOk);
  EXPECT_EQ(list(two).object_size(), 0);
  EXPECT_EQ(copyset->freed_objects_waiting(), 0u);
}

TEST_F(HandlersTest, WhatIsNoRequestIsRefused) {
  Open({raft::ReplicaId(1)});
  for (const MetaMethod& method : MetaMethods()) {
    proto::CloseSessionResponse response;
    ASSERT_TRUE(response.ParseFromString(Raw(method.name, "\xff\xff\xff")));
    EXPECT_EQ(CodeOf(response), Code::kInvalid) << method.name;
    // Another file system.
    proto::CloseSessionRequest request;
    request.mutable_header()->set_fs_id(9);
    ASSERT_TRUE(response.ParseFromString(Raw(method.name, request.SerializeAsString())));
    EXPECT_EQ(CodeOf(response), Code::kNotFound) << method.name;
  }
}

// Names, ids, usage, open files and limits of one are nothing to the other.
TEST_F(OpenFilesTest, FileSystemsInOneCopysetKeepApart) {
  Open({raft::ReplicaId(1)});
  const uint64_t mine = Make(1, "f").inode().inode_id();
  now = 2;
  EXPECT_EQ(CodeOf(Make(1, "f")), Code::kNotFound) << "not here yet";
  const Status made = Format(2, "two");
  ASSERT_TRUE(made.ok()) << made.ToString();
  EXPECT_TRUE(Format(2, "two").ok()) << "the same again";
  EXPECT_EQ(Format(2, "another").code(), Code::kExists);
  const auto theirs = Make(1, "f");
  ASSERT_EQ(CodeOf(theirs), Code::kOk);
  EXPECT_EQ(theirs.inode().fs_id(), 2u);
  EXPECT_EQ(theirs.inode().inode_id(), mine) << "each counts for itself";
  EXPECT_EQ(CodeOf(Make(1, "f")), Code::kExists);
  EXPECT_EQ(CodeOf(Make(1, "g")), Code::kOk);
  EXPECT_EQ(Call<proto::GetUsageResponse>("GetUsage", proto::GetUsageRequest()).inodes(), 2u);
  now = 1;
  EXPECT_EQ(Call<proto::GetUsageResponse>("GetUsage", proto::GetUsageRequest()).inodes(), 1u);

  // Open in the one, it goes in the other.
  now = 2;
  const uint64_t session = OpenSession();
  EXPECT_EQ(OpenInode(session, mine, 1), Code::kOk);
  Unlink("f");
  EXPECT_TRUE(Exists(mine));
  now = 1;
  EXPECT_TRUE(Exists(mine));
  Unlink("f");
  Housekeep(2);
  EXPECT_FALSE(Exists(mine));
  now = 2;
  EXPECT_TRUE(Exists(mine)) << "it is open here";

  // A limit of the one refuses nothing to the other.
  std::optional<Status> limited;
  copyset->SetQuota(FsId(2), kRootInode, {.bytes = 0, .inodes = 3}, [&](Status s) { limited = s; });
  for (int i = 0; i < 100 && !limited; ++i) Turn();
  ASSERT_TRUE(limited && limited->ok()) << (limited ? limited->ToString() : "");
  Housekeep(2);
  Code code = Code::kOk;
  for (int i = 0; i < 5 && code == Code::kOk; ++i) code = CodeOf(Make(1, "n" + std::to_string(i)));
  EXPECT_EQ(code, Code::kNoSpace);
  now = 1;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(CodeOf(Make(1, "n" + std::to_string(i))), Code::kOk);
  now = 3;
  EXPECT_EQ(CodeOf(Make(1, "f")), Code::kNotFound);
}

TEST_F(HandlersTest, ReplicasThatDoNotLeadSayWhoDoes) {
  Open({raft::ReplicaId(1), raft::ReplicaId(2), raft::ReplicaId(3)});
  raft::Message heartbeat;
  heartbeat.type = raft::MessageType::kHeartbeat;
  heartbeat.group = raft::GroupId(5);
  heartbeat.from = raft::ReplicaId(2);
  heartbeat.to = raft::ReplicaId(1);
  heartbeat.term = 7;
  host->Receive(heartbeat);
  for (int i = 0; i < 10; ++i) Turn();
  for (const MetaMethod& method : MetaMethods()) {
    proto::CloseSessionRequest request;
    request.mutable_header()->set_fs_id(1);
    proto::CloseSessionResponse response;
    ASSERT_TRUE(response.ParseFromString(Raw(method.name, request.SerializeAsString())));
    EXPECT_EQ(CodeOf(response), Code::kNotLeader) << method.name;
    EXPECT_EQ(response.header().leader().replica_id(), 2u) << method.name;
    EXPECT_EQ(response.header().leader().address(), "host2");
  }
}

}  // namespace
}  // namespace curvefs::metaserver
