#include "object/s3/client_stats.h"

namespace curvefs::object::s3 {
namespace {

void Line(std::string* text, std::string_view group, std::string_view name, uint64_t value) {
  text->append("s3_").append(group).append(name).append(" ").append(std::to_string(value)).append("\n");
}

}  // namespace

std::string StatsText(const ClientStats& s) {
  std::string text;
  for (size_t i = 0; i < kKindNames.size(); ++i) Line(&text, "requests_", kKindNames[i], s.requests[i]);
  // What is an answer is no error.
  for (size_t i = 1; i < kErrorClassNames.size(); ++i)
    Line(&text, "errors_", kErrorClassNames[i], s.errors[i]);
  Line(&text, "", "retries", s.retries);
  Line(&text, "", "given_up", s.failures);
  Line(&text, "", "connections", s.transport.connections);
  Line(&text, "", "sent_bytes", s.transport.sent_bytes);
  Line(&text, "", "received_bytes", s.transport.received_bytes);
  Line(&text, "", "in_flight", s.transport.in_flight);
  Line(&text, "", "waiting", s.transport.waiting);
  return text;
}

}  // namespace curvefs::object::s3
