// Malformed requests, and the parts of the folder that need no session: INIT, the inbox, mount options.
#include "fuse/decode.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "fuse/channel.h"
#include "fuse/errno.h"
#include "fuse/inbox.h"
#include "fuse/init.h"
#include "fuse/log.h"

namespace curvefs::fuse {
namespace {

std::string Message(uint32_t opcode, std::string_view body) {
  fuse_in_header header{};
  header.len = static_cast<uint32_t>(sizeof header + body.size());
  header.opcode = opcode;
  header.unique = 7;
  header.nodeid = 1;
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + std::string(body);
}

TEST(Decode, ShortHeader) {
  Request request;
  EXPECT_EQ(DecodeRequest("", {}, &request).code(), Code::kInvalid);
  EXPECT_EQ(DecodeRequest(Message(FUSE_GETATTR, "").substr(0, 39), {}, &request).code(), Code::kInvalid);
}

TEST(Decode, LengthMustMatch) {
  Request request;
  EXPECT_EQ(DecodeRequest(Message(FUSE_STATFS, "") + "x", {}, &request).code(), Code::kInvalid);
  EXPECT_EQ(request.unique, 7u);  // so that it can be refused
}

TEST(Decode, NamesMustEnd) {
  Request request;
  EXPECT_EQ(DecodeRequest(Message(FUSE_LOOKUP, "name"), {}, &request).code(), Code::kInvalid);
  EXPECT_EQ(DecodeRequest(Message(FUSE_LOOKUP, std::string_view("\0", 1)), {}, &request).code(),
            Code::kInvalid);
  std::string good = Message(FUSE_LOOKUP, std::string_view("name\0", 5));
  ASSERT_TRUE(DecodeRequest(good, {}, &request).ok());
  EXPECT_EQ(std::get<Lookup>(request.operation).name, "name");
}

TEST(Decode, PayloadMustBeThere) {
  fuse_write_in in{};
  in.size = 5;
  std::string body(reinterpret_cast<char*>(&in), sizeof in);
  Request request;
  EXPECT_EQ(DecodeRequest(Message(FUSE_WRITE, body + "1234"), {}, &request).code(), Code::kInvalid);
  std::string good = Message(FUSE_WRITE, body + "12345");
  ASSERT_TRUE(DecodeRequest(good, {}, &request).ok());
  EXPECT_EQ(std::get<Write>(request.operation).data, "12345");
}

TEST(Decode, ForgetCountMustFit) {
  fuse_batch_forget_in in{.count = 0xffffffff, .dummy = 0};
  Request request;
  std::string body(reinterpret_cast<char*>(&in), sizeof in);
  EXPECT_EQ(DecodeRequest(Message(FUSE_BATCH_FORGET, body), {}, &request).code(), Code::kInvalid);
}

TEST(Decode, UnknownOperationsAreRefused) {
  Request request;
  for (uint32_t opcode : {0u, 34u, 37u, 40u, 52u, 54u, 4096u, ~0u}) {
    ASSERT_TRUE(DecodeRequest(Message(opcode, "anything"), {}, &request).ok());
    EXPECT_EQ(std::get<Refused>(request.operation).error, ENOSYS) << opcode;
  }
}

// Any bytes behind any opcode: decoded or refused, and never read beyond their end (as the sanitizers know).
TEST(Decode, RandomBodies) {
  std::mt19937_64 random(20);
  for (uint32_t opcode = 0; opcode < 56; ++opcode) {
    for (size_t size = 0; size < 140; ++size) {
      std::string body(size, '\0');
      for (char& c : body) c = random() % 3 ? static_cast<char>(random()) : '\0';
      std::string message = Message(opcode, body);
      std::unique_ptr<char[]> exact(new char[message.size()]);
      std::memcpy(exact.get(), message.data(), message.size());
      Request request;
      Status status = DecodeRequest({exact.get(), message.size()}, {.setxattr_ext = size % 2 == 0}, &request);
      EXPECT_TRUE(status.ok() || std::holds_alternative<Refused>(request.operation));
    }
  }
}

Init Linux618() {
  return {.major = 7, .minor = 45, .max_readahead = 128 << 10, .flags = ~uint64_t{0}};
}

TEST(InitTest, TakesWhatItWants) {
  auto agreed = Negotiate(Linux618(), {});
  ASSERT_TRUE(agreed);
  EXPECT_EQ(agreed->reply.minor, 38u);
  EXPECT_EQ(agreed->reply.max_write, 1u << 20);
  EXPECT_EQ(agreed->reply.max_pages, 256);
  EXPECT_EQ(agreed->reply.time_gran, 1u);
  EXPECT_TRUE(agreed->flags & FUSE_WRITEBACK_CACHE);
  EXPECT_TRUE(agreed->flags & FUSE_HANDLE_KILLPRIV_V2);
  EXPECT_TRUE(agreed->dialect.setxattr_ext);
  EXPECT_EQ(agreed->reply.flags2, kDirectIoAllowMmap >> 32);
  EXPECT_FALSE(agreed->flags &
               (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS | FUSE_AUTO_INVAL_DATA | FUSE_HANDLE_KILLPRIV));
}

TEST(InitTest, LocksOfASharedFileSystemAreNotTheKernels) {
  auto agreed = Negotiate(Linux618(), {.shared = true});
  ASSERT_TRUE(agreed);
  EXPECT_TRUE(agreed->flags & FUSE_POSIX_LOCKS);
  EXPECT_TRUE(agreed->flags & FUSE_FLOCK_LOCKS);
}

TEST(InitTest, TakesOnlyWhatIsOffered) {
  Init offer = Linux618();
  offer.minor = 36;
  offer.flags = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_POSIX_LOCKS;
  auto agreed = Negotiate(offer, {});
  ASSERT_TRUE(agreed);
  EXPECT_EQ(agreed->reply.minor, 36u);
  EXPECT_EQ(agreed->flags, uint64_t{FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_MAX_PAGES});
  EXPECT_FALSE(agreed->dialect.setxattr_ext);
}

TEST(InitTest, Policy) {
  auto agreed =
      Negotiate(Linux618(), {.writeback_cache = false, .cache_directories = false, .max_write = 10'000});
  ASSERT_TRUE(agreed);
  EXPECT_FALSE(agreed->flags & (FUSE_WRITEBACK_CACHE | FUSE_NO_OPENDIR_SUPPORT));
  EXPECT_EQ(agreed->reply.max_pages, 3);
}

TEST(InitTest, OtherVersions) {
  Init offer = Linux618();
  offer.minor = 27;
  EXPECT_EQ(Negotiate(offer, {}).error().code(), Code::kUnsupportedVersion);
  offer.major = 8;
  auto agreed = Negotiate(offer, {});
  ASSERT_TRUE(agreed);
  EXPECT_EQ(agreed->reply.major, 7u);  // the kernel asks again
}

TEST(InboxTest, LargePayloadsAreHandedOver) {
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
  Inbox inbox(64 << 10);
  std::string message = std::string(kWriteHeader, 'h') + std::string(40'000, 'p');
  ASSERT_EQ(::write(pair[0], message.data(), message.size()), static_cast<ssize_t>(message.size()));
  ASSERT_EQ(inbox.Receive(pair[1]), static_cast<ssize_t>(message.size()));
  ASSERT_EQ(inbox.message(), message);
  std::string_view payload = inbox.message().substr(kWriteHeader);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(payload.data()) % 4096, 0u);
  BufferSlice slice = inbox.Take(payload);
  EXPECT_EQ(slice.data(), payload.data());

  // The next message does not touch it, and a small payload is copied.
  message.assign(kWriteHeader, 'h').append("small");
  ASSERT_EQ(::write(pair[0], message.data(), message.size()), static_cast<ssize_t>(message.size()));
  ASSERT_EQ(inbox.Receive(pair[1]), static_cast<ssize_t>(message.size()));
  EXPECT_EQ(slice.view(), std::string(40'000, 'p'));
  BufferSlice small = inbox.Take(inbox.message().substr(kWriteHeader));
  EXPECT_EQ(small.view(), "small");
  EXPECT_EQ(small.buffer->size(), 5u);
  ::close(pair[0]);
  EXPECT_EQ(inbox.Receive(pair[1]), 0);
  ::close(pair[1]);
}

TEST(Errno, EveryCodeHasOne) {
  for (int i = 1; i <= static_cast<int>(Code::kLocked); ++i) {
    int error = ToErrno(static_cast<Code>(i));
    EXPECT_GT(error, 0) << i;
    EXPECT_NE(error, ENOSYS) << i;  // would switch the operation off
  }
  EXPECT_EQ(ToErrno(Code::kOk), 0);
  EXPECT_EQ(ToErrno(Code::kNoAttribute), ENODATA);
  EXPECT_EQ(ToErrno(static_cast<Code>(200)), EIO);
}

TEST(MountOption, Flags) {
  MountOptions options;
  for (const char* option :
       {"noexec", "nosuid", "ro", "rw", "relatime", "strictatime", "fsname=a b", "allow_other"})
    EXPECT_TRUE(ApplyMountOption(option, &options)) << option;
  EXPECT_EQ(options.flags, static_cast<unsigned long>(MS_NOEXEC | MS_NOSUID | MS_STRICTATIME));
  EXPECT_EQ(options.fsname, "a b");
  EXPECT_TRUE(options.allow_other);
  EXPECT_FALSE(ApplyMountOption("umask=077", &options));
}

TEST(LogTest, ABurstIsCutShort) {
  int lines = 0;
  Log log([&](std::string_view) { ++lines; });
  for (int i = 0; i < 100'000; ++i) log.Line("x");
  EXPECT_LT(lines, 10'000);
  EXPECT_GE(lines, 10);
  Log(nullptr).Line("nobody listens");
}

}  // namespace
}  // namespace curvefs::fuse
