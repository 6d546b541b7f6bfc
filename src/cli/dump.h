// The metadata of a file system as JSON lines, and back: one header, one line for each key/value pair, one
// end line.
//
// A pair is written in its decoded fields when those give back exactly the same bytes, else as "raw" bytes in
// base64, so that load gives back what dump was given, whatever it was. Bytes that are not UTF-8 are written
// as base64 under the field's name + "_base64".
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "base/status.h"
#include "cli/fs_dir.h"

namespace curvefs::cli {

struct Pair {
  std::string key, value;
};

std::string PairToJson(std::string_view key, std::string_view value);
Result<Pair> PairFromJson(std::string_view line);  // kInvalid: what is wrong

// Calls line(text) for each line, without line ends. Returns the number of pairs. kNotFound, kBusy, kCorrupt.
Result<uint64_t> Dump(Disk& disk, const std::string& dir,
                      const std::function<Status(const std::string&)>& line);

// Makes a file system in `dir`, which is missing or empty, from the lines that next(&line) gives until it
// returns false. `engine`: instead of the one the dump came from. The objects are not part of it: copy
// DIR/objects beside. Returns the number of pairs.
Result<uint64_t> Load(Disk& disk, const std::string& dir, const std::function<bool(std::string*)>& next,
                      std::string_view engine);

}  // namespace curvefs::cli
