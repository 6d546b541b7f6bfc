#!/bin/sh
# mds_mount.sh [--curvefs BIN] [--work DIR] [--keep]: a whole cluster on this machine (`curvefs cluster up`), a file system by name, mounted twice; the
# leading MDS and a metaserver are killed; down, and up again with what was there. Leaves nothing mounted or running.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
curvefs=${CURVEFS:-$root/build/release/curvefs}
base= keep=
while [ $# -gt 0 ]; do
  case $1 in
  --curvefs) curvefs=$2; shift ;;
  --work) base=$2; shift ;;
  --keep) keep=1 ;;
  *) sed -n '2,3s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift
done
[ -e /dev/fuse ] || { echo "mds_mount: no /dev/fuse here" >&2; exit 77; }
[ -x /usr/bin/etcd ] || { echo "mds_mount: no etcd here" >&2; exit 77; }
[ -x "$(dirname "$curvefs")/curvefs-metaserver" ] || { echo "mds_mount: no curvefs-metaserver here" >&2; exit 77; }
base=$(mktemp -d "${base:-${TMPDIR:-/tmp}}/curvefs-mds-mount.XXXXXX")
mkdir "$base/1" "$base/2"
dir=$base/cluster mnt=$base/1 other=$base/2
. "$root/test/support/mount.sh"
killed=
cleanup() {
  status=$?
  trap - EXIT INT TERM
  cd /
  for m in "$mnt" "$other" "$base/far" "$base/taken"; do ! grep -q " $m fuse" /proc/mounts || "$curvefs" umount "$m" || umount -l "$m" || true; done
  "$curvefs" cluster down --force "$dir" >/dev/null 2>&1 || true
  end_process "$helper" KILL
  [ -z "$killed" ] || kill -9 "$killed" 2>/dev/null || true
  if [ -n "$keep" ] && [ $status != 0 ]; then echo "kept: $base"; else rm -rf "$base"; fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

json() { python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }
processes() { "$curvefs" cluster status --json "$dir" || [ $? = 1 ]; }
leader() { processes | json "[p['name'] for p in d['processes'] if p['leads']][0]"; }
code() { set +e; "$@" >"$base/out" 2>&1; got=$?; set -e; }
expect() { # expect CODE TEXT command...: its exit code, and what it says
  want=$1 text=$2; shift 2
  code "$@"
  [ "$got" = "$want" ] || fail "'$*' returned $got, not $want: $(cat "$base/out")"
  grep -q "$text" "$base/out" || fail "'$*' does not say '$text': $(cat "$base/out")"
}
attach() { "$curvefs" mount "$place" "$1" --log-file "$base/mount.log" || { fail "$1 is not mounted"; exit 1; }; }

part=up
expect 8 "no cluster" "$curvefs" cluster status "$dir"
"$curvefs" cluster up "$dir" >"$base/up" || { cat "$base/up"; exit 1; }
grep -q "metaserver3 .*ready after" "$base/up" || fail "it does not say what is ready: $(cat "$base/up")"
mds=$(processes | json "d['mds']")
CURVEFS_MDS=$mds; export CURVEFS_MDS
expect 0 healthy "$curvefs" status
expect 0 "is up already" "$curvefs" cluster up "$dir"
expect 16 "keeps them" "$curvefs" cluster up "$dir" --metaservers 5

part=fs
expect 8 "no file system 'home'" "$curvefs" fs info home
expect 16 "data is needed" "$curvefs" fs create home
mkdir "$base/taken"; echo mine >"$base/taken/file"
expect 8 "not empty" "$curvefs" fs create home --data "dir:$base/taken"
expect 8 "no file system 'home'" "$curvefs" fs info home
expect 0 "is ready" "$curvefs" fs create home --data "dir:$dir/objects/home" --capacity 64M
expect 8 "there is a file system" "$curvefs" fs create home --data "dir:$base/another"
expect 8 "another file system" "$curvefs" fs create second --data "dir:$dir/objects/home"
expect 0 "read-write" "$curvefs" partition list home
expect 0 "ready" "$curvefs" copyset list
expect 0 "metaserver 3" "$curvefs" topology list
online() { "$curvefs" status --operators | grep -q "metaserver $1 is online"; }
for i in 1 2 3; do wait_for 60 online $i || fail "metaserver $i is not online: $("$curvefs" status --operators)"; done
expect 0 "zone2 *online" "$curvefs" topology list metaserver
[ "$("$curvefs" topology list metaserver --json | json "[m['health'] for m in d]")" = "['online', 'online', 'online']" ] || fail "not all are online: $("$curvefs" topology list metaserver)"
[ "$("$curvefs" status --operators --json | json "len(d['operators']), len(d['events']) >= 3")" = "0 True" ] || fail "operators: $("$curvefs" status --operators --json)"
expect 8 "has metaservers" "$curvefs" topology delete server host1

part=mounts
place=mds://$mds/home
expect 32 "no file system 'nothing'" "$curvefs" mount "mds://$mds/nothing" "$mnt"
expect 32 "fs update" "$curvefs" mount "$place" "$mnt" --capacity 1G
mv "$dir/objects/home" "$dir/objects/away"
expect 32 "curvefs.json is missing" "$curvefs" mount "$place" "$mnt"
mv "$dir/objects/away" "$dir/objects/home"
attach "$mnt"
attach "$other"
expect 32 "mounted" "$curvefs" mount "$place" "$mnt"
expect 8 "is mounted 2 times" "$curvefs" fs delete home --yes
expect 8 "would hang" "$curvefs" cluster down "$dir"
echo one >"$mnt/f"; [ "$(cat "$other/f")" = one ] || fail "the other mount reads '$(cat "$other/f")'"
cp -r /usr/include/linux "$mnt/tree"; diff -r /usr/include/linux "$other/tree" || fail "the other has another tree"
! head -c 100000000 /dev/zero >"$mnt/large" 2>/dev/null || ! sync "$mnt/large" 2>/dev/null || fail "more than the capacity fits"
rm -f "$mnt/large"
expect 0 "128MiB" "$curvefs" fs update home --capacity 128M

part=caches
calls() { awk '$1 == "meta_calls" { print $2 }' "$1/.stats"; }
"$curvefs" mount "$place" "$base/taken" --attr-cache 10m --entry-cache 10m --log-file "$base/mount.log" || fail "not mounted with caches"
for m in "$mnt" "$base/taken"; do
  stat "$m/tree/fuse.h" >/dev/null
  before=$(calls "$m")
  python3 -c 'import os, sys
for i in range(1000): os.stat(sys.argv[1])' "$m/tree/fuse.h"
  echo $(($(calls "$m") - before)) >"$base/asked.$(basename "$m")"
done
# By its lease a mount knows what others have done as soon as they know it themselves, and asks when that has run out.
[ "$(cat "$base/asked.1")" -le 100 ] || fail "1,000 stats of a/b ask $(cat "$base/asked.1") times in spite of the lease"
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  chmod 6$((i % 8))0 "$other/f"; [ "$(stat -c %a "$mnt/f")" = 6$((i % 8))0 ] || fail "the other mount sees an old mode"
  mv "$other/f" "$other/f$i"; [ ! -e "$mnt/f" ] && [ -e "$mnt/f$i" ] || fail "the other mount sees an old name"
  mv "$mnt/f$i" "$mnt/f"; [ ! -e "$other/f$i" ] && [ -e "$other/f" ] || fail "the first mount sees an old name"
done
python3 - "$mnt" "$other" <<'EOF' || fail "times of what is written"
import os, sys, time
here, there = sys.argv[1] + "/times", sys.argv[2] + "/times"
def fresh():
    fd = os.open(here, os.O_CREAT | os.O_RDWR); os.utime(fd, (1000, 1000)); return fd
def expect(what, *values):
    assert len(set(values)) == 1, f"{what}: {values}"
fd = fresh(); os.write(fd, b"x"); at = os.fstat(fd).st_mtime_ns
assert abs(at / 1e9 - time.time()) < 60, "a write does not show in the time of its file"
os.close(fd); expect("closed", at, os.stat(here).st_mtime_ns, os.stat(there).st_mtime_ns)
fd = fresh(); os.write(fd, b"yy"); os.utime(fd, (2000, 2000)); os.close(fd)
expect("set before it is closed", 2000, os.stat(here).st_mtime, os.stat(there).st_mtime)
fd = fresh(); os.write(fd, b"z"); os.fchmod(fd, 0o600); os.close(fd)
assert os.stat(there).st_mtime > 2000, "a change of the mode takes the time of a write away"
fd = fresh(); os.write(fd, b"z" * 5000); os.utime(fd, (3000, 3000)); os.write(fd, b"w"); os.close(fd)
assert os.stat(there).st_mtime > 3000 and os.stat(there).st_size == os.stat(here).st_size, "written again"
expect("after all", os.stat(here).st_mtime_ns, os.stat(there).st_mtime_ns)
os.unlink(here)
EOF
mkdir "$mnt/many"
(cd "$mnt/many" && seq 1 2000 | xargs touch)
before=$(calls "$other")
[ "$(ls -l "$other/many" | wc -l)" = 2001 ] || fail "ls -l of 2,000 files"
# 20 at most where nothing else runs; a lease that runs out meanwhile costs one more.
[ $(($(calls "$other") - before)) -le 60 ] || fail "ls -l of 2,000 files asks $(($(calls "$other") - before)) times"
rm -rf "$mnt/many"
[ "$(cat "$base/asked.taken")" -le 5 ] || fail "with --attr-cache 1,000 stats ask $(cat "$base/asked.taken") times"
chmod 640 "$base/taken/f"; [ "$(stat -c %a "$mnt/f")" = 640 ] || fail "the mount without caches sees an old mode"
"$curvefs" umount "$base/taken" || fail "umount"

part=tools
dd if=/dev/urandom of="$mnt/pieces" bs=8k count=200 oflag=sync status=none
before=$(md5sum <"$mnt/pieces")
expect 0 "length *1638400" "$curvefs" info "$mnt/pieces"
expect 0 "fs.place\|place" "$curvefs" info "$mnt"
expect 0 "compact\|file" "$curvefs" compact "$mnt/pieces"
[ "$(md5sum <"$other/pieces")" = "$before" ] || fail "after 'compact' the other mount reads something else"
expect 8 "no disk cache" "$curvefs" warmup "$mnt/pieces"
expect 8 "fs update" "$curvefs" quota get "$mnt"
mkdir "$base/warm"
"$curvefs" mount "$place" "$base/taken" --cache-dir "$base/warm" --log-file "$base/mount.log" || fail "not mounted with a disk cache"
expect 0 "" "$curvefs" warmup "$base/taken/tree" "$base/taken/pieces"
[ -n "$(find "$base/warm" -type f -size +100k)" ] || fail "warmup brings nothing: $(cat "$base/out")"
"$curvefs" umount "$base/taken" || fail "umount"
rm "$mnt/pieces"
# A mount that is killed leaves a record, and does not stand in the way of the next one at its place.
"$curvefs" mount -f "$place" "$base/taken" --log-file "$base/mount.log" & killed=$!
wait_for 30 grep -q " $base/taken fuse" /proc/mounts || fail "not mounted in front"
kill -9 $killed; wait $killed 2>/dev/null || true; killed=
umount -l "$base/taken" 2>/dev/null || true
"$curvefs" mount "$place" "$base/taken" --log-file "$base/mount.log" || fail "who was killed stands in the way"
"$curvefs" umount "$base/taken" || fail "umount"

part=s3
test_server=$(dirname "$curvefs")/test/support/s3_test_server
if [ -x "$test_server" ]; then
  AWS_ACCESS_KEY_ID=TESTACCESSKEY AWS_SECRET_ACCESS_KEY=test-secret-key
  export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
  "$test_server" --secret-key test-secret-key >"$base/endpoint" & helper=$!
  wait_for 10 test -s "$base/endpoint" || fail "the S3 server does not start"
  expect 8 "SignatureDoesNotMatch" env AWS_SECRET_ACCESS_KEY=wrong "$curvefs" fs create far --data s3://bucket/far --s3-endpoint "$(cat "$base/endpoint")" --s3-region test-region-1
  expect 0 "is ready" "$curvefs" fs create far --data s3://bucket/far --s3-endpoint "$(cat "$base/endpoint")" --s3-region test-region-1
  expect 8 "another file system" "$curvefs" fs create far2 --data s3://bucket/far --s3-endpoint "$(cat "$base/endpoint")" --s3-region test-region-1
  expect 32 "no S3 keys" env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY HOME="$base" "$curvefs" mount "mds://$mds/far" "$base/taken"
  expect 32 "leave --data out" "$curvefs" mount "mds://$mds/far" "$base/taken" --data s3://bucket/far
  expect 32 "could not read" "$curvefs" mount "mds://$mds/far" "$base/taken" --cache-dir "$base/cache" --writeback
  mkdir "$base/far" "$base/cache"
  # As mount(8) calls it for a line of fstab.
  ln -s "$(readlink -f "$curvefs")" "$base/mount.curvefs"
  "$base/mount.curvefs" "mds://$mds/far" "$base/far" -o "rw,noatime,_netdev,cache-dir=$base/cache,log-file=$base/mount.log" || fail "not mounted as by fstab"
  "$curvefs" mount "mds://$mds/far" "$base/taken" --log-file "$base/mount.log" || fail "not mounted"
  head -c 9000001 /dev/urandom >"$base/large"; cp "$base/large" "$base/far/large"
  cmp "$base/large" "$base/taken/large" || fail "a large file in S3 differs at the other mount"
  "$curvefs" umount "$base/far" && "$curvefs" umount "$base/taken" || fail "umount"
  "$curvefs" mount "mds://$mds/far" "$base/far" --read-only --cache-dir "$base/cache" --log-file "$base/mount.log" || fail "not mounted read-only"
  cmp "$base/large" "$base/far/large" || fail "a large file in S3 differs after a new mount"
  ! touch "$base/far/x" 2>/dev/null || fail "read-only is written to"
  "$curvefs" umount "$base/far" || fail "umount"
  stop_helper
fi

part=failover
mkdir "$mnt/load"
python3 - "$mnt/load" >"$base/load" 2>&1 <<'P' & load=$!
import os, sys, time
end, n = time.time() + 8, 0
while time.time() < end:
    with open(f"{sys.argv[1]}/{n}", "w") as f: f.write(f"file {n}\n"); f.flush(); os.fsync(f.fileno())
    n += 1
print(n)
P
gone=$(leader)
"$curvefs" cluster kill "$dir" "$gone" >/dev/null
"$curvefs" cluster kill "$dir" metaserver2 >/dev/null
expect 1 "degraded" "$curvefs" status
expect 0 "home" "$curvefs" fs list
expect 1 "killed" "$curvefs" cluster status "$dir"
attach "$base/taken"; [ "$(cat "$base/taken/f")" = one ] || fail "mounted while they are down, it reads something else"
"$curvefs" umount "$base/taken" || fail "umount while they are down"
wait $load || fail "the load was told an error: $(tail -n 2 "$base/load")"
n=$(cat "$base/load")
[ "$(ls "$other/load" | wc -l)" = "$n" ] || fail "$(ls "$other/load" | wc -l) files, of $n"
"$curvefs" cluster start "$dir" "$gone" >/dev/null || fail "$gone does not start"
"$curvefs" cluster start "$dir" metaserver2 >/dev/null || fail "metaserver2 does not start"
well() { "$curvefs" status >/dev/null; }
wait_for 30 well || fail "it does not get well: $("$curvefs" status)"
echo "  $n files while $gone and metaserver2 were killed"

part=again
"$curvefs" umount "$mnt" && "$curvefs" umount "$other" || fail "umount"
expect 0 "mounts      0" "$curvefs" fs info home
expect 0 "is down" "$curvefs" cluster down "$dir"
expect 8 "no MDS answers" "$curvefs" fs list --timeout 2s
"$curvefs" cluster up "$dir" >"$base/up" || { cat "$base/up"; exit 1; }
attach "$mnt"
diff -r /usr/include/linux "$mnt/tree" || fail "the tree is not what it was"
i=0; while [ $i -lt "$n" ]; do [ "$(cat "$mnt/load/$i")" = "file $i" ] || { fail "file $i is wrong"; break; }; i=$((i + 1)); done
# Power off: all at once, with no chance to tell anybody.
supervisor=$(pgrep -f "cluster up $dir\$" | head -n 1)
[ -n "$supervisor" ] && kill -9 "$supervisor" || fail "no supervisor"
there() { [ -S "$dir/control" ] && "$curvefs" cluster status "$dir" >/dev/null 2>&1; }
! there || fail "it is still up"
again() { "$curvefs" cluster up "$dir" >"$base/up" 2>&1; }
wait_for 60 again || fail "not up after a power cut: $(cat "$base/up")"
[ "$(cat "$mnt/f")" = one ] || fail "the mount does not go on after a power cut"
echo two >"$mnt/f"
"$curvefs" umount "$mnt" || fail "umount"
expect 16 "add --yes" "$curvefs" fs delete home
expect 0 "its [0-9]* objects" "$curvefs" fs delete home --yes --data
[ -z "$(ls -A "$dir/objects/home")" ] || fail "fs delete --data leaves $(find "$dir/objects/home" | head -n 5)"
expect 32 "was deleted" "$curvefs" mount "$place" "$mnt"
"$curvefs" cluster down "$dir" >/dev/null || fail "down"

part=tls
expect 16 "without --tls" "$curvefs" cluster up --tls "$dir"
rm -rf "$dir"
"$curvefs" cluster up --tls --etcd 1 --mds 2 "$dir" >"$base/up" || { cat "$base/up"; exit 1; }
CURVEFS_MDS=$(processes | json "d['mds']")
place=mds://$CURVEFS_MDS/home
expect 8 "give --tls-ca, --tls-cert and --tls-key" "$curvefs" fs list --timeout 2s
expect 32 "give --tls-ca, --tls-cert and --tls-key" "$curvefs" mount "$place" "$mnt"
expect 16 "go together" "$curvefs" fs list --tls-ca "$dir/tls/cluster-ca.pem"
expect 16 "no-such.pem" "$curvefs" fs list --tls-ca "$dir/tls/no-such.pem" --tls-cert "$dir/tls/client.pem" --tls-key "$dir/tls/client.key"
# An authority that has not issued anybody's certificate.
expect 8 "not by the authority of our --tls-ca" "$curvefs" fs list --timeout 2s --tls-ca "$dir/tls/client.pem" --tls-cert "$dir/tls/client.pem" --tls-key "$dir/tls/client.key"
[ "$(stat -c %a "$dir/tls/client.key" "$dir/tls/cluster-ca.key" | sort -u)" = 600 ] || fail "keys can be read by others: $(ls -l "$dir/tls")"
CURVEFS_TLS_CA=$dir/tls/cluster-ca.pem CURVEFS_TLS_CERT=$dir/tls/client.pem CURVEFS_TLS_KEY=$dir/tls/client.key
export CURVEFS_TLS_CA CURVEFS_TLS_CERT CURVEFS_TLS_KEY
expect 0 healthy "$curvefs" status
expect 0 "is ready" "$curvefs" fs create home --data "dir:$dir/objects/home" --capacity 64M
attach "$mnt"
attach "$other"
echo sealed >"$mnt/f"; [ "$(cat "$other/f")" = sealed ] || fail "over TLS the other mount reads '$(cat "$other/f")'"
expect 0 ready "$curvefs" cluster status "$dir"
expect 0 online "$curvefs" topology list metaserver

part=tokens
name=$(json "d['name']" <"$dir/cluster.json")
expect 8 "is mounted 2 times" "$curvefs" fs token create home
"$curvefs" umount "$mnt" && "$curvefs" umount "$other" || fail "umount before the first token"
expect 0 "read-write, for ever" "$curvefs" fs token create home --out "$base/writer" --comment "the tests"
expect 8 "File exists" "$curvefs" fs token create home --out "$base/writer"
[ "$(stat -c %a "$base/writer")" = 600 ] || fail "a token can be read by others"
"$curvefs" fs token create home --read-only --expires 30d --json | json "d['token']" >"$base/reader"
expect 0 "the tests" "$curvefs" fs token list home
expect 0 "needed" "$curvefs" fs info home
expect 32 "with a token only" "$curvefs" mount "$place" "$mnt"
expect 32 "is none of 'home'" env CURVEFS_TOKEN=cfs_$(printf '%064d' 0) "$curvefs" mount "$place" "$mnt"
expect 32 "that is no token" env CURVEFS_TOKEN=secret "$curvefs" mount "$place" "$mnt"
! grep -q secret "$base/out" || fail "a wrong token is repeated"
"$curvefs" mount "$place" "$mnt" --token-file "$base/writer" --log-file "$base/mount.log" || fail "not mounted with a token"
CURVEFS_TOKEN=$(cat "$base/reader") "$curvefs" mount "$place" "$other" --log-file "$base/mount.log" || fail "not mounted with a token to read"
echo more >>"$mnt/f" && sync "$mnt/f" || fail "cannot write with a token to write"
[ "$(tail -n 1 "$other/f")" = more ] || fail "the reader reads '$(cat "$other/f")'"
! touch "$other/new" 2>/dev/null || fail "a token to read lets write"
! cat "$base/mount.log" "$dir"/log/* | grep -q -F -e "$(cat "$base/writer")" -e "$(cat "$base/reader")" || fail "a token is in a log"
! ps -eo args | grep -q "[c]fs_[0-9a-f]\{64\}" || fail "a token is on a command line"
# A token for a directory: it is the root, and nothing else can be named.
mkdir -p "$mnt/team/docs"; echo inside >"$mnt/team/docs/f"; ln -s /f "$mnt/team/docs/link"; sync "$mnt/team/docs/f"
expect 16 "no directory from the root" "$curvefs" fs token create home --subdir team/docs
"$curvefs" fs token create home --subdir /team/docs --out "$base/part" >/dev/null || fail "no token for a directory"
"$curvefs" mount "$place" "$base/taken" --token-file "$base/part" --log-file "$base/mount.log" || fail "not mounted with a token for a directory"
[ "$(ls "$base/taken" | tr '\n' ' ')" = "f link " ] || fail "a token for a directory shows $(ls "$base/taken")"
[ "$(cat "$base/taken/f")" = inside ] || fail "below a directory it reads '$(cat "$base/taken/f")'"
mkdir "$base/taken/d" && echo new >"$base/taken/d/g" && mv "$base/taken/d/g" "$base/taken/h" && ln "$base/taken/h" "$base/taken/i" && rmdir "$base/taken/d" || fail "changes below a directory"
[ "$(cat "$mnt/team/docs/h")" = new ] || fail "what was made below a directory is not there from the root"
"$curvefs" umount "$base/taken" || fail "umount of a directory"
"$curvefs" fs token create home --subdir /not/there --out "$base/nowhere" >/dev/null
expect 32 "/not/there" "$curvefs" mount "$place" "$base/taken" --token-file "$base/nowhere"
# Past the MDS, as a client would that keeps no rules: metaservers have the last word.
past=meta://$("$curvefs" topology list metaserver --json | json "','.join(m['address'] for m in d)")/$("$curvefs" partition list home --json | json "d[0]['copyset']")
closed() { # each learns it with its next heartbeat, the one that leads perhaps last
  for server in $("$curvefs" topology list metaserver --json | json "' '.join(m['address'] for m in d)"); do
    "$curvefs" mount "meta://$server/${past##*/}" "$base/taken" --data "dir:$dir/objects/home" --cluster "$name" --log-file "$base/mount.log" >"$base/out" 2>&1 || continue
    "$curvefs" umount "$base/taken"
    return 1
  done
}
wait_for 60 closed || fail "metaservers let in who has no token"
grep -q "needs a token" "$base/out" || fail "without a token it says: $(cat "$base/out")"
CURVEFS_TOKEN=$(cat "$base/reader") "$curvefs" mount "$past" "$base/taken" --data "dir:$dir/objects/home" --cluster "$name" --log-file "$base/mount.log" || fail "not mounted past the MDS"
[ "$(tail -n 1 "$base/taken/f")" = more ] || fail "past the MDS it reads '$(cat "$base/taken/f")'"
! mkdir "$base/taken/new" 2>/dev/null || fail "a metaserver lets a token to read write"
"$curvefs" umount "$base/taken" || fail "umount past the MDS"
id=$("$curvefs" fs token list home --json | json "[t['id'] for t in d if t['comment']][0]")
expect 0 "is revoked" "$curvefs" fs token revoke home "$id"
shut() { ! ls "$mnt" >/dev/null 2>&1; }
wait_for 60 shut || fail "a mount goes on though its token is revoked"
ls "$other" >/dev/null || fail "the other token ended, too"
expect 32 "was revoked" "$curvefs" mount "$place" "$base/taken" --token-file "$base/writer"
"$curvefs" umount "$mnt" >/dev/null 2>&1 || umount -l "$mnt" || fail "umount of who has no token any more"
"$curvefs" umount "$other" || fail "umount over TLS"
"$curvefs" cluster down "$dir" >/dev/null || fail "down with TLS"
unset CURVEFS_TLS_CA CURVEFS_TLS_CERT CURVEFS_TLS_KEY
! pgrep -f "$dir" >/dev/null || fail "left running: $(pgrep -af "$dir")"
[ $bad = 0 ] && echo "1 passed, 0 failed"
[ $bad = 0 ]
