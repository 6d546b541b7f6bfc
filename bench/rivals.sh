# Sourced by run.sh. For each rival three functions, build_NAME (once), start_NAME, stop_NAME: with its data below $disk
# on the mount point $mnt. They end only what they have started.

mounted() { grep -q " $mnt fuse" /proc/mounts; }
await() { # await SECONDS command...: until it succeeds
  limit=$(($(date +%s) + $1)); shift
  until "$@" >/dev/null 2>&1; do [ "$(date +%s)" -lt $limit ] || return 1; sleep 0.05; done
}
detach() { tries=0; while mounted && [ $tries -lt 100 ]; do umount "$mnt" 2>/dev/null || sleep 0.1; tries=$((tries + 1)); done; ! mounted || umount -l "$mnt"; }
end_process() { # end_process PID: politely, then not
  kill "$1" 2>/dev/null || return 0
  await 15 sh -c "! kill -0 $1" || kill -9 "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

# ---- ours
build_curvefs() { [ -x "$curvefs" ] || { echo "no $curvefs; build it, or name it with --curvefs" >&2; return 1; }; }
start_curvefs() {
  # shellcheck disable=SC2086
  "$curvefs" mount -f --standalone "$disk/curvefs" "$mnt" ${CURVEFS_OPTIONS:-} >"$base/curvefs.log" 2>&1 &
  served=$!
  await 30 mounted
}
stop_curvefs() { "$curvefs" umount "$mnt" || detach; wait "$served" 2>/dev/null || true; served=; }

# ---- ours as a whole cluster on this machine: etcd, MDS and metaservers three times each, every change on the disks of two
build_cluster() { build_curvefs && { [ -x /usr/bin/etcd ] || { echo "cluster: install etcd-server first" >&2; return 1; }; }; }
start_cluster() {
  "$curvefs" cluster up "$disk/cluster" >"$base/cluster.log" 2>&1 || return 1
  CURVEFS_MDS=$("$curvefs" cluster status "$disk/cluster" --json | jq -r .mds); export CURVEFS_MDS
  # shellcheck disable=SC2086
  "$curvefs" fs create bench --data "dir:$disk/cluster/objects/bench" ${CLUSTER_FS_OPTIONS:-} >>"$base/cluster.log" 2>&1 || return 1
  # shellcheck disable=SC2086
  "$curvefs" mount -f "mds://$CURVEFS_MDS/bench" "$mnt" ${CLUSTER_OPTIONS:-} >>"$base/cluster.log" 2>&1 &
  served=$!
  await 30 mounted
}
stop_cluster() { "$curvefs" umount "$mnt" || detach; wait "$served" 2>/dev/null || true; served=; "$curvefs" cluster down "$disk/cluster" >/dev/null 2>&1 || "$curvefs" cluster down --force "$disk/cluster" >/dev/null 2>&1 || true; }

# ---- the same with a mount that takes answers before the commit; fsync waits for it
build_early() { build_cluster; }
start_early() {
  plain=${CLUSTER_OPTIONS:-}; CLUSTER_OPTIONS="--early-answers $plain"; early=0
  start_cluster || early=1
  CLUSTER_OPTIONS=$plain; return "$early"
}
stop_early() { stop_cluster; }

# ---- libfuse's own example passthrough_hp, from Debian's source package: what FUSE itself costs, over the same disk
build_passthrough() {
  passthrough=$cache/passthrough_hp
  [ ! -x "$passthrough" ] || return 0
  for p in libfuse3-dev pkg-config g++ dpkg-dev; do
    dpkg-query -W -f '${Status}' $p 2>/dev/null | grep -q 'install ok' || apt-get install -y -qq --no-install-recommends $p >"$base/apt.log" 2>&1 ||
      { echo "cannot install $p, see $base/apt.log" >&2; return 1; }
  done
  # Sources through a list of our own: the machine's stays as it is.
  lists=$cache/source; mkdir -p "$lists/state/partial"
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mirror=$(apt-get indextargets --format '$(REPO_URI)|$(RELEASE)' | awk -F '|' -v r="$release" '$2 == r {print $1; exit}')
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $release main" >"$lists/sources.list"
  apt="apt-get -qq -o Dir::Etc::SourceList=$lists/sources.list -o Dir::Etc::SourceParts=- -o Dir::State::Lists=$lists/state"
  (cd "$lists" && $apt update && $apt source --download-only fuse3 && tar -xf fuse3_*.orig.tar.*[!c]) >"$base/source.log" 2>&1 ||
    { echo "cannot fetch the source of fuse3, see $base/source.log" >&2; return 1; }
  example=$(dirname "$(find "$lists" -name passthrough_hp.cc | head -n 1)")
  # shellcheck disable=SC2046
  g++ -std=c++17 -O2 -w -DHAVE_UTIMENSAT -DHAVE_FALLOCATE -DHAVE_POSIX_FALLOCATE -DHAVE_SETXATTR -DHAVE_COPY_FILE_RANGE -I "$example" \
    "$example/passthrough_hp.cc" -o "$passthrough" $(pkg-config --cflags --libs fuse3) -lpthread
}
start_passthrough() {
  mkdir -p "$disk/passthrough"
  (ulimit -n 1000000 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$passthrough" --foreground "$disk/passthrough" "$mnt") >"$base/passthrough.log" 2>&1 &
  served=$!
  await 30 mounted
}
stop_passthrough() { detach; end_process "$served"; served=; }

# ---- MooseFS 3, one server of each kind on this machine (only with --rivals ... moosefs; Debian's packages)
build_moosefs() {
  for p in moosefs-master moosefs-chunkserver moosefs-client; do
    dpkg-query -W -f '${Status}' $p 2>/dev/null | grep -q 'install ok' || { echo "moosefs: install $p first" >&2; return 1; }
  done
}
# Its chunk server refuses to talk to 127.0.0.0/8: an address for documentation (RFC 5737), on the loopback device.
start_moosefs() {
  ip address add 192.0.2.1/32 dev lo 2>/dev/null || true
  m=$disk/moosefs; mkdir -p "$m/master" "$m/chunks" "$m/cs"
  chmod 777 "$m" "$m"/*
  printf '*\t/\trw,alldirs,admin,maproot=0:0\n' >"$m/exports.cfg"; printf '%s\n' "$m/chunks" >"$m/hdd.cfg"; : >"$m/topology.cfg"
  cp /usr/share/moosefs/metadata.mfs* "$m/master/metadata.mfs" 2>/dev/null || cp /var/lib/mfs/metadata.mfs.empty "$m/master/metadata.mfs" || return 1
  printf 'WORKING_USER=root\nWORKING_GROUP=root\nDATA_PATH=%s\nEXPORTS_FILENAME=%s\nTOPOLOGY_FILENAME=%s\nMATOML_LISTEN_PORT=29419\nMATOCS_LISTEN_PORT=29420\nMATOCL_LISTEN_PORT=29421\n' "$m/master" "$m/exports.cfg" "$m/topology.cfg" >"$m/master.cfg"
  printf 'WORKING_USER=root\nWORKING_GROUP=root\nDATA_PATH=%s\nHDD_CONF_FILENAME=%s\nMASTER_HOST=192.0.2.1\nMASTER_PORT=29420\nCSSERV_LISTEN_PORT=29422\n' "$m/cs" "$m/hdd.cfg" >"$m/cs.cfg"
  mfsmaster -c "$m/master.cfg" start >"$base/moosefs.log" 2>&1 && mfschunkserver -c "$m/cs.cfg" start >>"$base/moosefs.log" 2>&1 || return 1
  await 30 mfsmount "$mnt" -H 192.0.2.1 -P 29421 && await 30 mounted && sleep 3
}
stop_moosefs() { detach; mfschunkserver -c "$disk/moosefs/cs.cfg" stop >/dev/null 2>&1 || true; mfsmaster -c "$disk/moosefs/master.cfg" stop >/dev/null 2>&1 || true; ip address del 192.0.2.1/32 dev lo 2>/dev/null || true; served=; }

# ---- Ceph 16: one monitor, one manager, three OSDs (bluestore in files), three copies, one MDS, ceph-fuse (only with --rivals ... ceph)
build_ceph() {
  for p in ceph-mon ceph-mgr ceph-osd ceph-mds ceph-fuse ceph-common; do
    dpkg-query -W -f '${Status}' $p 2>/dev/null | grep -q 'install ok' || { echo "ceph: install $p first" >&2; return 1; }
  done
}
ceph_do() { timeout 30 ceph -c "$disk/ceph/ceph.conf" "$@" >>"$base/ceph.log" 2>&1; }
ceph_daemon() { "$@" -c "$disk/ceph/ceph.conf" -f >>"$base/ceph.log" 2>&1 & ceph_pids="$! $ceph_pids"; }
start_ceph() {
  c=$disk/ceph ceph_pids= id=$(cat /proc/sys/kernel/random/uuid); mkdir -p "$c/mon" "$c/mgr" "$c/mds"
  cat >"$c/ceph.conf" <<X
[global]
fsid = $id
mon host = [v1:127.0.0.1:36789]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
run dir = $c
log file = $c/\$name.log
pid file =
osd pool default size = 3
osd pool default min size = 2
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon data = $c/mon
mgr data = $c/mgr
mgr initial modules =
mds data = $c/mds
osd data = $c/osd\$id
bluestore block create = true
bluestore block size = 8589934592
osd class update on start = false
osd crush update on start = false
osd memory target = 1073741824
mon data avail crit = 1
X
  monmaptool --create --clobber --fsid "$id" --addv a '[v1:127.0.0.1:36789]' "$c/monmap" >"$base/ceph.log" 2>&1 &&
    ceph-mon -c "$c/ceph.conf" -i a --mkfs --monmap "$c/monmap" >>"$base/ceph.log" 2>&1 || return 1
  ceph_daemon ceph-mon -i a; await 30 ceph_do mon stat || return 1
  ceph_daemon ceph-mgr -i x
  for i in 0 1 2; do
    u=$(cat /proc/sys/kernel/random/uuid); mkdir -p "$c/osd$i"
    ceph_do osd new "$u" && ceph_do osd crush add "osd.$i" 1.0 host=local root=default || return 1
    ceph-osd -c "$c/ceph.conf" -i $i --mkfs --osd-uuid "$u" >>"$base/ceph.log" 2>&1 || return 1
    ceph_daemon ceph-osd -i $i
  done
  await 60 sh -c "timeout 20 ceph -c $c/ceph.conf osd stat -f json 2>/dev/null | tr -d ' ' | grep -q '\"num_up_osds\":3,'" || return 1
  ceph_do osd pool create meta 8 && ceph_do osd pool create data 16 && ceph_do fs new fs meta data || return 1
  ceph_daemon ceph-mds -i a
  await 60 sh -c "timeout 20 ceph -c $c/ceph.conf mds stat 2>/dev/null | grep -q up:active" || return 1
  ceph-fuse -c "$c/ceph.conf" -n client.admin -f "$mnt" >>"$base/ceph.log" 2>&1 &
  served=$!
  await 30 mounted
}
stop_ceph() { detach; for p in ${served:-} $ceph_pids; do end_process "$p"; done; served= ceph_pids=; }
