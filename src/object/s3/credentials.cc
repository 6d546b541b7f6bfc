#include "object/s3/credentials.h"

#include <algorithm>

namespace curvefs::object::s3 {
namespace {

constexpr size_t kMaxFile = 1 << 20;

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::string Value(const Environment& getenv, const char* name) {
  const char* value = getenv(name);
  return value != nullptr ? value : "";
}

constexpr std::string_view kHowTo =
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or write them into "
    "~/.aws/credentials (AWS_PROFILE chooses a profile there)";

// Keys become parts of headers.
Status CheckCharacters(const Credentials& c) {
  for (const std::string& key : {c.access_key, c.secret_key, c.session_token}) {
    if (std::ranges::any_of(key, [](char x) { return x <= ' ' || x == 0x7f; }))
      return {Code::kInvalid, "a key has a space or a control character in it"};
  }
  return {};
}

}  // namespace

Result<Credentials> ParseCredentials(std::string_view text, std::string_view profile) {
  Credentials found;
  bool there = false, inside = false;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[') {
      inside = line.back() == ']' && Trim(line.substr(1, line.size() - 2)) == profile;
      there |= inside;
      continue;
    }
    const size_t equals = line.find('=');
    if (!inside || equals == line.npos) continue;
    const std::string_view key = Trim(line.substr(0, equals));
    const std::string value(Trim(line.substr(equals + 1)));
    if (key == "aws_access_key_id") found.access_key = value;
    if (key == "aws_secret_access_key") found.secret_key = value;
    if (key == "aws_session_token") found.session_token = value;
  }
  const std::string name = "profile '" + std::string(profile) + "'";
  if (!there) return Fail(Code::kNotFound, "there is no " + name);
  if (found.access_key.empty() || found.secret_key.empty()) {
    return Fail(
        Code::kInvalid,
        name + " lacks " + (found.access_key.empty() ? "aws_access_key_id" : "aws_secret_access_key"));
  }
  if (Status s = CheckCharacters(found); !s.ok()) return Fail(s.code(), name + ": " + s.message());
  return found;
}

Result<Credentials> FindCredentials(const Environment& getenv, Disk& disk) {
  Credentials found{Value(getenv, "AWS_ACCESS_KEY_ID"), Value(getenv, "AWS_SECRET_ACCESS_KEY"),
                    Value(getenv, "AWS_SESSION_TOKEN")};
  if (!found.access_key.empty() && !found.secret_key.empty()) {
    if (Status s = CheckCharacters(found); !s.ok())
      return Fail(s.code(), "in the environment " + s.message());
    return found;
  }
  if (found.access_key.empty() != found.secret_key.empty()) {
    return Fail(Code::kInvalid, std::string("the environment has only one of AWS_ACCESS_KEY_ID and "
                                            "AWS_SECRET_ACCESS_KEY; set both"));
  }
  std::string file = Value(getenv, "AWS_SHARED_CREDENTIALS_FILE");
  std::string profile = Value(getenv, "AWS_PROFILE");
  if (file.empty()) {
    const std::string home = Value(getenv, "HOME");
    if (home.empty()) return Fail(Code::kNotFound, "no S3 keys: " + std::string(kHowTo));
    file = home + "/.aws/credentials";
  }
  if (profile.empty()) profile = "default";
  auto text = disk.ReadWholeFile(file, kMaxFile);
  if (!text) {
    if (text.error().code() != Code::kNotFound) return Fail(text.error());
    return Fail(Code::kNotFound, "no S3 keys, and no file " + file + ": " + std::string(kHowTo));
  }
  auto parsed = ParseCredentials(*text, profile);
  if (!parsed) {
    return Fail(parsed.error().code(),
                "no S3 keys: in " + file + " " + parsed.error().message() + "; " + std::string(kHowTo));
  }
  return parsed;
}

}  // namespace curvefs::object::s3
