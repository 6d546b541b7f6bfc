#include "client/vfs/kept_pages.h"

#include <gtest/gtest.h>

namespace curvefs::client {
namespace {

constexpr InodeId kFile{5};
constexpr HandleId kFirst{1}, kSecond{2}, kThird{3};

TEST(KeptPages, AreKeptWhileTheFileIsTheSame) {
  KeptPages pages;
  EXPECT_FALSE(pages.Open(kFile, 7, kFirst)) << "whatever the kernel has, it is of an unknown version";
  pages.Seen(kFile, kFirst);
  EXPECT_TRUE(pages.Open(kFile, 7, kSecond));
  EXPECT_TRUE(pages.Open(kFile, 7, kThird));
}

TEST(KeptPages, AreDroppedOnceAnotherMountHasChangedTheFile) {
  KeptPages pages;
  pages.Open(kFile, 7, kFirst);
  pages.Seen(kFile, kFirst);
  EXPECT_FALSE(pages.Open(kFile, 8, kSecond));
  pages.Seen(kFile, kSecond);
  EXPECT_TRUE(pages.Open(kFile, 8, kThird));
}

TEST(KeptPages, AreNotCountedOnBeforeTheKernelHasDroppedTheOldOnes) {
  KeptPages pages;
  pages.Open(kFile, 7, kFirst);
  EXPECT_FALSE(pages.Open(kFile, 7, kSecond)) << "the answer to the first open may be on its way";
  pages.Seen(kFile, kFirst);
  EXPECT_FALSE(pages.Open(kFile, 7, kThird)) << "now it is the second's";
  pages.Seen(kFile, kThird);
  EXPECT_TRUE(pages.Open(kFile, 7, kFirst));
}

TEST(KeptPages, AreNotCountedOnAfterAWritePastThem) {
  KeptPages pages;
  pages.Open(kFile, 7, kFirst);
  pages.Seen(kFile, kFirst);
  pages.Forget(kFile);
  EXPECT_FALSE(pages.Open(kFile, 7, kSecond)) << "what was written may not be stored yet";
}

TEST(KeptPages, OfManyFilesSomeAreForgotten) {
  KeptPages pages(10);
  for (uint64_t i = 1; i <= 1'000; ++i) {
    pages.Open(InodeId(i), 1, HandleId(i));
    pages.Seen(InodeId(i), HandleId(i));
  }
  int kept = 0;
  for (uint64_t i = 1; i <= 1'000; ++i) kept += pages.Open(InodeId(i), 1, HandleId(i)) ? 1 : 0;
  EXPECT_LE(kept, 10);
}

}  // namespace
}  // namespace curvefs::client
