#include "cli/cluster_place.h"

#include <gtest/gtest.h>

namespace curvefs::cli {
namespace {

TEST(ClusterPlace, IsRead) {
  auto place = ParseClusterPlace("meta://10.0.0.1:8200,host.example:8201/17");
  ASSERT_TRUE(place) << place.error().ToString();
  EXPECT_EQ(place->copyset, 17u);
  ASSERT_EQ(place->servers.size(), 2u);
  EXPECT_EQ(place->servers[1], (net::Address{"host.example", 8201}));
  EXPECT_EQ(place->ToString(), "meta://10.0.0.1:8200,host.example:8201/17");
}

TEST(ClusterPlace, WhatIsWrongIsNamed) {
  for (const char* text : {"", "meta://", "meta:///1", "meta://h:1", "meta://h:1/", "meta://h:1/0",
                           "meta://h:1/x", "meta://h:1/1x", "meta://h/1", "meta://h:99999/1",
                           "meta://h:1,,h:2/1", "http://h:1/1", "meta://h:1/18446744073709551616"}) {
    auto place = ParseClusterPlace(text);
    ASSERT_FALSE(place) << text;
    EXPECT_EQ(place.error().code(), Code::kInvalid) << text;
    EXPECT_NE(place.error().message().find("meta://HOST:PORT"), std::string::npos) << text;
  }
}

TEST(ClusterPlace, ByName) {
  auto place = ParseClusterPlace("mds://10.0.0.1:8300,[::1]:8300/home");
  ASSERT_TRUE(place) << place.error().ToString();
  EXPECT_TRUE(place->by_name());
  EXPECT_EQ(place->fs, "home");
  EXPECT_EQ(place->ToString(), "mds://10.0.0.1:8300,[::1]:8300/home");
  for (const char* text :
       {"mds://", "mds:///home", "mds://h:1", "mds://h:1/", "mds://h/home", "mds://h:1,/home/"}) {
    auto bad = ParseClusterPlace(text);
    ASSERT_FALSE(bad) << text;
    EXPECT_NE(bad.error().message().find("mds://HOST:PORT"), std::string::npos) << bad.error().message();
  }
}

}  // namespace
}  // namespace curvefs::cli
