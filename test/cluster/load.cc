#include "test/cluster/load.h"

#include <sys/stat.h>

#include <algorithm>

namespace curvefs::cluster {
namespace {

uint64_t next_name = 0;  // never one twice

struct Load {
  Cluster& cluster;
  LoadKind kind;
  size_t copysets;
  bool stop = false;
  size_t running = 0;
  LoadResult result;
  SteadyTime begin, last;

  void Next(size_t worker) {
    if (stop) {
      --running;
      return;
    }
    const uint64_t copyset = 1 + worker % copysets;
    const SteadyTime at = cluster.loop().clock().Steady();
    auto done = [this, worker, at](const Result<std::string>& bytes) {
      proto::CreateResponse response;  // the inode is at the same place in all
      CURVEFS_CHECK(bytes && response.ParseFromString(*bytes));
      if (response.header().status() != proto::OK)
        CheckFailed(__FILE__, __LINE__, "the answer is ok", StatusOf(response.header()).ToString());
      const SteadyTime now = cluster.loop().clock().Steady();
      result.micros.push_back(static_cast<uint32_t>((now - at).count() / 1000));
      result.longest_gap = std::max(result.longest_gap, static_cast<double>((now - last).count()) / 1e9);
      last = now;
      ++result.done;
      Next(worker);
    };
    if (kind == LoadKind::kCreate) {
      static const uint16_t kMethod = MetaMethodNumber("Create");
      proto::CreateRequest request;
      request.set_parent_inode_id(1);
      request.set_name("file-" + std::to_string(++next_name));
      request.set_mode(S_IFREG | 0644);
      cluster.client().Change(copyset, kMethod, std::move(request), done);
    } else {
      static const uint16_t kMethod = MetaMethodNumber("GetInode");
      proto::GetInodeRequest request;
      request.set_inode_id(1);
      cluster.client().Read(copyset, kMethod, std::move(request), done);
    }
  }
};

}  // namespace

uint32_t LoadResult::At(double part) const {
  return micros.empty() ? 0
                        : micros[std::min(micros.size() - 1,
                                          static_cast<size_t>(static_cast<double>(micros.size()) * part))];
}

LoadResult RunLoad(Cluster& cluster, LoadKind kind, size_t copysets, size_t outstanding, Duration duration) {
  Load load{.cluster = cluster, .kind = kind, .copysets = copysets};
  load.running = outstanding;
  load.begin = load.last = cluster.loop().clock().Steady();
  for (size_t i = 0; i < outstanding; ++i) load.Next(i);
  cluster.loop().RunUntil([] { return false; }, duration);
  load.stop = true;
  load.result.seconds = static_cast<double>((cluster.loop().clock().Steady() - load.begin).count()) / 1e9;
  const uint64_t counted = load.result.done;
  cluster.loop().RunUntil([&] { return load.running == 0; }, std::chrono::seconds(60));
  CURVEFS_CHECK(load.running == 0);
  load.result.done = counted;
  std::ranges::sort(load.result.micros);
  return std::move(load.result);
}

}  // namespace curvefs::cluster
