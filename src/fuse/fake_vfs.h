// A Vfs for the tests of this folder: it notes each call as a line of text and returns what the test has put
// ready.
//
// fake_vfs_test.cc defines client::Vfs itself, in place of the real one, so the code under test is the code
// that ships and needs no interface in between. For tests only.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "client/vfs/vfs.h"

namespace curvefs::fuse {

struct FakeVfs {
  // What calls return.
  std::atomic<Code> fail = Code::kOk;  // if not kOk, every call that can fail does
  client::Entry entry;
  client::Opened opened;
  BufferList content;
  std::string text;                // of links and attributes
  std::vector<std::string> names;  // in every directory; with cookies 1, 2, …
  uint64_t number = 0;             // of bytes copied, of an offset found
  bool has_writers = false;
  std::optional<meta::FileLock> lock;      // in the way
  std::atomic<bool> crossed_locks{false};  // owners 5 and 6 are in each other's way

  // What was called: "name argument argument …", in order.
  std::vector<std::string> TakeCalls();
  std::string TakeCall();  // the only one, or all of them with "; " between
  void Note(std::string line);
  BufferSlice written;  // by the last Write

  static FakeVfs& Get();                       // the one and only
  static std::unique_ptr<client::Vfs> Make();  // a Vfs that speaks to a fresh one

 private:
  Mutex mu_;
  std::vector<std::string> calls_ CURVEFS_GUARDED_BY(mu_);
};

}  // namespace curvefs::fuse
