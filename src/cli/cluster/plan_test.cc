#include "cli/cluster/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace curvefs::cli {
namespace {

ClusterPlan Some() {
  return {.name = "cluster-1", .base = 20000};
}

TEST(ClusterPlanTest, IsReadAsWritten) {
  ClusterPlan plan = Some();
  plan.mds = 1;
  auto read = ParsePlan(FormatPlan(plan));
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(*read, plan);
  for (
      const char* text :
      {"", "{}", "[]", "nonsense", R"({"curvefs_cluster": 1})",
       R"({"curvefs_cluster": 1, "name": "x", "base_port": 20000, "etcd": 2, "mds": 3, "metaservers": 3})",
       R"({"curvefs_cluster": 1, "name": "x", "base_port": 99999, "etcd": 3, "mds": 3, "metaservers": 3})"}) {
    auto bad = ParsePlan(text);
    ASSERT_FALSE(bad) << text;
    EXPECT_EQ(bad.error().code(), Code::kCorrupt) << text;
  }
  EXPECT_EQ(ParsePlan(R"({"curvefs_cluster": 2})").error().code(), Code::kUnsupportedVersion);
}

TEST(ClusterPlanTest, NumbersThatMakeNoCluster) {
  EXPECT_TRUE(CheckPlan(Some()).ok());
  for (auto change : std::initializer_list<void (*)(ClusterPlan&)>{
           [](ClusterPlan& p) { p.etcd = 2; }, [](ClusterPlan& p) { p.etcd = 7; },
           [](ClusterPlan& p) { p.mds = 0; }, [](ClusterPlan& p) { p.metaservers = 2; },
           [](ClusterPlan& p) { p.metaservers = 10; }, [](ClusterPlan& p) { p.base = 80; },
           [](ClusterPlan& p) { p.base = 65530; }}) {
    ClusterPlan plan = Some();
    change(plan);
    EXPECT_EQ(CheckPlan(plan).code(), Code::kInvalid) << FormatPlan(plan);
  }
}

TEST(ClusterPlanTest, WithTlsNothingIsPlainButWhatSaysHowItIs) {
  ClusterPlan plan = Some();
  EXPECT_FALSE(TlsOfClients(plan, "/dir").given());
  plan.tls = true;
  EXPECT_EQ(*ParsePlan(FormatPlan(plan)), plan);
  EXPECT_EQ(TlsOfClients(plan, "/dir").key, "/dir/tls/client.key");
  for (const ProcessPlan& p : ProcessesOf(plan, "/dir", "/bin")) {
    auto has = [&](const std::string& text) { return std::ranges::find(p.command, text) != p.command.end(); };
    EXPECT_TRUE(has("/dir/tls/" + p.name + ".pem") && has("/dir/tls/" + p.name + ".key")) << p.name;
    for (size_t i = 1; i < p.command.size(); ++i) {
      const bool health = p.command[i - 1] == "--listen-metrics-urls";
      EXPECT_TRUE(health || !p.command[i].contains("http://")) << p.name << " " << p.command[i];
    }
    const bool etcd = p.kind == ProcessKind::kEtcd;
    EXPECT_EQ(etcd, has("--client-cert-auth") && has("--peer-client-cert-auth"));
    EXPECT_EQ(p.kind == ProcessKind::kMds, has("--etcd-ca"));
  }
}

TEST(ClusterPlanTest, EachHasPortsOfItsOwn) {
  ClusterPlan plan = Some();
  plan.tls = true;
  plan.etcd = kMostEtcd;
  plan.mds = kMostMds;
  plan.metaservers = kMostMetaservers;
  const auto all = ProcessesOf(plan, "/dir", "/bin");
  ASSERT_EQ(all.size(), kMostEtcd + kMostMds + kMostMetaservers);
  std::set<uint16_t> ports;
  size_t count = 0;
  for (const ProcessPlan& p : all) {
    for (uint16_t port : p.ports) {
      ports.insert(port);
      ++count;
      EXPECT_GE(port, plan.base);
      EXPECT_LT(port, plan.base + kPorts);
    }
    EXPECT_NE(
        std::ranges::find_if(p.command, [&](const std::string& a) { return a.find(p.address) != a.npos; }),
        p.command.end());
  }
  EXPECT_EQ(ports.size(), count);
  EXPECT_EQ(all.front().name, "etcd1");
  EXPECT_EQ(all.back().name, "metaserver9");
  EXPECT_EQ(MdsList(Some()), "127.0.0.1:20010,127.0.0.1:20012,127.0.0.1:20014");
}

}  // namespace
}  // namespace curvefs::cli
