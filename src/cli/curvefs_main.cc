#include "cli/commands.h"

int main(int argc, char** argv) {
  return curvefs::cli::CurvefsMain(argc, argv);
}
