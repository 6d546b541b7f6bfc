#include "mds/coordinator.h"

#include <utility>

namespace curvefs::mds {

KeyRange KeyRange::Prefix(const std::string& prefix) {
  std::string end = prefix;
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  CURVEFS_CHECK(!end.empty());
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return {prefix, end};
}

void Coordinator::Get(const std::string& key, Duration limit, Done<std::optional<Entry>> done) {
  List(KeyRange::Key(key), 0, 0, limit, [done = std::move(done)](Result<Listing> listing) {
    if (!listing) return done(Fail(listing.error()));
    if (listing->entries.empty()) return done(std::optional<Entry>());
    done(std::move(listing->entries.front()));
  });
}

}  // namespace curvefs::mds
