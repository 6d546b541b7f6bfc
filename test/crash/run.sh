#!/bin/sh
# run.sh [--full] [--rounds N] [--engine memory|rocksdb] [--curvefs BIN] [--writer BIN] [--work DIR] [--keep] [PART...]:
# kills the mount's process at random moments while programs write, and checks after each that the file system is clean without repair and that
# everything fsynced is there (crash_writer.cc). Parts: kill untar snapshot diskfull readonly refusals corrupt canary;
# all without one. Disk images are mounted on loop devices, so root is needed. Leaves nothing mounted or running.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
curvefs=${CURVEFS:-$root/build/release/curvefs}
rounds= engine=memory writer= base= keep= full= parts=
while [ $# -gt 0 ]; do
  case $1 in
  --full) full=1 ;;
  --rounds) rounds=$2; shift ;;
  --engine) engine=$2; shift ;;
  --curvefs) curvefs=$2; shift ;;
  --writer) writer=$2; shift ;;
  --work) base=$2; shift ;;
  --keep) keep=1 ;;
  -*) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
  *) parts="$parts $1" ;;
  esac
  shift
done
writer=${writer:-$(dirname "$curvefs")/test/crash/crash_writer}
[ -n "$rounds" ] || { rounds=3; [ -z "$full" ] || rounds=50; }
[ -n "$parts" ] || parts="kill untar snapshot diskfull readonly refusals corrupt canary"
for p in "$curvefs" "$writer"; do [ -x "$p" ] || { echo "crash: no $p; build it" >&2; exit 2; }; done
[ -e /dev/fuse ] || { echo "crash: no /dev/fuse here" >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "crash: needs root" >&2; exit 2; }
base=$(mktemp -d "${base:-${TMPDIR:-/tmp}}/curvefs-crash.XXXXXX")
mnt=$base/mnt; mkdir "$mnt"
. "$root/test/support/mount.sh"

