// A session against a socket that plays the kernel: each operation from its bytes to the Vfs call and back.
#include "fuse/session.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>

#include "fuse/fake_vfs.h"

namespace curvefs::fuse {
namespace {

constexpr uint64_t kYear = kForever / std::chrono::seconds(1);

struct Reply {
  uint64_t unique = 0;
  int error = 0;  // a notification's code
  std::string body;

  template <typename T>
  T As() const {
    T value{};
    EXPECT_EQ(body.size(), sizeof value);
    std::memcpy(&value, body.data(), std::min(body.size(), sizeof value));
    return value;
  }
};

template <typename T>
std::string Bytes(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
// A string with its terminating zero.
std::string Name(std::string_view name) {
  return std::string(name) + '\0';
}

class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);
    vfs_ = FakeVfs::Make();
    fake().entry.inode = {
        .id = InodeId(42), .mode = S_IFREG | 0644, .uid = 5, .gid = 6, .nlink = 1, .length = 1000};
    fake().entry.inode.bytes = 513;
    fake().entry.inode.mtime = Timestamp::From(-2, 250);
    fake().opened.handle = 77;
  }
  void TearDown() override { End(); }

  FakeVfs& fake() { return FakeVfs::Get(); }

  void Start(SessionOptions options = {}) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    kernel_ = pair[0];
    fuse_init_in init{.major = 7, .minor = 45, .max_readahead = 1 << 17, .flags = ~0u, .flags2 = ~0u};
    Send(FUSE_INIT, 0, Bytes(init));
    options.max_write = 64 << 10;
    options.workers = 1;
    options.log = [this](std::string_view line) { log_ += line; };
    auto session = Session::Attach(*vfs_, pair[1], options);
    ASSERT_TRUE(session) << session.error().ToString();
    session_ = *std::move(session);
    EXPECT_EQ(Receive().As<fuse_init_out>().major, 7u);
    runner_ = std::thread([this] { EXPECT_TRUE(session_->Run().ok()); });
  }
  void End() {
    if (kernel_ >= 0) ::close(kernel_);
    kernel_ = -1;
    if (runner_.joinable()) runner_.join();
  }

  uint64_t Send(uint32_t opcode, uint64_t inode, std::string_view body) {
    fuse_in_header header{};
    header.len = static_cast<uint32_t>(sizeof header + body.size());
    header.opcode = opcode;
    header.unique = ++unique_;
    header.nodeid = inode;
    header.uid = 11;
    header.gid = 12;
    header.pid = 13;
    std::string message = Bytes(header) + std::string(body);
    EXPECT_EQ(::write(kernel_, message.data(), message.size()), static_cast<ssize_t>(message.size()));
    return unique_;
  }
  Reply Receive() {
    std::string buffer(200 << 10, '\0');
    ssize_t n = ::read(kernel_, buffer.data(), buffer.size());
    fuse_out_header header{};
    if (n < static_cast<ssize_t>(sizeof header)) {
      ADD_FAILURE() << "no reply";
      return {};
    }
    std::memcpy(&header, buffer.data(), sizeof header);
    EXPECT_EQ(header.len, n);
    return {header.unique, -header.error,
            buffer.substr(sizeof header, static_cast<size_t>(n) - sizeof header)};
  }
  Reply Call(uint32_t opcode, uint64_t inode, std::string_view body) {
    uint64_t unique = Send(opcode, inode, body);
    Reply reply = Receive();
    EXPECT_EQ(reply.unique, unique);
    return reply;
  }

  void ExpectEntry(const Reply& reply) {
    EXPECT_EQ(reply.error, 0);
    auto out = reply.As<fuse_entry_out>();
    EXPECT_EQ(out.nodeid, 42u);
    EXPECT_EQ(out.generation, 0u);
    EXPECT_EQ(out.entry_valid, kYear);
    EXPECT_EQ(out.attr_valid, kYear);
    EXPECT_EQ(out.attr.ino, 42u);
    EXPECT_EQ(out.attr.mode, S_IFREG | 0644u);
    EXPECT_EQ(out.attr.size, 1000u);
    EXPECT_EQ(out.attr.blocks, 2u);
    EXPECT_EQ(static_cast<int64_t>(out.attr.mtime), -2);
    EXPECT_EQ(out.attr.mtimensec, 250u);
  }

  std::unique_ptr<client::Vfs> vfs_;
  std::unique_ptr<Session> session_;
  std::thread runner_;
  int kernel_ = -1;
  uint64_t unique_ = 0;
  std::string log_;
};

