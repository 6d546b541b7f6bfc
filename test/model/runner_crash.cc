// Crashes: what is left must be a state that existed.
#include <algorithm>

#include "test/model/runner.h"

namespace curvefs::test {

// The bytes of a file that had unsynced changes: outside of what was touched since the last sync they are as
// they were. The model then takes over what is there.
std::string Runner::CheckTouched(Ino ino, const Real& real, PosixModel* model) {
  const Touched& touched = touched_.at(ino);
  Content content;
  if (std::string wrong = ReadFile(real.id, real.inode.length, &content); !wrong.empty()) return wrong;
  const uint64_t synced = touched.synced.length();
  if (!touched.shortened && real.inode.length < synced) {
    return "is " + std::to_string(real.inode.length) + " bytes long, " + std::to_string(synced) +
           " were synced";
  }
  Content expected = touched.synced, found = content;
  for (const auto& [begin, end] : touched.ranges) {
    expected.Zero(begin, end - begin);
    found.Zero(begin, end - begin);
  }
  const uint64_t both = std::min(synced, real.inode.length);
  for (uint64_t at = 0; at < both; at += 1 << 20) {
    const uint64_t n = std::min<uint64_t>(1 << 20, both - at);
    if (expected.IsZero(at, n) && found.IsZero(at, n)) continue;
    const std::string a = expected.Read(at, n), b = found.Read(at, n);
    if (a == b) continue;
    const size_t byte = std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin();
    return "synced byte " + std::to_string(at + byte) + " is lost";
  }
  model->Adopt(ino, std::move(content), real.inode.mtime, real.inode.ctime, real.inode.mode);
  return {};
}

std::string Runner::Crash(uint64_t seed) {
  for (Slot& slot : slots_) slot = {};
  for (DirSlot& slot : dirs_) slot = {};
  fs_.reset();
  disk_.Crash(seed);
  fault_ = Open();
  if (!fault_.empty()) return "after a crash, " + fault_;
  history_.push_back(model_);
  std::string nearest;
  for (size_t back = 0; back < history_.size(); back++) {
    PosixModel candidate = history_[history_.size() - 1 - back];
    candidate.DropOpen();
    std::set<Ino> loose;
    std::set<std::string> loose_paths;
    std::vector<std::pair<std::string, Ino>> dirty;
    for (const auto& [path, ino] : candidate.Tree()) {
      if (!touched_.contains(ino)) continue;
      loose.insert(ino);
      loose_paths.insert(path);
      dirty.emplace_back(path, ino);
    }
    std::string dump;
    std::map<std::string, Real> found;
    if (std::string wrong = DumpReal(loose_paths, &dump, &found); !wrong.empty())
      return "after a crash, " + wrong;
    const std::string want = candidate.Dump(loose);
    if (nearest.empty()) nearest = "--- the last state\n" + want + "--- real\n" + dump;
    if (dump != want) continue;
    for (const auto& [path, ino] : dirty) {
      if (std::string wrong = CheckTouched(ino, found.at(path), &candidate); !wrong.empty()) {
        return "after a crash, " + path + ": " + wrong;
      }
    }
    model_ = candidate;
    model_.SetTime(clock_.Wall());
    touched_.clear();
    Synced();
    return CheckAll();
  }
  std::string synced = history_.front().Dump({});
  return "after a crash the tree is none of the " + std::to_string(history_.size()) +
         " states since the last sync\n" + nearest + "--- the synced state\n" + synced;
}

}  // namespace curvefs::test
