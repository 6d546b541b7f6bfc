#!/bin/sh
# s3.sh [--server test|rgw] [--full] [--curvefs BIN] [--work DIR] [--keep] [PART...]: a file system whose data are in S3,
# on the tests' own server (test, the default) or on Ceph's radosgw, which is installed if it is missing (rgw). Parts:
# programs kill compact away minute eio absent gc delete faults refusals; without one all, minute only with --full. Returns 77 where there can be no radosgw. Leaves nothing
# mounted or running.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
curvefs=${CURVEFS:-$root/build/release/curvefs}
server=test full= base= keep= parts=
while [ $# -gt 0 ]; do
  case $1 in
  --server) server=$2; shift ;;
  --full) full=--full ;;
  --curvefs) curvefs=$2; shift ;;
  --work) base=$2; shift ;;
  --keep) keep=1 ;;
  -*) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
  *) parts="$parts $1" ;;
  esac
  shift
done
bin=$(dirname "$curvefs")
writer=$bin/test/crash/crash_writer test_server=$bin/test/support/s3_test_server
for p in "$curvefs" "$writer" "$test_server"; do [ -x "$p" ] || { echo "s3: no $p; build it" >&2; exit 2; }; done
[ -e /dev/fuse ] || { echo "s3: no /dev/fuse here" >&2; exit 2; }
rounds=2; [ -z "$full" ] || rounds=10
if [ -z "$parts" ]; then
  parts="programs kill compact away eio absent gc delete refusals"
  [ -z "$full" ] || parts="$parts minute"
  [ "$server" = rgw ] || parts="$parts faults"
fi
base=$(mktemp -d "${base:-${TMPDIR:-/tmp}}/curvefs-s3.XXXXXX")
mnt=$base/mnt; mkdir "$mnt"
server_pid=
. "$root/test/support/mount.sh"

stop_server() {
  if [ "$server" = rgw ] && [ -d "$base/rgw" ]; then sh "$root/test/support/rgw.sh" stop "$base/rgw"; else end_process "$server_pid" TERM; fi
  server_pid=
}
cleanup() {
  status=$?
  trap - EXIT INT TERM
  cd /
  kill_daemon; stop_helper; stop_server
  if [ -n "$keep" ] && [ $status != 0 ]; then echo "kept: $base"; else rm -rf "$base"; fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

start_test_server() { # start_test_server [options]
  : >"$base/endpoint"
  "$test_server" --secret-key test-secret-key "$@" >"$base/endpoint" & server_pid=$!
  wait_for 10 test -s "$base/endpoint" || { echo "s3: the test server does not start" >&2; exit 1; }
  endpoint=$(cat "$base/endpoint") region=test-region-1
}
export AWS_ACCESS_KEY_ID=TESTACCESSKEY AWS_SECRET_ACCESS_KEY=test-secret-key
case $server in
test) start_test_server ;;
rgw)
  r=0; sh "$root/test/support/rgw.sh" start "$base/rgw" || r=$?
  [ $r = 0 ] || exit $r
  . "$base/rgw/s3.env"
  endpoint=$S3_ENDPOINT region=$S3_REGION server_pid=$RGW_PID
  nothing=$(printf '' | sha256sum | cut -d ' ' -f 1)
  curl -fsS --aws-sigv4 "aws:amz:$region:s3" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -X PUT \
    -H "x-amz-content-sha256: $nothing" "$endpoint/bucket" || { echo "s3: no bucket" >&2; exit 1; } ;;
*) echo "s3: no server '$server'" >&2; exit 2 ;;
esac

make() { # make NAME [options]: a new file system
  dir=$base/$1; shift
  start "$dir" --data "s3://bucket/fs/$(basename "$dir")" --s3-endpoint "$endpoint" --s3-region "$region" "$@"
}
dry_gc() { "$curvefs" gc "$dir" --older-than 0s --json >"$base/gc.out" 2>&1 || fail "gc returned $?: $(tail -n 3 "$base/gc.out")"; }
no_garbage() { dry_gc; grep -q '"found": 0' "$base/gc.out" || fail "gc finds: $(head -n 3 "$base/gc.out")"; }
no_leaks() { ! grep -q leaked "$base/fsck" || fail "objects that nothing refers to: $(grep leaked "$base/fsck")"; }

