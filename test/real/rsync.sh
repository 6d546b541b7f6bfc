#!/bin/sh
# rsync with everything kept; the second run finds nothing to do.
. "$(dirname "$0")/common.sh"
need rsync setfacl setfattr
src=$scratch/src
mkdir "$src"
tar -C /usr/include -cf - . 2>/dev/null | (cd "$src" && mkdir tree && cd tree && tar -xf - --wildcards './linux/*' './asm-generic/*' './*.h' 2>/dev/null) || true
mkdir -p "$src/odd/deep/er"
printf 'x' >"$src/odd/name with spaces"
printf 'y' >"$src/odd/$(printf 'new\nline')"
ln "$src/odd/name with spaces" "$src/odd/hard"
ln -s 'dangling target' "$src/odd/link"
mkfifo "$src/odd/fifo"
truncate -s 5M "$src/odd/sparse"; printf end >>"$src/odd/sparse"
touch -d '2001-02-03 04:05:06.789012345' "$src/odd/deep"
chmod 2750 "$src/odd/deep/er"
[ "$(id -u)" != 0 ] || { chown 123:456 "$src/odd/hard"; mknod "$src/odd/null" c 1 3; }
setfattr -n user.comment -v 'some value' "$src/odd/hard" 2>/dev/null || true
setfacl -m u:1234:rw,g:99:r "$src/odd/hard" 2>/dev/null || true
setfacl -d -m u:1234:rwx "$src/odd/deep" 2>/dev/null || true
check "first run" rsync -aHAXS "$src/" "$work/copy/"
rsync -aHAXSi "$src/" "$work/copy/" >"$scratch/second" 2>&1 || fail "second run returned $?"
[ ! -s "$scratch/second" ] || { fail "the second run finds something to do"; head -n 20 "$scratch/second" >&2; }
rsync -aHAXSic "$src/" "$work/copy/" >"$scratch/third" 2>&1 || fail "run with checksums returned $?"
[ ! -s "$scratch/third" ] || { fail "checksums differ"; head -n 20 "$scratch/third" >&2; }
check "back again" rsync -aHAXS "$work/copy/" "$scratch/back/"
rsync -aHAXSic "$src/" "$scratch/back/" >"$scratch/fourth" 2>&1 || fail "comparing what came back returned $?"
[ ! -s "$scratch/fourth" ] || { fail "what came back differs"; head -n 20 "$scratch/fourth" >&2; }
check "hard link" test "$(stat -c %h "$work/copy/odd/hard")" = 2
check "delete" rsync -aHAX --delete "$src/odd/" "$work/copy/"
check "in place" sh -c "printf changed | dd of='$src/odd/sparse' bs=1 seek=1000 conv=notrunc 2>/dev/null && rsync -aHAX --inplace --no-whole-file '$src/odd/' '$work/copy/' && cmp '$src/odd/sparse' '$work/copy/sparse'"
verdict