TEST_F(SessionTest, Names) {
  Start();
  ExpectEntry(Call(FUSE_LOOKUP, 1, Name("file")));
  EXPECT_EQ(fake().TakeCall(), "lookup 11/12/13/0 1 file");
  ExpectEntry(Call(FUSE_MKNOD, 1, Bytes(fuse_mknod_in{S_IFIFO | 0600, 9, 022, 0}) + Name("pipe")));
  EXPECT_EQ(fake().TakeCall(), "mknod 11/12/13/22 1 pipe 010600 9");
  ExpectEntry(Call(FUSE_MKDIR, 2, Bytes(fuse_mkdir_in{01777, 077}) + Name("d")));
  EXPECT_EQ(fake().TakeCall(), "mkdir 11/12/13/77 2 d 01777");
  ExpectEntry(Call(FUSE_SYMLINK, 2, Name("name") + Name("target")));
  EXPECT_EQ(fake().TakeCall(), "symlink 11/12/13/0 2 name target");
  ExpectEntry(Call(FUSE_LINK, 2, Bytes(fuse_link_in{42}) + Name("n")));
  EXPECT_EQ(fake().TakeCall(), "link 11/12/13/0 42 2 n");
  EXPECT_EQ(Call(FUSE_UNLINK, 3, Name("u")).error, 0);
  EXPECT_EQ(fake().TakeCall(), "unlink 11/12/13/0 3 u");
  EXPECT_EQ(Call(FUSE_RMDIR, 3, Name("r")).error, 0);
  EXPECT_EQ(fake().TakeCall(), "rmdir 11/12/13/0 3 r");
  fake().text = "where it points";
  EXPECT_EQ(Call(FUSE_READLINK, 4, "").body, "where it points");
}

TEST_F(SessionTest, Rename) {
  Start();
  EXPECT_EQ(Call(FUSE_RENAME, 3, Bytes(fuse_rename_in{4}) + Name("a") + Name("b")).error, 0);
  EXPECT_EQ(fake().TakeCall(), "rename 11/12/13/0 3 a 4 b 0");
  for (uint32_t flags : {1, 2, 4}) {
    EXPECT_EQ(Call(FUSE_RENAME2, 3, Bytes(fuse_rename2_in{4, flags, 0}) + Name("a") + Name("b")).error, 0);
    EXPECT_EQ(fake().TakeCall(), "rename 11/12/13/0 3 a 4 b " + std::to_string(flags == 4 ? 3 : flags));
  }
  EXPECT_EQ(Call(FUSE_RENAME2, 3, Bytes(fuse_rename2_in{4, 3, 0}) + Name("a") + Name("b")).error, EINVAL);
}

TEST_F(SessionTest, MissingNamesAreRemembered) {
  Start();
  fake().fail = Code::kNotFound;
  Reply reply = Call(FUSE_LOOKUP, 1, Name("nothing"));
  EXPECT_EQ(reply.error, 0);
  auto out = reply.As<fuse_entry_out>();
  EXPECT_EQ(out.nodeid, 0u);
  EXPECT_EQ(out.entry_valid, kYear);
  EXPECT_EQ(Call(FUSE_LOOKUP, 9, Name(".")).error, ENOENT);
  EXPECT_EQ(Call(FUSE_GETATTR, 9, Bytes(fuse_getattr_in{})).error, ENOENT);
}

TEST_F(SessionTest, NothingOfAVirtualFileIsCached) {
  Start();
  fake().entry.cacheable = false;
  auto out = Call(FUSE_LOOKUP, 1, Name(".stats")).As<fuse_entry_out>();
  EXPECT_EQ(out.entry_valid, 0u);
  EXPECT_EQ(out.attr_valid, 0u);
  fake().opened.direct = true;
  auto open = Call(FUSE_OPEN, 42, Bytes(fuse_open_in{O_RDONLY, 0})).As<fuse_open_out>();
  EXPECT_EQ(open.open_flags, uint32_t{FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES});
}

TEST_F(SessionTest, ForgetHasNoReply) {
  Start();
  Send(FUSE_FORGET, 5, Bytes(fuse_forget_in{3}));
  Send(FUSE_BATCH_FORGET, 0,
       Bytes(fuse_batch_forget_in{2, 0}) + Bytes(fuse_forget_one{6, 1}) + Bytes(fuse_forget_one{7, 2}));
  Send(FUSE_BATCH_FORGET, 0, Bytes(fuse_batch_forget_in{2, 0}));  // malformed
  Call(FUSE_STATFS, 1, "");
  EXPECT_EQ(fake().TakeCall(), "forget 5 3; forget 6 1; forget 7 2; statfs");
  EXPECT_NE(log_, "");
}