part_programs() {
  make programs || return 0
  for name in tar git sqlite; do
    r=0
    # shellcheck disable=SC2086
    timeout 1800 sh "$here/$name.sh" "$mnt" $full >"$base/$name.out" 2>&1 || r=$?
    case $r in 0 | 77) ;; *) fail "$name.sh returned $r: $(tail -n 5 "$base/$name.out")" ;; esac
  done
  head -c 9000001 /dev/urandom >"$base/large"
  cp "$base/large" "$mnt/large"; stop; fsck "$dir"
  start "$dir" || return 0 # without a word about S3
  cmp "$base/large" "$mnt/large" || fail "a file differs after a new mount"
  rm "$mnt/large"; stop; fsck "$dir"; no_leaks
  grep -qF "$endpoint" "$dir/curvefs.toml" || fail "the endpoint is not remembered"
  ! grep -rqF "$AWS_SECRET_ACCESS_KEY" "$dir" || fail "the secret key is in DIR"
}

# The process is killed while it uploads; what was fsynced is there, without repair.
part_kill() {
  manifest=$base/kill.manifest; : >"$manifest"
  make kill || return 0
  r=1
  while [ $r -le "$rounds" ] && [ $bad = 0 ]; do
    "$writer" run "$mnt" "$manifest" --threads 4 --seed $r & helper=$!
    moment 700 300
    kill_daemon; wait "$helper" 2>/dev/null || true; helper=
    fsck "$dir"
    start "$dir" || return 0
    verify "$manifest"
    r=$((r + 1))
  done
  [ $bad = 1 ] || { stop; fsck "$dir"; no_leaks; }
}

# The process is killed while it compacts, with a writer beside it; what was fsynced is there, and nothing is left over.
part_compact() {
  manifest=$base/compact.manifest killed=0 r=1; : >"$manifest"
  make compact --inline-max 0 || return 0
  truncate -s 24M "$base/shadow"; cp "$base/shadow" "$mnt/f"
  while [ $r -le $((rounds * 3)) ] && [ $bad = 0 ]; do
    python3 - "$mnt/f" "$base/shadow" $r <<'P' || fail "cannot overwrite"
import os, random, sys
files = [os.open(p, os.O_WRONLY) for p in sys.argv[1:3]]
rng = random.Random(int(sys.argv[3]))
for i in range(40):
    piece, at = rng.randbytes(300000), rng.randrange(24 << 20)
    for fd in files: os.pwrite(fd, piece, at)
    os.fsync(files[0])
P
    "$writer" run "$mnt" "$manifest" --threads 2 --seed $r & helper=$!
    "$curvefs" compact "$mnt" >"$base/compact.out" 2>&1 & compact=$!
    if [ $r = 1 ]; then
      wait "$compact"
      grep -q "$mnt/f: .* -> " "$base/compact.out" || fail "nothing was compacted: $(cat "$base/compact.out")"
    else
      moment 200 0
    fi
    ! running "$compact" || killed=$((killed + 1))
    kill_daemon; wait "$helper" 2>/dev/null || true; helper=
    wait "$compact" 2>/dev/null || true
    fsck "$dir"
    start "$dir" --inline-max 0 || return 0
    verify "$manifest"
    cmp "$base/shadow" "$mnt/f" || fail "round $r: what was fsynced before the compaction is not there"
    r=$((r + 1))
  done
  [ $bad = 1 ] || { stop; fsck "$dir"; no_leaks; no_garbage; }
  echo "  killed $killed times while it compacted"
}

# The store stands still for some seconds under write load: writers wait, and nobody is told an error.
part_away() {
  manifest=$base/away.manifest; : >"$manifest"
  make away || return 0
  "$writer" run "$mnt" "$manifest" --threads 4 --seed 5 --seconds 8 & helper=$!
  promises() { [ "$(wc -l <"$manifest")" -gt 20 ]; }
  wait_for 30 promises || fail "the writer does not write"
  kill -STOP "$server_pid"; sleep 4; kill -CONT "$server_pid"
  wait "$helper" || fail "the writer was told an error: $?"
  helper=
  verify "$manifest"
  stop; fsck "$dir"
  start "$dir" || return 0
  verify "$manifest"; stop
}

# Away for a whole minute, which is longer than it is tried: whoever waits may be told EIO, what was fsynced is there, and
# afterwards everything works again. (Only by name, or with --full.)
part_minute() {
  manifest=$base/minute.manifest; : >"$manifest"
  make minute --s3-timeout 20s --inline-max 0 || return 0
  "$writer" run "$mnt" "$manifest" --threads 4 --seed 6 --seconds 70 >"$base/writer" 2>&1 & helper=$!
  promises() { [ "$(wc -l <"$manifest")" -gt 20 ]; }
  wait_for 30 promises || fail "the writer does not write"
  kill -STOP "$server_pid"; sleep 60; kill -CONT "$server_pid"
  wait "$helper" || grep -qi "input/output error" "$base/writer" || fail "the writer was told: $(tail -n 2 "$base/writer")"
  helper=
  verify "$manifest"
  "$writer" run "$mnt" "$manifest" --threads 4 --seed 7 --seconds 3 || fail "the writer was told an error after the minute: $?"
  verify "$manifest"
  kill_daemon; fsck "$dir"
  start "$dir" || return 0
  verify "$manifest"
  stop; fsck "$dir"; no_leaks; no_garbage
}

