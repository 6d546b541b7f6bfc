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
failures=0 checks=0

cleanup() {
  for m in $(awk -v w="$work" 'index($2, w) == 1 {print $2}' /proc/mounts); do umount -l "$m" 2>/dev/null; done
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT

fail() { failures=$((failures + 1)); echo "FAILED (line ${BASH_LINENO[1]}): $*"; sed 's/^/    /' "$work/err" | head -5; }
# expect CODE COMMAND…
expect() {
  local want=$1 got=0
  shift
  checks=$((checks + 1))
  "$@" >"$work/out" 2>"$work/err" || got=$?
  [ "$got" -eq "$want" ] || fail "exit code $got instead of $want: $*"
}
# says TEXT: in what the last command printed
says() { checks=$((checks + 1)); cat "$work/out" "$work/err" | grep -qF -- "$1" || fail "does not say '$1'"; }
holds() { checks=$((checks + 1)); eval "$1" || fail "does not hold: $1"; }
json() { python3 -c "import json,sys; j=json.load(open('$work/out')); print($1)"; }

for command in compact; do
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
expect 0 "$curvefs" umount "$mnt"
expect 0 "$curvefs" fsck --deep "$fs"; says clean

echo "$checks checks, $failures failed"
[ "$failures" -eq 0 ]
