#!/bin/sh
# s3.sh [--quick] [--curvefs BIN] [--work DIR] [--out FILE.md] [--keep]: CurveFS with its data in S3 (fsbench.cc), beside
# s3fs, beside its own directory store, and beside what the server itself gives (s3_limit.cc): on Ceph's radosgw with everything
# in memory (test/support/rgw.sh), all on this machine. --quick: a fraction of the work, to see that it runs. Needs root,
# /dev/fuse, jq, curl, s3fs, and the targets s3_limit and fsbench. Leaves nothing behind.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
curvefs=$here/../build/release/curvefs work=${TMPDIR:-/tmp} out= quick= keep=
while [ $# -gt 0 ]; do
  case $1 in
  --quick) quick=1 ;;
  --curvefs) curvefs=$2; shift ;;
  --work) work=$2; shift ;;
  --out) out=$2; shift ;;
  --keep) keep=1 ;;
  *) sed -n '2,5s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift
done
limit=$(dirname "$curvefs")/bench/s3_limit fsbench=$(dirname "$curvefs")/bench/fsbench
for p in "$curvefs" "$limit" "$fsbench"; do [ -x "$p" ] || { echo "s3.sh: no $p; build it" >&2; exit 2; }; done
for p in s3fs jq curl; do command -v $p >/dev/null || { echo "s3.sh: $p is not installed" >&2; exit 2; }; done
[ "$(id -u)" = 0 ] || { echo "s3.sh: needs root" >&2; exit 2; }
# Work, as divisors of fsbench's.
large=1 small=2 theirs=40 seconds=5 files=10000
[ -z "$quick" ] || { large=8 small=20 theirs=100 seconds=1 files=1000; }
base=$(mktemp -d "$work/curvefs-s3.XXXXXX")
mnt=$base/mnt; mkdir "$mnt"
pid=
detach() {
  ! grep -q " $mnt fuse" /proc/mounts || "$curvefs" umount "$mnt" >/dev/null 2>&1 || umount "$mnt" 2>/dev/null || umount -l "$mnt"
  [ -z "$pid" ] || wait "$pid" 2>/dev/null || true
  pid=
}
cleanup() {
  status=$?
  trap - EXIT INT TERM
  cd /
  detach
  sh "$here/../test/support/rgw.sh" stop "$base/rgw" || true
  if [ -n "$keep" ]; then echo "kept: $base" >&2; else rm -rf "$base"; fi
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

sh "$here/../test/support/rgw.sh" start "$base/rgw"
. "$base/rgw/s3.env"
export AWS_ACCESS_KEY_ID="$S3_ACCESS_KEY" AWS_SECRET_ACCESS_KEY="$S3_SECRET_KEY"
nothing=$(printf '' | sha256sum | cut -d ' ' -f 1)
for bucket in curvefs s3fs; do
  curl -fsS -X PUT --aws-sigv4 "aws:amz:$S3_REGION:s3" -u "$S3_ACCESS_KEY:$S3_SECRET_KEY" \
    -H "x-amz-content-sha256: $nothing" "$S3_ENDPOINT/$bucket"
done

await() { n=0; until grep -q " $mnt fuse" /proc/mounts; do n=$((n + 1)); [ $n -lt 300 ] || { echo "s3.sh: no mount, see $base" >&2; return 1; }; sleep 0.1; done; }
attach() { # attach NAME OPTION...: a fresh file system
  name=$1; shift
  "$curvefs" mount -f --standalone "$base/$name" "$mnt" "$@" >"$base/$name.log" 2>&1 &
  pid=$!
  await
}
remote() { name=$1; shift; attach "$name" --data "s3://curvefs/$name" --s3-endpoint "$S3_ENDPOINT" --s3-region "$S3_REGION" "$@"; }
measure() { # measure NAME GROUPS DIVISOR
  echo "$1: $2" >&2
  "$fsbench" "$mnt" --json --only "$2" --divide "$3" >"$base/$1.$2.json" || echo "s3.sh: $1: rows with errors" >&2
}
value() { jq -r --arg row "$2" '.[$row].value | . * 10 | round / 10' "$base/$1.json"; }
errors() { cat "$base"/*.json | jq -s '[.[][] | .errors] | add'; }
counter() { awk -v k="$1" '$1 == k {print $2}' "$mnt/.stats"; }
peak() { awk '/VmHWM/ {printf "%d", $2 / 1024}' "/proc/$pid/status"; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.2f", a / b}'; }
server() { "$limit" "$S3_ENDPOINT" curvefs 8 $seconds >"$base/limit.$1"; }

server before
again() { # the same file read three times more through the mount, the kernel's cache dropped each time: the median, MB/s
  dd if=/dev/urandom of="$mnt/again" bs=1M count=$((1024 / large)) conv=fsync status=none
  for i in 1 2 3 4; do
    echo 3 >/proc/sys/vm/drop_caches
    LC_ALL=C dd if="$mnt/again" of=/dev/null bs=1M 2>&1 | awk 'END {print $1 / $(NF - 3) / 1e6}'
  done | tail -n 3 | sort -n | awk 'NR == 2 {printf "%.1f", $1}'
}
remote seq; measure s3 seq $large; reread=$(again)
memory_seq=$(peak); detach
server after
remote small; measure s3 small $small
memory_small=$(peak); detach
remote back --writeback --cache-dir "$base/cache"; measure back small $small
memory_back=$(peak); detach
attach dir; measure dir small $small; detach
remote puts --inline-max 0
python3 - "$mnt" "$files" <<'P'
import os, sys
mnt, n = sys.argv[1], int(sys.argv[2])
for i in range(n):
    with open(f"{mnt}/{i}", "wb") as f: f.write(os.urandom(4096))
os.sync()
fd = os.open(mnt, os.O_RDONLY); os.fsync(fd)  # everything (docs/SEMANTICS.md)
P
puts=$(counter data_objects_put); detach
echo "$S3_ACCESS_KEY:$S3_SECRET_KEY" >"$base/passwd"; chmod 600 "$base/passwd"
mkdir "$base/tmp"
s3fs s3fs "$mnt" -f -o "passwd_file=$base/passwd,url=$S3_ENDPOINT,use_path_request_style,sigv4,endpoint=$S3_REGION,tmpdir=$base/tmp" >"$base/s3fs.log" 2>&1 &
pid=$!
await
measure s3fs small $theirs; measure s3fs seq $((large * 4)); detach

rate() { awk -v w="$1" '$1 == w {s += $2; n++} END {printf "%.0f", s / n}' "$base/limit.before" "$base/limit.after"; }
table() {
  put=$(rate put) get=$(rate get)
  write=$(value s3.seq big.seq_write_fsync) read=$(value s3.seq big.seq_read_cold)
  fwrite=$(value s3fs.seq big.seq_write_fsync) fread=$(value s3fs.seq big.seq_read_cold)
  echo "$(uname -sr), $(nproc) CPUs; radosgw with everything in memory, on the same machine."
  echo
  echo "| row | unit | curvefs | the server itself: 4 MiB, 8 at once | ratio | s3fs | ratio |"
  echo "|---|---|---:|---:|---:|---:|---:|"
  echo "| sequential write, fsync | MB/s | $write | PUT $put | $(ratio "$write" "$put") | $fwrite | $(ratio "$write" "$fwrite") |"
  echo "| sequential cold read | MB/s | $read | GET $get | $(ratio "$read" "$get") | $fread | $(ratio "$read" "$fread") |"
  echo "| sequential cold read, again | MB/s | $reread | GET $get | $(ratio "$reread" "$get") | | |"
  echo
  echo "| row | unit | directory store | --writeback | ratio | in S3 | s3fs | ratio |"
  echo "|---|---|---:|---:|---:|---:|---:|---:|"
  for row in $(jq -r 'keys_unsorted[]' "$base/s3.small.json"); do
    d=$(value dir.small "$row") b=$(value back.small "$row") s=$(value s3.small "$row") f=$(value s3fs.small "$row")
    echo "| $row | files/s | $d | $b | $(ratio "$b" "$d") | $s | $f | $(ratio "$s" "$f") |"
  done
  echo
  echo "- PUT requests for $files files of 4 KiB with --inline-max 0: $puts"
  echo "- peak memory of the mount: $memory_seq MiB sequential, $memory_small MiB small files, $memory_back MiB with --writeback (--cache-size 512 MiB by default)"
  [ "$(errors)" = 0 ] || echo "- rows with errors: $(errors)"
}
table | if [ -n "$out" ]; then tee "$out"; else cat; fi
