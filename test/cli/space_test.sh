#!/usr/bin/env bash
# Compaction, usage, quotas, trash and gc from the command line, on a real mount.
#   space_test.sh CURVEFS       exit code 77: cannot mount here
set -uo pipefail

curvefs=$(readlink -f "$1")
[ -r /dev/fuse ] && [ -w /dev/fuse ] && [ "$(id -u)" -eq 0 ] || { echo "skipped: needs root and /dev/fuse"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/curvefs-space-test.XXXXXX")
chmod 755 "$work"
fs=$work/fs mnt=$work/mnt
mkdir "$mnt"
. "$(dirname "$0")/common.sh"
json() { python3 -c "import json,sys; j=json.load(open('$work/out')); print($1)"; }

for command in compact gc quota "quota set"; do
  expect 0 "$curvefs" $command --help; says "Examples:"
done

# The control channel: for the owner, and for nothing but JSON.
expect 0 "$curvefs" mount --standalone "$fs" "$mnt"
holds '[ "$(stat -c "%a %u" "$mnt/.control")" = "600 0" ]'
holds '! ls -a "$mnt" | grep -q control'
expect 0 python3 - "$mnt" <<'PY'
import os, sys
path = sys.argv[1] + "/.control"
def ask(request):
    fd = os.open(path, os.O_RDWR)
    os.write(fd, request)
    answer = b""
    while part := os.read(fd, 1000): answer += part
    os.close(fd)
    return answer
assert b'"error"' in ask(b"nonsense\n")
assert b"knows no command" in ask(b'{"command":"bake"}\n')
for flags in (os.O_RDONLY, os.O_WRONLY):
    try: os.open(path, flags); sys.exit("opened")
    except OSError: pass
PY
if id nobody >/dev/null 2>&1; then
  expect 2 setpriv --reuid=nobody --clear-groups sh -c "exec 3<>'$mnt/.control'"
fi
expect 8 "$curvefs" compact /proc; says "not in a mounted CurveFS"
expect 8 "$curvefs" compact "$mnt/nowhere"; says "nowhere"

# Compaction of a file written at random.
mkdir "$mnt/dir"
expect 0 python3 - "$mnt/dir/random" <<'PY'
import os, random, sys
random.seed(1)
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
os.write(fd, os.urandom(8 << 20))
os.fsync(fd)
for i in range(40):
    for j in range(40): os.pwrite(fd, os.urandom(5000), random.randrange(8 << 20))
    os.fsync(fd)
PY
sum=$(md5sum <"$mnt/dir/random")
expect 0 "$curvefs" compact --json "$mnt/dir"
holds '[ "$(json "j[0][\"files\"]")" = 1 ]'
holds '[ "$(json "j[0][\"requests_after\"]")" -le 3 ]'
expect 0 "$curvefs" compact "$mnt/dir/random"; says "requests to read"
echo 3 >/proc/sys/vm/drop_caches
holds '[ "$(md5sum <"$mnt/dir/random")" = "$sum" ]'

# Usage of directories: what find and stat say, with what is not stored yet, also after a restart.
usage() {
  getfattr --only-values -n "curvefs.dir.$2" "$1" 2>/dev/null ||
    python3 -c "import os,sys; print(os.getxattr(sys.argv[1], 'curvefs.dir.'+sys.argv[2]).decode(), end='')" "$1" "$2"
}
compare_usage() {
  holds "[ $(usage "$1" rfiles) = $(find "$1" -mindepth 1 ! -type d -printf '%i\n' | sort -u | wc -l) ]"
  holds "[ $(usage "$1" rsubdirs) = $(find "$1" -mindepth 1 -type d | wc -l) ]"
  holds "[ $(usage "$1" rbytes) = $(find "$1" -type f -printf '%i %s\n' | sort -u | awk '{n += $2} END {print n + 0}') ]"
}
cp -a /usr/include/linux "$mnt/dir/"
compare_usage "$mnt"
head -c 3000000 /dev/zero >"$mnt/dir/linux/zeros"
ln "$mnt/dir/linux/zeros" "$mnt/zeros2"
compare_usage "$mnt"; compare_usage "$mnt/dir/linux"
rm "$mnt/dir/linux/zeros"; mv "$mnt/dir/linux" "$mnt/moved"; truncate -s 1000 "$mnt/zeros2"
compare_usage "$mnt"; compare_usage "$mnt/dir"; compare_usage "$mnt/moved"
expect 0 "$curvefs" info "$mnt/moved"; says "below it"
expect 0 "$curvefs" info --json "$mnt/moved"; holds '[ "$(json "j[0][\"rfiles\"]")" = "$(usage "$mnt/moved" rfiles)" ]'
expect 0 "$curvefs" quota check "$mnt"; says "right"

head -c 3M /dev/zero >"$work/ballast"

# Quotas of directories: EDQUOT, nested, on moving in.
mkdir -p "$mnt/q/inner"
expect 16 "$curvefs" quota set "$mnt/q"; says "--bytes"
expect 8 "$curvefs" quota set "$mnt/zeros2" --bytes 1M; says "only directories"
expect 0 "$curvefs" quota set "$mnt/q" --bytes 10M --inodes 5
expect 0 "$curvefs" quota set "$mnt/q/inner" --bytes 1M
expect 0 dd if=/dev/zero of="$mnt/q/inner/a" bs=64K count=16 conv=fsync
expect 1 dd if=/dev/zero of="$mnt/q/inner/b" bs=64K count=1 conv=fsync; says "quota exceeded"
# Through the kernel's cache as well: who writes until the space is used up comes to an end.
expect 1 timeout 60 dd if=/dev/zero of="$mnt/q/endless" bs=1M; says "quota exceeded"
rm -f "$mnt/q/endless"
expect 1 dd if=/dev/zero of="$mnt/q/inner/b" bs=64K count=1 oflag=direct; says "quota exceeded"
expect 1 truncate -s 1 "$mnt/q/inner/b"; says "quota exceeded"
expect 1 mv "$mnt/zeros2" "$mnt/q/inner/"; says "quota exceeded"
expect 0 dd if=/dev/zero of="$mnt/q/b" bs=1M count=9 conv=fsync
expect 1 dd if=/dev/zero of="$mnt/q/b" bs=1M count=10 conv=fsync; says "quota exceeded"
truncate -s 8M "$mnt/q/b"  # the kernel shows the size that it was refused until then
expect 1 cp "$work/ballast" "$mnt/q/c"; says "error"
rm "$mnt/q/c" "$mnt/q/inner/b"
expect 0 touch "$mnt/q/c" "$mnt/q/d"
expect 1 touch "$mnt/q/e"; says "quota exceeded"
expect 0 "$curvefs" quota get --json "$mnt/q"; holds '[ "$(json "j[\"used_inodes\"]")" = 5 ]'
expect 0 "$curvefs" quota list "$mnt"; says "/q/inner"
compare_usage "$mnt/q"
mkdir "$work/bind" && mount --bind "$mnt/q" "$work/bind"
holds '[ "$(stat -f -c "%S %b" "$work/bind" | awk "{print \$1 * \$2}")" = $((10 << 20)) ]'
expect 0 "$curvefs" quota get "$work/bind"; says "10MiB"
umount "$work/bind"
expect 0 "$curvefs" quota check --json "$mnt"; holds '[ "$(json "j[\"exit_code\"], j[\"wrong\"]")" = "0 0" ]'
expect 0 "$curvefs" quota remove --json "$mnt/q/inner"; holds '[ "$(json "j[\"bytes\"]")" = 0 ]'
expect 0 mv "$mnt/zeros2" "$mnt/q/d"

# The file system's own limits: ENOSPC, and df.
expect 0 "$curvefs" quota set "$mnt" --bytes 100M
holds '[ "$(stat -f -c "%S %b" "$mnt" | awk "{print \$1 * \$2}")" = $((100 << 20)) ]'
expect 1 dd if=/dev/zero of="$mnt/large" bs=1M count=100 conv=fsync; says "No space"
rm "$mnt/large"
expect 0 "$curvefs" umount "$mnt"
expect 0 "$curvefs" mount --standalone "$fs" "$mnt"
expect 1 touch "$mnt/q/e"; says "quota exceeded"
expect 1 truncate -s 100M "$mnt/large"; says "No space"
compare_usage "$mnt"
expect 0 "$curvefs" quota check "$mnt"
expect 0 "$curvefs" quota set "$mnt" --bytes 0
expect 0 truncate -s 100M "$mnt/large"

expect 0 "$curvefs" umount "$mnt"
expect 32 "$curvefs" mount --standalone "$fs" "$mnt" --capacity 5G; says "quota set"
expect 0 "$curvefs" mount --standalone "$work/small" "$mnt" --capacity 5M --inodes 3
expect 1 truncate -s 6M "$mnt/a"; says "No space"
expect 0 touch "$mnt/b" "$mnt/c"
expect 1 touch "$mnt/d"; says "No space"
expect 0 "$curvefs" umount "$mnt"
expect 0 "$curvefs" mount --standalone "$work/small" "$mnt" --capacity 5M --inodes 3
expect 0 "$curvefs" umount "$mnt"
expect 0 "$curvefs" fsck --deep "$work/small"; says clean

# The trash, as the kernel sees it: listed (again, when more comes), restored, purged; not for others.
expect 0 "$curvefs" mount --standalone "$work/small" "$mnt" --trash 7d
expect 0 "$curvefs" quota set "$mnt" --inodes 100
expect 0 cat "$mnt/.config"; says 'trash = "7d"'
mkdir "$mnt/t"
rm "$mnt/b"
hour=$(ls -d "$mnt"/.trash/*)
holds '[ "$(stat -c %a "$mnt/.trash")" = 700 ]'
holds '[ "$(ls "$hour" | wc -l)" = 1 ]'
echo kept >"$mnt/t/x"; echo new >"$mnt/t/y"
mv "$mnt/t/y" "$mnt/t/x"
holds '[ "$(ls "$mnt"/.trash/* | grep -c -- -x)" = 1 ]'
holds '[ "$(cat "$mnt"/.trash/*/*-x)" = kept ]'
rm -r "$mnt/t"
holds '[ "$(ls "$mnt"/.trash/* | grep -c -- -)" -ge 4 ]'
expect 0 sh -c "mv '$mnt'/.trash/*/*-t '$mnt/t' && for f in '$mnt'/.trash/*/*-x; do mv \"\$f\" '$mnt/t/'; done"
holds 'grep -qx kept "$mnt"/t/*-x'
expect 1 rmdir "$mnt/.trash"
expect 0 sh -c "rm -r '$mnt'/.trash/*"
holds '[ -z "$(ls "$mnt/.trash")" ]'
if id nobody >/dev/null 2>&1; then expect 2 setpriv --reuid=nobody --clear-groups ls "$mnt/.trash"; fi
expect 0 "$curvefs" umount "$mnt"
expect 0 "$curvefs" fsck --deep "$work/small"; says clean

expect 0 "$curvefs" fsck --deep "$fs"; says clean

# gc: lists, then deletes, what nothing names; keeps what is young; leaves the rest.
expect 0 "$curvefs" gc "$fs"; says "0 objects that nothing names"
mkdir -p "$fs/objects/f4240"
sample=$(find "$fs/objects" -type f | head -1)
cp "$sample" "$fs/objects/f4240/4096000001_0_0_1_77"
cp "$sample" "$fs/objects/f4240/4096000002_0_0_1_77"
touch -d "2 hours ago" "$fs/objects/f4240/4096000001_0_0_1_77"
expect 0 "$curvefs" gc "$fs"; says "1 objects that nothing names"; says "1 more are younger"
expect 0 "$curvefs" gc --json "$fs"; holds '[ "$(json "j[\"found\"]")" = 1 ]'
holds '[ -e "$fs/objects/f4240/4096000001_0_0_1_77" ]'
expect 0 "$curvefs" gc --delete "$fs"; says "deleted"
holds '[ ! -e "$fs/objects/f4240/4096000001_0_0_1_77" ] && [ -e "$fs/objects/f4240/4096000002_0_0_1_77" ]'
expect 0 "$curvefs" gc --delete --older-than 0s "$fs"
expect 16 "$curvefs" gc --older-than tomorrow "$fs"
expect 0 "$curvefs" mount --standalone "$fs" "$mnt"
expect 8 "$curvefs" gc "$fs"; says "in use"
holds '[ "$(md5sum <"$mnt/dir/random")" = "$sum" ]'
expect 0 "$curvefs" umount "$mnt"
expect 0 "$curvefs" fsck --deep "$fs"; says clean

echo "$checks checks, $failures failed"
[ "$failures" -eq 0 ]
