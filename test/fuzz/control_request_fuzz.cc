// Requests and answers of .control: whatever is understood is written back as the same thing.
#include <cstdint>
#include <string_view>

#include "base/status.h"
#include "cli/control_server.h"

using namespace curvefs;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)cli::DecodeControlLine(text);
  auto request = cli::DecodeControlRequest(text);
  if (!request) return 0;
  auto again = cli::DecodeControlRequest(cli::EncodeControlRequest(*request));
  CURVEFS_CHECK(again.has_value());
  CURVEFS_CHECK(again->arguments.size() == request->arguments.size());
  return 0;
}