# The store stays away for longer than --s3-timeout: fsync fails, nothing is lost, and it works when the store is back.
part_eio() {
  make eio --s3-timeout 1s || return 0
  head -c 6000000 /dev/urandom >"$base/content"
  kill -STOP "$server_pid"
  dd if="$base/content" of="$mnt/file" bs=1M conv=fsync 2>"$base/dd" & helper=$!
  ended() { ! running "$helper"; }
  wait_for 180 ended || fail "fsync does not end while the store is away"
  ! wait "$helper" || fail "fsync succeeded without a store"
  helper=
  grep -qi 'Input/output error' "$base/dd" || fail "dd was told: $(tail -n 1 "$base/dd")"
  kill -CONT "$server_pid"
  synced() { sync "$mnt/file"; }
  wait_for 60 synced || fail "fsync does not succeed when the store is back"
  kill_daemon
  start "$dir" || return 0
  cmp "$base/content" "$mnt/file" || fail "the content is not what was written"
  stop; fsck "$dir"
}

# With what the disk cache has, a file system is mounted, read, written and unmounted while its store is away.
part_absent() {
  cache=$base/absent.cache
  make absent --cache-dir "$cache" --writeback --inline-max 0 --s3-timeout 5s || return 0
  head -c 9000001 /dev/urandom >"$base/content"
  cp "$base/content" "$mnt/file"; stop
  kill -STOP "$server_pid"
  start "$dir" --cache-dir "$cache" --writeback --inline-max 0 --s3-timeout 5s || return 0
  grep -q "mounted all the same" "$base/daemon.log" || fail "no warning"
  cmp "$base/content" "$mnt/file" || fail "what is cached cannot be read"
  dd if="$base/content" of="$mnt/new" bs=1M conv=fsync 2>"$base/dd" || fail "fsync with a cache disk: $(tail -n 1 "$base/dd")"
  rm "$mnt/file"
  began_stop=$(date +%s); stop --no-wait
  [ $(($(date +%s) - began_stop)) -lt 30 ] || fail "umount --no-wait took $(($(date +%s) - began_stop)) s"
  refused "cannot be used" "$curvefs" mount --standalone "$dir" "$mnt" --cache-dir "$cache" --s3-endpoint http://127.0.0.1:1
  # A crash, and again without the store.
  start "$dir" --cache-dir "$cache" --writeback --inline-max 0 --s3-timeout 5s || return 0
  dd if="$base/content" of="$mnt/more" bs=1M conv=fsync 2>"$base/dd" || fail "fsync: $(tail -n 1 "$base/dd")"
  kill_daemon
  start "$dir" --cache-dir "$cache" --writeback --inline-max 0 --s3-timeout 5s || return 0
  cmp "$base/content" "$mnt/new" && cmp "$base/content" "$mnt/more" || fail "the content after a crash differs"
  kill -CONT "$server_pid"
  stop; fsck "$dir"; no_leaks; no_garbage
  start "$dir" || return 0
  cmp "$base/content" "$mnt/new" && cmp "$base/content" "$mnt/more" || fail "the content in the store differs"
  stop
}

