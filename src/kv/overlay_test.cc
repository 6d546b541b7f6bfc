#include "kv/overlay.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace curvefs::kv {
namespace {

class MapView final : public View {
 public:
  std::map<std::string, std::string, std::less<>> pairs;

  Status Get(std::string_view key, std::string* value) const override {
    auto it = pairs.find(key);
    if (it == pairs.end()) return Code::kNotFound;
    *value = it->second;
    return {};
  }
  Status Scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    if (broken) return {Code::kIo, "broken"};
    for (auto it = pairs.lower_bound(begin); it != pairs.end() && (end.empty() || it->first < end); ++it) {
      if (!visit(it->first, it->second)) break;
    }
    return {};
  }
  bool broken = false;
};

std::string Dump(const View& view, std::string_view begin = "", std::string_view end = "",
                 int limit = 1 << 30) {
  std::string out;
  Status s = view.Scan(begin, end, [&](std::string_view key, std::string_view value) {
    if (!out.empty()) out += ' ';
    out.append(key).append("=").append(value);
    return --limit > 0;
  });
  EXPECT_TRUE(s.ok());
  return out;
}

TEST(PrefixEndTest, IsTheSmallestGreaterKey) {
  EXPECT_EQ(PrefixEnd("abc"), "abd");
  EXPECT_EQ(PrefixEnd("a\xff"), "b");
  EXPECT_EQ(PrefixEnd("a\xff\xff"), "b");
  EXPECT_EQ(PrefixEnd("\xff\xff"), "");
  EXPECT_EQ(PrefixEnd(""), "");
  EXPECT_EQ(PrefixEnd("a\x7f"), "a\x80");
}

TEST(OverlayTest, ReadsItsOwnChanges) {
  MapView base;
  base.pairs = {{"b", "1"}, {"d", "1"}, {"f", "1"}};
  Overlay overlay(base);
  EXPECT_TRUE(overlay.empty());
  overlay.Set("a", "2");
  overlay.Set("d", "2");
  overlay.Del("f");
  overlay.Del("x");
  overlay.Set("g", "2");
  EXPECT_EQ(Dump(overlay), "a=2 b=1 d=2 g=2");
  EXPECT_EQ(Dump(overlay, "b", "g"), "b=1 d=2");
  EXPECT_EQ(Dump(overlay, "b", "d"), "b=1");
  EXPECT_EQ(Dump(overlay, "", "", 2), "a=2 b=1");
  EXPECT_EQ(Dump(overlay, "c", "", 1), "d=2");
  EXPECT_EQ(Dump(overlay, "f", "", 1), "g=2");
  std::string value;
  EXPECT_TRUE(overlay.Get("d", &value).ok());
  EXPECT_EQ(value, "2");
  EXPECT_EQ(overlay.Get("f", &value).code(), Code::kNotFound);
  EXPECT_TRUE(overlay.Get("b", &value).ok());
  base.broken = true;
  EXPECT_EQ(overlay.Scan("", "", [](auto, auto) { return true; }).code(), Code::kIo);
}

TEST(OverlayTest, TheBatchHasOneRecordForEachKeyInOrder) {
  MapView base;
  Overlay overlay(base);
  overlay.Set("b", "1");
  overlay.Set("a", "1");
  overlay.Set("b", "2");
  overlay.Del("a");
  overlay.Set("c", "3");
  WriteBatch expected;
  expected.Del("a");
  expected.Set("b", "2");
  expected.Set("c", "3");
  EXPECT_EQ(overlay.ToBatch().encoded(), expected.encoded());
}

// Against a plain map, with overlays stacked.
TEST(OverlayTest, RandomChangesMatchAMap) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    auto key = [&] { return std::string(1, static_cast<char>('a' + random() % 12)); };
    MapView base, model;
    for (int i = 0; i < 6; ++i) base.pairs[key()] = std::to_string(random() % 100);
    model.pairs = base.pairs;
    Overlay lower(base), upper(static_cast<const View&>(lower));
    for (int i = 0; i < 12; ++i) {
      Overlay& target = i < 6 ? lower : upper;
      std::string k = key(), v = std::to_string(random() % 100);
      if (random() % 3 == 0) {
        target.Del(k);
        model.pairs.erase(k);
      } else {
        target.Set(k, v);
        model.pairs[k] = v;
      }
    }
    std::string begin = key(), end = random() % 2 ? key() : "";
    int limit = 1 + static_cast<int>(random() % 8);
    EXPECT_EQ(Dump(upper, begin, end, limit), Dump(model, begin, end, limit)) << "seed " << seed;
    EXPECT_EQ(Dump(upper), Dump(model)) << "seed " << seed;
  }
}

// A proposal that came to nothing, while one before it is still under way: what that one wrote shows again.
TEST(Overlay, WhatALaterBatchHidIsThereAgainWhenThatIsGone) {
  MapView base;
  Overlay overlay(base);
  auto batch = [](std::string_view value) {
    WriteBatch b;
    if (value.empty()) {
      b.Del("counter");
    } else {
      b.Set("counter", value);
    }
    return std::string(b.encoded());
  };
  auto get = [&] {
    std::string value;
    return overlay.Get("counter", &value).ok() ? value : "none";
  };
  overlay.Add(batch("20"), 1);
  overlay.Add(batch("21"), 2);
  overlay.Add(batch(""), 3);
  overlay.Add(batch("22"), 4);
  EXPECT_EQ(get(), "22");
  overlay.Forget(batch("22"), 4);
  EXPECT_EQ(get(), "none");
  overlay.Forget(batch("21"), 2);  // out of order
  EXPECT_EQ(get(), "none");
  overlay.Forget(batch(""), 3);
  EXPECT_EQ(get(), "20");
  overlay.Forget(batch("20"), 1);
  EXPECT_EQ(get(), "none");
  EXPECT_TRUE(overlay.empty());
}

// A replicated copyset: batches that are proposed lie over the state until they are applied to it.
TEST(Overlay, BatchesComeAndGoButForKeysThatALaterOneChanged) {
  MapView base;
  base.pairs = {{"a", "0"}, {"b", "0"}};
  Overlay overlay(base);
  WriteBatch one, two;
  one.Set("a", "1");
  one.Del("b");
  two.Set("a", "2");
  two.Set("c", "2");
  overlay.Add(one.encoded(), 1);
  overlay.Add(two.encoded(), 2);
  std::string value;
  EXPECT_TRUE(overlay.Get("a", &value).ok());
  EXPECT_EQ(value, "2");
  EXPECT_EQ(overlay.Get("b", &value).code(), Code::kNotFound);
  base.pairs = {{"a", "1"}};  // the first is applied
  overlay.Forget(one.encoded(), 1);
  EXPECT_TRUE(overlay.Get("a", &value).ok());
  EXPECT_EQ(value, "2");
  EXPECT_EQ(overlay.Get("b", &value).code(), Code::kNotFound);
  EXPECT_FALSE(overlay.empty());
  overlay.Forget(two.encoded(), 2);  // the second is not: leadership was lost
  EXPECT_TRUE(overlay.empty());
  EXPECT_TRUE(overlay.Get("a", &value).ok());
  EXPECT_EQ(value, "1");
}

}  // namespace
}  // namespace curvefs::kv
