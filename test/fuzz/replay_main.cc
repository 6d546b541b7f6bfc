// Runs a fuzz target on every file of the directories that are named on the command line.
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "base/disk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argc, char** argv) {
  curvefs::Disk& disk = curvefs::Disk::Posix();
  size_t inputs = 0;
  for (int i = 1; i < argc; ++i) {
    auto names = disk.List(argv[i]);
    if (!names) {
      std::fprintf(stderr, "%s\n", names.error().ToString().c_str());
      return 1;
    }
    for (const std::string& name : *names) {
      auto bytes = disk.ReadWholeFile(std::string(argv[i]) + "/" + name);
      if (!bytes) {
        std::fprintf(stderr, "%s\n", bytes.error().ToString().c_str());
        return 1;
      }
      std::printf("%s\n", name.c_str());
      std::fflush(stdout);  // names the input that ends the process
      LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes->data()), bytes->size());
      ++inputs;
    }
  }
  std::printf("%zu inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
