#!/bin/sh
# run.sh [--full] [--curvefs BIN] [--work DIR] [--keep] [NAME...]: mounts a fresh standalone file system, runs the scripts
# of this directory on it (all, or those named), unmounts, and looks for damage with `curvefs fsck --deep`. Options after
# "--" go to `curvefs mount`. Returns 0 if all is well. Leaves nothing mounted or running.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
curvefs=${CURVEFS:-$root/build/release/curvefs}
full= keep= base= names=
while [ $# -gt 0 ]; do
  case $1 in
  --full) full=--full ;;
  --curvefs) curvefs=$2; shift ;;
  --work) base=$2; shift ;;
  --keep) keep=1 ;;
  --) shift; break ;;
  -*) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
  *) names="$names $1" ;;
  esac
  shift
done
[ -x "$curvefs" ] || { echo "run.sh: no $curvefs; build it, or name it with --curvefs" >&2; exit 2; }
[ -e /dev/fuse ] || { echo "run.sh: no /dev/fuse here" >&2; exit 2; }
: "${POSIX_CONFORMANCE:=$(dirname "$curvefs")/test/posix/posix_conformance}"; export POSIX_CONFORMANCE
base=$(mktemp -d "${base:-${TMPDIR:-/tmp}}/curvefs-real.XXXXXX")
dir=$base/fs mnt=$base/mnt
mkdir "$mnt"
mounted() { grep -q " $mnt fuse" /proc/mounts; }
cleanup() {
  status=$?
  trap - EXIT INT TERM
  cd /
  if mounted; then "$curvefs" umount --timeout 60s "$mnt" 2>/dev/null || "$curvefs" umount --lazy "$mnt" || umount -l "$mnt" || true; fi
  # What a lazy unmount left: the process that the file system's own lock names, if it still has our mount.
  if [ -n "$keep" ]; then echo "kept: $base"; else rm -rf "$base"; fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

"$curvefs" mount --standalone "$dir" "$mnt" "$@"
mounted || { echo "run.sh: not mounted" >&2; exit 1; }
[ -n "$names" ] || names="posix tar git make sqlite rsync storm fio dbench stress"
passed=0 failed=0 skipped=0
for name in $names; do
  began=$(date +%s)
  r=0
  # shellcheck disable=SC2086
  timeout 1800 sh "$here/$name.sh" "$mnt" $full || r=$?
  case $r in
  0) passed=$((passed + 1)) ;;
  77) skipped=$((skipped + 1)) ;;
  *) failed=$((failed + 1)); echo "FAIL $name.sh returned $r" ;;
  esac
  echo "$name: $(($(date +%s) - began)) s"
  mounted || { echo "FAIL the mount is gone after $name"; tail -n 20 "$dir/curvefs.log" || true; failed=$((failed + 1)); break; }
done
left=$(find "$mnt" -mindepth 1 | head -n 5)
[ -z "$left" ] || { echo "FAIL left behind: $left"; failed=$((failed + 1)); }
! mounted || "$curvefs" umount "$mnt" || { echo "FAIL umount"; failed=$((failed + 1)); }
"$curvefs" fsck --deep "$dir" >"$base/fsck" 2>&1 || { echo "FAIL fsck --deep returned $?"; failed=$((failed + 1)); }
grep -qx clean "$base/fsck" || { echo "FAIL fsck does not say clean"; failed=$((failed + 1)); }
cat "$base/fsck"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
