#!/bin/sh
# thread_safety.sh ROOT: the canary of the lock annotations (src/base/thread_annotations.h). clang accepts a file that
# keeps to them, with the options of the clang preset, and refuses it for the right reason once it does not.
# Returns 77 where there is no clang.
set -eu
root=$1
clang=${CLANG:-clang++-19}
command -v "$clang" >/dev/null || { echo "SKIP thread_safety: no $clang here: the lock annotations are not checked"; exit 77; }
options=$(sed -n 's/^ *add_compile_options(\(-Wthread-safety .*\))$/\1/p' "$root/CMakeLists.txt")
[ -n "$options" ] || { echo "FAIL CMakeLists.txt sets no -Wthread-safety"; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/curvefs-thread-safety.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# The class that all cases share; the last member function is the case's.
source_of() {
  cat <<END
#include "base/loop.h"
#include "base/mutex.h"
using namespace curvefs;
class Account {
 public:
  void Pay(int n) {
    MutexLock lock(mu_);
    PayLocked(n);
    while (sum_ < 0) changed_.Wait(mu_);
    strand_.Run([&]() CURVEFS_REQUIRES(strand_) { ++turns_; });
  }
  void PayLocked(int n) CURVEFS_REQUIRES(mu_) { sum_ += n; }
  $1
 private:
  Mutex first_ CURVEFS_ACQUIRED_BEFORE(mu_);
  Mutex mu_;
  SharedMutex shared_;
  CondVar changed_;
  Strand strand_;
  int sum_ CURVEFS_GUARDED_BY(mu_) = 0;
  int seen_ CURVEFS_GUARDED_BY(shared_) = 0;
  int turns_ CURVEFS_GUARDED_BY(strand_) = 0;
};
int main() { Account().Pay(1); }
END
}
compile() { # shellcheck disable=SC2086
  "$clang" -std=c++23 $options -fsyntax-only -I "$root/src" "$work/case.cc" >"$work/out" 2>&1
}
refused() { # refused WHAT MESSAGE CODE
  source_of "$3" >"$work/case.cc"
  if compile; then echo "FAIL accepted: $1"; failed=1; return; fi
  grep -q "error: .*$2" "$work/out" || { echo "FAIL refused for another reason: $1"; cat "$work/out"; failed=1; }
}

source_of '' >"$work/case.cc"
compile || { echo "FAIL refused what keeps to the rules:"; cat "$work/out"; failed=1; }
refused "reading without the lock" "reading variable 'sum_' requires" 'int Sum() { return sum_; }'
refused "writing without the lock" "writing variable 'sum_' requires" 'void Set() { sum_ = 1; }'
refused "writing with the lock for readers" "writing variable 'seen_' requires" 'void See() { ReaderLock lock(shared_); seen_ = 1; }'
refused "calling what requires the lock" "calling function 'PayLocked' requires" 'void Forget() { PayLocked(1); }'
refused "waiting without the lock" "calling function 'Wait' requires" 'void Wait() { changed_.Wait(mu_); }'
refused "keeping the lock" "still held at the end of function" 'void Keep() { mu_.Lock(); }'
refused "taking it twice" "that is already held" 'void Twice() { MutexLock a(mu_); MutexLock b(mu_); }'
refused "giving back what is let go of" "that was not held" 'void Back() { RelockableMutexLock a(mu_); a.Unlock(); a.Unlock(); }'
refused "the wrong order" "must be acquired before" 'void Order() { MutexLock a(mu_); MutexLock b(first_); }'
refused "a turn of the strand that does not say so" "requires holding strand" 'void Turn() { strand_.Run([&] { ++turns_; }); }'
refused "changing as a reader of the strand" "requires holding strand" 'void Read() { strand_.Read([&]() CURVEFS_REQUIRES_SHARED(strand_) { ++turns_; }); }'
[ "$failed" = 0 ] && echo "11 bad samples refused"
exit "$failed"
