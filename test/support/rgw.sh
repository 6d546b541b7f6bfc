#!/bin/sh
# rgw.sh start|stop DIR: Ceph's radosgw on 127.0.0.1, over one monitor and one OSD that keeps everything in memory. All
# files lie in DIR; DIR/s3.env has S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, S3_REGION and RGW_PID. Installs the Debian
# packages if they are missing and it is root; returns 77, with the reason, where there can be no radosgw.
set -eu
dir=${2:?usage: rgw.sh start|stop DIR}
conf=$dir/ceph.conf
skip() { echo "SKIP rgw: $*" >&2; exit 77; }
wait_for() { # wait_for SECONDS command...: until it succeeds
  end=$(($(date +%s) + $1)); shift
  until "$@" >/dev/null 2>&1; do [ "$(date +%s)" -lt $end ] || return 1; sleep 0.2; done
}
daemon() { # daemon NAME command...
  name=$1; shift
  "$@" >"$dir/$name.out" 2>&1 &
  echo $! >"$dir/$name.pid"
}
# Ports that nobody has now. (Between here and their use another could take one; then the start fails, loudly.)
free_ports() {
  python3 -c "import socket
s = [socket.socket() for _ in range($1)]
[x.bind(('127.0.0.1', 0)) for x in s]
print(*(x.getsockname()[1] for x in s))"
}
start() {
  missing=
  for p in ceph-mon ceph-osd radosgw radosgw-admin ceph monmaptool; do command -v $p >/dev/null || missing=1; done
  if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || skip "radosgw is not installed, and only root can do so"
    export DEBIAN_FRONTEND=noninteractive
    install() { apt-get install -y -q --no-install-recommends ceph-mon ceph-osd ceph-common radosgw; }
    install >"$dir/apt.out" 2>&1 || { apt-get update -q && install; } >>"$dir/apt.out" 2>&1 ||
      skip "radosgw cannot be installed: $(tail -n 1 "$dir/apt.out")"
  fi
  # shellcheck disable=SC2046
  set -- $(free_ports 2)
  mon=$1 port=$2
  fsid=$(cat /proc/sys/kernel/random/uuid)
  mkdir -p "$dir/log" "$dir/run" "$dir/mon" "$dir/osd0" "$dir/rgw"
  cat >"$conf" <<X
[global]
fsid = $fsid
mon host = [v1:127.0.0.1:$mon]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind msgr2 = false
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
run dir = $dir/run
admin socket = $dir/run/\$name.\$pid.asok
pid file =
log file = $dir/log/\$name.log
log to stderr = false
mon cluster log file = $dir/log/cluster.log
mon data avail crit = 1
mon data avail warn = 2
mon allow pool size one = true
mon max pg per osd = 1000
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
[mon]
mon data = $dir/mon
[osd]
osd data = $dir/osd\$id
osd objectstore = memstore
memstore device bytes = $((64 * 1024 * 1024 * 1024))
osd class update on start = false
osd crush update on start = false
[client]
rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
rgw data = $dir/rgw
rgw dns name = localhost
rgw enable usage log = false
X
  tell() { timeout 30 ceph -c "$conf" "$@"; }
  monmaptool --create --clobber --fsid "$fsid" --addv a "[v1:127.0.0.1:$mon]" "$dir/monmap" >/dev/null
  ceph-mon -c "$conf" -i a --mkfs --monmap "$dir/monmap" >"$dir/mkfs.out" 2>&1
  daemon mon ceph-mon -c "$conf" -i a -f
  wait_for 30 tell mon stat || { echo "rgw: no monitor, see $dir/log" >&2; return 1; }
  osd=$(cat /proc/sys/kernel/random/uuid)
  tell osd new "$osd" >/dev/null
  tell osd crush add osd.0 1.0 host=local root=default >/dev/null 2>&1
  ceph-osd -c "$conf" -i 0 --mkfs --osd-uuid "$osd" >"$dir/osd.mkfs" 2>&1
  daemon osd0 ceph-osd -c "$conf" -i 0 -f
  up() { tell osd stat -f json | tr -d ' \n' | grep -q '"num_up_osds":1,'; }
  wait_for 60 up || { echo "rgw: no OSD, see $dir/log" >&2; return 1; }
  daemon rgw radosgw -c "$conf" -n client.rgw -f
  answers() { curl -s -o /dev/null "http://127.0.0.1:$port/"; }
  wait_for 120 answers || { echo "rgw: no radosgw, see $dir/log" >&2; return 1; }
  radosgw-admin -c "$conf" -n client.rgw user create --uid=curvefs --display-name=curvefs \
    --access-key=TESTACCESSKEY --secret-key=test-secret-key >"$dir/user.json" 2>"$dir/user.err"
  cat >"$dir/s3.env" <<X
S3_ENDPOINT=http://127.0.0.1:$port
S3_ACCESS_KEY=TESTACCESSKEY
S3_SECRET_KEY=test-secret-key
S3_REGION=default
RGW_PID=$(cat "$dir/rgw.pid")
X
}
stop() {
  for name in rgw osd0 mon; do
    [ -f "$dir/$name.pid" ] || continue
    pid=$(cat "$dir/$name.pid")
    kill -CONT "$pid" 2>/dev/null || true
    kill "$pid" 2>/dev/null || true
    gone() { ! kill -0 "$pid"; }
    wait_for 15 gone || kill -9 "$pid" 2>/dev/null || true
    rm -f "$dir/$name.pid"
  done
}
case $1 in
start)
  mkdir -p "$dir"
  trap 'r=$?; [ $r = 0 ] || stop; exit $r' EXIT
  start ;;
stop) stop ;;
*) echo "usage: rgw.sh start|stop DIR" >&2; exit 2 ;;
esac
