#include "base/buffer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <vector>


namespace curvefs {
namespace {

TEST(BufferTest, EverySizeHoldsItsBytes) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{4095}, size_t{4096}, size_t{32} << 10,
                      (size_t{32} << 10) + 1, (size_t{256} << 10) - 1, size_t{256} << 10, size_t{4} << 20}) {
    for (int again = 0; again < 2; ++again) {  // the second time it may be one that was given back
      auto b = Buffer::Make(size);
      ASSERT_EQ(b->size(), size);
      std::memset(b->data(), 0x5a, size);
      if (size >= 4096) EXPECT_EQ(reinterpret_cast<uintptr_t>(b->data()) % 4096, 0u) << size;
    }
  }
}

// What is in use is never handed out a second time, whatever was given back before.
TEST(BufferTest, BuffersInUseDoNotOverlap) {
  std::vector<std::shared_ptr<Buffer>> held;
  uint32_t state = 1;
  for (int step = 0; step < 2'000; ++step) {
    state = state * 1'664'525 + 1'013'904'223;
    if (held.size() > 40) held.erase(held.begin() + state % held.size());
    auto b = Buffer::Make((state >> 8) % (300 << 10));
    std::memset(b->data(), static_cast<int>(held.size()), b->size());
    held.push_back(std::move(b));
    std::set<std::pair<const char*, const char*>> ranges;
    for (const auto& h : held) {
      if (h->size() > 0) ranges.insert({h->data(), h->data() + h->size()});
    }
    const char* end = nullptr;
    for (const auto& [from, to] : ranges) {
      ASSERT_GE(from, end);
      end = to;
    }
  }
}

TEST(BufferTest, MediumAndLargeOnesAreUsedAgain) {
  for (size_t size : {size_t{100} << 10, size_t{1} << 20}) {
    const char* first = Buffer::Make(size)->data();
    EXPECT_EQ(Buffer::Make(size - 1)->data(), first) << size;
  }
}

TEST(BufferTest, ListsAreCopiedOutWithTheirHoles) {
  const BufferList list{BufferSlice::CopyOf("abc"), BufferSlice::Zeros(2),
                        BufferSlice::CopyOf("xyz").Sub(1, 2)};
  ASSERT_EQ(TotalSize(list), 7u);
  std::string out(7, '?');
  CopyOut(list, out.data());
  EXPECT_EQ(out, std::string("abc\0\0yz", 7));
}

}  // namespace
}  // namespace curvefs
