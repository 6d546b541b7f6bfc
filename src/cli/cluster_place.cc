#include "cli/cluster_place.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace curvefs::cli {
namespace {

constexpr std::string_view kMeta = "meta://";
constexpr std::string_view kMds = "mds://";

}  // namespace

bool IsClusterPlace(std::string_view text) {
  return text.starts_with(kMeta) || text.starts_with(kMds);
}

std::string ClusterPlace::ToString() const {
  std::string list;
  for (const net::Address& address : servers) list += (list.empty() ? "" : ",") + address.ToString();
  return std::string(by_name() ? kMds : kMeta) + list + "/" + (by_name() ? fs : std::to_string(copyset));
}

Result<ClusterPlace> ParseClusterPlace(std::string_view text) {
  const std::string whole(text);
  const bool by_name = text.starts_with(kMds);
  auto wrong = [&](const std::string& why) {
    return Fail(Code::kInvalid, "'" + whole + "': " + why + "; it is written " +
                                    (by_name ? "mds://HOST:PORT[,HOST:PORT...]/NAME"
                                             : "meta://HOST:PORT[,HOST:PORT...]/COPYSET"));
  };
  if (!IsClusterPlace(text)) return wrong("does not begin with mds:// or meta://");
  text.remove_prefix(by_name ? kMds.size() : kMeta.size());
  const size_t slash = text.rfind('/');
  if (slash == std::string_view::npos)
    return wrong(by_name ? "no file system is named" : "no copyset is named");
  ClusterPlace place;
  const std::string_view last = text.substr(slash + 1);
  if (by_name) {
    if (last.empty()) return wrong("no file system is named");
    place.fs = last;
  } else {
    const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), place.copyset);
    if (error != std::errc() || end != last.data() + last.size() || place.copyset == 0)
      return wrong("'" + std::string(last) + "' is no number of a copyset");
  }
  for (std::string_view list = text.substr(0, slash); !list.empty();) {
    const size_t comma = std::min(list.find(','), list.size());
    auto address = net::ParseAddress(list.substr(0, comma));
    if (!address) return wrong(address.error().message());
    place.servers.push_back(*std::move(address));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  if (place.servers.empty()) return wrong(by_name ? "no MDS is named" : "no metaserver is named");
  return place;
}

}  // namespace curvefs::cli
