// Numbers for whoever watches the process: histograms of times, and the text in which Prometheus takes
// numbers. Format: https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"

namespace curvefs {

// How long things took. Thread-safe, and cheap enough for every operation.
class TimeHistogram {
 public:
  // Upper bounds of the buckets, in microseconds; one more bucket holds what is longer.
  static constexpr std::array<uint64_t, 16> kBounds = {
      50,     100,    200,     500,     1'000,   2'000,     5'000,     10'000,
      20'000, 50'000, 100'000, 200'000, 500'000, 1'000'000, 2'000'000, 5'000'000};

  void Record(Duration took);
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  Duration sum() const { return Duration(static_cast<int64_t>(sum_ns_.load(std::memory_order_relaxed))); }
  uint64_t in_bucket(size_t i) const { return buckets_[i].load(std::memory_order_relaxed); }

 private:
  std::array<std::atomic<uint64_t>, kBounds.size() + 1> buckets_{};
  std::atomic<uint64_t> count_{0}, sum_ns_{0};
};

// Writes the text. All samples of one name come one after another, as the format wants it.
class MetricsText {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string>>;

  // Begins the samples called `name`; `type`: "counter" or "gauge".
  void Begin(std::string_view name, std::string_view type, std::string_view help);
  void Sample(const Labels& labels, uint64_t value);
  void Sample(const Labels& labels, double value);
  // Begins the samples of histograms; then one for each set of labels.
  void BeginHistogram(std::string_view name, std::string_view help) { Begin(name, "histogram", help); }
  void Sample(const Labels& labels, const TimeHistogram& histogram);

  // For one that has one sample without labels.
  void Add(std::string_view name, std::string_view type, std::string_view help, uint64_t value) {
    Begin(name, type, help);
    Sample({}, value);
  }

  const std::string& text() const { return text_; }

 private:
  void Line(std::string_view suffix, const Labels& labels, std::string_view le, const std::string& value);
  std::string name_;
  std::string text_;
};

}  // namespace curvefs
