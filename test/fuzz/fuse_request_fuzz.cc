// Any bytes are decoded or refused, and every view in what is decoded lies inside the message. The header's
// length field is put right first, so that the fuzzer gets past it; the first byte picks the dialect.
#include <cstring>

#include "fuse/decode.h"

namespace {

using namespace curvefs::fuse;

struct Checker {
  std::string_view message;

  void Inside(std::string_view view) const {
    if (view.empty()) return;
    CURVEFS_CHECK(view.data() >= message.data() &&
                  view.data() + view.size() <= message.data() + message.size());
  }
  void Name(std::string_view name) const {
    Inside(name);
    CURVEFS_CHECK(!name.empty() && name.find('\0') == name.npos);
  }
  void operator()(const Lookup& op) const { Name(op.name); }
  void operator()(const Symlink& op) const { Name(op.name), Name(op.target); }
  void operator()(const MkNod& op) const { Name(op.name); }
  void operator()(const MkDir& op) const { Name(op.name); }
  void operator()(const Unlink& op) const { Name(op.name); }
  void operator()(const RmDir& op) const { Name(op.name); }
  void operator()(const Rename& op) const { Name(op.name), Name(op.new_name); }
  void operator()(const Link& op) const { Name(op.name); }
  void operator()(const Create& op) const {
    if (!op.unnamed) Name(op.name);
  }
  void operator()(const Write& op) const { Inside(op.data); }
  void operator()(const SetXattr& op) const { Name(op.name), Inside(op.value); }
  void operator()(const GetXattr& op) const { Name(op.name); }
  void operator()(const RemoveXattr& op) const { Name(op.name); }
  void operator()(const SetAttributes& op) const {
    CURVEFS_CHECK(op.change.atime.nsec() >= 0 && op.change.atime.nsec() < 1'000'000'000);
  }
  void operator()(const Refused& op) const { CURVEFS_CHECK(op.error > 0); }
  template <typename T>
  void operator()(const T&) const {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string message(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto length = static_cast<uint32_t>(message.size());
  if (message.size() >= sizeof length) std::memcpy(message.data(), &length, sizeof length);
  Request request;
  if (DecodeRequest(message, {.setxattr_ext = (data[0] & 1) != 0}, &request).ok())
    std::visit(Checker{message}, request.operation);
  return 0;
}
