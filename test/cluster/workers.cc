#include "test/cluster/workers.h"

#include <sys/stat.h>

#include <optional>

namespace curvefs::cluster {

struct Workers::Worker {
  size_t number = 0;
  uint64_t copyset = 0, dir = 0, next_name = 0;
  std::map<std::string, uint64_t> files;  // to inodes
  std::mt19937_64 random;

  std::string Any() {
    auto it = files.begin();
    std::advance(it, static_cast<long>(random() % files.size()));
    return it->first;
  }
  std::string New() { return "w" + std::to_string(number) + "-" + std::to_string(++next_name); }
};

Workers::Workers(Cluster& cluster, size_t copysets, size_t workers, uint64_t seed, bool careless)
    : cluster_(cluster), copysets_(copysets), careless_(careless) {
  for (size_t i = 0; i < workers; ++i) {
    workers_.push_back(std::make_unique<Worker>());
    workers_[i]->number = i;
    workers_[i]->copyset = 1 + i % copysets;
    workers_[i]->random.seed(seed * 1000 + i);
  }
}

Workers::~Workers() = default;

uint64_t Workers::Now() const {
  return static_cast<uint64_t>(cluster_.loop().clock().Steady().time_since_epoch().count());
}

void Workers::Complain(const std::string& what) {
  if (complaint_.empty()) complaint_ = what;
  stop_ = true;
}

void Workers::Expect(const Worker& w, const char* what, const std::string& name, Code got, Code wanted) {
  if (got == wanted) return;
  Complain("worker " + std::to_string(w.number) + ": " + what + " " + name + " in copyset " +
           std::to_string(w.copyset) + " says '" + std::string(CodeName(got)) + "', and must say '" +
           std::string(CodeName(wanted)) + "'");
}

template <typename Response, typename Request>
void Workers::Change(Worker& w, const char* name, Request request,
                     std::function<void(const Response&)> then) {
  auto done = [this, &w, then = std::move(then)](const Result<std::string>& bytes) {
    Response response;
    CURVEFS_CHECK(bytes && response.ParseFromString(*bytes));
    then(response);
    ++done_;
    Step(w);
  };
  if (careless_) return cluster_.client().Read(w.copyset, MetaMethodNumber(name), std::move(request), done);
  cluster_.client().Change(w.copyset, MetaMethodNumber(name), std::move(request), done);
}

template <typename Response, typename Request>
void Workers::Read(Worker& w, const char* name, Request request, std::function<void(const Response&)> then) {
  cluster_.client().Read(w.copyset, MetaMethodNumber(name), std::move(request),
                         [this, &w, then = std::move(then)](const Result<std::string>& bytes) {
                           Response response;
                           CURVEFS_CHECK(bytes && response.ParseFromString(*bytes));
                           then(response);
                           ++done_;
                           Step(w);
                         });
}

Status Workers::Prepare() {
  // A step ends at once when stopped: so each of these is one change.
  stop_ = true;
  auto create = [&](Worker& w, uint64_t parent, const std::string& name, uint32_t mode) -> Result<uint64_t> {
    proto::CreateRequest request;
    request.set_parent_inode_id(parent);
    request.set_name(name);
    request.set_mode(mode);
    uint64_t inode = 0;
    ++running_;
    Change<proto::CreateResponse>(w, "Create", request,
                                  [&](const proto::CreateResponse& r) { inode = r.inode().inode_id(); });
    cluster_.loop().RunUntil([&] { return running_ == 0; }, std::chrono::seconds(30));
    if (inode == 0) return Fail(Code::kTimedOut, "cannot make " + name);
    return inode;
  };
  for (size_t c = 1; c <= copysets_; ++c) {
    for (uint64_t r = 0; r < kRegisters; ++r) {
      CURVEFS_TRY(const uint64_t inode,
                  create(*workers_.at(c - 1), 1, "register" + std::to_string(r), S_IFREG | 0644));
      registers_[c].push_back(inode);
    }
  }
  for (auto& w : workers_) {
    CURVEFS_TRY(w->dir, create(*w, 1, "dir" + std::to_string(w->number), S_IFDIR | 0755));
  }
  return {};
}

void Workers::Begin() {
  stop_ = false;
  for (auto& w : workers_) {
    ++running_;
    Step(*w);
  }
}

bool Workers::End(Duration limit) {
  stop_ = true;
  return cluster_.loop().RunUntil([&] { return running_ == 0; }, limit);
}

void Workers::Step(Worker& w) {
  if (stop_) {
    --running_;
    return;
  }
  const uint64_t dice = w.random() % 100;
  if (dice < 30 || w.files.empty()) {
    const std::string name = w.New();
    proto::CreateRequest request;
    request.set_parent_inode_id(w.dir);
    request.set_name(name);
    request.set_mode(S_IFREG | 0644);
    return Change<proto::CreateResponse>(w, "Create", request,
                                         [this, &w, name](const proto::CreateResponse& r) {
                                           Expect(w, "create", name, StatusOf(r.header()).code(), Code::kOk);
                                           w.files[name] = r.inode().inode_id();
                                         });
  }
  if (dice < 45) {
    const std::string name = w.Any();
    proto::UnlinkRequest request;
    request.set_parent_inode_id(w.dir);
    request.set_name(name);
    return Change<proto::UnlinkResponse>(w, "Unlink", request,
                                         [this, &w, name](const proto::UnlinkResponse& r) {
                                           Expect(w, "unlink", name, StatusOf(r.header()).code(), Code::kOk);
                                           w.files.erase(name);
                                         });
  }
  if (dice < 55) {
    const std::string from = w.Any(), to = w.New();
    proto::RenameRequest request;
    request.set_parent_inode_id(w.dir);
    request.set_name(from);
    request.set_new_parent_inode_id(w.dir);
    request.set_new_name(to);
    return Change<proto::RenameResponse>(w, "Rename", request,
                                         [this, &w, from, to](const proto::RenameResponse& r) {
                                           Expect(w, "rename", from, StatusOf(r.header()).code(), Code::kOk);
                                           auto node = w.files.extract(from);
                                           node.key() = to;
                                           w.files.insert(std::move(node));
                                         });
  }
  if (dice < 65) {
    proto::NewChunksRequest request;
    request.set_count(1);
    return Change<proto::NewChunksResponse>(
        w, "NewChunks", request, [this, &w](const proto::NewChunksResponse& r) {
          if (!chunks_[w.copyset].insert(r.chunk_id()).second)
            Complain("chunk id " + std::to_string(r.chunk_id()) + " was handed out twice");
        });
  }
  if (dice < 75) {
    const bool there = dice < 72;
    const std::string name = there ? w.Any() : w.New();
    proto::LookupRequest request;
    request.set_parent_inode_id(w.dir);
    request.set_name(name);
    return Read<proto::LookupResponse>(
        w, "Lookup", request, [this, &w, name, there](const proto::LookupResponse& r) {
          Expect(w, "lookup", name, StatusOf(r.header()).code(), there ? Code::kOk : Code::kNotFound);
          if (there && r.inode().inode_id() != w.files[name])
            Complain("lookup " + name + " finds another file");
        });
  }
  if (dice < 78) {
    proto::ReadDirRequest request;
    request.set_dir_inode_id(w.dir);
    return Read<proto::ReadDirResponse>(w, "ReadDir", request, [this, &w](const proto::ReadDirResponse& r) {
      std::map<std::string, uint64_t> listed;
      for (const auto& d : r.dentry()) listed[d.name()] = d.inode_id();
      if (listed != w.files) {
        Complain("worker " + std::to_string(w.number) + ": the directory has " +
                 std::to_string(listed.size()) + " entries, and not the " + std::to_string(w.files.size()) +
                 " that it must have");
      }
    });
  }
  const uint64_t key = w.random() % kRegisters;
  sim::Operation op{.key = key, .write = dice < 88, .begin = Now(), .id = ++next_operation_};
  if (op.write) {
    op.value = ++next_value_;
    proto::UpdateInodeRequest request;
    request.set_inode_id(registers_[w.copyset][key]);
    request.set_mtime_ns(static_cast<int64_t>(op.value));
    return Change<proto::UpdateInodeResponse>(
        w, "UpdateInode", request, [this, &w, op](const proto::UpdateInodeResponse& r) mutable {
          Expect(w, "write", "a register", StatusOf(r.header()).code(), Code::kOk);
          op.end = Now();
          histories_[w.copyset].push_back(op);
        });
  }
  proto::GetInodeRequest request;
  request.set_inode_id(registers_[w.copyset][key]);
  Read<proto::GetInodeResponse>(
      w, "GetInode", request, [this, &w, op](const proto::GetInodeResponse& r) mutable {
        Expect(w, "read", "a register", StatusOf(r.header()).code(), Code::kOk);
        const auto value = static_cast<uint64_t>(r.inode().mtime_ns());
        op.value = value > 1'000'000'000'000 ? 0 : value;  // the time of its creation: never written
        op.end = Now();
        histories_[w.copyset].push_back(op);
      });
}

std::string Workers::CheckHistory() const {
  for (const auto& [copyset, history] : histories_) {
    std::string violation = sim::FindViolation(history);
    if (!violation.empty()) return "copyset " + std::to_string(copyset) + ": " + violation;
  }
  return {};
}

std::string Workers::CheckChunks() {
  for (auto& [copyset, drawn] : chunks_) {
    proto::NewChunksRequest request;
    request.set_count(1);
    std::optional<uint64_t> next;
    cluster_.client().Change(copyset, MetaMethodNumber("NewChunks"), request,
                             [&](const Result<std::string>& bytes) {
                               proto::NewChunksResponse response;
                               CURVEFS_CHECK(bytes && response.ParseFromString(*bytes));
                               next = response.chunk_id();
                             });
    cluster_.loop().RunUntil([&] { return next.has_value(); }, std::chrono::seconds(30));
    if (!next) return "no chunk id to be had";
    if (*next != *drawn.begin() + drawn.size()) {
      return "copyset " + std::to_string(copyset) + ": " + std::to_string(drawn.size()) +
             " chunk ids were drawn from " + std::to_string(*drawn.begin()) + " on, and the next is " +
             std::to_string(*next);
    }
  }
  return {};
}

}  // namespace curvefs::cluster