TEST_F(SessionTest, Attributes) {
  Start();
  auto out = Call(FUSE_GETATTR, 42, Bytes(fuse_getattr_in{})).As<fuse_attr_out>();
  EXPECT_EQ(out.attr_valid, kYear);
  EXPECT_EQ(out.attr.uid, 5u);
  EXPECT_EQ(out.attr.blksize, 4096u);
  fake().TakeCalls();

  fuse_setattr_in in{};
  in.valid =
      FATTR_MODE | FATTR_SIZE | FATTR_ATIME | FATTR_ATIME_NOW | FATTR_MTIME | FATTR_KILL_SUIDGID | FATTR_FH;
  in.mode = S_IFREG | 04755;
  in.size = 10;
  in.mtime = 3;
  in.mtimensec = 4;
  EXPECT_EQ(Call(FUSE_SETATTR, 42, Bytes(in)).error, 0);
  using client::SetAttr;
  uint32_t what =
      SetAttr::kMode | SetAttr::kSize | SetAttr::kAtimeNow | SetAttr::kMtime | SetAttr::kKillSuidGid;
  EXPECT_EQ(fake().TakeCall(),
            "setattr 11/12/13/0 42 " + std::to_string(what) + " 04755 0 0 10 0 3000000004 0");
}

// What the kernel could not write back its writer learns at the next write(2), which asks for attributes.
TEST_F(SessionTest, AWriterIsToldOfALostWriteBackOnce) {
  Start();
  fake().has_writers = true;
  fake().fail = Code::kNoSpace;
  fuse_write_in in{.fh = 1, .offset = 0, .size = 3, .write_flags = FUSE_WRITE_CACHE};
  const uint64_t unique = Send(FUSE_WRITE, 42, Bytes(in) + "abc");
  Reply notification = Receive();
  EXPECT_EQ(-notification.error, FUSE_NOTIFY_INVAL_INODE);
  EXPECT_EQ(notification.As<fuse_notify_inval_inode_out>().off, -1);  // attributes, not pages
  Reply reply = Receive();
  EXPECT_EQ(reply.unique, unique);
  EXPECT_EQ(reply.error, ENOSPC);
  fake().fail = Code::kOk;
  const fuse_getattr_in by_handle{.getattr_flags = FUSE_GETATTR_FH, .dummy = 0, .fh = 1};
  EXPECT_EQ(Call(FUSE_GETATTR, 42, Bytes(fuse_getattr_in{})).error, 0);  // stat(2) by name is not a writer's
  EXPECT_EQ(Call(FUSE_GETATTR, 43, Bytes(by_handle)).error, 0);          // another file
  EXPECT_EQ(Call(FUSE_GETATTR, 42, Bytes(by_handle)).error, ENOSPC);
  EXPECT_EQ(Call(FUSE_GETATTR, 42, Bytes(by_handle)).error, 0);
  // Without the page cache the call itself has told.
  fake().fail = Code::kNoSpace;
  in.write_flags = 0;
  EXPECT_EQ(Call(FUSE_WRITE, 42, Bytes(in) + "abc").error, ENOSPC);
  fake().fail = Code::kOk;
  EXPECT_EQ(Call(FUSE_GETATTR, 42, Bytes(by_handle)).error, 0);
}

TEST_F(SessionTest, DirectoriesLookLikeDirectories) {
  Start();
  fake().entry.inode.mode = S_IFDIR | 0755;
  fake().entry.inode.nlink = 2;
  auto out = Call(FUSE_GETATTR, 42, Bytes(fuse_getattr_in{})).As<fuse_attr_out>();
  EXPECT_EQ(out.attr.size, 4096u);
  EXPECT_EQ(out.attr.nlink, 2u);
}

TEST_F(SessionTest, Xattrs) {
  Start();
  fuse_setxattr_in in{
      .size = 3, .flags = XATTR_REPLACE, .setxattr_flags = FUSE_SETXATTR_ACL_KILL_SGID, .padding = 0};
  EXPECT_EQ(Call(FUSE_SETXATTR, 42, Bytes(in) + Name("user.a") + "val").error, 0);
  EXPECT_EQ(fake().TakeCall(), "setxattr 11/12/13/0 42 user.a val 0 1 1");
  fake().text = "value";
  EXPECT_EQ(
      Call(FUSE_GETXATTR, 42, Bytes(fuse_getxattr_in{0, 0}) + Name("user.a")).As<fuse_getxattr_out>().size,
      5u);
  EXPECT_EQ(Call(FUSE_GETXATTR, 42, Bytes(fuse_getxattr_in{4, 0}) + Name("user.a")).error, ERANGE);
  EXPECT_EQ(Call(FUSE_GETXATTR, 42, Bytes(fuse_getxattr_in{5, 0}) + Name("user.a")).body, "value");
  EXPECT_EQ(Call(FUSE_LISTXATTR, 42, Bytes(fuse_getxattr_in{0, 0})).As<fuse_getxattr_out>().size, 5u);
  EXPECT_EQ(Call(FUSE_LISTXATTR, 42, Bytes(fuse_getxattr_in{9, 0})).body, "value");
  fake().TakeCalls();
  EXPECT_EQ(Call(FUSE_REMOVEXATTR, 42, Name("user.a")).error, 0);
  EXPECT_EQ(fake().TakeCall(), "removexattr 11/12/13/0 42 user.a");
  fake().fail = Code::kNoAttribute;
  EXPECT_EQ(Call(FUSE_GETXATTR, 42, Bytes(fuse_getxattr_in{5, 0}) + Name("user.a")).error, ENODATA);
}

