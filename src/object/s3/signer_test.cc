// The signer against the cases that AWS publishes: the Signature Version 4 test suite (service "service") and
// the examples of the S3 API Reference.
#include "object/s3/signer.h"

#include <gtest/gtest.h>

#include "object/s3/encoding.h"

namespace curvefs::object::s3 {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Case {
  const char* name;
  const char* method;
  const char* path;
  Pairs query;
  Pairs headers;
  const char* payload;
  const char* signed_headers;
  const char* signature;
};

std::string SignatureOf(const Case& c, const Credentials& credentials, Timestamp time, const char* service) {
  SignableRequest r{c.method, c.path, c.query, c.headers, Sha256Hex(std::string_view(c.payload))};
  const std::string value = Authorization(r, credentials, time, "us-east-1", service);
  EXPECT_NE(value.find("SignedHeaders=" + std::string(c.signed_headers) + ","), value.npos) << value;
  return value.substr(value.find("Signature=") + 10);
}

TEST(Signer, TheTestSuiteOfAws) {
  const Credentials credentials{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""};
  const Timestamp time = Timestamp::From(1440938160, 0);  // 20150830T123600Z
  const std::pair<std::string, std::string> host{"Host", "example.amazonaws.com"},
      date{"X-Amz-Date", "20150830T123600Z"};
  const char* const kPlain = "host;x-amz-date";
  const std::vector<Case> cases = {
      {"get-vanilla",
       "GET",
       "/",
       {},
       {host, date},
       "",
       kPlain,
       "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
      {"get-vanilla-query-order-key-case",
       "GET",
       "/",
       {{"Param2", "value2"}, {"Param1", "value1"}},
       {host, date},
       "",
       kPlain,
       "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
      {"get-vanilla-utf8-query",
       "GET",
       "/",
       {{"ሴ", "bar"}},
       {host, date},
       "",
       kPlain,
       "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
      {"get-utf8",
       "GET",
       "/%E1%88%B4",
       {},
       {host, date},
       "",
       kPlain,
       "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
      {"get-unreserved",
       "GET",
       "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
       {},
       {host, date},
       "",
       kPlain,
       "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
      {"get-header-key-duplicate",
       "GET",
       "/",
       {},
       {host, {"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}, date},
       "",
       "host;my-header1;x-amz-date",
       "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
      {"get-header-value-trim",
       "GET",
       "/",
       {},
       {host, {"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}, date},
       "",
       "host;my-header1;my-header2;x-amz-date",
       "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
      {"post-vanilla",
       "POST",
       "/",
       {},
       {host, date},
       "",
       kPlain,
       "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
      {"post-header-key-sort",
       "POST",
       "/",
       {},
       {host, {"My-Header1", "value1"}, date},
       "",
       "host;my-header1;x-amz-date",
       "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
      {"post-x-www-form-urlencoded",
       "POST",
       "/",
       {},
       {{"Content-Type", "application/x-www-form-urlencoded"}, host, date},
       "Param1=value1",
       "content-type;host;x-amz-date",
       "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
  };
  for (const Case& c : cases) EXPECT_EQ(SignatureOf(c, credentials, time, "service"), c.signature) << c.name;
}

TEST(Signer, TheExamplesOfTheS3Reference) {
  const Credentials credentials{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
  const Timestamp time = Timestamp::From(1369353600, 0);  // 20130524T000000Z
  const std::string empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  const std::pair<std::string, std::string> host{"Host", "examplebucket.s3.amazonaws.com"},
      date{"x-amz-date", "20130524T000000Z"}, none{"x-amz-content-sha256", empty};
  const char* const kPlain = "host;x-amz-content-sha256;x-amz-date";
  const std::vector<Case> cases = {
      {"get object",
       "GET",
       "/test.txt",
       {},
       {host, {"Range", "bytes=0-9"}, none, date},
       "",
       "host;range;x-amz-content-sha256;x-amz-date",
       "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
      {"put object",
       "PUT",
       "/test%24file.text",
       {},
       {host,
        {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
        date,
        {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
        {"x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}},
       "Welcome to Amazon S3.",
       "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
       "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
      {"get lifecycle",
       "GET",
       "/",
       {{"lifecycle", ""}},
       {host, none, date},
       "",
       kPlain,
       "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
      {"list objects",
       "GET",
       "/",
       {{"prefix", "J"}, {"max-keys", "2"}},
       {host, none, date},
       "",
       kPlain,
       "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
  };
  for (const Case& c : cases) EXPECT_EQ(SignatureOf(c, credentials, time, "s3"), c.signature) << c.name;
}

TEST(Signer, PathsAreNotNormalised) {
  // Keys like a//b and a/../b are objects of their own; S3 signs the path as it is sent.
  const Credentials credentials{"a", "b", ""};
  auto sign = [&](const char* path) {
    return Authorization({"GET", path, {}, {{"host", "h"}}, ""}, credentials, Timestamp::From(1, 0), "r");
  };
  EXPECT_NE(sign("/a//b"), sign("/a/b"));
  EXPECT_NE(sign("/a/../b"), sign("/b"));
}

TEST(Encoding, UrisAndDigests) {
  EXPECT_EQ(UriEncode("a b/c+ü~", true), "a%20b/c%2B%C3%BC~");
  EXPECT_EQ(UriEncode("a/b", false), "a%2Fb");
  for (const char* text : {"", "a b/c+ü~", "100%", "%4", "%zz"})
    EXPECT_EQ(UriDecode(UriEncode(text, false)), text);
  EXPECT_EQ(UriDecode("%4"), "%4");
  EXPECT_EQ(UriDecode("%zz"), "%zz");
  EXPECT_EQ(Md5Base64("abc"), "kAFQmDzST7DWlj99KOF/cg==");
  BufferList list{BufferSlice::CopyOf("ab"), BufferSlice::Zeros(100'000), BufferSlice::CopyOf("c")};
  EXPECT_EQ(Sha256Hex(list), Sha256Hex(std::string_view("ab" + std::string(100'000, '\0') + "c")));
  EXPECT_EQ(AmzTime(Timestamp::From(1440938160, 5)), "20150830T123600Z");
}

}  // namespace
}  // namespace curvefs::object::s3
