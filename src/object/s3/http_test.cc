#include "object/s3/http.h"

#include <gtest/gtest.h>

namespace curvefs::object::s3 {
namespace {

TEST(Http, Headers) {
  auto h = ParseHeader("ETag:  \"abc\" \r\n");
  ASSERT_TRUE(h);
  EXPECT_EQ(h->name, "etag");
  EXPECT_EQ(h->value, "\"abc\"");
  EXPECT_EQ(ParseHeader("X-Empty:\r\n")->value, "");
  EXPECT_EQ(ParseHeader("X:a:b")->value, "a:b");
  for (const char* none : {"", "\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 a:b\r\n", ": x", "no colon"})
    EXPECT_FALSE(ParseHeader(none)) << none;
}

TEST(Http, ContentRanges) {
  auto r = ParseContentRange("bytes 5-9/100");
  ASSERT_TRUE(r);
  EXPECT_EQ(r->first, 5u);
  EXPECT_EQ(r->last, 9u);
  EXPECT_EQ(r->total, 100u);
  for (const char* none : {"", "bytes", "bytes ", "5-9/100", "bytes 5-9/*", "bytes */100", "bytes 9-5/100",
                           "bytes 5-100/100", "bytes -9/100", "bytes 5-/100", "bytes 5-9/", "bytes 5-9/100 ",
                           "bytes +5-9/100", "bytes 5-9/99999999999999999999"})
    EXPECT_FALSE(ParseContentRange(none)) << none;
}

}  // namespace
}  // namespace curvefs::object::s3
