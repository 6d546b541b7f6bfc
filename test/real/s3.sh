#!/bin/sh
# s3.sh [--server test|rgw] [--full] [--curvefs BIN] [--work DIR] [--keep] [PART...]: a file system whose data are in S3,
# on the tests' own server (test, the default) or on Ceph's radosgw, which is installed if it is missing (rgw). Parts:
# programs kill away eio faults refusals; all without one. Returns 77 where there can be no radosgw. Leaves nothing
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
  parts="programs kill away eio refusals"
  [ "$server" = rgw ] || parts="$parts faults"
fi
base=$(mktemp -d "${base:-${TMPDIR:-/tmp}}/curvefs-s3.XXXXXX")
mnt=$base/mnt; mkdir "$mnt"
daemon= helper= server_pid= passed=0 failed=0 part=setup bad=0

mounted() { grep -q " $mnt fuse" /proc/mounts; }
running() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }
fail() { echo "FAIL $part: $*"; bad=1; }
wait_for() { # wait_for SECONDS command...: until it succeeds
  end=$(($(date +%s) + $1)); shift
  until "$@" 2>/dev/null; do [ "$(date +%s)" -lt $end ] || return 1; sleep 0.02; done
}
end_process() { # end_process PID SIGNAL
  if running "$1"; then kill -CONT "$1" 2>/dev/null || true; kill -"$2" "$1" 2>/dev/null || true; fi
  [ -z "$1" ] || wait "$1" 2>/dev/null || true
}
unmount_dead() { tries=0; while mounted && [ $tries -lt 50 ]; do umount -l "$mnt" 2>/dev/null || sleep 0.1; tries=$((tries + 1)); done; }
kill_daemon() { end_process "$daemon" KILL; daemon=; unmount_dead; }
stop_server() {
  if [ "$server" = rgw ] && [ -d "$base/rgw" ]; then sh "$root/test/support/rgw.sh" stop "$base/rgw"; else end_process "$server_pid" TERM; fi
  server_pid=
}
cleanup() {
  status=$?
  trap - EXIT INT TERM
  cd /
  kill_daemon; end_process "$helper" KILL; stop_server
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

# start DIR [options]: mounts in front of a process of ours, so that its number is known.
start() {
  "$curvefs" mount -f --standalone "$@" "$mnt" >>"$base/daemon.log" 2>&1 &
  daemon=$!
  up() { mounted && stat "$mnt/." >/dev/null; }
  gone() { up || ! running "$daemon"; }
  wait_for 60 gone || true
  up || { fail "does not mount: $(tail -n 3 "$base/daemon.log")"; daemon=; return 1; }
}
make() { # make NAME [options]: a new file system
  dir=$base/$1; shift
  start "$dir" --data "s3://bucket/fs/$(basename "$dir")" --s3-endpoint "$endpoint" --s3-region "$region" "$@"
}
stop() {
  "$curvefs" umount "$mnt" || fail "umount returned $?"
  [ -z "$daemon" ] || wait "$daemon" || fail "the mount's process returned $?: $(tail -n 3 "$base/daemon.log")"
  daemon=
}
fsck() {
  "$curvefs" fsck --deep "$dir" >"$base/fsck" 2>&1 && grep -qx clean "$base/fsck" || fail "fsck: $(tail -n 5 "$base/fsck")"
}
no_leaks() { ! grep -q leaked "$base/fsck" || fail "objects that nothing refers to: $(grep leaked "$base/fsck")"; }
verify() { "$writer" verify "$mnt" "$1" >"$base/verify" 2>&1 || fail "verify: $(tail -n 8 "$base/verify")"; }

part_programs() {
  make programs || return 0
  for name in tar git sqlite; do
    r=0
    # shellcheck disable=SC2086
    timeout 1800 sh "$here/$name.sh" "$mnt" $full >"$base/$name.out" 2>&1 || r=$?
    case $r in 0 | 77) ;; *) fail "$name.sh returned $r: $(tail -n 5 "$base/$name.out")" ;; esac
  done
  head -c 9000001 /dev/urandom >"$base/large"
  cp "$base/large" "$mnt/large"; stop; fsck
  start "$dir" || return 0 # without a word about S3
  cmp "$base/large" "$mnt/large" || fail "a file differs after a new mount"
  rm "$mnt/large"; stop; fsck; no_leaks
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
    sleep "0.$(od -An -N1 -tu1 /dev/urandom | tr -d ' ' | awk '{printf "%02d", 30 + $1 % 70}')" # the moment of the crash
    kill_daemon; wait "$helper" 2>/dev/null || true; helper=
    fsck
    start "$dir" || return 0
    verify "$manifest"
    r=$((r + 1))
  done
  [ $bad = 1 ] || { stop; fsck; no_leaks; }
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
  stop; fsck
  start "$dir" || return 0
  verify "$manifest"; stop
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
  stop; fsck
}

# A server that refuses and resets one request in twenty.
part_faults() {
  stop_server; start_test_server --slow-down 0.03 --reset 0.02
  manifest=$base/faults.manifest; : >"$manifest"
  make faults || return 0
  "$writer" run "$mnt" "$manifest" --threads 4 --seed 9 --seconds 4 || fail "the writer was told an error: $?"
  verify "$manifest"; stop; fsck
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

for part in $parts; do
  bad=0 began=$(date +%s)
  part_"$part"
  kill_daemon; end_process "$helper" KILL; helper=
  if [ $bad = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); tail -n 5 "$base/daemon.log"; fi
  echo "$part: $([ $bad = 0 ] && echo ok || echo FAILED), $(($(date +%s) - began)) s"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
