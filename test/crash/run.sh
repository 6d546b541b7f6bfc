#!/bin/sh
# run.sh [--full] [--rounds N] [--curvefs BIN] [--writer BIN] [--work DIR] [--keep] [PART...]: kills the mount's process at
# random moments while programs write, and checks after each that the file system is clean without repair and that
# everything fsynced is there (crash_writer.cc). Parts: kill untar snapshot diskfull readonly refusals corrupt canary;
# all without one. Disk images are mounted on loop devices, so root is needed. Leaves nothing mounted or running.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
curvefs=${CURVEFS:-$root/build/release/curvefs}
rounds= writer= base= keep= full= parts=
while [ $# -gt 0 ]; do
  case $1 in
  --full) full=1 ;;
  --rounds) rounds=$2; shift ;;
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
daemon= helper= failed=0 passed=0

mounted() { grep -q " $mnt fuse" /proc/mounts; }
running() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }
fail() { echo "FAIL $part: $*"; bad=1; }
wait_for() { # wait_for SECONDS command...: until it succeeds
  end=$(($(date +%s) + $1)); shift
  until "$@" 2>/dev/null; do [ "$(date +%s)" -lt $end ] || return 1; sleep 0.02; done
}
unmount_dead() { tries=0; while mounted && [ $tries -lt 50 ]; do umount -l "$mnt" 2>/dev/null || sleep 0.1; tries=$((tries + 1)); done; }
stop_helper() { if running "$helper"; then kill -9 "$helper" 2>/dev/null || true; fi; [ -z "$helper" ] || wait "$helper" 2>/dev/null || true; helper=; }
kill_daemon() { if running "$daemon"; then kill -9 "$daemon" 2>/dev/null || true; fi; [ -z "$daemon" ] || wait "$daemon" 2>/dev/null || true; daemon=; unmount_dead; }
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

# start DIR [options]: mounts in front of a process of ours, so that its number is known.
start() {
  "$curvefs" mount -f --standalone "$@" "$mnt" >"$base/daemon.log" 2>&1 &
  daemon=$!
  up() { mounted && stat "$mnt/." >/dev/null; }
  gone() { up || ! running "$daemon"; }
  wait_for 60 gone || true
  up || { fail "does not mount: $(tail -n 3 "$base/daemon.log")"; daemon=; return 1; }
}
stop() { # a clean end
  "$curvefs" umount "$mnt" || fail "umount returned $?"
  [ -z "$daemon" ] || wait "$daemon" || fail "the mount's process returned $?"
  daemon=
}
fsck() { # fsck DIR: clean without repair
  "$curvefs" fsck --deep "$1" >"$base/fsck" 2>&1 && grep -qx clean "$base/fsck" || { fail "fsck: $(tail -n 5 "$base/fsck")"; return 1; }
}
verify() { "$writer" verify "$mnt" "$1" >"$base/verify" 2>&1 || { fail "verify: $(tail -n 8 "$base/verify")"; return 1; }; }
# A random number below $1.
random() { od -An -N4 -tu4 /dev/urandom | awk -v n="$1" '{print $1 % n}'; }
# Sleeps a random time up to $1 milliseconds: the moment of the crash.
moment() { sleep "$(random "$1" | awk '{printf "%.3f", 0.1 + $1 / 1000}')"; }
# The states a crash can leave are told apart by what the file system is doing when it comes.
after_crash() { # after_crash DIR MANIFEST [options]
  d=$1 m=$2; shift 2
  fsck "$d" || true
  start "$d" "$@" || return 0
  verify "$m" || true
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
    r=$((r + 1))
  done
  [ $bad = 1 ] || { stop; fsck "$dir" || true; }
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
  [ $bad = 1 ] || { stop; fsck "$dir" || true; }
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
  [ $bad = 1 ] || { stop; fsck "$dir" || true; }
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
  verify "$manifest" || true
  # Filled up by data: some write, or the fsync at the end, says so.
  LC_ALL=C dd if=/dev/urandom of="$mnt/filler" bs=1M count=500 conv=fsync 2>"$base/dd" && fail "500 MiB fit on a disk of 400" || true
  grep -q 'No space left' "$base/dd" || fail "dd was told: $(tail -n 1 "$base/dd")"
  verify "$manifest" || true
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
  verify "$manifest" || true
  : >"$base/found"; j=0; while [ $j -lt $i ]; do cksum "$mnt/small/$j" | cut -d ' ' -f 1,2 >>"$base/found" 2>/dev/null || true; j=$((j + 1)); done
  cmp -s "$base/expected" "$base/found" || { fail "small files that were synced on the full disk differ after the crash"; diff "$base/expected" "$base/found" | head -n 5; }
  # Room again: it goes on.
  rm -rf "$mnt/filler" "$mnt/small" || fail "removing on a full disk"
  more() { dd if=/dev/zero of="$mnt/after" bs=1M count=20 conv=fsync; }
  wait_for 30 more || fail "cannot write after space was freed: $(df -k "$base/disk" | tail -n 1; grep -E 'dirty|freed|orphans|journal' "$mnt/.stats")"
  "$writer" run "$mnt" "$manifest" --threads 2 --seed 8 --seconds 1 || fail "the writer returned $?"
  verify "$manifest" || true
  stop; fsck "$dir" || true
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
  stop; fsck "$dir" || true
  # A torn tail is no damage.
  start "$dir" || return 0
  i=0; while [ $i -lt 50 ]; do echo $i >"$mnt/g$i"; i=$((i + 1)); done
  sync "$mnt/g49"; kill_daemon
  segment=$(find "$dir/meta/journal" -type f -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
  used=$(od -An -v -tx1 -w1 "$segment" | awk '/[1-9a-f]/ {n = NR} END {print n + 0}')
  [ "$used" -lt 100 ] || dd if=/dev/zero of="$segment" bs=1 seek=$((used - 10)) count=10 conv=notrunc 2>/dev/null
  start "$dir" && stop
  fsck "$dir" || true
}

# The checker itself: a promise that nobody made must be reported.
part_canary() {
  dir=$base/canary manifest=$base/canary.manifest; : >"$manifest"
  start "$dir" || return 0
  "$writer" run "$mnt" "$manifest" --threads 2 --seconds 1 || fail "the writer returned $?"
  verify "$manifest" || true
  cp "$manifest" "$base/lying"; "$writer" lie "$base/lying"
  ! "$writer" verify "$mnt" "$base/lying" >"$base/verify" || fail "a promise that nobody made was found kept"
  grep -q '^LOST .*never-written' "$base/verify" || fail "the lie is not named"
  stop
}

for part in $parts; do
  bad=0 began=$(date +%s)
  part_"$part"
  kill_daemon; stop_helper
  if [ $bad = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  echo "$part: $([ $bad = 0 ] && echo ok || echo FAILED), $(($(date +%s) - began)) s"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