TEST_F(SessionTest, CreateAndOpen) {
  Start();
  fuse_create_in in{
      .flags = O_RDWR | O_CREAT | O_EXCL | O_TRUNC, .mode = S_IFREG | 0666, .umask = 02, .open_flags = 0};
  Reply reply = Call(FUSE_CREATE, 1, Bytes(in) + Name("new"));
  ASSERT_EQ(reply.body.size(), sizeof(fuse_entry_out) + sizeof(fuse_open_out));
  EXPECT_EQ(fake().TakeCall(), "create 11/12/13/2 1 new 0100666 " + std::to_string(O_RDWR | O_TRUNC));
  fake().fail = Code::kExists;
  EXPECT_EQ(Call(FUSE_CREATE, 1, Bytes(in) + Name("new")).error, EEXIST);
  in.flags = O_RDWR | O_CREAT;
  EXPECT_EQ(Call(FUSE_CREATE, 1, Bytes(in) + Name("new")).error, ESTALE);  // the kernel looks again
  fake().fail = Code::kOk;
  fake().TakeCalls();
  in.flags = O_TMPFILE | O_RDWR | O_EXCL;
  reply = Call(FUSE_TMPFILE, 1, Bytes(in) + Name("/"));
  ASSERT_EQ(reply.body.size(), sizeof(fuse_entry_out) + sizeof(fuse_open_out));
  EXPECT_EQ(fake().TakeCall(), "tmpfile 11/12/13/2 1 0100666 " + std::to_string(O_RDWR));

  auto out = Call(FUSE_OPEN, 42, Bytes(fuse_open_in{O_WRONLY | O_TRUNC, FUSE_OPEN_KILL_SUIDGID}))
                 .As<fuse_open_out>();
  EXPECT_EQ(out.fh, 77u);
  EXPECT_EQ(out.open_flags, uint32_t{FOPEN_KEEP_CACHE});
  EXPECT_EQ(fake().TakeCall(), "open 11/12/13/0 42 " + std::to_string(O_WRONLY | O_TRUNC) + " 1");
  EXPECT_EQ(Call(FUSE_RELEASE, 42, Bytes(fuse_release_in{77, 0, 0, 0})).error, 0);
  EXPECT_EQ(fake().TakeCall(), "release 42 77");
}

TEST_F(SessionTest, NewTimesAreToldBeforeOpenReturns) {
  Start();
  fake().opened.attributes_changed = true;
  uint64_t unique = Send(FUSE_OPEN, 42, Bytes(fuse_open_in{O_RDONLY, 0}));
  Reply notification = Receive();
  EXPECT_EQ(notification.unique, 0u);
  EXPECT_EQ(-notification.error, FUSE_NOTIFY_INVAL_INODE);
  auto inval = notification.As<fuse_notify_inval_inode_out>();
  EXPECT_EQ(inval.ino, 42u);
  EXPECT_EQ(inval.off, -1);
  EXPECT_EQ(Receive().unique, unique);
}

