#include "cli/fsck.h"

#include <memory>
#include <utility>

#include "cli/fsck_checker.h"
#include "cli/objects.h"
#include "cli/offline.h"

namespace curvefs::cli {
namespace {

constexpr int kMaxPasses = 8;  // what a pass repairs shows at most a few more things
constexpr uint32_t kBatchRecords = 1000;
constexpr size_t kBatchBytes = 4 << 20;

Checker::Depth DepthOf(bool deep) {
  return deep ? Checker::Depth::kBytes : Checker::Depth::kSizes;
}

Status Apply(OfflineStore& store, const Checker& checker) {
  kv::WriteBatch batch;
  for (const auto& [key, value] : checker.repairs()) {
    if (value) {
      batch.Set(key, *value);
    } else {
      batch.Del(key);
    }
    if (batch.count() < kBatchRecords && batch.encoded().size() < kBatchBytes) continue;
    CURVEFS_CHECK_OK(store.Commit(batch));
    batch.Clear();
  }
  return store.Commit(batch);
}

void KeepFindings(const Checker& checker, FsckReport* report) {
  report->findings = checker.findings();
  report->counts = checker.counts();
  report->errors = checker.errors();
}

// Passes until one finds nothing more to repair. `keep_objects`: what was cut off the journal may have
// referred to those that nothing refers to now, so they stay for this time.
Status Repair(OfflineStore& store, object::ObjectStore& objects, const FsckOptions& options,
              bool keep_objects, FsckReport* report) {
  uint64_t damaged = 0;  // found by reading the objects, which only the first pass does
  for (int pass = 1; pass < kMaxPasses; ++pass) {
    Checker checker(store.view(), objects, DepthOf(options.deep && pass == 1), options.progress);
    CURVEFS_CHECK_OK(checker.Run());
    if (pass == 1) {
      KeepFindings(checker, report);
      damaged = checker.errors_of_deep_reads();
    }
    report->errors_left = checker.errors() + (pass == 1 ? 0 : damaged);
    checker.Describe(report);
    const bool delete_leaked = !keep_objects && !checker.leaked().empty();
    if (checker.repairs().empty() && !delete_leaked) return {};
    CURVEFS_CHECK_OK(Apply(store, checker));
    report->repaired += checker.repairs().size();
    if (!delete_leaked) continue;
    std::vector<object::ObjectName> leaked;
    for (const auto& object : checker.leaked()) leaked.push_back(object.name);
    CURVEFS_CHECK_OK(objects.DeleteMany(leaked));
    report->repaired += leaked.size();
  }
  return {Code::kCorrupt,
          "repairing did not come to an end; this is a defect of curvefs: keep the directory and report it"};
}

}  // namespace

Status Checker::Run() {
  CURVEFS_CHECK_OK(ScanAll());
  CheckSuper();
  CURVEFS_CHECK_OK(ScanEntries());
  CheckReach();
  CheckInodes();
  CheckPartitions();
  CURVEFS_CHECK_OK(CheckObjects());
  for (const auto& [id, inode] : mended_) Set(meta::InodeKey(fs_, id), meta::EncodeInode(inode));
  return {};
}

void Checker::Found(Finding::Level level, std::string_view kind, std::string what) {
  ++counts_[std::string(kind)];
  errors_ += level != Finding::Level::kNote;
  if (findings_.size() < FsckReport::kMaxFindings)
    findings_.push_back({level, std::string(kind), std::move(what)});
}

Checker::InodeFacts* Checker::Find(InodeId id) {
  auto found = inodes_.find(id.value);
  return found == inodes_.end() ? nullptr : &found->second;
}

meta::Inode* Checker::Mend(InodeId id) {
  auto [it, fresh] = mended_.try_emplace(id);
  if (fresh) {
    std::string value;
    if (view_.Get(meta::InodeKey(fs_, id), &value).ok()) {
      if (auto inode = meta::DecodeInode(id, value)) it->second = *std::move(inode);
    }
    it->second.id = id;
  }
  return &it->second;
}

void Checker::Describe(FsckReport* report) const {
  report->directories = report->files = report->others = report->bytes = 0;
  for (const auto& [id, facts] : inodes_) {
    (facts.is_dir() ? report->directories : facts.is_file() ? report->files : report->others) += 1;
    report->bytes += facts.chunk_bytes;
  }
  report->objects = 0;
  for (const auto& [chunk, object] : chunks_) report->objects += object.uses > 0;
  report->orphans = orphans_;
  report->leaked += leaked_.size();
  report->leaked_bytes += leaked_bytes_;
  report->verified += verified_;
}

Result<FsckReport> Fsck(Disk& disk, const std::string& path, const FsckOptions& options,
                        object::ObjectStore* objects) {
  DirUser user{.command = "fsck"};
  CURVEFS_TRY(auto dir, FsDir::Open(disk, path, FsDir::Create::kNo, {}, user, !options.repair));
  std::unique_ptr<object::ObjectStore> own;
  if (objects == nullptr) {
    CURVEFS_TRY(OpenedObjects opened, OpenObjects(disk, *dir, dir->description().place, {},
                                                  options.repair ? ObjectsUse::kUse : ObjectsUse::kRead));
    CURVEFS_TRY(DataStack stack,
                MakeDataStack(disk, *dir, std::move(opened.store), {.secret = options.secret},
                              options.repair ? StackUse::kRepair : StackUse::kCheck));
    own = std::move(stack.objects);
    objects = own.get();
  }
  FsckReport report;
  if (options.repair) {
    // First a look that changes nothing: metadata that are gone, rather than damaged, cannot be mended, and
    // what is left must stay as it is for whoever puts them back.
    CURVEFS_TRY(auto look, OfflineStore::Open(disk, *dir, {.write = false, .truncate_at_corruption = true}));
    Checker checker(look->view(), *objects, Checker::Depth::kNames);
    CURVEFS_CHECK_OK(checker.Run());
    if (!checker.has_super()) {
      KeepFindings(checker, &report);
      report.errors_left = report.errors;
      checker.Describe(&report);
      CURVEFS_CHECK_OK(dir->Clean());
      return report;
    }
  }
  CURVEFS_TRY(
      auto store,
      OfflineStore::Open(disk, *dir, {.write = options.repair, .truncate_at_corruption = options.repair}));
  report.journal_batches = store->recovery().batches;
  const std::string& cut = store->recovery().corruption;
  if (options.repair) {
    CURVEFS_CHECK_OK(Repair(*store, *objects, options, /*keep_objects=*/!cut.empty(), &report));
    if (!cut.empty()) {
      report.findings.insert(report.findings.begin(),
                             {Finding::Level::kRepairable, "journal", "cut at the corruption: " + cut});
      ++report.counts["journal"];
      ++report.errors;
      ++report.repaired;
    }
    CURVEFS_CHECK_OK(store->Finish());
  } else {
    Checker checker(store->view(), *objects, DepthOf(options.deep), options.progress);
    CURVEFS_CHECK_OK(checker.Run());
    KeepFindings(checker, &report);
    report.errors_left = report.errors;
    checker.Describe(&report);
  }
  CURVEFS_CHECK_OK(dir->Clean());
  return report;
}

}  // namespace curvefs::cli
