#include "cli/server/mds_program.h"

int main(int argc, char** argv) {
  return curvefs::cli::MdsMain(argc, argv);
}
