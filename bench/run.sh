#!/bin/sh
# run.sh [--quick] [--rounds N] [--curvefs BIN] [--rivals "curvefs passthrough moosefs"] [--only GROUPS] [--work DIR]
#        [--million] [--out FILE.md]
# Measures file systems one after the other, N rounds, each time on a fresh ext4 on a preallocated image, and prints a table
# of medians in Markdown with the first one's ratio to each of the others. There are curvefs (standalone), cluster (curvefs cluster up,
# all processes on this machine), early (the same, mounted with --early-answers), passthrough (libfuse's passthrough_hp), moosefs and ceph. --million adds memory per file and the time to mount again with
# 1,000,000 files. Needs root, /dev/fuse, loop devices, g++, jq. What is built once is kept in ~/.cache/curvefs-bench. Leaves
# nothing mounted or running.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
curvefs=$here/../build/release/curvefs
rivals="curvefs passthrough" rounds=3 quick= only=meta,small,big,tree million= work=${TMPDIR:-/tmp} out=
while [ $# -gt 0 ]; do
  case $1 in
  --quick) quick=--quick ;;
  --million) million=1 ;;
  --rounds) rounds=$2; shift ;;
  --curvefs) curvefs=$2; shift ;;
  --rivals) rivals=$2; shift ;;
  --only) only=$2; shift ;;
  --work) work=$2; shift ;;
  --out) out=$2; shift ;;
  *) sed -n '2,8s/^# //p' "$0" >&2; exit 2 ;;
  esac
  shift
done
[ "$(id -u)" = 0 ] || { echo "run.sh: needs root" >&2; exit 2; }
[ -e /dev/fuse ] || { echo "run.sh: no /dev/fuse here" >&2; exit 2; }
command -v jq >/dev/null || { echo "run.sh: jq is not installed" >&2; exit 2; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/curvefs-bench; mkdir -p "$cache"
base=$(mktemp -d "$work/curvefs-bench.XXXXXX")
disk=$base/disk mnt=$base/mnt image=$base/image
mkdir "$disk" "$mnt" "$base/results"
served= rival=
. "$here/rivals.sh"

fresh_disk() {
  fallocate -l "${DISK_SIZE:-8G}" "$image"
  mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0,nodiscard "$image"
  loop=$(losetup --direct-io=on -f --show "$image")
  mount -o noatime,nodiscard "$loop" "$disk" || { losetup -d "$loop"; return 1; }
}
drop_disk() {
  ! grep -q " $disk ext4" /proc/mounts || await 20 umount "$disk" || umount -l "$disk"
  [ -z "${loop:-}" ] || losetup -d "$loop" 2>/dev/null || true
  loop=; rm -f "$image"
}
cleanup() {
  status=$?
  trap - EXIT INT TERM
  cd /
  [ -z "$rival" ] || "stop_$rival" || true
  detach; [ -z "$served" ] || end_process "$served"
  drop_disk
  rm -rf "$base"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

[ "$cache/fsbench" -nt "$here/fsbench.cc" ] || g++ -std=c++20 -O2 -o "$cache/fsbench" "$here/fsbench.cc" -lpthread
if [ ! -s "$cache/tree.tar" ]; then # the same bytes each time: sorted, one owner, one date; no giants
  find /usr/include -xdev \( -type d -o -type f -size -65k \) -print | LC_ALL=C sort |
    tar -C / --no-recursion --format=ustar --owner=root:0 --group=root:0 --mtime='2020-01-01 UTC' --mode=a+r,u+w -P --transform 's,^/,,' -T - -cf "$cache/tree.tar.new"
  mv "$cache/tree.tar.new" "$cache/tree.tar"
fi
for r in $rivals; do "build_$r"; done

round=1
while [ "$round" -le "$rounds" ]; do
  for r in $rivals; do
    fresh_disk
    rival=$r
    "start_$r" || { echo "run.sh: $r does not start: $(tail -n 3 "$base/$r.log" 2>/dev/null)" >&2; exit 1; }
    # Settled: nothing of the set-up is left to be written while we measure.
    sync
    echo "round $round of $rounds: $r" >&2
    # shellcheck disable=SC2086
    "$cache/fsbench" "$mnt" --json $quick --only "$only" --tar "$cache/tree.tar" >"$base/results/$r.$round.json" || echo "run.sh: $r: rows with errors" >&2
    "stop_$r"; rival=
    drop_disk
  done
  round=$((round + 1))
done

if [ -n "$million" ]; then
  fresh_disk; rival=curvefs; start_curvefs
  "$cache/fsbench" "$mnt" --json --only million --files "${MILLION_FILES:-1000000}" --pid "$served" >"$base/results/million.json" || true
  stop_curvefs
  began=$(date +%s%N); start_curvefs; stat "$mnt/million/0" >/dev/null; ended=$(date +%s%N)
  jq --arg ms $(((ended - began) / 1000000)) '. + {"million.mount_again": {"value": ($ms | tonumber), "unit": "ms"}}' \
    "$base/results/million.json" >"$base/results/million2.json"
  stop_curvefs; rival=; drop_disk
fi

table() {
  echo "$(uname -sr), $(nproc) CPUs, $rounds rounds${quick:+, quick}; medians; ext4 on a loop device below."
  echo
  first=${rivals%% *} others=${rivals#"$first"}
  printf '| row | unit |'; for r in $rivals; do printf ' %s |' "$r"; done; for r in $others; do printf ' %s / %s |' "$first" "$r"; done; echo
  printf '|---|---|'; for r in $rivals $others; do printf -- '---:|'; done; echo
  jq -r 'keys_unsorted[]' "$base/results/$first.1.json" | while read -r row; do
    unit=$(jq -r --arg k "$row" '.[$k].unit' "$base/results/$first.1.json")
    printf '| %s | %s |' "$row" "$unit"
    ours= ratios=
    for r in $rivals; do
      v=$(jq -rs --arg k "$row" '[.[][$k].value] | sort | if length % 2 == 1 then .[length / 2 | floor] else (.[length / 2] + .[length / 2 - 1]) / 2 end' "$base/results/$r".*.json)
      e=$(jq -rs --arg k "$row" '[.[][$k].errors] | add' "$base/results/$r".*.json)
      printf ' %s%s |' "$(awk -v v="$v" 'BEGIN {printf (v >= 100 ? "%.0f" : "%.1f"), v}')" "$([ "$e" = 0 ] || echo " ($e errors)")"
      if [ "$r" = "$first" ]; then ours=$v; else
        ratios="$ratios$(awk -v o="$ours" -v t="$v" -v u="$unit" 'BEGIN {if (o > 0 && t > 0) printf " %.2f |", u == "ms" ? t / o : o / t; else printf " |"}')"
      fi
    done
    echo "$ratios"
  done
  [ ! -s "$base/results/million2.json" ] || { echo; jq -r 'to_entries[] | "- \(.key): \(.value.value) \(.value.unit)"' "$base/results/million2.json"; }
}
table | if [ -n "$out" ]; then tee "$out"; else cat; fi
