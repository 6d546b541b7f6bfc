#include "base/metrics.h"

#include <gtest/gtest.h>

namespace curvefs {
namespace {

TEST(Metrics, TextThatPrometheusReads) {
  MetricsText text;
  text.Add("curvefs_things_total", "counter", "Things.", 3);
  text.Begin("curvefs_depth", "gauge", "Depth.");
  text.Sample({{"copyset", "1"}, {"name", "a\"b\\c\nd"}}, uint64_t{7});
  text.Sample({{"copyset", "2"}}, 0.5);
  EXPECT_EQ(text.text(),
            "# HELP curvefs_things_total Things.\n"
            "# TYPE curvefs_things_total counter\n"
            "curvefs_things_total 3\n"
            "# HELP curvefs_depth Depth.\n"
            "# TYPE curvefs_depth gauge\n"
            "curvefs_depth{copyset=\"1\",name=\"a\\\"b\\\\c\\nd\"} 7\n"
            "curvefs_depth{copyset=\"2\"} 0.5\n");
}

TEST(Metrics, Histogram) {
  TimeHistogram h;
  h.Record(std::chrono::microseconds(50));  // the bound itself is inside
  h.Record(std::chrono::nanoseconds(50'001));
  h.Record(std::chrono::seconds(60));
  h.Record(std::chrono::nanoseconds(-5));
  EXPECT_EQ(h.count(), 4u);
  EXPECT_EQ(h.in_bucket(0), 2u);
  EXPECT_EQ(h.in_bucket(1), 1u);
  EXPECT_EQ(h.in_bucket(TimeHistogram::kBounds.size()), 1u);
  MetricsText text;
  text.BeginHistogram("t_seconds", "Time.");
  text.Sample({{"m", "x"}}, h);
  const std::string& t = text.text();
  EXPECT_NE(t.find("t_seconds_bucket{m=\"x\",le=\"5e-05\"} 2\n"), t.npos) << t;
  EXPECT_NE(t.find("t_seconds_bucket{m=\"x\",le=\"5\"} 3\n"), t.npos) << t;
  EXPECT_NE(t.find("t_seconds_bucket{m=\"x\",le=\"+Inf\"} 4\n"), t.npos) << t;
  EXPECT_NE(t.find("t_seconds_count{m=\"x\"} 4\n"), t.npos) << t;
  EXPECT_NE(t.find("t_seconds_sum{m=\"x\"} 60.0001\n"), t.npos) << t;
}

}  // namespace
}  // namespace curvefs