TEST_F(SessionTest, Read) {
  Start();
  fake().content = {BufferSlice::CopyOf("data"), BufferSlice::Zeros(70'000), BufferSlice::CopyOf("end")};
  Reply reply = Call(FUSE_READ, 42, Bytes(fuse_read_in{.fh = 77, .offset = 5, .size = 80'000}));
  EXPECT_EQ(reply.body, "data" + std::string(70'000, '\0') + "end");
  EXPECT_EQ(fake().TakeCall(), "read 42 77 5 80000");

  // More pieces than one writev takes.
  fake().content.clear();
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    fake().content.push_back(i % 3 ? BufferSlice::CopyOf("piece") : BufferSlice::Zeros(2));
    expected += i % 3 ? "piece" : std::string(2, '\0');
  }
  EXPECT_EQ(Call(FUSE_READ, 42, Bytes(fuse_read_in{.fh = 77, .size = 80'000})).body, expected);
  fake().content.clear();
  EXPECT_EQ(Call(FUSE_READ, 42, Bytes(fuse_read_in{.fh = 77, .size = 1})).body, "");
  fake().fail = Code::kCorrupt;
  EXPECT_EQ(Call(FUSE_READ, 42, Bytes(fuse_read_in{.fh = 77, .size = 1})).error, EIO);
  EXPECT_NE(log_.find("corrupt"), log_.npos);
}

TEST_F(SessionTest, Write) {
  Start();
  std::string payload(60'000, 'w');
  fuse_write_in in{
      .fh = 77, .offset = 9, .size = 60'000, .write_flags = FUSE_WRITE_CACHE, .flags = O_APPEND | O_SYNC};
  EXPECT_EQ(Call(FUSE_WRITE, 42, Bytes(in) + payload).As<fuse_write_out>().size, 60'000u);
  EXPECT_EQ(fake().TakeCall(), "write 42 77 9 60000 0 1 0 0");
  EXPECT_EQ(fake().written.view(), payload);
  in.size = 3;
  in.write_flags = FUSE_WRITE_KILL_SUIDGID;
  EXPECT_EQ(Call(FUSE_WRITE, 42, Bytes(in) + "abc").As<fuse_write_out>().size, 3u);
  EXPECT_EQ(fake().TakeCall(), "write 42 77 9 3 0 0 1 1");
  EXPECT_EQ(Call(FUSE_WRITE, 42, Bytes(in) + "ab").error, EINVAL);
  fake().fail = Code::kNoSpace;
  EXPECT_EQ(Call(FUSE_WRITE, 42, Bytes(in) + "abc").error, ENOSPC);
}

TEST_F(SessionTest, CloseAsksOnlyIfItMust) {
  Start();
  EXPECT_EQ(Call(FUSE_FLUSH, 42, Bytes(fuse_flush_in{.fh = 77})).error, ENOSYS);
  EXPECT_EQ(fake().TakeCall(), "");
  End();
  Start({.flush_on_close = true});
  EXPECT_EQ(Call(FUSE_FLUSH, 42, Bytes(fuse_flush_in{.fh = 77})).error, 0);
  EXPECT_EQ(fake().TakeCall(), "flush 42 77");
}

TEST_F(SessionTest, Syncing) {
  Start();
  EXPECT_EQ(Call(FUSE_FSYNC, 42, Bytes(fuse_fsync_in{77, 1, 0})).error, 0);
  EXPECT_EQ(fake().TakeCall(), "fsync 42 1");
  EXPECT_EQ(Call(FUSE_FSYNCDIR, 2, Bytes(fuse_fsync_in{})).error, 0);
  EXPECT_EQ(fake().TakeCall(), "fsyncdir 2");
  EXPECT_EQ(Call(FUSE_SYNCFS, 1, Bytes(fuse_syncfs_in{})).error, 0);
  EXPECT_EQ(fake().TakeCall(), "syncfs");
}

TEST_F(SessionTest, Fallocate) {
  Start();
  auto call = [&](uint32_t mode) {
    return Call(FUSE_FALLOCATE, 42, Bytes(fuse_fallocate_in{77, 1, 2, mode, 0})).error;
  };
  EXPECT_EQ(call(0), 0);
  EXPECT_EQ(fake().TakeCall(), "fallocate 11/12/13/0 42 0 1 2");
  EXPECT_EQ(call(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), 0);
  EXPECT_EQ(fake().TakeCall(), "fallocate 11/12/13/0 42 3 1 2");
  EXPECT_EQ(call(FALLOC_FL_ZERO_RANGE), 0);
  EXPECT_EQ(fake().TakeCall(), "fallocate 11/12/13/0 42 4 1 2");
  EXPECT_EQ(call(FALLOC_FL_COLLAPSE_RANGE), EOPNOTSUPP);
  EXPECT_EQ(call(FALLOC_FL_PUNCH_HOLE), EOPNOTSUPP);
}

TEST_F(SessionTest, CopyFileRange) {
  Start();
  fuse_copy_file_range_in in{.off_in = 1, .nodeid_out = 43, .off_out = 2, .len = ~uint64_t{0} >> 1};
  fake().number = 100;
  EXPECT_EQ(Call(FUSE_COPY_FILE_RANGE, 42, Bytes(in)).As<fuse_write_out>().size, 100u);
  EXPECT_EQ(fake().TakeCall(), "copy 11/12/13/0 42 1 43 2 4294963200");
  EXPECT_EQ(Call(kCopyFileRange64, 42, Bytes(in)).As<CopyFileRangeOut>().bytes_copied, 100u);
  EXPECT_EQ(fake().TakeCall(), "copy 11/12/13/0 42 1 43 2 9223372036854775807");
}

TEST_F(SessionTest, SeekWritesBackFirstIfThereAreWriters) {
  Start();
  fake().number = 4096;
  fuse_lseek_in in{.fh = 77, .offset = 5, .whence = SEEK_DATA, .padding = 0};
  EXPECT_EQ(Call(FUSE_LSEEK, 42, Bytes(in)).As<fuse_lseek_out>().offset, 4096u);
  EXPECT_EQ(fake().TakeCall(), "seek 42 5 1");
  fake().has_writers = true;
  in.whence = SEEK_HOLE;
  uint64_t unique = Send(FUSE_LSEEK, 42, Bytes(in));
  Reply notification = Receive();
  EXPECT_EQ(-notification.error, FUSE_NOTIFY_INVAL_INODE);
  EXPECT_EQ(notification.As<fuse_notify_inval_inode_out>().off, 0);
  Reply reply = Receive();
  EXPECT_EQ(reply.unique, unique);
  EXPECT_EQ(reply.As<fuse_lseek_out>().offset, 4096u);
  EXPECT_EQ(fake().TakeCall(), "seek 42 5 0");
  in.whence = SEEK_SET;
  EXPECT_EQ(Call(FUSE_LSEEK, 42, Bytes(in)).error, EINVAL);
}

TEST_F(SessionTest, StatFs) {
  Start();
  auto out = Call(FUSE_STATFS, 1, "").As<fuse_statfs_out>();
  EXPECT_EQ(out.st.blocks, 10u);
  EXPECT_EQ(out.st.bavail, 2u);
  EXPECT_EQ(out.st.files, 100u);
  EXPECT_EQ(out.st.namelen, 255u);
}

TEST_F(SessionTest, Listing) {
  Start();
  EXPECT_EQ(Call(FUSE_OPENDIR, 1, Bytes(fuse_open_in{})).error, ENOSYS);
  fake().names = {".", "..", "eight888", "x"};
  // 24 bytes and the name, in units of eight; the fourth does not fit.
  Reply reply = Call(FUSE_READDIR, 1, Bytes(fuse_read_in{.offset = 1, .size = 32 + 32 + 31}));
  ASSERT_EQ(reply.body.size(), 64u);
  fuse_dirent entry;
  std::memcpy(&entry, reply.body.data() + 32, sizeof entry);
  EXPECT_EQ(entry.ino, 102u);
  EXPECT_EQ(entry.off, 3u);
  EXPECT_EQ(entry.namelen, 8u);
  EXPECT_EQ(reply.body.substr(32 + 24), "eight888");
  EXPECT_EQ(fake().TakeCall(), "readdir 1 1 0");
  EXPECT_EQ(Call(FUSE_READDIR, 1, Bytes(fuse_read_in{.offset = 4, .size = 4096})).body, "");
  fake().fail = Code::kIo;
  EXPECT_EQ(Call(FUSE_READDIR, 1, Bytes(fuse_read_in{.offset = 4, .size = 4096})).error, EIO);
  EXPECT_EQ(Call(FUSE_READDIR, 1, Bytes(fuse_read_in{.offset = 0, .size = 4096})).body.size(), 128u);
}

TEST_F(SessionTest, ListingWithAttributes) {
  Start({.cache_directories = false});
  EXPECT_EQ(Call(FUSE_OPENDIR, 1, Bytes(fuse_open_in{})).As<fuse_open_out>().fh, 77u);
  fake().names = {"a", "b"};
  Reply reply = Call(FUSE_READDIRPLUS, 1, Bytes(fuse_read_in{.offset = 0, .size = 4096}));
  ASSERT_EQ(reply.body.size(), 2 * 160u);
  fuse_direntplus entry;
  std::memcpy(&entry, reply.body.data() + 160, sizeof entry);
  EXPECT_EQ(entry.entry_out.nodeid, 101u);
  EXPECT_EQ(entry.entry_out.attr.mode, S_IFREG | 0644u);
  EXPECT_EQ(entry.dirent.off, 2u);
  std::vector<uint64_t> given;
  ForEachReference(reply.body, [&](InodeId inode) { given.push_back(inode.value); });
  EXPECT_EQ(given, (std::vector<uint64_t>{100, 101}));
  EXPECT_EQ(Call(FUSE_RELEASEDIR, 1, Bytes(fuse_release_in{77, 0, 0, 0})).error, 0);
}

// The kernel no longer wants the reply: it does not own what the reply would have given.
TEST_F(SessionTest, WhatTheKernelDidNotGetIsTakenBack) {
  Start();
  ASSERT_EQ(::shutdown(kernel_, SHUT_RD), 0);  // replies fail, requests still get through
  fake().names = {"a"};
  Send(FUSE_LOOKUP, 1, Name("file"));
  Send(FUSE_READDIRPLUS, 1, Bytes(fuse_read_in{.offset = 0, .size = 4096}));
  Send(FUSE_CREATE, 1, Bytes(fuse_create_in{}) + Name("new"));
  Send(FUSE_OPEN, 42, Bytes(fuse_open_in{}));
  End();
  EXPECT_EQ(
      fake().TakeCall(),
      "lookup 11/12/13/0 1 file; forget 42 1; readdir 1 0 1; forget 100 1; "
      "create 11/12/13/0 1 new 00 0; release 42 77; forget 42 1; open 11/12/13/0 42 0 0; release 42 77");
}

TEST_F(SessionTest, Refusals) {
  Start();
  EXPECT_EQ(Call(FUSE_ACCESS, 1, Bytes(fuse_access_in{})).error, ENOSYS);
  EXPECT_EQ(Call(FUSE_GETLK, 1, Bytes(fuse_lk_in{})).error, ENOSYS);
  EXPECT_EQ(Call(kStatx, 1, "").error, ENOSYS);
  EXPECT_EQ(Call(FUSE_IOCTL, 1, Bytes(fuse_ioctl_in{})).error, ENOTTY);
  EXPECT_EQ(Call(FUSE_INTERRUPT, 0, Bytes(fuse_interrupt_in{1})).error, ENOSYS);
  EXPECT_EQ(Call(FUSE_INIT, 0, Bytes(fuse_init_in{})).error, EPROTO);
  EXPECT_EQ(Call(FUSE_MKDIR, 1, "short").error, EINVAL);
  EXPECT_EQ(Call(FUSE_DESTROY, 0, "").error, 0);
  EXPECT_EQ(fake().TakeCall(), "");
}

fuse_lk_in LockOf(uint32_t type, uint64_t start, uint64_t end, uint32_t flags = 0) {
  fuse_lk_in in{};
  in.fh = 77;
  in.owner = 5;
  in.lk = {.start = start, .end = end, .type = type, .pid = 99};
  in.lk_flags = flags;
  return in;
}

TEST_F(SessionTest, AnyDirectoryCanBeTheKernelsRoot) {
  Start({.root = InodeId(57)});
  (void)Call(FUSE_LOOKUP, 1, Name("file"));
  EXPECT_EQ(fake().TakeCall(), "lookup 11/12/13/0 57 file");
  (void)Call(FUSE_RENAME, 3, Bytes(fuse_rename_in{1}) + Name("a") + Name("b"));
  EXPECT_EQ(fake().TakeCall(), "rename 11/12/13/0 3 a 57 b 0") << "also where it is not the operand";
}

TEST_F(SessionTest, OfASharedFileSystemTheKernelReliesOnNothing) {
  Start({.shared = true});
  const auto out = Call(FUSE_LOOKUP, 1, std::string("name", 5)).As<fuse_entry_out>();
  EXPECT_EQ(out.entry_valid + out.entry_valid_nsec + out.attr_valid + out.attr_valid_nsec, 0u);
  const auto attr = Call(FUSE_GETATTR, 42, Bytes(fuse_getattr_in{})).As<fuse_attr_out>();
  EXPECT_EQ(attr.attr_valid + attr.attr_valid_nsec, 0u);
}

TEST_F(SessionTest, OrForAsLongAsItsUserWants) {
  using namespace std::chrono_literals;
  Start({.shared = true, .shared_times = {.entry = 1500ms, .attr = 250ms}});
  const auto out = Call(FUSE_LOOKUP, 1, std::string("name", 5)).As<fuse_entry_out>();
  EXPECT_EQ(out.entry_valid, 1u);
  EXPECT_EQ(out.entry_valid_nsec, 500'000'000u);
  EXPECT_EQ(out.attr_valid, 0u);
  EXPECT_EQ(out.attr_valid_nsec, 250'000'000u);
  const auto attr = Call(FUSE_GETATTR, 42, Bytes(fuse_getattr_in{})).As<fuse_attr_out>();
  EXPECT_EQ(attr.attr_valid_nsec, 250'000'000u);
}

TEST_F(SessionTest, LocksOfASharedFileSystemAreAskedFor) {
  Start({.shared = true});
  EXPECT_EQ(Call(FUSE_SETLK, 42, Bytes(LockOf(F_WRLCK, 3, 9))).error, 0);
  EXPECT_EQ(Call(FUSE_SETLK, 42, Bytes(LockOf(F_UNLCK, 0, ~0ull >> 1, FUSE_LK_FLOCK))).error, 0);
  EXPECT_EQ(fake().TakeCall(), "set_lock 42 77 1 2 5 3 9; set_lock 42 77 2 0 5 0 9223372036854775807");
  EXPECT_EQ(Call(FUSE_GETLK, 42, Bytes(LockOf(F_RDLCK, 0, 0))).As<fuse_lk_out>().lk.type, uint32_t{F_UNLCK});
  fake().lock = meta::FileLock{.type = meta::LockType::kWrite, .begin = 1, .last = 2, .pid = 4};
  const auto held = Call(FUSE_GETLK, 42, Bytes(LockOf(F_RDLCK, 0, 9))).As<fuse_lk_out>().lk;
  EXPECT_EQ(held.type, uint32_t{F_WRLCK});
  EXPECT_EQ(held.start, 1u);
  EXPECT_EQ(held.end, 2u);
  EXPECT_EQ(held.pid, 4u);
  (void)fake().TakeCalls();
  EXPECT_EQ(Call(FUSE_FLUSH, 42, Bytes(fuse_flush_in{.fh = 77, .lock_owner = 5})).error, 0);
  EXPECT_EQ(fake().TakeCall(), "flush 42 77; release_locks 42 5");
  fake().fail = Code::kNoMemory;
  EXPECT_EQ(Call(FUSE_SETLK, 42, Bytes(LockOf(F_WRLCK, 3, 9))).error, ENOLCK);
  fake().fail = Code::kWouldBlock;
  EXPECT_EQ(Call(FUSE_SETLK, 42, Bytes(LockOf(F_WRLCK, 3, 9))).error, EAGAIN);
  EXPECT_EQ(Call(FUSE_SETLK, 42, Bytes(LockOf(7, 3, 9))).error, EINVAL);
  EXPECT_EQ(Call(FUSE_SETLK, 42, Bytes(LockOf(F_WRLCK, 3, 2))).error, EINVAL);
}

TEST_F(SessionTest, WhoWaitsForALockHoldsUpNobodyAndCanBeCalledOff) {
  Start({.shared = true});
  fake().fail = Code::kWouldBlock;
  const uint64_t one = Send(FUSE_SETLKW, 42, Bytes(LockOf(F_WRLCK, 0, 1)));
  const uint64_t two = Send(FUSE_SETLKW, 42, Bytes(LockOf(F_WRLCK, 2, 3)));
  Send(FUSE_INTERRUPT, 0, Bytes(fuse_interrupt_in{one}));
  Reply reply = Receive();
  EXPECT_EQ(reply.unique, one);
  EXPECT_EQ(reply.error, EINTR);
  fake().fail = Code::kOk;
  reply = Receive();
  EXPECT_EQ(reply.unique, two);
  EXPECT_EQ(reply.error, 0);
  // Called off before it comes.
  fake().fail = Code::kWouldBlock;
  Send(FUSE_INTERRUPT, 0, Bytes(fuse_interrupt_in{unique_ + 2}));
  EXPECT_EQ(Call(FUSE_SETLKW, 42, Bytes(LockOf(F_WRLCK, 0, 1))).error, EINTR);
  Send(FUSE_SETLKW, 42, Bytes(LockOf(F_WRLCK, 0, 1)));  // is dropped at the end
}

TEST_F(SessionTest, OfTwoWhoWaitForEachOtherOneIsToldSo) {
  Start({.shared = true});
  fake().fail = Code::kWouldBlock;
  fake().crossed_locks = true;
  const uint64_t one = Send(FUSE_SETLKW, 42, Bytes(LockOf(F_WRLCK, 0, 1)));
  fuse_lk_in other = LockOf(F_WRLCK, 2, 3);
  other.owner = 6;
  const uint64_t two = Send(FUSE_SETLKW, 42, Bytes(other));
  Reply reply = Receive();
  EXPECT_TRUE(reply.unique == one || reply.unique == two);
  EXPECT_EQ(reply.error, EDEADLK);
  fake().fail = Code::kOk;
  const uint64_t rest = reply.unique == one ? two : one;
  reply = Receive();
  EXPECT_EQ(reply.unique, rest);
  EXPECT_EQ(reply.error, 0);
  // Whole files are locked by open files, which wait for nobody.
  fake().fail = Code::kWouldBlock;
  const uint64_t whole = Send(FUSE_SETLKW, 42, Bytes(LockOf(F_WRLCK, 0, 1, FUSE_LK_FLOCK)));
  other.lk_flags = FUSE_LK_FLOCK;
  Send(FUSE_SETLKW, 42, Bytes(other));
  Send(FUSE_INTERRUPT, 0, Bytes(fuse_interrupt_in{whole}));
  reply = Receive();
  EXPECT_EQ(reply.unique, whole);
  EXPECT_EQ(reply.error, EINTR);
}

TEST_F(SessionTest, AbortEndsWaitingWorkers) {
  Start();
  Call(FUSE_STATFS, 1, "");
  EXPECT_TRUE(session_->Stop(Session::StopMode::kAbort).ok());
  runner_.join();
  char byte;
  EXPECT_EQ(::read(kernel_, &byte, 1), 0);  // the device is closed
}

TEST(Handshake, OldKernelsAreRefused) {
  auto vfs = FakeVfs::Make();
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  fuse_init_in init{.major = 7, .minor = 20};
  fuse_in_header header{.len = sizeof header + kInitInV1Size, .opcode = FUSE_INIT, .unique = 1};
  std::string message = Bytes(header) + Bytes(init).substr(0, kInitInV1Size);
  ASSERT_EQ(::write(pair[0], message.data(), message.size()), static_cast<ssize_t>(message.size()));
  auto session = Session::Attach(*vfs, pair[1], {});
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code(), Code::kUnsupportedVersion);
  ::close(pair[0]);
}

}  // namespace
}  // namespace curvefs::fuse
