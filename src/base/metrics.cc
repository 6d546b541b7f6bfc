#include "base/metrics.h"

#include <algorithm>
#include <cstdio>

namespace curvefs {
namespace {

std::string Seconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", seconds);
  return text;
}

}  // namespace

void TimeHistogram::Record(Duration took) {
  const auto ns = static_cast<uint64_t>(std::max<int64_t>(took.count(), 0));
  const auto bucket = std::ranges::lower_bound(kBounds, (ns + 999) / 1000) - kBounds.begin();
  buckets_[static_cast<size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_ns_.fetch_add(ns, std::memory_order_relaxed);
  count_.fetch_add(1, std::memory_order_relaxed);
}

void MetricsText::Begin(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ").append(help).append("\n");
  text_.append("# TYPE ").append(name).append(" ").append(type).append("\n");
}

void MetricsText::Line(std::string_view suffix, const Labels& labels, std::string_view le,
                       const std::string& value) {
  text_.append(name_).append(suffix);
  const char* separator = "{";
  auto label = [&](std::string_view key, std::string_view text) {
    text_.append(separator).append(key).append("=\"");
    for (char c : text) {
      if (c == '\\' || c == '"') text_ += '\\';
      if (c == '\n') {
        text_ += "\\n";
      } else {
        text_ += c;
      }
    }
    text_ += '"';
    separator = ",";
  };
  for (const auto& [key, text] : labels) label(key, text);
  if (!le.empty()) label("le", le);
  if (*separator == ',') text_ += '}';
  text_.append(" ").append(value).append("\n");
}

void MetricsText::Sample(const Labels& labels, uint64_t value) {
  Line("", labels, "", std::to_string(value));
}

void MetricsText::Sample(const Labels& labels, double value) {
  Line("", labels, "", Seconds(value));
}

void MetricsText::Sample(const Labels& labels, const TimeHistogram& histogram) {
  // The sum of the buckets is the count that goes with them, whatever is recorded meanwhile.
  uint64_t count = 0;
  for (size_t i = 0; i < TimeHistogram::kBounds.size(); ++i) {
    count += histogram.in_bucket(i);
    Line("_bucket", labels, Seconds(static_cast<double>(TimeHistogram::kBounds[i]) / 1e6),
         std::to_string(count));
  }
  count += histogram.in_bucket(TimeHistogram::kBounds.size());
  Line("_bucket", labels, "+Inf", std::to_string(count));
  Line("_sum", labels, "", Seconds(static_cast<double>(histogram.sum().count()) / 1e9));
  Line("_count", labels, "", std::to_string(count));
}

}  // namespace curvefs
