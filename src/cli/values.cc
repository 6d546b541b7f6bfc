#include "cli/values.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace curvefs::cli {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

// A number, perhaps with a fraction, and the unit behind it in lower case.
bool Split(std::string_view text, double* number, std::string* unit) {
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), *number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(*number) || *number < 0) return false;
  for (const char* p = end; p != text.data() + text.size(); ++p) {
    if (*p != ' ') unit->push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(*p))));
  }
  return true;
}

constexpr std::array<std::string_view, 6> kSizeUnits = {"", "k", "m", "g", "t", "p"};

}  // namespace

Result<uint64_t> ParseSize(std::string_view text) {
  double number = 0;
  std::string unit;
  if (Split(text, &number, &unit)) {
    double factor = 1;
    for (std::string_view name : kSizeUnits) {
      const std::string base(name);
      if (unit == base || unit == base + "b" || (!base.empty() && unit == base + "ib")) {
        double bytes = number * factor;
        // Beyond 2^53 a double no longer counts single bytes; nothing here is that large.
        if (bytes > 9e15 || bytes != std::floor(bytes)) break;
        return static_cast<uint64_t>(bytes);
      }
      factor *= 1024;
    }
  }
  return Fail(Code::kInvalid,
              "'" + std::string(text) + "' is not a size; write for example 65536, 64KiB or 1G");
}

std::string FormatSize(uint64_t bytes) {
  static constexpr std::array<const char*, 6> kNames = {"", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < kNames.size()) {
    bytes /= 1024;
    ++unit;
  }
  return std::to_string(bytes) + kNames[unit];
}

std::string RoundedSize(uint64_t bytes) {
  static constexpr std::array<const char*, 6> kNames = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  size_t unit = 0;
  auto value = static_cast<double>(bytes);
  for (; value >= 1024 && unit + 1 < kNames.size(); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s", value, kNames[unit]);
  return text;
}

Result<Duration> ParseDuration(std::string_view text) {
  static constexpr std::array<Unit, 9> kUnits = {{{"", 1e9},
                                                  {"s", 1e9},
                                                  {"sec", 1e9},
                                                  {"ms", 1e6},
                                                  {"us", 1e3},
                                                  {"ns", 1},
                                                  {"m", 60e9},
                                                  {"h", 3600e9},
                                                  {"d", 86400e9}}};
  double number = 0;
  std::string unit;
  if (Split(text, &number, &unit)) {
    for (const Unit& u : kUnits) {
      if (unit == u.name && number * u.factor < 9e18) {
        return Duration(std::llround(number * u.factor));
      }
    }
  }
  return Fail(Code::kInvalid,
              "'" + std::string(text) + "' is not a duration; write for example 1s, 200ms or 2m");
}

std::string FormatDuration(Duration duration) {
  struct Exact {
    const char* name;
    int64_t ns;
  };
  static constexpr std::array<Exact, 7> kUnits = {{{"d", 86'400'000'000'000},
                                                   {"h", 3'600'000'000'000},
                                                   {"m", 60'000'000'000},
                                                   {"s", 1'000'000'000},
                                                   {"ms", 1'000'000},
                                                   {"us", 1'000},
                                                   {"ns", 1}}};
  if (duration.count() == 0) return "0s";
  for (const Exact& u : kUnits) {
    if (duration.count() % u.ns == 0) return std::to_string(duration.count() / u.ns) + u.name;
  }
  return {};
}

Result<bool> ParseBool(std::string_view text) {
  for (std::string_view yes : {"true", "yes", "on", "1"}) {
    if (text == yes) return true;
  }
  for (std::string_view no : {"false", "no", "off", "0"}) {
    if (text == no) return false;
  }
  return Fail(Code::kInvalid, "'" + std::string(text) + "' is neither true nor false");
}

}  // namespace curvefs::cli
