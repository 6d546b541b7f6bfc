// Any text as DIR/writeback is refused, or names directories that are named again when it is written anew.
#include <cstdint>
#include <string_view>

#include "cli/data_stack.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curvefs;
  auto dirs = cli::ParseWritebackMark({reinterpret_cast<const char*>(data), size});
  if (!dirs) {
    CURVEFS_CHECK(dirs.error().code() == Code::kCorrupt);
    return 0;
  }
  auto again = cli::ParseWritebackMark(cli::FormatWritebackMark(*dirs));
  CURVEFS_CHECK(again && *again == *dirs);
  return 0;
}
