// Compaction: rewriting chunks so that fewer records, and larger objects, hold them (SPEC §7).
#include "data/core.h"

namespace curvefs::data {

Status DataCache::Core::Compact(InodeId, uint32_t) {
  return {};
}
void DataCache::Core::ConsiderCompaction(InodeId, const std::vector<ChunkLoad>&) {}
void DataCache::Core::CompactorMain() {}

}  // namespace curvefs::data
