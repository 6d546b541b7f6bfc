// Golden files: bytes that were once written and must be written, and read, the same way for ever.
//
//   EXPECT_TRUE(MatchesGolden("snapshot-v1.bin", bytes));
//
// A format that changes on purpose gets a new version and a new file; the old file stays, to be read. To
// write a file anew run the test with CURVEFS_UPDATE_GOLDEN=1.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/disk.h"

#ifndef CURVEFS_GOLDEN_DIR
#error "the test program needs the compile definition CURVEFS_GOLDEN_DIR"
#endif

namespace curvefs::test {

inline std::string ReadGolden(const std::string& name) {
  auto bytes = Disk::Posix().ReadWholeFile(std::string(CURVEFS_GOLDEN_DIR) + "/" + name);
  EXPECT_TRUE(bytes.has_value()) << bytes.error().ToString();
  return bytes.value_or(std::string());
}

inline testing::AssertionResult MatchesGolden(const std::string& name, std::string_view bytes) {
  if (std::getenv("CURVEFS_UPDATE_GOLDEN") != nullptr) {
    Status written = Disk::Posix().WriteFileAtomically(std::string(CURVEFS_GOLDEN_DIR) + "/" + name, bytes);
    if (!written.ok()) return testing::AssertionFailure() << written.ToString();
  }
  std::string golden = ReadGolden(name);
  if (golden == bytes) return testing::AssertionSuccess();
  size_t at = 0;
  while (at < golden.size() && at < bytes.size() && golden[at] == bytes[at]) ++at;
  return testing::AssertionFailure() << name << " differs from byte " << at << " on (" << golden.size()
                                     << " bytes there, " << bytes.size() << " now)";
}

}  // namespace curvefs::test
