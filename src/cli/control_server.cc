#include "cli/control_server.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

namespace curvefs::cli {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 8;  // of nested brackets in a request; the parser itself has no limit

bool TooDeep(std::string_view text) {
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (quoted) {
      i += text[i] == '\\';
    } else if (text[i] == '[' || text[i] == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (text[i] == ']' || text[i] == '}') {
      --depth;
    }
  }
  return false;
}

template <typename T>
std::vector<T> ListOf(const Json& list) {
  std::vector<T> out;
  out.reserve(list.size());
  for (const Json& item : list) out.push_back(item.get<T>());
  return out;
}

Result<ControlValue> ValueOf(const std::string& name, const Json& j) {
  auto texts = [](const Json& item) { return item.is_string(); };
  auto numbers = [](const Json& item) { return item.is_number_unsigned(); };
  if (j.is_boolean()) return ControlValue(j.get<bool>());
  if (j.is_number_unsigned()) return ControlValue(j.get<uint64_t>());
  if (j.is_string()) return ControlValue(j.get<std::string>());
  if (j.is_array() && !j.empty() && std::ranges::all_of(j, numbers)) return ControlValue(ListOf<uint64_t>(j));
  if (j.is_array() && std::ranges::all_of(j, texts)) return ControlValue(ListOf<std::string>(j));
  return Fail(Code::kInvalid,
              "the field '" + name + "' is neither a number, a text, yes or no, nor a list of one kind");
}

Result<ControlFields> FieldsOf(const Json& j) {
  ControlFields fields;
  if (!j.is_object()) return Fail(Code::kInvalid, "an object of fields is expected");
  for (const auto& [name, value] : j.items()) {
    CURVEFS_TRY(fields[name], ValueOf(name, value));
  }
  return fields;
}

Json ToJson(const ControlFields& fields) {
  Json j = Json::object();
  for (const auto& [name, value] : fields) std::visit([&](const auto& v) { j[name] = v; }, value);
  return j;
}

std::string Line(const char* kind, Json body) {
  return Json{{kind, std::move(body)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json Parse(std::string_view text) {
  if (TooDeep(text)) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace

Result<ControlRequest> DecodeControlRequest(std::string_view line) {
  const Json j = Parse(line);
  auto command = j.is_object() ? j.find("command") : j.end();
  if (!j.is_object() || command == j.end() || !command->is_string())
    return Fail(Code::kInvalid, "a request is one line of JSON: {\"command\": NAME, \"arguments\": {…}}");
  ControlRequest request{.command = command->get<std::string>(), .arguments = {}};
  if (auto arguments = j.find("arguments"); arguments != j.end()) {
    CURVEFS_TRY(request.arguments, FieldsOf(*arguments));
  }
  return request;
}

std::string EncodeControlRequest(const ControlRequest& request) {
  return Json{{"command", request.command}, {"arguments", ToJson(request.arguments)}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
}

Result<ControlLine> DecodeControlLine(std::string_view text) {
  const Json j = Parse(text);
  const Status malformed(Code::kCorrupt,
                         "the mount's answer makes no sense; is its curvefs of another version?");
  if (!j.is_object() || j.size() != 1) return Fail(malformed);
  const std::string kind = j.begin().key();
  const Json& body = *j.begin();
  ControlLine line;
  if (kind == "error") {
    line.kind = ControlLine::Kind::kError;
    auto code = body.find("code"), message = body.find("message");
    if (!body.is_object() || code == body.end() || !code->is_number_unsigned() || message == body.end() ||
        !message->is_string() || code->get<uint64_t>() == 0 ||
        code->get<uint64_t>() > static_cast<uint64_t>(Code::kUnsupportedVersion))
      return Fail(malformed);
    line.error = Status(static_cast<Code>(code->get<uint64_t>()), message->get<std::string>());
    return line;
  }
  if (kind != "result" && kind != "progress") return Fail(malformed);
  if (kind == "result") line.kind = ControlLine::Kind::kResult;
  auto fields = FieldsOf(body);
  if (!fields) return Fail(malformed);
  line.fields = *std::move(fields);
  return line;
}

bool ControlProgress::Tell(const ControlFields& fields) {
  return reply_.Send(Line("progress", ToJson(fields)));
}

Result<ControlFields> ControlServer::Run(const std::string& text, ControlProgress& progress) const {
  CURVEFS_TRY(ControlRequest request, DecodeControlRequest(text));
  auto handler = handlers_.find(request.command);
  if (handler == handlers_.end()) {
    return Fail(Code::kNotSupported, "this mount's process knows no command '" + request.command +
                                         "'; is its curvefs of another version?");
  }
  return handler->second(request.arguments, progress);
}

void ControlServer::Serve(const std::string& request, client::ControlReply& reply) const {
  ControlProgress progress(reply);
  auto result = Run(request, progress);
  if (result) {
    (void)reply.Send(Line("result", ToJson(*result)));
  } else {
    const Status& s = result.error();
    (void)reply.Send(Line("error", Json{{"code", static_cast<unsigned>(s.code())},
                                        {"message", s.message().empty() ? s.ToString() : s.message()}}));
  }
}

}  // namespace curvefs::cli
