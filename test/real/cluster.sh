#!/bin/sh
# cluster.sh [--curvefs BIN] [--work DIR] [--keep] [PART...]: a file system whose metadata are on three metaservers, mounted
# twice. Parts: shared power locks failover away posix; without one all but posix. Leaves nothing mounted or running.
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
  -*) sed -n '2,3s/^# //p' "$0" >&2; exit 2 ;;
  *) parts="$parts $1" ;;
  esac
  shift
done
[ -n "$parts" ] || parts="shared power locks failover away"
bin=$(dirname "$curvefs")
server=$bin/curvefs-metaserver
for p in "$curvefs" "$server"; do [ -x "$p" ] || { echo "cluster: no $p; build it" >&2; exit 2; }; done
[ -e /dev/fuse ] || { echo "cluster: no /dev/fuse here" >&2; exit 77; }
base=$(mktemp -d "${base:-${TMPDIR:-/tmp}}/curvefs-cluster.XXXXXX")
mkdir "$base/1" "$base/2" "$base/store" "$base/after"
objects=$base/store/objects
mnt=$base/1 other=$base/2
. "$root/test/support/mount.sh"
pid1= pid2= pid3= mount1= mount2=
cleanup() {
  status=$?
  trap - EXIT INT TERM
  cd /
  for p in $mount1 $mount2 $pid1 $pid2 $pid3; do end_process "$p" KILL; done
  for m in "$mnt" "$other"; do ! grep -q " $m fuse" /proc/mounts || umount -l "$m"; done
  for m in "$base/after" "$base/store"; do ! mountpoint -q "$m" || umount -l "$m"; done
  if [ -n "$keep" ] && [ $status != 0 ]; then echo "kept: $base"; else rm -rf "$base"; fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The objects are on a disk of their own, whose power can fail.
disk() {
  [ "$(id -u)" = 0 ] && truncate -s 1G "$base/disk" && mkfs.ext4 -q "$base/disk" && mount -o loop "$base/disk" "$base/store"
}
disk 2>/dev/null || disk=none
mkdir "$objects"

# Three ports that nobody has, each with room for gRPC and HTTP off.
ports=$(python3 - <<'P'
import socket
held = [socket.socket() for _ in range(3)]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))
P
)
set -- $ports
join=1=127.0.0.1:$1,2=127.0.0.1:$2,3=127.0.0.1:$3
servers=127.0.0.1:$1,127.0.0.1:$2,127.0.0.1:$3
address() { echo "$servers" | cut -d , -f "$1"; }
serve() { # serve N
  "$server" --dir "$base/server$1" --listen "$(address "$1")" --join "$join" --grpc-listen off --http-listen off \
    --log-file "$base/server$1.log" >"$base/server$1.out" 2>&1 8>&- 9>&- &
  eval "pid$1=$!"
}
attach() { # attach N: mounts it at $base/N, in front of a process of ours
  "$curvefs" mount -f "meta://$servers/1" "$base/$1" --data "dir:$objects" >>"$base/mount$1.log" 2>&1 8>&- 9>&- &
  eval "mount$1=$!"
  there() { grep -q " $base/$1 fuse" /proc/mounts && stat "$base/$1/." >/dev/null; }
  wait_for 30 there "$1" || fail "does not mount: $(tail -n 3 "$base/mount$1.log")"
}
detach() { # detach N
  "$curvefs" umount "$base/$1" || fail "umount returned $?"
  eval "wait \$mount$1" || fail "the mount's process returned $?: $(tail -n 3 "$base/mount$1.log")"
  eval "mount$1="
}
leader() { "$curvefs" copyset status 1 --server "$(address "${1:-1}")" --json | python3 -c '
import json, sys
print(json.load(sys.stdin)[0]["leader"] & 0xffffffff)'; }

for i in 1 2 3; do serve $i; done
made() { "$curvefs" copyset create 1 --server "$(address 1)" --peers "$join" --fs 1 --format; }
wait_for 30 made >"$base/made" || { echo "cluster: no copyset: $(cat "$base/made")" >&2; exit 1; }
attach 1; attach 2

# What one mount has done the other sees at once.
part_shared() {
  echo one >"$mnt/f"; [ "$(cat "$other/f")" = one ] || fail "the other mount reads '$(cat "$other/f")'"
  echo three >"$other/f"; [ "$(cat "$mnt/f")" = three ] || fail "overwritten by the other, it reads '$(cat "$mnt/f")'"
  truncate -s 2 "$mnt/f"; [ "$(stat -c %s "$other/f")" = 2 ] || fail "its length is $(stat -c %s "$other/f") at the other"
  mkdir "$other/d"; mv "$mnt/f" "$mnt/d/g"; [ ! -e "$other/f" ] && [ -e "$other/d/g" ] || fail "the other does not see a rename"
  # A directory that the other has moved is moved on by its new name (the kernel has the old one).
  for m in "$mnt" "$other"; do
    [ "$m" = "$mnt" ] && there=$other || there=$mnt
    mkdir -p "$m/q/x/dir" "$m/q/y" "$m/q/z"; stat "$there/q/x/dir" "$there/q/y" "$there/q/z" >/dev/null
    mv "$m/q/x/dir" "$m/q/y/dir"; python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$there/q/y/dir" "$there/q/z/dir" || fail "a moved directory cannot be moved on"
    mv "$m/q/z/dir" "$m/q/y/dir"; python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$there/q/y/dir" "$there/q/z/dir" || fail "nor back and forth"
    rm -r "$m/q"
  done
  chmod 600 "$other/d/g"; [ "$(stat -c %a "$mnt/d/g")" = 600 ] || fail "a mode is not seen"
  rm "$mnt/d/g"; ! stat "$other/d/g" 2>/dev/null || fail "the other still has what was removed"
  cp -r /usr/include/linux "$mnt/tree"; diff -r /usr/include/linux "$other/tree" || fail "the other has another tree"
  head -c 30000000 /dev/urandom >"$base/large"; cp "$base/large" "$mnt/large"; cmp "$base/large" "$other/large" || fail "a large file differs"
  # What the kernel has of a file is read again only when somebody has changed it, and then even if its time says no.
  bytes_read() { sed -n 's/^vfs_bytes_read //p' "$other/.stats"; }
  head -c 1000000 /dev/urandom >"$mnt/pages"; cmp "$mnt/pages" "$other/pages" || fail "a file differs"
  read_before=$(bytes_read); cmp "$mnt/pages" "$other/pages"; [ "$(bytes_read)" = "$read_before" ] || fail "an unchanged file was read again"
  touch -r "$mnt/pages" "$base/date"; head -c 1000000 /dev/urandom >"$base/pages"
  cp "$base/pages" "$mnt/pages"; touch -r "$base/date" "$mnt/pages"
  cmp "$base/pages" "$other/pages" || fail "the other reads the old pages of a file that was changed"
  [ "$(bytes_read)" -gt "$read_before" ] || fail "nothing was read though the file was changed"
  # Access times come to the other within a second or so, and at once here.
  echo x >"$mnt/read"; sleep 0.01; cat "$mnt/read" >/dev/null; at=$(stat -c %x "$mnt/read"); [ "$at" != "$(stat -c %y "$mnt/read")" ] || fail "reading leaves no access time"
  same_time() { [ "$(stat -c %x "$other/read")" = "$at" ]; }
  wait_for 20 same_time || fail "the other never sees an access time"
  cat "$mnt/read" >/dev/null; touch -a -d 2001-01-01 "$mnt/read"; sleep 2; [ "$(stat -c %X "$other/read")" = "$(date -d 2001-01-01 +%s)" ] || fail "an access time that was set did not stay"
  # One of two that make the same name succeeds.
  won=0
  for i in 1 2 3 4 5 6 7 8 9 10; do
    (set -C; echo 1 >"$mnt/once$i") 2>/dev/null & a=$!
    (set -C; echo 2 >"$other/once$i") 2>/dev/null & b=$!
    ! wait $a || won=$((won + 1))
    ! wait $b || won=$((won + 1))
  done
  [ $won = 10 ] || fail "$won of 10 names were made, of two that tried each"
  # Open here, removed there: it stays until it is closed, and is gone then.
  exec 8>"$mnt/open"; echo kept >&8; exec 9<"$mnt/open"
  rm "$other/open"; [ ! -e "$mnt/open" ] || fail "removed, it is still there"
  sleep 3 # longer than the leader lets an orphan lie
  [ "$(cat <&9)" = kept ] || fail "an open file that was removed elsewhere has lost its content"
  exec 8>&- 9<&-
  rm -rf "$other/tree"; [ ! -e "$mnt/tree" ] || fail "the tree is still there"
  detach 1; attach 1
  cmp "$base/large" "$mnt/large" || fail "a large file differs after a new mount"
  # What is deleted is gone from the store, too.
  rm "$mnt/large"
  freed() { [ "$(du -sk "$objects" | cut -f 1)" -lt 20000 ]; }
  wait_for 30 freed || fail "$(du -sk "$objects" | cut -f 1) KiB of objects are left"
}

# The machine that has the objects loses power: whatever is closed, and so known to the metaservers, is there afterwards,
# and what is not in a file that was closed may be gone. What the disk has now is what a copy of it has.
part_power() {
  [ "${disk-}" != none ] || { echo "power: skipped, a disk in a file cannot be mounted here"; return; }
  mkdir "$mnt/power"
  for size in 3000000 300000 100000 20000; do head -c $size /dev/urandom >"$mnt/power/$size"; done
  cp -r /usr/include/linux/netfilter "$other/power/tree"
  dd if=/dev/urandom of="$mnt/power/0" bs=1000000 count=20 conv=fsync 2>/dev/null
  cp --sparse=always "$base/disk" "$base/copy"
  mount -o loop "$base/copy" "$base/after" || { fail "the disk cannot be mounted"; return; }
  [ "$(find "$objects" -type f | wc -l)" -ge 5 ] || fail "there are no objects to look at"
  diff -r "$objects" "$base/after/objects" >"$base/lost" 2>&1 || fail "lost with the power: $(head -n 3 "$base/lost")"
  umount "$base/after"; rm "$base/copy"
  rm -r "$mnt/power"
}

# Locks of one mount hold at the other; appends, counters and databases of both.
part_locks() {
  python3 "$here/locks.py" "$mnt" "$other" || { fail "see above"; return; }
  mkdir -p "$mnt/fcntl"; chmod 755 "$mnt/fcntl"
  "$bin/test/posix/posix_conformance" "$mnt/fcntl" --filter fcntl >"$base/fcntl" || { fail "locks within one mount"; grep FAIL "$base/fcntl"; }
  # A lock survives the leader.
  : >"$mnt/survives"
  exec 9>"$mnt/survives"; flock 9
  dead=$(leader 1)
  eval "end_process \$pid$dead KILL"
  flock -n "$other/survives" true && fail "the lock is gone with the leader"
  exec 9>&-
  flock -w 30 "$other/survives" true || fail "given back, it cannot be had"
  serve "$dead"
  # One whose mount is killed goes when its session does (--session-timeout).
  flock -F "$other/survives" sleep 600 >/dev/null 2>&1 & holder=$!
  held() { ! flock -n "$mnt/survives" true; }
  wait_for 10 held || fail "not locked"
  end_process "$mount2" KILL; kill $holder 2>/dev/null || true; umount -l "$other" 2>/dev/null || true
  flock -w 40 "$mnt/survives" true || fail "the lock of a mount that is gone is still held"
  mount2=; attach 2
}

# The leader is killed under load; nobody is told an error, and nothing is lost.
part_failover() {
  mkdir "$mnt/load"
  echo held >"$mnt/held"; exec 9<"$mnt/held"; rm "$mnt/held"
  python3 - "$mnt/load" >"$base/load" 2>&1 <<'P' & load=$!
import os, sys, time
end, n = time.time() + 8, 0
while time.time() < end:
    with open(f"{sys.argv[1]}/{n}", "w") as f: f.write(f"file {n}\n"); f.flush(); os.fsync(f.fileno())
    os.rename(f"{sys.argv[1]}/{n}", f"{sys.argv[1]}/done{n}")
    n += 1
print(n)
P
  for round in 1 2; do
    sleep 2
    dead=$(leader 1 2>/dev/null || leader 2)
    eval "end_process \$pid$dead KILL"
    sleep 1; serve "$dead"
  done
  [ "$(cat <&9)" = held ] || fail "a file that was open and removed is gone with the leader"
  exec 9<&-
  wait $load || fail "the load was told an error: $(tail -n 2 "$base/load")"
  n=$(cat "$base/load")
  [ "$(ls "$other/load" | wc -l)" = "$n" ] || fail "$(ls "$other/load" | wc -l) files, of $n"
  i=0; while [ $i -lt "$n" ]; do [ "$(cat "$other/load/done$i")" = "file $i" ] || { fail "file $i is wrong"; break; }; i=$((i + 1)); done
  echo "  $n files, the leader killed twice"
}

# No metaserver answers: who is killed goes, a mount can be taken away, and the other goes on when they are back.
part_away() {
  echo before >"$mnt/away"
  for i in 1 2 3; do eval "end_process \$pid$i KILL"; done
  cat "$other/away" >"$base/away" & reader=$!
  stat "$mnt/away" >/dev/null 2>&1 & waiting=$!
  sleep 1; kill -KILL $waiting
  ended() { ! kill -0 $waiting; }
  wait_for 20 ended || fail "a process that was killed waits on"
  wait $waiting 2>/dev/null || true
  timeout -k 1 20 "$curvefs" umount "$mnt" || fail "umount returned $?"
  ended() { ! kill -0 $mount1; }
  wait_for 20 ended || { fail "the mount's process does not end"; kill -KILL $mount1; }
  wait $mount1 2>/dev/null || true
  mount1=
  for i in 1 2 3; do serve $i; done
  wait_for 30 leader 1 >/dev/null || fail "no leader"
  attach 1
  wait $reader && [ "$(cat "$base/away")" = before ] || fail "who waited for the metaservers reads '$(cat "$base/away")'"
  # With something waiting in it the first signal is not enough, the second is.
  for i in 1 2 3; do eval "end_process \$pid$i KILL"; done
  stat "$mnt/away" >/dev/null 2>&1 & waiting=$!
  sleep 1; kill -TERM $mount1; sleep 1; kill -TERM $mount1
  ended() { ! kill -0 $mount1; }
  wait_for 20 ended || { fail "the mount's process does not end at the second signal"; kill -KILL $mount1; }
  wait $mount1 2>/dev/null || true
  wait $waiting 2>/dev/null || true
  ! grep -q " $mnt fuse" /proc/mounts || umount -l "$mnt"
  mount1=
  for i in 1 2 3; do serve $i; done
  wait_for 30 leader 1 >/dev/null || fail "no leader"
  attach 1
}

part_posix() { # the conformance suite, on one of the two
  mkdir "$mnt/posix"; chmod 755 "$mnt/posix"
  "$bin/test/posix/posix_conformance" "$mnt/posix" >"$base/posix" || { fail "checks failed"; grep FAIL "$base/posix" | head -n 20; }
  tail -n 1 "$base/posix"
}

finish() { detach 1; detach 2; }
passed=0 failed=0
for part in $parts; do
  bad=0 began=$(date +%s)
  part_"$part"
  if [ $bad = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  echo "$part: $([ $bad = 0 ] && echo ok || echo FAILED), $(($(date +%s) - began)) s"
done
bad=0; finish; [ $bad = 0 ] || failed=$((failed + 1))
echo "$passed passed, $failed failed"
[ $failed = 0 ]
