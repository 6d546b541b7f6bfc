// Any bytes are refused as corrupt, or are an answer; what we write ourselves, with any keys in it, is XML.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "object/s3/xml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curvefs;
  using namespace curvefs::object::s3;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto page = ParseListPage(text)) {
    CURVEFS_CHECK(!page->truncated || !page->next.empty());
  } else {
    CURVEFS_CHECK(page.error().code() == Code::kCorrupt);
  }
  if (auto failures = ParseDeleteResult(text); !failures) {
    CURVEFS_CHECK(failures.error().code() == Code::kCorrupt);
  }
  if (auto id = ParseUploadId(text)) {
    CURVEFS_CHECK(!id->empty());
  } else {
    CURVEFS_CHECK(id.error().code() == Code::kCorrupt);
  }
  (void)ParseError(text);
  const std::vector<std::string> words = {std::string(text.substr(0, size / 2)),
                                          std::string(text.substr(size / 2))};
  for (const std::string& request : {DeleteRequest(words), CompleteUploadRequest(words)}) {
    auto result = ParseDeleteResult(request);
    CURVEFS_CHECK(!result || result->empty());
  }
  return 0;
}
