#include "cli/config_file.h"

#include <sstream>

#include "base/disk.h"
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace curvefs::cli {
namespace {

constexpr size_t kMaxFile = 1 << 20;

}  // namespace

Result<KnobValues> ParseConfigFile(std::string_view text, const std::string& path) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    return Fail(Code::kInvalid, path + ", line " + std::to_string(parsed.error().source().begin.line) + ": " +
                                    std::string(parsed.error().description()));
  }
  KnobValues values;
  for (const auto& [key, node] : parsed.table()) {
    const std::string name(key.str());
    if (const auto* s = node.as_string()) {
      values.emplace_back(name, s->get());
    } else if (node.is_integer() || node.is_boolean() || node.is_floating_point()) {
      std::ostringstream out;
      node.visit([&out](const auto& n) { out << n; });
      values.emplace_back(name, out.str());
    } else {
      return Fail(Code::kInvalid,
                  path + ", line " + std::to_string(node.source().begin.line) + ": " + name +
                      " is neither text, a number nor true or false; each knob is one line NAME = VALUE");
    }
  }
  return values;
}

Result<KnobValues> ReadConfigFile(const std::string& path) {
  auto text = Disk::Posix().ReadWholeFile(path, kMaxFile);
  if (!text) return Fail(Code::kInvalid, "--config: " + text.error().ToString());
  return ParseConfigFile(*text, path);
}

}  // namespace curvefs::cli
