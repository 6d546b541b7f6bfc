#!/bin/sh
# s3.sh [--curvefs BIN] [--work DIR] [--out FILE.md]: CurveFS with its data in S3, beside s3fs and beside what the server
# itself gives, on Ceph's radosgw with everything in memory (test/support/rgw.sh), all on this machine. Needs root, /dev/fuse,
# python3, curl, s3fs (Debian's), and the target s3_limit (cmake --build build/release --target s3_limit). Leaves nothing behind.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
curvefs=$here/../build/release/curvefs work=${TMPDIR:-/tmp} out=
while [ $# -gt 0 ]; do
  case $1 in
  --curvefs) curvefs=$2; shift ;;
  --work) work=$2; shift ;;
  --out) out=$2; shift ;;
  *) sed -n '2,4s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift
done
limit=$(dirname "$curvefs")/bench/s3_limit
for p in "$curvefs" "$limit"; do [ -x "$p" ] || { echo "s3.sh: no $p; build it" >&2; exit 2; }; done
command -v s3fs >/dev/null || { echo "s3.sh: s3fs is not installed" >&2; exit 2; }
base=$(mktemp -d "$work/curvefs-s3.XXXXXX")
mnt=$base/mnt; mkdir "$mnt"
pid=
detach() {
  ! grep -q " $mnt fuse" /proc/mounts || "$curvefs" umount "$mnt" >/dev/null 2>&1 || umount -l "$mnt"
  [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
  pid=
}
cleanup() {
  status=$?
  trap - EXIT INT TERM
  cd /
  detach
  sh "$here/../test/support/rgw.sh" stop "$base/rgw" || true
  rm -rf "$base"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

sh "$here/../test/support/rgw.sh" start "$base/rgw"
. "$base/rgw/s3.env"
export AWS_ACCESS_KEY_ID="$S3_ACCESS_KEY" AWS_SECRET_ACCESS_KEY="$S3_SECRET_KEY"
for bucket in curvefs s3fs; do
  curl -sf -X PUT --aws-sigv4 "aws:amz:us-east-1:s3" -u "$S3_ACCESS_KEY:$S3_SECRET_KEY" "$S3_ENDPOINT/$bucket"
done

await() { n=0; until grep -q " $mnt fuse" /proc/mounts; do n=$((n + 1)); [ $n -lt 300 ] || return 1; sleep 0.1; done; }
attach() { # attach NAME OPTION...: a fresh file system
  name=$1; shift
  "$curvefs" mount -f --standalone "$base/$name" "$mnt" "$@" >"$base/$name.log" 2>&1 &
  pid=$!
  await
}
remote() { name=$1; shift; attach "$name" --data "s3://curvefs/$name" --s3-endpoint "$S3_ENDPOINT" "$@"; }
# small COUNT BYTES: files a second, stored when the clock stops
small() {
  python3 - "$mnt/small" "$1" "$2" <<'P'
import os, sys, time
d, n, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.makedirs(d, exist_ok=True)
data = os.urandom(size)
begin = time.time()
for i in range(n):
    with open(f"{d}/{size}.{i}", "wb") as f: f.write(data)
fd = os.open(os.path.dirname(d), os.O_RDONLY)
try: os.fsync(fd)  # of the root: everything
except OSError: pass
print(round(n / (time.time() - begin), 1))
P
}
big() { # write and cold read of 512 MiB, MB/s
  python3 - "$mnt/big" <<'P'
import os, sys, time
path, size = sys.argv[1], 512 << 20
block = os.urandom(1 << 20)
begin = time.time()
with open(path, "wb", buffering=0) as f:
    for i in range(size >> 20): f.write(block)
    os.fsync(f.fileno())
write = size / (time.time() - begin) / 1e6
open("/proc/sys/vm/drop_caches", "w").write("3")
begin = time.time()
with open(path, "rb", buffering=0) as f:
    while f.read(1 << 20): pass
print(f"{write:.0f} {size / (time.time() - begin) / 1e6:.0f}")
P
}
peak() { awk '/VmHWM/ {printf "%d", $2 / 1024}' "/proc/$pid/status"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }

"$limit" "$S3_ENDPOINT" curvefs 8 5 >"$base/limit"
put=$(awk '/put/ {print $2}' "$base/limit") get=$(awk '/get/ {print $2}' "$base/limit")

remote big; set -- $(big); write=$1 read=$2; memory=$(peak); detach
remote small; s4=$(small 3000 4097) s100=$(small 1000 102400); detach
remote back --writeback --cache-dir "$base/cache"; b4=$(small 3000 4097) b100=$(small 1000 102400); detach
attach dir; d4=$(small 3000 4097) d100=$(small 1000 102400); detach
remote puts --inline-max 0
small 10000 4096 >/dev/null
puts=$(awk '/^data_objects_put / {print $2}' "$mnt/.stats"); detach
echo "$S3_ACCESS_KEY:$S3_SECRET_KEY" >"$base/passwd"; chmod 600 "$base/passwd"
s3fs s3fs "$mnt" -f -o "passwd_file=$base/passwd,url=$S3_ENDPOINT,use_path_request_style,sigv4,endpoint=default,use_cache=" >"$base/s3fs.log" 2>&1 &
pid=$!
await
f4=$(small 100 4097) f100=$(small 100 102400); set -- $(big); fwrite=$1 fread=$2
detach

table() {
  echo "$(uname -sr), $(nproc) CPUs, radosgw in memory on the same machine."
  echo
  echo "| row | unit | curvefs | beside it | ratio |"
  echo "|---|---|---:|---:|---:|"
  echo "| sequential write, fsync | MB/s | $write | the server's PUTs of 4 MiB, 8 at once: $put | $(ratio "$write" "$put") |"
  echo "| sequential cold read | MB/s | $read | the server's GETs of 4 MiB, 8 at once: $get | $(ratio "$read" "$get") |"
  echo "| sequential write, fsync | MB/s | $write | s3fs: $fwrite | $(ratio "$write" "$fwrite") |"
  echo "| sequential cold read | MB/s | $read | s3fs: $fread | $(ratio "$read" "$fread") |"
  echo "| files of 4 KiB + 1, stored in S3 | files/s | $s4 | s3fs: $f4 | $(ratio "$s4" "$f4") |"
  echo "| files of 100 KiB, stored in S3 | files/s | $s100 | s3fs: $f100 | $(ratio "$s100" "$f100") |"
  echo "| files of 4 KiB + 1, --writeback | files/s | $b4 | directory store: $d4 | $(ratio "$b4" "$d4") |"
  echo "| files of 100 KiB, --writeback | files/s | $b100 | directory store: $d100 | $(ratio "$b100" "$d100") |"
  echo "| PUTs for 10,000 files of 4 KiB, --inline-max 0 | requests | $puts | goal: 100 | |"
  echo "| peak memory of the mount, 512 MiB written and read | MiB | $memory | --cache-size 512 | |"
}
table | if [ -n "$out" ]; then tee "$out"; else cat; fi
