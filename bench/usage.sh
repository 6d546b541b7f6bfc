#!/bin/sh
# usage.sh [--rounds N] [--curvefs BIN] [--work DIR]: what it costs to keep the recursive usage of directories (docs/OPERATIONS.md
# "Space"): creates and appends, deep in a tree, on mounts that keep it and on mounts that do not, taking turns; the medians, and
# the ratio of each row. Needs root, /dev/fuse, python3, getfattr. Leaves nothing behind.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
curvefs=$here/../build/release/curvefs work=${TMPDIR:-/tmp} rounds=5
while [ $# -gt 0 ]; do
  case $1 in
  --rounds) rounds=$2; shift ;;
  --curvefs) curvefs=$2; shift ;;
  --work) work=$2; shift ;;
  *) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift
done
command -v getfattr >/dev/null || { echo "usage.sh: getfattr is not installed" >&2; exit 2; }
base=$(mktemp -d "$work/curvefs-usage.XXXXXX")
mnt=$base/mnt; mkdir "$mnt"
mounted() { grep -q " $mnt fuse" /proc/mounts; }
cleanup() {
  status=$?
  trap - EXIT INT TERM
  cd /
  ! mounted || "$curvefs" umount "$mnt" >/dev/null 2>&1 || umount -l "$mnt"
  rm -rf "$base"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
cat >"$base/work.py" <<'P'
import os, sys, time
top = sys.argv[1] + "/a/b/c/d/e"
os.makedirs(top)
N = 20000
def row(name, operation, count):
    begin = time.perf_counter()
    for i in range(count): operation(i)
    print(name, count / (time.perf_counter() - begin))
row("create", lambda i: os.close(os.open(f"{top}/{i}", os.O_CREAT | os.O_WRONLY)), N)
fds = [os.open(f"{top}/{i}", os.O_WRONLY | os.O_APPEND) for i in range(100)]
data = b"x" * 4096
row("append", lambda i: os.write(fds[i % 100], data), N)
# Each is told to the server at once: nothing is gathered.
direct = os.open(f"{top}/0", os.O_WRONLY | os.O_APPEND | os.O_DIRECT)
import mmap
page = mmap.mmap(-1, 4096)
row("append_direct", lambda i: os.write(direct, page), N)
row("unlink", lambda i: os.unlink(f"{top}/{i}"), N)
P
r=1
while [ "$r" -le "$rounds" ]; do
  for mode in off on; do
    rm -rf "$base/fs"
    "$curvefs" mount --standalone "$base/fs" "$mnt"
    [ $mode = off ] || getfattr --only-values --absolute-names -n curvefs.dir.rbytes "$mnt" >/dev/null
    sync
    python3 "$base/work.py" "$mnt" | sed "s/^/$mode /" >>"$base/rows"
    "$curvefs" umount "$mnt"
  done
  r=$((r + 1))
done
median() { awk -v m="$1" -v r="$2" '$1 == m && $2 == r {print $3}' "$base/rows" | sort -n | awk '{v[NR] = $1} END {printf "%.0f", v[int((NR + 1) / 2)]}'; }
echo "| row | unit | not kept | kept | kept / not kept |"
echo "|---|---|---:|---:|---:|"
for row in create append append_direct unlink; do
  off=$(median off $row) on=$(median on $row)
  echo "| $row | ops/s | $off | $on | $(awk -v a="$on" -v b="$off" 'BEGIN {printf "%.2f", a / b}') |"
done
