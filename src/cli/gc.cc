#include "cli/gc.h"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

#include "cli/data_stack.h"
#include "cli/fsck_checker.h"
#include "cli/objects.h"
#include "cli/offline.h"

namespace curvefs::cli {
namespace {

constexpr size_t kDeleteSlice = 1'000;

}  // namespace

Result<GcReport> Gc(Disk& disk, const Clock& clock, const std::string& path, const GcOptions& options,
                    object::ObjectStore* objects) {
  DirUser user{.command = "gc"};
  CURVEFS_TRY(auto dir, FsDir::Open(disk, path, FsDir::Create::kNo, {}, user, !options.remove));
  std::unique_ptr<object::ObjectStore> own;
  if (objects == nullptr) {
    CURVEFS_TRY(OpenedObjects opened, OpenObjects(disk, *dir, dir->description().place, {},
                                                  options.remove ? ObjectsUse::kUse : ObjectsUse::kRead));
    CURVEFS_TRY(DataStack stack, MakeDataStack(disk, *dir, std::move(opened.store), {},
                                               options.remove ? StackUse::kRepair : StackUse::kCheck));
    own = std::move(stack.objects);
    objects = own.get();
  }
  CURVEFS_TRY(auto store, OfflineStore::Open(disk, *dir, {.write = false}));
  Checker checker(store->view(), *objects, Checker::Depth::kNames);
  CURVEFS_CHECK_OK(checker.Run());
  if (!checker.has_super() || checker.metadata_errors() > 0) {
    CURVEFS_CHECK_OK(dir->Clean());
    return Fail(Code::kCorrupt,
                path +
                    ": the metadata have errors, so they cannot say which objects are used; run "
                    "'curvefs fsck --repair' first");
  }
  GcReport report;
  report.in_use = checker.objects_in_use();
  report.waiting = checker.objects_waiting();
  std::vector<object::ObjectName> remove;
  const Timestamp now = clock.Wall();
  uint64_t looked_at = 0;
  for (const auto& leaked : checker.leaked()) {
    if (options.progress) options.progress(++looked_at, checker.leaked().size());
    GcObject object{.name = leaked.name, .size = leaked.size.value_or(0)};
    if (options.older_than.count() > 0) {
      Result<Timestamp> written =
          leaked.written.ns != 0 ? Result<Timestamp>(leaked.written) : objects->WrittenAt(leaked.name);
      if (!written && written.error().code() == Code::kNotFound) continue;
      if (!written && written.error().code() == Code::kNotSupported) {
        return Fail(
            Code::kNotSupported,
            written.error().message() + "; if nothing can have been written lately, give --older-than 0s");
      }
      if (!written) return Fail(written.error());
      object.age = Duration(now.ns - written->ns);
      if (object.age < options.older_than) {
        ++report.kept_young;
        continue;
      }
    }
    ++report.found;
    report.bytes += object.size;
    remove.push_back(leaked.name);
    if (report.objects.size() < GcReport::kMaxListed) report.objects.push_back(object);
  }
  if (options.remove) {
    const std::span<const object::ObjectName> all(remove);
    for (size_t at = 0; at < all.size(); at += kDeleteSlice) {
      const auto slice = all.subspan(at, std::min(kDeleteSlice, all.size() - at));
      CURVEFS_CHECK_OK(objects->DeleteMany(slice));
      report.deleted += slice.size();
      if (options.progress) options.progress(report.deleted, all.size());
    }
  }
  CURVEFS_CHECK_OK(dir->Clean());
  return report;
}

}  // namespace curvefs::cli
