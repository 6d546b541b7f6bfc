// Runner: carries out operations on a real Vfs over a simulated disk and on the model, and compares.
//
// Results, attributes of what an operation touched, content and listings must agree after every step. A crash
// drops what was not synced: the recovered names and attributes must be those of some moment since the last
// sync, and the content of each file what was synced, apart from the ranges written since.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "cli/standalone.h"
#include "test/model/ops.h"
#include "test/model/posix_model.h"
#include "test/support/rocks_disk.h"
#include "test/support/sim_disk.h"

namespace curvefs::test {

struct RunSetup {
  uint64_t seed = 1;
  bool crashes = false;
  metaserver::MetaEngine engine = metaserver::MetaEngine::kMemory;
  Lie lie = Lie::kNone;
};

// Stands still unless it is told to move.
class StepClock final : public Clock {
 public:
  Timestamp Wall() const override { return {now_.load()}; }
  SteadyTime Steady() const override { return SteadyTime(Duration(now_.load())); }
  void Step(int64_t ns) { now_ += ns; }

 private:
  std::atomic<int64_t> now_{1'700'000'000'000'000'000};
};

class Runner {
 public:
  explicit Runner(const RunSetup& setup);
  ~Runner();

  // Carries out one operation. Empty, or what did not agree.
  std::string Step(const Op& op);
  // Compares the whole tree and every byte.
  std::string CheckAll();

 private:
  struct Slot {
    Ino ino = 0;
    InodeId id;
    client::HandleId handle = 0;
    int flags = 0;
  };
  struct DirSlot {
    Ino ino = 0;
    InodeId id;
    client::HandleId handle = 0;
    uint64_t cookie = 0;
    bool ended = false;
    std::set<uint64_t> from_start;  // births of the entries that were there when the listing began
    std::set<uint64_t> seen;
  };
  // A path taken apart: the directory in both worlds, and the last name.
  struct Place {
    Status status;
    Ino dir = 0;
    InodeId dir_id;
    std::string name;
  };
  // What has happened to a file's content since it was last synced.
  struct Touched {
    Content synced;
    std::vector<std::pair<uint64_t, uint64_t>> ranges;  // [begin, end)
    bool shortened = false;
  };

  std::string Open();
  std::string Apply(const Op& op);
  std::string Names(const Op& op);
  std::string Attributes(const Op& op);
  std::string Xattrs(const Op& op);
  std::string OpenClose(const Op& op);
  std::string ReadWrite(const Op& op, Slot& slot);
  std::string Fallocate(const Op& op, Slot& slot);
  std::string Copy(const Op& op, Slot& from, Slot& to);
  std::string Seek(const Op& op, Slot& slot);
  std::string Listing(const Op& op);
  std::string Remount();
  std::string Crash(uint64_t seed);

  Place Find(const std::string& path);
  // The inode at a path, with a reference that Drop gives back.
  std::string Get(const std::string& path, Ino* ino, InodeId* id, Status* status);
  void Drop(InodeId id) { fs_->vfs().Forget(id, 1); }
  std::string Compare(Ino ino, const meta::Inode& got);
  std::string CompareAt(const std::string& path);
  std::string CompareSlots();
  void Close(Slot* slot);
  void CloseDir(DirSlot* slot);
  void CloseAll();
  void Touch(Ino ino, uint64_t at, uint64_t n, bool shortened = false);
  void Synced();  // all metadata so far are durable
  std::string ReadFile(InodeId id, uint64_t length, Content* content);
  struct Real {
    InodeId id;
    meta::Inode inode;
  };
  std::string DumpReal(const std::set<std::string>& loose, std::string* dump,
                       std::map<std::string, Real>* found);
  std::string CheckUsage(const std::map<std::string, Real>& found);
  std::string CheckTouched(Ino ino, const Real& real, PosixModel* model);

  const RunSetup setup_;
  SimDisk disk_;
  std::unique_ptr<rocksdb::Env> rocks_env_;
  StepClock clock_;
  std::unique_ptr<cli::Standalone> fs_;
  PosixModel model_;
  std::vector<PosixModel> history_;  // with crashes: the states since the last sync, the first one durable
  std::map<Ino, Touched> touched_;
  Slot slots_[kSlots];
  DirSlot dirs_[kDirSlots];
  std::string fault_;  // of opening the file system
};

// Runs a program on a fresh file system; empty, or the number of the step that failed and why.
struct Outcome {
  size_t step = 0;
  std::string what;
  bool ok() const { return what.empty(); }
};
Outcome RunProgram(const RunSetup& setup, const std::vector<Op>& program);
// Makes and runs a random program of n operations.
Outcome RunRandom(const RunSetup& setup, size_t n, std::vector<Op>* program);
// Leaves out of a failing program whatever it fails without.
std::vector<Op> Shrink(const RunSetup& setup, std::vector<Op> program, Outcome* outcome);

}  // namespace curvefs::test
