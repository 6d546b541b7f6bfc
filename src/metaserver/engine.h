// The engines that hold the metadata (kv/store.h), by name.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace curvefs::metaserver {

enum class MetaEngine { kMemory, kRocksdb };

constexpr std::string_view EngineName(MetaEngine engine) {
  return engine == MetaEngine::kRocksdb ? "rocksdb" : "memory";
}

// kInvalid: there is no such engine.
inline Result<MetaEngine> ParseEngine(std::string_view name) {
  if (name == "memory") return MetaEngine::kMemory;
  if (name == "rocksdb") return MetaEngine::kRocksdb;
  return Fail(Code::kInvalid, "no metadata engine '" + std::string(name) + "'; there are memory and rocksdb");
}

}  // namespace curvefs::metaserver
