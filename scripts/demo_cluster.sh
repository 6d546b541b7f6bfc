#!/usr/bin/env bash
# The demo's second act: a whole cluster on this machine, a file system on it mounted twice; a file written on one mount appears on the other, the
# leading MDS and a metaserver are killed, and both go on. Leaves nothing mounted, running or on the disk.
#   scripts/demo_cluster.sh [CURVEFS]       DEMO_SOURCE: the tree to copy, default /usr/include/linux
set -euo pipefail

curvefs=$(readlink -f "${1:-build/release/curvefs}")
source=${DEMO_SOURCE:-/usr/include/linux}
fail() {
  echo "demo: $1" >&2
  exit 1
}
skip() {
  echo "the second act, a cluster, is left out: $1"
  exit 0
}
[ -x "$curvefs" ] || fail "$curvefs is not there; run 'make' first"
[ -x /usr/bin/etcd ] || skip "etcd is not installed (apt-get install etcd-server)"
[ -x "$(dirname "$curvefs")/curvefs-metaserver" ] || skip "curvefs-metaserver is not built, for lack of Go or its sources (make deps)"
[ -d "$source" ] || fail "there is no $source to copy; set DEMO_SOURCE to another directory"

work=$(mktemp -d "${TMPDIR:-/tmp}/curvefs-demo-cluster.XXXXXX")
cluster=$work/cluster one=$work/one two=$work/two log=$work/errors
mkdir "$one" "$two"
cleanup() {
  local code=$?
  trap - EXIT INT TERM
  for mnt in "$one" "$two"; do
    ! grep -qF " $mnt fuse" /proc/mounts || "$curvefs" umount "$mnt" 2>/dev/null || umount -l "$mnt" 2>/dev/null || true
  done
  "$curvefs" cluster down --force "$cluster" >/dev/null 2>&1 || true
  if [ $code -ne 0 ]; then
    echo "demo: failed" >&2
    [ ! -s "$log" ] || head -20 "$log" >&2
  fi
  rm -rf --one-file-system "$work"
  exit $code
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# step TEXT COMMAND…: runs it, and says how long it took.
step() {
  local text=$1 start ms
  shift
  printf '  %-58s' "$text"
  start=$(date +%s%N)
  "$@" >"$work/out" 2>"$log" || { echo "failed"; cat "$work/out" >&2; exit 1; }
  ms=$((($(date +%s%N) - start) / 1000000 + 1))
  printf '%6d.%02d s\n' $((ms / 1000)) $((ms % 1000 / 10))
}
write_one() { echo "written on the first mount" >"$one/hello"; }
read_two() { [ "$(cat "$two/hello")" = "written on the first mount" ]; }
same() { diff -r --no-dereference "$source" "$1"; }
more() { for i in $(seq 50); do echo "file $i" >"$1/more/$i"; done; }
compare_more() { for i in $(seq 50); do [ "$(cat "$2/more/$i")" = "file $i" ] && cmp "$1/more/$i" "$2/more/$i"; done; }
well() { for _ in $(seq 300); do "$curvefs" status && return; sleep 0.1; done; return 1; }

echo
echo "A cluster: three etcd, three MDS, three metaservers, each a process of this machine"
"$curvefs" cluster up "$cluster" >"$work/out" 2>"$log" || { cat "$work/out" >&2; exit 1; }
sed -n '/ready after/p' "$work/out"
CURVEFS_MDS=$(sed -n 's/^ *export CURVEFS_MDS=//p' "$work/out")
export CURVEFS_MDS
place=mds://$CURVEFS_MDS/demo
step "make a file system on it (curvefs fs create demo)" "$curvefs" fs create demo --data "dir:$cluster/objects/demo"
step "mount it (curvefs mount mds://…/demo)" "$curvefs" mount "$place" "$one"
step "mount it again elsewhere" "$curvefs" mount "$place" "$two"
step "write a file on the first mount" write_one
step "read it on the second" read_two
step "copy a tree in on the first (cp -a $source)" cp -a "$source" "$one/copy"
step "compare every byte on the second (diff -r)" same "$two/copy"
leader=$("$curvefs" cluster status "$cluster" | awk '$NF == "leads" { print $1 }')
step "kill the leading MDS ($leader)" "$curvefs" cluster kill "$cluster" "$leader"
step "kill a metaserver (metaserver1)" "$curvefs" cluster kill "$cluster" metaserver1
mkdir "$one/more"
step "go on: write 50 files on the second mount" more "$two"
step "compare them on both" compare_more "$one" "$two"
step "another MDS leads (curvefs fs list)" "$curvefs" fs list
step "start both again" sh -c "'$curvefs' cluster start '$cluster' $leader && '$curvefs' cluster start '$cluster' metaserver1"
step "all is well again (curvefs status)" well
step "unmount both" sh -c "'$curvefs' umount '$one' && '$curvefs' umount '$two'"
step "take the cluster down" "$curvefs" cluster down "$cluster"
echo
echo "nothing was lost. To have your own:"
echo
echo "  $curvefs cluster up ~/cluster      # it says what to type next"
