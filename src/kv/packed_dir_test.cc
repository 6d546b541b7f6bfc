#include "kv/packed_dir.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "test/support/sim_disk.h"

namespace curvefs::kv {
namespace {

class PackedDirTest : public testing::Test {
 protected:
  PackedDirTest() {
    EXPECT_TRUE(disk.MakeDir("/from").ok());
    Put("000007.sst", std::string(5000, 's'));
    Put("CURRENT", "MANIFEST-000005\n");
    Put("EMPTY", "");
    Put("MANIFEST-000005", std::string(300, 'm'));
    Put("OPTIONS-000009", "not of interest");
    Put("LOG", "neither");
  }
  void Put(const std::string& name, const std::string& content) {
    ASSERT_TRUE(disk.WriteFileAtomically("/from/" + name, content).ok());
  }
  std::string Pack(size_t piece) {
    auto pack = PackReader::Open(disk, "/from");
    EXPECT_TRUE(pack.has_value());
    std::string bytes;
    while (true) {
      auto next = (*pack)->Read(bytes.size(), piece);
      EXPECT_TRUE(next.has_value());
      if (next->empty()) break;
      bytes += *next;
    }
    EXPECT_EQ(bytes.size(), (*pack)->size());
    return bytes;
  }
  Status Unpack(std::string_view bytes, size_t piece, const std::string& to) {
    EXPECT_TRUE(disk.MakeDir(to).ok());
    Unpacker unpacker(disk, to);
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
      CURVEFS_CHECK_OK(unpacker.Append(bytes.substr(0, piece)));
    return unpacker.Finish();
  }
  // A head that lists one file, as an attacker might write it.
  static std::string HeadWith(const std::string& name, uint64_t size, uint32_t version = kPackVersion) {
    std::string list;
    PutLe<uint16_t>(&list, static_cast<uint16_t>(name.size()));
    list += name;
    PutLe<uint64_t>(&list, size);
    std::string head(kPackMagic);
    PutLe<uint32_t>(&head, version);
    PutLe<uint32_t>(&head, static_cast<uint32_t>(list.size()));
    head += list;
    PutLe<uint32_t>(&head, Crc32c(head));
    return head;
  }

  test::SimDisk disk;
};

TEST_F(PackedDirTest, GoesThereAndBackInPiecesOfAnySize) {
  const std::string bytes = Pack(1 << 20);
  for (size_t piece : {1, 7, 100, 4096, 1 << 20}) {
    EXPECT_TRUE(Pack(piece) == bytes) << piece;
    const std::string to = "/to" + std::to_string(piece);
    ASSERT_TRUE(Unpack(bytes, piece, to).ok()) << piece;
    const std::vector<std::string> names = *disk.List(to);
    EXPECT_EQ(names, (std::vector<std::string>{"000007.sst", "CURRENT", "EMPTY", "MANIFEST-000005"}));
    for (const std::string& name : names)
      EXPECT_TRUE(*disk.ReadWholeFile(to + "/" + name) == *disk.ReadWholeFile("/from/" + name)) << name;
  }
}

TEST_F(PackedDirTest, IsDurableOnceFinished) {
  ASSERT_TRUE(Unpack(Pack(1000), 1000, "/to").ok());
  ASSERT_TRUE(disk.SyncDir("/").ok());
  disk.Crash(1);
  EXPECT_EQ(*disk.ReadWholeFile("/to/000007.sst"), std::string(5000, 's'));
}

TEST_F(PackedDirTest, EveryPieceCanBeAskedForAgain) {
  const std::string bytes = Pack(1 << 20);
  auto pack = PackReader::Open(disk, "/from");
  for (size_t at : {bytes.size() - 1, size_t{0}, bytes.size() / 2, size_t{10}})
    EXPECT_EQ(*(*pack)->Read(at, 50), bytes.substr(at, 50)) << at;
  EXPECT_EQ(*(*pack)->Read(bytes.size(), 50), "");
}

TEST_F(PackedDirTest, RefusesWhatIsNotWhole) {
  const std::string bytes = Pack(1000);
  EXPECT_EQ(Unpack("", 10, "/none").code(), Code::kCorrupt);
  for (size_t size : {size_t{5}, size_t{20}, bytes.size() - 1})
    EXPECT_EQ(Unpack(bytes.substr(0, size), 10, "/half" + std::to_string(size)).code(), Code::kCorrupt)
        << size;
  EXPECT_EQ(Unpack(bytes + "x", 10, "/more").code(), Code::kCorrupt);
  // Every byte of the head counts.
  const size_t head = bytes.find("ssss");
  for (size_t at = 0; at < head; ++at) {
    std::string damaged = bytes;
    damaged[at] ^= 0x20;
    EXPECT_FALSE(Unpack(damaged, 1000, "/damaged" + std::to_string(at)).ok()) << at;
  }
}

TEST_F(PackedDirTest, NamesCannotLeadElsewhere) {
  int n = 0;
  for (const char* name : {"../evil", "/evil", "a/b", "..", ".hidden", ""})
    EXPECT_EQ(Unpack(HeadWith(name, 0), 10, "/hostile" + std::to_string(++n)).code(), Code::kCorrupt) << name;
  EXPECT_EQ(Unpack(HeadWith("x", ~uint64_t{0}), 10, "/huge").code(), Code::kCorrupt);
  EXPECT_EQ(Unpack(HeadWith("x", 0, 9), 10, "/newer").code(), Code::kUnsupportedVersion);
  EXPECT_TRUE(Unpack(HeadWith("x", 0), 10, "/good").ok());
}

}  // namespace
}  // namespace curvefs::kv
