// The XML documents of S3 that the client reads and writes. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace curvefs::object::s3 {

struct ListedObject {
  std::string key;
  uint64_t bytes = 0;
  Timestamp modified;  // 0: not said
};
struct ListPage {
  std::vector<ListedObject> objects;
  bool truncated = false;
  std::string next;  // the continuation token of the next page
};
Result<ListPage> ParseListPage(std::string_view text);  // kCorrupt

// What an answer that is not a success says. Fields that are missing are empty.
struct ErrorDocument {
  std::string code, message, region, endpoint, request_id;
};
ErrorDocument ParseError(std::string_view text);

struct DeleteFailure {
  std::string key, code, message;
};
std::string DeleteRequest(std::span<const std::string> keys);
Result<std::vector<DeleteFailure>> ParseDeleteResult(std::string_view text);

Result<std::string> ParseUploadId(std::string_view text);
std::string CompleteUploadRequest(std::span<const std::string> etags);  // of parts 1, 2, 3 …

}  // namespace curvefs::object::s3
