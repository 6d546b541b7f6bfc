#include "proto/meta_wire.h"

#include <gtest/gtest.h>

#include "proto/copyset.pb.h"

namespace curvefs {
namespace {

// "NOT_FOUND" for kNotFound, "not found": the numbers are the same, and so are the names.
TEST(MetaWire, CodesHaveTheSameNumbers) {
  EXPECT_EQ(proto::MetaStatusCode_ARRAYSIZE, static_cast<int>(Code::kLocked) + 1);
  for (int code = 0; code < proto::MetaStatusCode_ARRAYSIZE; ++code) {
    ASSERT_TRUE(proto::MetaStatusCode_IsValid(code)) << code;
    EXPECT_EQ(FromWire(ToWire(static_cast<Code>(code))), static_cast<Code>(code));
  }
  const std::pair<proto::MetaStatusCode, Code> pairs[] = {
      {proto::NOT_FOUND, Code::kNotFound},
      {proto::NO_SPACE, Code::kNoSpace},
      {proto::READ_ONLY, Code::kReadOnly},
      {proto::NOT_SUPPORTED, Code::kNotSupported},
      {proto::BUSY, Code::kBusy},
      {proto::CORRUPT, Code::kCorrupt},
      {proto::NOT_LEADER, Code::kNotLeader},
      {proto::UNAVAILABLE, Code::kUnavailable},
      {proto::TIMED_OUT, Code::kTimedOut},
      {proto::NO_MEMORY, Code::kNoMemory},
      {proto::CROSS_DEVICE, Code::kCrossDevice},
      {proto::UNSUPPORTED_VERSION, Code::kUnsupportedVersion},
      {proto::FENCED, Code::kFenced}};
  for (auto [wire, code] : pairs) EXPECT_EQ(ToWire(code), wire) << CodeName(code);
  EXPECT_EQ(FromWire(static_cast<proto::MetaStatusCode>(200)), Code::kIo) << "of a newer program";
}

TEST(MetaWire, InodesAndChunksComeBack) {
  meta::Inode inode{.id = InodeId(7),
                    .mode = 0100644,
                    .uid = 1,
                    .gid = 2,
                    .nlink = 3,
                    .length = 4,
                    .atime = {-5},
                    .mtime = {6},
                    .ctime = {7},
                    .rdev = 8,
                    .parent = InodeId(9),
                    .symlink = "to",
                    .version = 10,
                    .flags = 11,
                    .bytes = 12};
  proto::Inode wire;
  ToWire(FsId(3), inode, &wire);
  EXPECT_EQ(wire.fs_id(), 3u);
  const meta::Inode back = FromWire(wire);
  EXPECT_EQ(back.id, inode.id);
  EXPECT_EQ(meta::EncodeInode(back), meta::EncodeInode(inode));

  meta::ChunkRecord chunk{.sequence = 1,
                          .offset = 2,
                          .len = 3,
                          .chunk_id = ChunkId(4),
                          .block = 5,
                          .compaction = 6,
                          .object_inode = InodeId(7),
                          .object_offset = 8,
                          .object_size = 11,
                          .digest = 9};
  for (uint64_t file : {7, 70}) {
    proto::S3ChunkInfo info;
    ToWire(InodeId(file), chunk, &info);
    auto got = FromWire(InodeId(file), info);
    ASSERT_TRUE(got.has_value());
    EXPECT_EQ(meta::EncodeChunk(InodeId(1), *got), meta::EncodeChunk(InodeId(1), chunk));
    EXPECT_EQ(got->sequence, 1u);
  }
}

// Whatever meta would call corrupt when it reads it back.
TEST(MetaWire, ChunksThatMakeNoSenseAreRefused) {
  proto::S3ChunkInfo good;
  good.set_offset(10);
  good.set_len(4);
  good.set_inline_data("abcd");
  auto refused = [](proto::S3ChunkInfo info) {
    auto got = FromWire(InodeId(1), info);
    return !got && got.error().code() == Code::kInvalid;
  };
  EXPECT_FALSE(refused(good));
  proto::S3ChunkInfo bad = good;
  bad.set_len(5);
  EXPECT_TRUE(refused(bad));
  bad = good;
  bad.set_len(0);
  EXPECT_TRUE(refused(bad));
  bad = good;
  bad.set_offset(~uint64_t{0} - 1);
  EXPECT_TRUE(refused(bad));
  bad = good;
  bad.set_chunk_id(1);
  EXPECT_TRUE(refused(bad)) << "in an object and inline at once";
  bad.clear_inline_data();
  bad.set_size(3);
  EXPECT_TRUE(refused(bad)) << "past the end of the object";
  bad.set_size(4);
  EXPECT_FALSE(refused(bad));
}

TEST(MetaWire, AFailureIsAResponseOfAnyCall) {
  const std::string bytes = EncodeFailure({Code::kNotLeader, "elsewhere"}, 5, "host:1");
  proto::GetInodeResponse inode;
  ASSERT_TRUE(inode.ParseFromString(bytes));
  EXPECT_EQ(StatusOf(inode.header()).code(), Code::kNotLeader);
  EXPECT_EQ(inode.header().leader().address(), "host:1");
  EXPECT_EQ(inode.header().leader().replica_id(), 5u);
  // All have the header where EncodeFailure puts it, and all requests where servers look for it.
  for (const auto* file :
       {proto::GetInodeRequest::descriptor()->file(), proto::CreateCopysetRequest::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        const auto* method = file->service(s)->method(m);
        for (const auto* type : {method->input_type(), method->output_type()}) {
          const auto* field = type->FindFieldByNumber(1);
          ASSERT_NE(field, nullptr) << type->name();
          EXPECT_EQ(field->name(), "header") << type->name();
        }
      }
    }
  }
}

}  // namespace
}  // namespace curvefs
