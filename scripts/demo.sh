#!/usr/bin/env bash
# Shows a standalone CurveFS at work: makes one, mounts it, copies a real tree in, compares every byte, before and after
# a new mount, unpacks a tarball, walks it and removes it. Leaves nothing mounted, running or on the disk.
#   scripts/demo.sh [CURVEFS]       DEMO_SOURCE: the tree to copy, default /usr/include
set -euo pipefail

curvefs=$(readlink -f "${1:-build/release/curvefs}")
source=${DEMO_SOURCE:-/usr/include}

fail() {
  echo "demo: $1" >&2
  exit 1
}
[ -x "$curvefs" ] || fail "$curvefs is not there; run 'make' first"
[ -d "$source" ] || fail "there is no $source to copy; set DEMO_SOURCE to another directory"
[ -e /dev/fuse ] || fail "/dev/fuse is missing. Load the kernel module (modprobe fuse); in a container: --device /dev/fuse --cap-add SYS_ADMIN"
if [ ! -r /dev/fuse ] || [ ! -w /dev/fuse ]; then fail "/dev/fuse may not be opened by $(id -un); run as root"; fi
if [ "$(id -u)" -ne 0 ] && ! command -v fusermount3 >/dev/null; then
  fail "mounting without root needs fusermount3 (apt-get install fuse3); or run as root"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/curvefs-demo.XXXXXX")
dir=$work/fs mnt=$work/mnt log=$work/errors
mkdir "$mnt"

cleanup() {
  local code=$?
  trap - EXIT INT TERM
  if mountpoint -q "$mnt" 2>/dev/null || grep -qF " $mnt fuse" /proc/mounts; then
    "$curvefs" umount "$mnt" 2>/dev/null || "$curvefs" umount --lazy "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null || true
  fi
  if [ $code -ne 0 ]; then
    echo "demo: failed" >&2
    [ -s "$log" ] && head -20 "$log" >&2
    [ -s "$dir/curvefs.log" ] && tail -20 "$dir/curvefs.log" >&2
  fi
  rm -rf --one-file-system "$work"
  exit $code
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# step TEXT COMMAND…: runs it, and says how long it took; $seconds is for the line after it.
step() {
  local text=$1 start end
  shift
  printf '  %-46s' "$text"
  start=$(date +%s%N)
  "$@" 2>"$log" || { echo "failed"; exit 1; }
  end=$(date +%s%N)
  ms=$(((end - start) / 1000000 + 1))
  printf '%6d.%02d s' $((ms / 1000)) $((ms % 1000 / 10))
}
rate() { echo "   $(($1 * 1000 / ms)) $2/s"; }
quiet() { "$@" >/dev/null; }
same() { diff -r --no-dereference "$source" "$1"; }
unpack() { tar -C "$mnt" -xf "$work/tree.tar"; }
pack() { tar -C "$(dirname "$source")" -cf "$work/tree.tar" "$(basename "$source")"; }
walk() { [ "$(find "$1" | wc -l)" -eq "$entries" ]; }

entries=$(find "$source" | wc -l)
mib=$(($(du -sb --apparent-size "$source" | cut -f1) / 1048576))
pack
echo "CurveFS demo: $("$curvefs" version)"
echo "tree: $source, $entries entries, $mib MiB"

step "make a file system and mount it" "$curvefs" mount --standalone "$dir" "$mnt"; echo
step "copy the tree in (cp -a)" cp -a "$source" "$mnt/copy"; rate "$entries" entries
step "compare every byte (diff -r)" same "$mnt/copy"; rate "$entries" entries
step "unmount; all is stored" "$curvefs" umount "$mnt"; echo
step "mount again" "$curvefs" mount --standalone "$dir" "$mnt"; echo
step "compare every byte, now read from disk" same "$mnt/copy"; rate "$entries" entries
step "unpack a tarball of it" unpack; rate "$entries" entries
step "du -s" quiet du -s "$mnt"; rate "$((entries * 2))" entries
step "find" walk "$mnt/$(basename "$source")"; rate "$entries" entries
step "rm -rf" rm -rf "$mnt/$(basename "$source")"; rate "$entries" entries
step "unmount" "$curvefs" umount "$mnt"; echo
step "check it (curvefs fsck)" quiet "$curvefs" fsck "$dir"; echo

echo "all bytes were the same. To have your own:"
echo
echo "  mkdir -p ~/mnt && $curvefs mount --standalone ~/curvefs ~/mnt      # and: $curvefs umount ~/mnt"
