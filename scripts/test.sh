#!/usr/bin/env bash
# Builds and runs the tests, and ends with one line: "N passed, N failed".
#   scripts/test.sh fast   the fast tests, release build
#   scripts/test.sh full   those, the slow ones (ctest label "full"), and the fast ones under the sanitizers and built
#                          with clang, which checks the lock annotations
#   scripts/test.sh asan | tsan | clang | slow   one part of full
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

jobs=${JOBS:-$(nproc)}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
broken=0

export TSAN_OPTIONS="suppressions=$PWD/test/tsan.supp${TSAN_OPTIONS:+ $TSAN_OPTIONS}"

# run PRESET CTEST-ARGUMENTS…
run() {
  local preset=$1 out=$results/$1-$RANDOM
  shift
  mkdir -p "$out"
  echo "== $preset: build"
  if ! cmake --preset "$preset" >"$out/configure.log" 2>&1; then
    cat "$out/configure.log"
    broken=$((broken + 1))
    return
  fi
  if ! cmake --build --preset "$preset" -j "$jobs"; then
    broken=$((broken + 1))
    return
  fi
  echo "== $preset: test $*"
  ctest --test-dir "build/$preset" --show-only=json-v1 "$@" >"$out/tests.json"
  GTEST_OUTPUT="xml:$out/gtest/" ctest --test-dir "build/$preset" -j "$jobs" --output-on-failure \
    --output-junit "$out/ctest.xml" "$@"
}

case ${1:-fast} in
  fast) run release -LE full ;;
  asan) run asan -LE "full|real" ;;
  tsan) run tsan -LE "full|real" ;;
  clang) run clang -LE "full|real" ;;
  slow) run release -L full ;;
  full)
    run release -LE full
    run asan -LE "full|real"
    run tsan -LE "full|real"
    run clang -LE "full|real"
    run release -L full
    ;;
  *)
    echo "test.sh: there are fast, full, asan, tsan, clang and slow" >&2
    exit 2
    ;;
esac

python3 scripts/count_tests.py "$broken" "$results"/*/
