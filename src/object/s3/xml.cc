#include "object/s3/xml.h"

#include <time.h>

#include <cstdio>
#include <pugixml.hpp>
#include <sstream>

#include "object/s3/encoding.h"

namespace curvefs::object::s3 {
namespace {

Result<pugi::xml_node> Root(pugi::xml_document* document, std::string_view text, const char* name) {
  if (!document->load_buffer(text.data(), text.size()))
    return Fail(Code::kCorrupt, "an answer that is not XML");
  pugi::xml_node root = document->child(name);
  if (!root) return Fail(Code::kCorrupt, std::string("an answer that is no ") + name);
  return root;
}

std::string ToText(const pugi::xml_document& document) {
  std::ostringstream out;
  document.save(out, "", pugi::format_raw);
  return out.str();
}

void AddText(pugi::xml_node parent, const char* name, const std::string& text) {
  parent.append_child(name).text().set(text.c_str());
}

// "2026-01-31T17:50:30.000Z"; 0 if it is not one.
Timestamp ParseTime(const char* text) {
  tm parts{};
  if (std::sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
                  &parts.tm_hour, &parts.tm_min, &parts.tm_sec) != 6)
    return {};
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return Timestamp::From(::timegm(&parts), 0);
}

}  // namespace

Result<ListPage> ParseListPage(std::string_view text) {
  pugi::xml_document document;
  CURVEFS_TRY(const pugi::xml_node root, Root(&document, text, "ListBucketResult"));
  const bool encoded = std::string_view(root.child_value("EncodingType")) == "url";
  ListPage page;
  for (pugi::xml_node entry : root.children("Contents")) {
    const std::string_view key = entry.child_value("Key");
    page.objects.push_back({encoded ? UriDecode(key) : std::string(key),
                            entry.child("Size").text().as_ullong(),
                            ParseTime(entry.child_value("LastModified"))});
  }
  page.truncated = std::string_view(root.child_value("IsTruncated")) == "true";
  page.next = root.child_value("NextContinuationToken");
  if (page.truncated && page.next.empty())
    return Fail(Code::kCorrupt, "a list that goes on, but does not say where");
  return page;
}

ErrorDocument ParseError(std::string_view text) {
  pugi::xml_document document;
  auto root = Root(&document, text, "Error");
  if (!root) return {};
  ErrorDocument e;
  e.code = root->child_value("Code");
  e.message = root->child_value("Message");
  e.region = root->child_value("Region");
  e.endpoint = root->child_value("Endpoint");
  e.request_id = root->child_value("RequestId");
  return e;
}

std::string DeleteRequest(std::span<const std::string> keys) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("Delete");
  root.append_attribute("xmlns").set_value("http://s3.amazonaws.com/doc/2006-03-01/");
  AddText(root, "Quiet", "true");
  for (const auto& key : keys) AddText(root.append_child("Object"), "Key", key);
  return ToText(document);
}

Result<std::vector<DeleteFailure>> ParseDeleteResult(std::string_view text) {
  pugi::xml_document document;
  CURVEFS_TRY(const pugi::xml_node root, Root(&document, text, "DeleteResult"));
  std::vector<DeleteFailure> failures;
  for (pugi::xml_node entry : root.children("Error"))
    failures.push_back({entry.child_value("Key"), entry.child_value("Code"), entry.child_value("Message")});
  return failures;
}

Result<std::string> ParseUploadId(std::string_view text) {
  pugi::xml_document document;
  CURVEFS_TRY(const pugi::xml_node root, Root(&document, text, "InitiateMultipartUploadResult"));
  std::string id = root.child_value("UploadId");
  if (id.empty()) return Fail(Code::kCorrupt, "a multipart upload without an id");
  return id;
}

std::string CompleteUploadRequest(std::span<const std::string> etags) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("CompleteMultipartUpload");
  root.append_attribute("xmlns").set_value("http://s3.amazonaws.com/doc/2006-03-01/");
  for (size_t i = 0; i < etags.size(); ++i) {
    pugi::xml_node part = root.append_child("Part");
    AddText(part, "PartNumber", std::to_string(i + 1));
    AddText(part, "ETag", etags[i]);
  }
  return ToText(document);
}

}  // namespace curvefs::object::s3
