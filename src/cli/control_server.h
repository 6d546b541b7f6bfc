// ControlServer: the commands that the process of a mount carries out for tools, and their form on the wire.
//
// Request: one line {"command": NAME, "arguments": {…}}, arguments being numbers, texts, yes/no, and lists of
// numbers or of texts. Answer: lines {"progress": {…}}, then one {"result": {…}} or {"error": {"code": N,
// "message": TEXT}} (codes of base/status.h); empty lines mean "still working". The transport is
// client/vfs/control.h, the other side control_client.h.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "client/vfs/control.h"

namespace curvefs::cli {

using ControlValue =
    std::variant<bool, uint64_t, std::string, std::vector<uint64_t>, std::vector<std::string>>;
using ControlFields = std::map<std::string, ControlValue>;

// A field, or `otherwise` if it is missing or of another type.
template <typename T>
T FieldOr(const ControlFields& fields, const std::string& name, T otherwise) {
  auto found = fields.find(name);
  if (found == fields.end()) return otherwise;
  const T* value = std::get_if<T>(&found->second);
  return value != nullptr ? *value : otherwise;
}

struct ControlRequest {
  std::string command;
  ControlFields arguments;
};
// kInvalid, with what is wrong.
Result<ControlRequest> DecodeControlRequest(std::string_view line);
std::string EncodeControlRequest(const ControlRequest& request);

struct ControlLine {
  enum class Kind { kProgress, kResult, kError } kind = Kind::kProgress;
  ControlFields fields;  // of progress and result
  Status error;
};
Result<ControlLine> DecodeControlLine(std::string_view line);

// What a handler tells while it works.
class ControlProgress {
 public:
  explicit ControlProgress(client::ControlReply& reply) : reply_(reply) {}
  // False: stop, nobody listens any more.
  bool Tell(const ControlFields& fields);
  bool cancelled() const { return reply_.cancelled(); }

 private:
  client::ControlReply& reply_;
};

// Commands are added before the first request comes; then any number of threads may call Serve.
class ControlServer {
 public:
  using Handler = std::function<Result<ControlFields>(const ControlFields& arguments, ControlProgress&)>;
  void Add(std::string command, Handler handler) { handlers_[std::move(command)] = std::move(handler); }
  void Serve(const std::string& request, client::ControlReply& reply) const;

 private:
  Result<ControlFields> Run(const std::string& request, ControlProgress& progress) const;

  std::map<std::string, Handler> handlers_;
};

}  // namespace curvefs::cli