cleanup() {
  status=$?
  trap - EXIT INT TERM
  cd /
  kill_daemon; stop_helper
  grep " $base/" /proc/mounts | awk '{print $2}' | sort -r | while read -r m; do umount -l "$m" || true; done
  losetup -l -n -O NAME,BACK-FILE | awk -v b="$base/" 'index($2, b) == 1 {print $1}' | while read -r l; do losetup -d "$l" || true; done
  if [ -n "$keep" ] && [ $status != 0 ]; then echo "kept: $base"; else rm -rf "$base"; fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The states a crash can leave are told apart by what the file system is doing when it comes.
after_crash() { # after_crash DIR MANIFEST [options]
  d=$1 m=$2; shift 2
  fsck "$d"
  start "$d" "$@" || return 0
  verify "$m"
}

part_kill() {
  dir=$base/kill manifest=$base/kill.manifest; : >"$manifest"
  start "$dir" || return 0
  r=1
  while [ $r -le "$rounds" ] && [ $bad = 0 ]; do
    "$writer" run "$mnt" "$manifest" --threads 4 --seed $r & helper=$!
    moment 2500
    kill_daemon; wait "$helper" 2>/dev/null || true; helper=
    after_crash "$dir" "$manifest"
    echo "  round $r: $(tail -n 1 "$base/verify" 2>/dev/null)"
    # All that was ever promised is looked at again after each crash, so a long run begins anew now and then.
    if [ $((r % 10)) = 0 ] && [ $bad = 0 ]; then
      stop; fsck "$dir"; rm -rf "$dir"; : >"$manifest"
      start "$dir" || return 0
    fi
    r=$((r + 1))
  done
  [ $bad = 1 ] || { stop; fsck "$dir"; }
}

part_untar() {
  dir=$base/untar manifest=$base/untar.manifest; : >"$manifest"
  tree=/usr/include/linux; [ -d $tree ] || tree=/usr/include
  tar -C "$tree" -cf "$base/tree.tar" .
  start "$dir" || return 0
  r=1
  while [ $r -le "$rounds" ] && [ $bad = 0 ]; do
    (while mkdir "$mnt/x" 2>/dev/null && tar -C "$mnt/x" -xf "$base/tree.tar" 2>/dev/null && rm -rf "$mnt/x" 2>/dev/null; do :; done) & helper=$!
    moment 1500
    kill_daemon; wait "$helper" 2>/dev/null || true; helper=
    after_crash "$dir" "$manifest"
    ! mounted || rm -rf "$mnt/x" || fail "rm -rf of what was left"
    r=$((r + 1))
  done
  [ $bad = 1 ] || { stop; fsck "$dir"; }
}

# Snapshots as often as can be, so that kills fall into them.
part_snapshot() {
  dir=$base/snapshot manifest=$base/snapshot.manifest; : >"$manifest"
  knob=$("$curvefs" config 2>/dev/null | grep -oE 'snapshot-journal[a-z-]*|snapshot[a-z-]*' | head -n 1 || true)
  [ -n "$knob" ] || { echo "SKIP snapshot: no such knob"; return 0; }
  start "$dir" --"$knob" "${SNAPSHOT_BYTES:-1MiB}" || return 0
  r=1
  while [ $r -le "$rounds" ] && [ $bad = 0 ]; do
    "$writer" run "$mnt" "$manifest" --threads 6 --seed 10$r & helper=$!
    moment 3000
    kill_daemon; wait "$helper" 2>/dev/null || true; helper=
    after_crash "$dir" "$manifest" --"$knob" "${SNAPSHOT_BYTES:-1MiB}"
    r=$((r + 1))
  done
  [ $bad = 1 ] || { stop; fsck "$dir"; }
}

# disk SIZE: a small ext4 on a loop device at $base/disk
disk() {
  truncate -s "$1" "$base/disk.img"; mkfs.ext4 -q -F "$base/disk.img"; mkdir -p "$base/disk"
  mount -o loop "$base/disk.img" "$base/disk"
}
undisk() { [ -z "$keep" ] || [ $bad = 0 ] || cp --sparse=always "$base/disk.img" "$base/disk-kept.img"; umount "$base/disk" || fail "the disk is busy"; rm -f "$base/disk.img"; }

part_diskfull() {
  disk 400M
  dir=$base/disk/fs manifest=$base/full.manifest; : >"$manifest"
  start "$dir" || { undisk; return 0; }
  "$writer" run "$mnt" "$manifest" --threads 2 --seed 7 --seconds 1 || fail "the writer returned $?"
  verify "$manifest"
  # Filled up by data: some write, or the fsync at the end, says so.
  LC_ALL=C dd if=/dev/urandom of="$mnt/filler" bs=1M count=500 conv=fsync 2>"$base/dd" && fail "500 MiB fit on a disk of 400" || true
  grep -q 'No space left' "$base/dd" || fail "dd was told: $(tail -n 1 "$base/dd")"
  verify "$manifest"
  # Filled up by small files, each synced: the one that does not fit says so.
  truncate -s 10M "$mnt/filler" || fail "truncating on a full disk"
  small() { mkdir -p "$mnt/small" && dd if=/dev/zero of="$mnt/small/probe" bs=1k count=1 conv=fsync; }
  wait_for 30 small || fail "no room for a small file after truncating"
  i=0
  while [ $i -lt 600 ] && LC_ALL=C dd if=/dev/urandom of="$mnt/small/$i" bs=700k count=1 conv=fsync 2>"$base/dd"; do i=$((i + 1)); done
  [ $i = 600 ] || grep -q 'No space left' "$base/dd" || fail "a small write was told: $(tail -n 1 "$base/dd")"
  : >"$base/expected"; j=0; while [ $j -lt $i ]; do cksum "$mnt/small/$j" | cut -d ' ' -f 1,2 >>"$base/expected" 2>/dev/null || fail "small/$j was synced and cannot be read"; j=$((j + 1)); done
  running "$daemon" || fail "the process has ended"
  # Killed while full.
  kill_daemon
  start "$dir" || { undisk; return 0; }
  verify "$manifest"
  : >"$base/found"; j=0; while [ $j -lt $i ]; do cksum "$mnt/small/$j" | cut -d ' ' -f 1,2 >>"$base/found" 2>/dev/null || true; j=$((j + 1)); done
  cmp -s "$base/expected" "$base/found" || { fail "small files that were synced on the full disk differ after the crash"; diff "$base/expected" "$base/found" | head -n 5; }
  # Room again: it goes on.
  rm -rf "$mnt/filler" "$mnt/small" || fail "removing on a full disk"
  more() { dd if=/dev/zero of="$mnt/after" bs=1M count=20 conv=fsync; }
  wait_for 30 more || fail "cannot write after space was freed: $(df -k "$base/disk" | tail -n 1; grep -E 'dirty|freed|orphans|journal' "$mnt/.stats")"
  "$writer" run "$mnt" "$manifest" --threads 2 --seed 8 --seconds 1 || fail "the writer returned $?"
  verify "$manifest"
  stop; fsck "$dir"
  undisk
}

part_readonly() {
  disk 128M
  dir=$base/disk/fs
  start "$dir" || { undisk; return 0; }
  echo content >"$mnt/file"; stop
  mount -o remount,ro "$base/disk"
  if timeout 30 "$curvefs" mount --standalone "$dir" "$mnt" >"$base/log" 2>&1; then
    fail "mounts a read-only DIR for writing"; "$curvefs" umount "$mnt" || true
  else
    [ -s "$base/log" ] || fail "no message about the read-only DIR"
  fi
  start "$dir" --read-only || { undisk; return 0; }
  [ "$(cat "$mnt/file")" = content ] || fail "the file reads as '$(cat "$mnt/file")'"
  ! touch "$mnt/new" 2>"$base/log" || fail "wrote to a read-only mount"
  grep -qi 'read-only' "$base/log" || fail "told: $(cat "$base/log")"
  stop
  mount -o remount,rw "$base/disk"
  start "$dir" || { undisk; return 0; }
  # The disk turns read-only under a running mount: errors, no lies.
  mount -o remount,ro "$base/disk" 2>/dev/null || { stop; undisk; return 0; } # busy for writing: cannot be tried
  ! dd if=/dev/zero of="$mnt/x" bs=4k count=1 conv=fsync 2>/dev/null || fail "fsync succeeded on a read-only disk"
  [ "$(cat "$mnt/file")" = content ] || fail "cannot read"
  kill_daemon; mount -o remount,rw "$base/disk"; undisk
}

part_refusals() {
  dir=$base/refusals
  start "$dir" || return 0
  mkdir -p "$base/other"
  if timeout 30 "$curvefs" mount --standalone "$dir" "$base/other" >"$base/log" 2>&1; then fail "a second mount of one DIR"; umount "$base/other"; fi
  [ -s "$base/log" ] || fail "no message about the second mount"
  ! timeout 30 "$curvefs" fsck --repair "$dir" >"$base/log" 2>&1 || fail "fsck --repair of a mounted file system"
  echo x >"$mnt/f"; [ "$(cat "$mnt/f")" = x ] || fail "the first mount is disturbed"
  stop
  echo stranger >"$base/other/file"
  ! timeout 30 "$curvefs" mount --standalone "$base/other" "$mnt" >"$base/log" 2>&1 || { fail "mounts a directory that holds something else"; umount "$mnt"; }
  sed 's/^format *=.*/format = 99/' "$dir/curvefs.toml" >"$base/toml" && cp "$base/toml" "$dir/curvefs.toml"
  grep -q 'format = 99' "$dir/curvefs.toml" || fail "curvefs.toml has no format"
  ! timeout 30 "$curvefs" mount --standalone "$dir" "$mnt" >"$base/log" 2>&1 || { fail "mounts a newer format"; umount "$mnt"; }
  [ -s "$base/log" ] || fail "no message about the newer format"
}

# Damage in the middle of the journal, with good records after it, is not a torn tail.
part_corrupt() {
  dir=$base/corrupt
  start "$dir" || return 0
  i=0; while [ $i -lt 200 ]; do echo $i >"$mnt/f$i"; i=$((i + 1)); [ $((i % 20)) != 0 ] || sync "$mnt/f$((i - 1))"; done
  kill_daemon
  segment=$(find "$dir/meta/journal" -type f -printf '%s %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
  # The part that holds data ends at the last byte that is not zero.
  used=$(od -An -v -tx1 -w64 "$segment" | awk '/[1-9a-f]/ {n = NR} END {print n * 64}')
  [ "$used" -gt 2000 ] || { fail "a journal of $used bytes"; return 0; }
  cp "$segment" "$base/segment"
  dd if=/dev/urandom of="$segment" bs=1 seek=$((used / 2)) count=16 conv=notrunc 2>/dev/null
  if timeout 30 "$curvefs" mount --standalone "$dir" "$mnt" >"$base/log" 2>&1; then
    fail "mounts with a damaged journal"; "$curvefs" umount "$mnt" || true; return 0
  fi
  grep -q "$(basename "$segment")" "$base/log" || fail "the message names no file: $(cat "$base/log")"
  grep -Eq '[0-9]{3,}' "$base/log" || fail "the message names no offset: $(cat "$base/log")"
  ! "$curvefs" fsck "$dir" >"$base/log" 2>&1 || fail "fsck finds nothing"
  "$curvefs" fsck --repair "$dir" >"$base/log" 2>&1 || [ $? = 1 ] || fail "fsck --repair returned $?: $(tail -n 3 "$base/log")"
  start "$dir" || return 0
  n=$(find "$mnt" -name 'f*' | wc -l)
  [ "$n" -gt 0 ] && [ "$n" -lt 200 ] || fail "$n of 200 files after the repair"
  i=0; while [ $i -lt "$n" ]; do [ -e "$mnt/f$i" ] || { fail "f$i is missing, $n are there"; break; }; i=$((i + 1)); done
  stop; fsck "$dir"
  # A torn tail is no damage.
  start "$dir" || return 0
  i=0; while [ $i -lt 50 ]; do echo $i >"$mnt/g$i"; i=$((i + 1)); done
  sync "$mnt/g49"; kill_daemon
  segment=$(find "$dir/meta/journal" -type f -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
  used=$(od -An -v -tx1 -w1 "$segment" | awk '/[1-9a-f]/ {n = NR} END {print n + 0}')
  [ "$used" -lt 100 ] || dd if=/dev/zero of="$segment" bs=1 seek=$((used - 10)) count=10 conv=notrunc 2>/dev/null
  start "$dir" && stop
  fsck "$dir"
}

# The checker itself: a promise that nobody made must be reported.
part_canary() {
  dir=$base/canary manifest=$base/canary.manifest; : >"$manifest"
  start "$dir" || return 0
  "$writer" run "$mnt" "$manifest" --threads 2 --seconds 1 || fail "the writer returned $?"
  verify "$manifest"
  cp "$manifest" "$base/lying"; "$writer" lie "$base/lying"
  ! "$writer" verify "$mnt" "$base/lying" >"$base/verify" || fail "a promise that nobody made was found kept"
  grep -q '^LOST .*never-written' "$base/verify" || fail "the lie is not named"
  stop
}

# shellcheck disable=SC2086
run_parts $parts
