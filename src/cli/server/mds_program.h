// The program curvefs-mds, which `curvefs mds` runs.
#pragma once

namespace curvefs::cli {

// From arguments to exit code.
int MdsMain(int argc, char** argv);

}  // namespace curvefs::cli