strays() { # objects that nothing names: a copy of the file system has written them, and is gone
  rm -rf "$dir.copy"; cp -a "$dir" "$dir.copy"
  start "$dir.copy" --inline-max 0 "$@" || return 1
  i=0; while [ $i -lt 30 ]; do head -c 200000 /dev/urandom >"$mnt/stray$i"; i=$((i + 1)); done
  stop; rm -rf "$dir.copy"
}
# gc --delete is killed at any moment; it takes nothing that is in use, and the next one finishes its work. Encrypted, and with
# objects that wait on a cache disk for their upload.
part_gc() {
  manifest=$base/gc.manifest cache=$base/gc.cache; : >"$manifest"
  export CURVEFS_PASSPHRASE=passphrase
  echo passphrase >"$base/pass"; make gc --inline-max 0 --encrypt-passphrase-file "$base/pass" || return 0
  "$writer" run "$mnt" "$manifest" --threads 4 --seed 3 --seconds 2 || fail "the writer was told an error: $?"
  # What waits is on the disk alone.
  stop; start "$dir" --inline-max 0 --cache-dir "$cache" --writeback --s3-timeout 2s || return 0
  kill -STOP "$server_pid"
  head -c 3000000 /dev/urandom >"$base/content"
  dd if="$base/content" of="$mnt/waits" bs=1M conv=fsync 2>"$base/dd" || fail "fsync: $(tail -n 1 "$base/dd")"
  stop --no-wait
  kill -CONT "$server_pid"
  [ -e "$dir/writeback" ] || fail "nothing waits on the cache disk"
  began_gc=$(date +%s%N); dry_gc; took=$((($(date +%s%N) - began_gc) / 1000000))
  cp -a "$dir" "$dir.waiting"; cp -a "$cache" "$cache.waiting"
  killed=0 r=1
  while [ $r -le $((rounds * 3)) ] && [ $bad = 0 ]; do
    rm -rf "$cache.copy"; cp -a "$cache.waiting" "$cache.copy"; mv "$cache" "$cache.aside"; mv "$cache.copy" "$cache"
    strays --cache-dir "$cache" || return 0
    rm -rf "$cache"; mv "$cache.aside" "$cache"
    "$curvefs" gc "$dir" --older-than 0s --delete >"$base/gc.out" 2>&1 & helper=$!
    moment $((took * 2)) 0
    ! running "$helper" || killed=$((killed + 1))
    stop_helper
    fsck "$dir"
    r=$((r + 1))
  done
  echo "  gc was killed $killed times, a whole one takes $took ms"
  "$curvefs" gc "$dir" --older-than 0s --delete >"$base/gc.out" 2>&1 || fail "gc returned $?: $(tail -n 3 "$base/gc.out")"
  no_garbage; fsck "$dir"; no_leaks
  start "$dir" --cache-dir "$cache" --writeback || return 0
  verify "$manifest"
  cmp "$base/content" "$mnt/waits" || fail "what waited is not what was written"
  stop; fsck "$dir"; no_garbage
  unset CURVEFS_PASSPHRASE
}

# Deleting many files does not hold up others: their latency with rm -rf beside them, and without, in the same run.
part_delete() {
  n=100000; [ -z "$full" ] || n=1000000
  make delete --inline-max 0 || return 0
  python3 "$here/delete_many.py" "$mnt" $n || fail "others are held up"
  stop; fsck "$dir"; no_leaks
}

# A server that refuses and resets one request in twenty.
part_faults() {
  stop_server; start_test_server --slow-down 0.03 --reset 0.02
  manifest=$base/faults.manifest; : >"$manifest"
  make faults || return 0
  "$writer" run "$mnt" "$manifest" --threads 4 --seed 9 --seconds 4 || fail "the writer was told an error: $?"
  verify "$manifest"; stop; fsck "$dir"
}

refused() { # refused TEXT command...: it fails and says so
  text=$1; shift
  if timeout 60 "$@" >"$base/log" 2>&1; then fail "not refused: $*"; "$curvefs" umount "$mnt" || true; return 0; fi
  grep -qF "$text" "$base/log" || fail "it does not say '$text' but: $(tail -n 2 "$base/log")"
}
part_refusals() {
  make refusals || return 0
  echo x >"$mnt/f"; stop
  to="--s3-endpoint $endpoint --s3-region $region"
  # shellcheck disable=SC2086
  refused "another file system" "$curvefs" mount --standalone "$base/second" "$mnt" --data s3://bucket/fs/refusals $to
  refused "keeps its data in" "$curvefs" mount --standalone "$dir" "$mnt" --data s3://bucket/elsewhere
  # shellcheck disable=SC2086
  refused NoSuchBucket "$curvefs" mount --standalone "$base/third" "$mnt" --data s3://no-such-bucket/x $to
  refused SignatureDoesNotMatch env AWS_SECRET_ACCESS_KEY=wrong "$curvefs" mount --standalone "$dir" "$mnt"
  refused InvalidAccessKeyId env AWS_ACCESS_KEY_ID=nobody "$curvefs" mount --standalone "$dir" "$mnt"
  refused "cannot connect" "$curvefs" mount --standalone "$dir" "$mnt" --s3-endpoint http://127.0.0.1:1
  refused "no S3 keys" env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY HOME="$base" "$curvefs" mount --standalone "$dir" "$mnt"
  start "$dir" --read-only || return 0
  [ "$(cat "$mnt/f")" = x ] || fail "the file reads as '$(cat "$mnt/f")'"
  ! touch "$mnt/new" 2>/dev/null || fail "wrote to a read-only mount"
  stop
}

# shellcheck disable=SC2086
run_parts $parts
