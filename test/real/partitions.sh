#!/bin/sh
# partitions.sh [--curvefs BIN] [--work DIR] [--keep] [storm|posix]...: a file system with three partitions on three copysets (`curvefs cluster up`), mounted
# twice; storm: renames, links and removes between its partitions from both, while one mount and a leader are killed; posix: the conformance suite, with its
# directories spread over the partitions. storm alone by default. Leaves nothing mounted or running.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
curvefs=${CURVEFS:-$root/build/release/curvefs}
base= keep= parts=
while [ $# -gt 0 ]; do
  case $1 in
  --curvefs) curvefs=$2; shift ;;
  --work) base=$2; shift ;;
  --keep) keep=1 ;;
  storm | posix) parts="$parts $1" ;;
  *) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift
done
[ -e /dev/fuse ] || { echo "partitions: no /dev/fuse here" >&2; exit 77; }
[ -x /usr/bin/etcd ] || { echo "partitions: no etcd here" >&2; exit 77; }
[ -x "$(dirname "$curvefs")/curvefs-metaserver" ] || { echo "partitions: no curvefs-metaserver here" >&2; exit 77; }
base=$(mktemp -d "${base:-${TMPDIR:-/tmp}}/curvefs-partitions.XXXXXX")
mkdir "$base/1" "$base/2" "$base/3"
dir=$base/cluster mnt=$base/1 other=$base/2 fresh=$base/3
. "$root/test/support/mount.sh"
pids=
cleanup() {
  status=$?
  trap - EXIT INT TERM
  cd /
  for p in $pids; do kill -9 "$p" 2>/dev/null || true; done
  for m in "$mnt" "$other" "$fresh"; do ! grep -q " $m fuse" /proc/mounts || "$curvefs" umount "$m" || umount -l "$m" || true; done
  "$curvefs" cluster down --force "$dir" >/dev/null 2>&1 || true
  if [ -n "$keep" ] && [ $status != 0 ]; then echo "kept: $base"; else rm -rf "$base"; fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

json() { python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; }
stat_of() { awk -v n="$2" '$1 == n { print $2 }' "$1/.stats"; }
attach() { "$curvefs" mount "$place" "$1" --log-file "$base/mount.log" || { fail "$1 is not mounted"; exit 1; }; }
# A mount that can be killed.
attach_in_front() {
  "$curvefs" mount -f "$place" "$1" --log-file "$base/killed.log" & victim=$!
  pids="$pids $victim"
  wait_for 30 grep -q " $1 fuse" /proc/mounts || { fail "$1 is not mounted"; exit 1; }
}
# The metaserver whose replica leads the copyset of partition $1.
leader_of() {
  copyset=$("$curvefs" partition list home --json | json "[p['copyset'] for p in d if p['partition'] == $1][0]")
  for address in $("$curvefs" topology list metaserver --json | json "' '.join(m['address'] for m in d)"); do
    id=$("$curvefs" copyset status "$copyset" --server "$address" --json 2>/dev/null | json "(d[0] if isinstance(d, list) else d)['leader']") || continue
    [ "$id" = 0 ] || { echo "metaserver$id"; return; }
  done
}
storm="python3 $here/partitions_storm.py"

part=up
"$curvefs" cluster up --etcd 1 --mds 1 "$dir" >"$base/up" || { cat "$base/up"; exit 1; }
mds=$("$curvefs" cluster status --json "$dir" | json "d['mds']")
CURVEFS_MDS=$mds; export CURVEFS_MDS
place=mds://$mds/home
"$curvefs" fs create home --partitions 3 --data "dir:$dir/objects/home" >"$base/out" || fail "fs create: $(cat "$base/out")"
[ "$("$curvefs" partition list home --json | json "len({p['copyset'] for p in d})")" = 3 ] || fail "not on three copysets: $("$curvefs" partition list home)"

part_storm() {
  attach "$mnt"
  attach_in_front "$other"
  for i in 0 1 2 3 4 5; do mkdir "$mnt/d$i"; mkdir "$mnt/d$i/s$i"; done
  spread=$(stat -c %i "$mnt"/d* | python3 -c "import sys; print(len({int(n) >> 40 for n in sys.stdin}))")
  [ "$spread" = 3 ] || fail "directories below the root are in $spread partitions"
  [ "$(stat_of "$mnt" meta_transactions)" -ge 3 ] || fail "making them took no transaction: $(cat "$mnt/.stats")"
  storms= models=
  for i in 1 2 3; do
    $storm run "$mnt" 14 "a$i" "$base/a$i.json" >"$base/a$i" 2>&1 & storms="$storms $!" models="$models $base/a$i.json"
  done
  for i in 1 2; do
    $storm run "$other" 14 "b$i" "$base/b$i.json" >"$base/b$i" 2>&1 & storms="$storms $!" models="$models $base/b$i.json"
  done
  pids="$pids $storms"
  sleep 4
  kill -9 "$victim"
  sleep 2
  leader=$(leader_of 1)
  "$curvefs" cluster kill "$dir" "$leader" >/dev/null
  sleep 3
  "$curvefs" cluster start "$dir" "$leader" >/dev/null || fail "$leader does not start"
  echo "killed: a mount, and $leader, which led a partition"
  for p in $storms; do wait "$p" || true; done
  cat "$base"/a? "$base"/b?
  for i in 1 2 3; do
    [ "$(json "d['error']" <"$base/a$i.json")" = None ] || fail "a$i was told an error: $(cat "$base/a$i")"
    [ "$(json "d['done'] > 50" <"$base/a$i.json")" = True ] || fail "a$i did hardly anything"
  done
  [ "$(stat_of "$mnt" meta_transactions)" -ge 100 ] || fail "hardly any transaction: $(cat "$mnt/.stats")"
  umount -l "$other" 2>/dev/null || true
  "$curvefs" umount "$mnt" || fail "umount"
  attach "$fresh"
  $storm check "$fresh" $models || fail "the tree is not what was acknowledged"
  grep -h -E "^meta_(calls|copysets|transactions|lock_waits|transactions_settled)" "$fresh/.stats" | tr '\n' ' '; echo
  # The checker sees what is wrong.
  lost=$(find "$fresh" -name 'a1.*' -type f | head -n 1)
  rm "$lost"
  ! $storm check "$fresh" $models >"$base/out" || fail "the check does not see that a name is gone"
  "$curvefs" umount "$fresh" || fail "umount"
}

part_posix() {
  attach "$fresh"
  "$(dirname "$curvefs")/test/posix/posix_conformance" --here "$fresh" >"$base/posix" || { fail "checks failed"; grep FAIL "$base/posix" | head -n 20; }
  tail -n 1 "$base/posix"
  grep -h -E "^meta_(calls|transactions|lock_waits)" "$fresh/.stats" | tr '\n' ' '; echo
  "$curvefs" umount "$fresh" || fail "umount"
}

for part in ${parts:-storm}; do part_"$part"; done
"$curvefs" cluster down "$dir" >/dev/null || fail "down"
[ $bad = 0 ] && echo "1 passed, 0 failed"
[ $bad = 0 ]
