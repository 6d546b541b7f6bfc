#!/bin/bash
# cache.sh [--curvefs BIN] [--work DIR] [-- OPTIONS…]: the disk cache of real mounts, which are its own: write-back over kill -9 and
# umount, encryption, a full cache disk, warm-up. OPTIONS go to every mount that makes a file system (--data …). Returns 0 if all
# is well, and leaves nothing mounted or running. As root; the full disk needs a loop device.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
curvefs=${CURVEFS:-$here/../../build/release/curvefs} base=
while [ $# -gt 0 ]; do
  case $1 in
  --curvefs) curvefs=$2; shift ;;
  --work) base=$2; shift ;;
  --) shift; break ;;
  *) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift
done
options=("$@")
work=$(mktemp -d "${base:-${TMPDIR:-/tmp}}/curvefs-cache.XXXXXX")
dir=$work/fs mnt=$work/mnt cache=$work/cache disk=$work/disk
mkdir "$mnt" "$cache" "$disk"
bad=0
fail() { echo "FAIL cache: $*" >&2; bad=1; }
check() { local what=$1; shift; "$@" >"$work/out" 2>&1 || { fail "$what: '$*' returned $?"; tail -n 20 "$work/out" >&2; }; }
refused() { # refused WORDS command…: it fails, and says so
  local words=$1; shift
  if "$@" >"$work/out" 2>&1; then fail "'$*' should have failed"; fi
  grep -q -e "$words" "$work/out" || { fail "'$*' does not say '$words'"; tail -n 5 "$work/out" >&2; }
}
mounted() { grep -q " $mnt fuse" /proc/mounts; }
pid_of() { sed -n 's/^pid //p' "$dir/LOCK"; }
stat_of() { sed -n "s/^$1 //p" "$mnt/.stats"; }
until_true() { # until_true WHAT command…: within a minute
  local what=$1 n=0; shift
  until "$@"; do n=$((n + 1)); [ $n -lt 600 ] || { fail "$what: not within a minute"; return 0; }; read -r -t 0.1 <> <(:) || true; done
}
ended() { ! kill -0 "$1" 2>/dev/null; }
cleanup() {
  local status=$?
  trap - EXIT INT TERM
  cd /
  ! mountpoint -q "$dir/objects" || back || true
  ! mounted || "$curvefs" umount --timeout 30s "$mnt" 2>/dev/null || umount -l "$mnt" || true
  ! mountpoint -q "$disk" || umount "$disk" || true
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

mount_it() { check "mount" "$curvefs" mount --standalone "$dir" "$mnt" --inline-max 0 "$@"; mounted || { echo "cache: not mounted" >&2; exit 1; }; }
fill() { # fill COUNT SIZE_KIB: files with their sums, all fsynced
  mkdir -p "$mnt/f"
  for i in $(seq "$1"); do dd if=/dev/urandom of="$mnt/f/$i" bs=1k count="$2" conv=fsync status=none; done
  (cd "$mnt/f" && sha256sum ./*) >"$work/sums"
}
same() { check "content $1" sh -c "cd '$mnt/f' && sha256sum --quiet -c '$work/sums'"; }
sound() { # sound: the file system, which is not mounted, is whole
  check "fsck ${1:-}" "$curvefs" fsck --deep "$dir"
  grep -qx clean "$work/out" || { fail "fsck ${1:-} does not say clean"; cat "$work/out" >&2; }
}
# Uploads come to a stand while the objects' directory cannot be written to.
away() { mount --bind "$dir/objects" "$dir/objects" && mount -o remount,bind,ro "$dir/objects"; }
back() { umount -l "$dir/objects"; }

echo "- write-back: fsynced data survive kill -9 while their upload waits"
mount_it --cache-dir "$cache" --writeback "${options[@]}"
in_dir=1; grep -q '^data = ' "$dir/curvefs.toml" && in_dir=
fill 40 100
[ -z "$in_dir" ] || away
dd if=/dev/urandom of="$mnt/f/late" bs=1M count=9 conv=fsync status=none
(cd "$mnt/f" && sha256sum ./*) >"$work/sums"
if [ -n "$in_dir" ]; then
  [ "$(stat_of cache_waiting_objects)" -gt 0 ] || fail "nothing waits while the store is away"
fi
pid=$(pid_of)
kill -9 "$pid"; until_true "the process ends" ended "$pid"; umount -l "$mnt"
[ -z "$in_dir" ] || back
if [ -n "$in_dir" ]; then
  [ -f "$dir/writeback" ] || fail "DIR/writeback is missing"
  refused "cache-dir $cache" "$curvefs" mount --standalone "$dir" "$mnt"
  sound "with objects that wait"
  mv "$cache" "$cache.gone"
  refused "mount the cache disk" "$curvefs" mount --standalone "$dir" "$mnt" --cache-dir "$cache"
  mv "$cache.gone" "$cache"
fi
mount_it --cache-dir "$cache" --writeback
same "after kill -9"
check "umount waits for the uploads" "$curvefs" umount "$mnt"
[ ! -e "$dir/writeback" ] || fail "DIR/writeback is left after a clean end"
sound "after the uploads"

echo "- umount waits for uploads, and says how many there are"
if [ -n "$in_dir" ]; then
  mount_it --cache-dir "$cache" --writeback
  away
  dd if=/dev/urandom of="$mnt/f/waited-for" bs=1M count=5 conv=fsync status=none
  (cd "$mnt/f" && sha256sum ./*) >"$work/sums"
  "$curvefs" umount "$mnt" 2>"$work/umount" & umount_pid=$!
  until_true "umount says what it waits for" grep -Eq 'waiting for uploads: [1-9][0-9]* objects, [0-9.]+ ?[KM]i?B' "$work/umount"
  kill -0 "$umount_pid" 2>/dev/null || fail "umount did not wait: $(cat "$work/umount")"
  back
  wait "$umount_pid" || fail "umount returned $? when the uploads were done: $(cat "$work/umount")"
  [ ! -e "$dir/writeback" ] || fail "DIR/writeback is left after all is uploaded"
fi

echo "- umount --no-wait leaves the uploads for the next mount"
mount_it --cache-dir "$cache" --writeback
if [ -n "$in_dir" ]; then
  away
  dd if=/dev/urandom of="$mnt/f/no-wait" bs=1M count=5 conv=fsync status=none
  (cd "$mnt/f" && sha256sum ./*) >"$work/sums"
  check "umount --no-wait" "$curvefs" umount --no-wait "$mnt"
  [ -f "$dir/writeback" ] || fail "DIR/writeback is missing after --no-wait"
  back
  mount_it --cache-dir "$cache"
  until_true "the next mount uploads" sh -c "grep -q '^cache_waiting_objects 0' '$mnt/.stats'"
fi
same "after --no-wait"
check umount "$curvefs" umount "$mnt"
mount_it
same "from the store alone"
check umount "$curvefs" umount "$mnt"
sound "after --no-wait"

echo "- warm-up, check, evict"
rm -rf "$cache"; mkdir "$cache"
mount_it --cache-dir "$cache"
files=$(find "$mnt/f" -type f | wc -l)
check "check" "$curvefs" warmup --check --json "$mnt/f"
grep -q '"cached_objects": 0' "$work/out" || fail "an empty cache is not empty: $(cat "$work/out")"
check "warmup" "$curvefs" warmup --threads 4 "$mnt/f"
grep -q "^$files files" "$work/out" || fail "warmup: $(cat "$work/out")"
check "check again" "$curvefs" warmup --check --json "$mnt/f"
[ "$(sed -n 's/.*"objects": \([0-9]*\).*/\1/p' "$work/out" | head -n 1)" = "$(sed -n 's/.*"cached_objects": \([0-9]*\).*/\1/p' "$work/out")" ] ||
  fail "not all is in the cache: $(cat "$work/out")"
find "$mnt/f" -type f | head -n 5 >"$work/list"
check "evict a list" sh -c "'$curvefs' warmup --evict - <'$work/list'"
grep -q "evicted" "$work/out" || fail "evict: $(cat "$work/out")"
check "check the list" sh -c "'$curvefs' warmup --check --json - <'$work/list'"
grep -q '"cached_objects": 0' "$work/out" || fail "evicted files are in the cache: $(cat "$work/out")"
same "with a cache that is half full"
[ "$(stat_of cache_hits)" -gt 0 ] || fail "no read was answered by the cache"
refused "no such file\|No such file" "$curvefs" warmup "$mnt/none"
check umount "$curvefs" umount "$mnt"
mount_it
refused "no disk cache" "$curvefs" warmup "$mnt/f"
check umount "$curvefs" umount "$mnt"

echo "- two processes, two file systems, one cache directory"
mount_it --cache-dir "$cache"
mkdir "$work/mnt2"
check "another file system" "$curvefs" mount --standalone "$work/fs2" "$work/mnt2" --cache-dir "$cache"
check "umount it" "$curvefs" umount "$work/mnt2"
check umount "$curvefs" umount "$mnt"
refused "needs a disk" "$curvefs" mount --standalone "$dir" "$mnt" --writeback

echo "- a cache disk that is full"
truncate -s 24M "$work/image"
if mkfs.ext4 -q -m 0 "$work/image" && mount -o loop "$work/image" "$disk" 2>/dev/null; then
  mount_it --cache-dir "$disk" --writeback --free-space-ratio 0 --cache-size 1G
  rm -rf "$mnt/f"; fill 60 1000
  same "of a cache that is too small"
  check "umount" "$curvefs" umount "$mnt"
  grep -q "out of use" "$dir/curvefs.log" && fail "a full disk was taken for a broken one"
  umount "$disk"
  mount_it
  same "without the full disk"
  check umount "$curvefs" umount "$mnt"
  sound "after the full disk"
else
  echo "SKIP the full disk: no loop device here"
fi

echo "- compression and encryption"
echo "correct horse battery staple" >"$work/pass"
rm -rf "$dir" "$cache"; mkdir "$cache"
if [ ${#options[@]} -eq 0 ]; then
  mount_it --cache-dir "$cache" --writeback --compress zstd --encrypt-passphrase-file "$work/pass"
  mkdir "$mnt/f"; { yes "a secret that repeats itself" || true; } 2>/dev/null | head -c 3000000 >"$mnt/f/text"
  (cd "$mnt/f" && sha256sum ./*) >"$work/sums"
  check umount "$curvefs" umount "$mnt"
  [ "$(du -sk "$dir/objects" | cut -f 1)" -lt 500 ] || fail "3 MB of repetitions take $(du -sk "$dir/objects" | cut -f 1) KiB"
  ! grep -rq "a secret" "$dir/objects" "$cache" || fail "data can be read without the key"
  refused "is encrypted" "$curvefs" mount --standalone "$dir" "$mnt"
  echo "wrong" >"$work/wrong"
  refused "passphrase is wrong" "$curvefs" mount --standalone "$dir" "$mnt" --encrypt-passphrase-file "$work/wrong"
  check "info" "$curvefs" info "$dir"
  grep -q "zstd" "$work/out" && grep -q "encrypt" "$work/out" || fail "info does not tell: $(cat "$work/out")"
  CURVEFS_PASSPHRASE="correct horse battery staple" check "mount by the environment" "$curvefs" mount --standalone "$dir" "$mnt"
  same "of an encrypted file system"
  check umount "$curvefs" umount "$mnt"
  check "fsck without the key" "$curvefs" fsck "$dir"
  refused "key" "$curvefs" fsck --deep "$dir"
  check "fsck with the key" "$curvefs" fsck --deep --encrypt-passphrase-file "$work/pass" "$dir"
  check "dump" "$curvefs" dump "$dir" "$work/dump"
  check "load" "$curvefs" load "$work/dump" "$work/fs3"
  cp -a "$dir/objects/." "$work/fs3/objects/"
  check "mount what was loaded" "$curvefs" mount --standalone "$work/fs3" "$mnt" --encrypt-passphrase-file "$work/pass"
  same "after dump and load"
  check umount "$curvefs" umount "$mnt"
fi

[ "$bad" = 0 ] && echo "ok cache"
exit "$bad"
