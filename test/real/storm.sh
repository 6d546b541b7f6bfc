#!/bin/sh
# Sparse copies, find | xargs, parallel unpacking and removing, append from many shells.
. "$(dirname "$0")/common.sh"
truncate -s 300M sparse; printf head | dd of=sparse conv=notrunc 2>/dev/null; printf tail | dd of=sparse bs=1M seek=200 conv=notrunc 2>/dev/null
check "cp --sparse=always" cp --sparse=always sparse copy
check "equal" cmp sparse copy
check "stays sparse" test "$(du -k copy | cut -f 1)" -lt 10000
check "cp --reflink=auto" sh -c 'cp --reflink=auto sparse c2 && cmp sparse c2'
check "truncate and compare" sh -c 'truncate -s 100M c2 && truncate -s 300M c2 && ! cmp -s sparse c2 && cmp -n 104857600 sparse c2'
rm -f sparse copy c2
src=/usr/include/linux; [ -d $src ] || src=/usr/include
tar -C "$src" -cf "$scratch/t.tar" .
files=$(tar -tf "$scratch/t.tar" | grep -vc '/$')
k=${full:+8}; k=${k:-4}
i=0 pids=
while [ $i -lt "$k" ]; do mkdir t$i; tar -C t$i -xf "$scratch/t.tar" & pids="$pids $!"; i=$((i + 1)); done
for p in $pids; do wait "$p" || fail "a parallel tar failed"; done
i=0; while [ $i -lt "$k" ]; do check "tree $i is whole" diff -r "$src" t$i; i=$((i + 1)); done
check "find sees all" test "$(find t* -type f -o -type l | wc -l)" = $((files * k))
find t0 t1 -type f -print0 | xargs -0 -n 20 -P 4 sh -c 'for f; do echo more >>"$f"; mv "$f" "$f.moved"; done' x || fail "find | xargs failed"
check "all moved" test "$(find t0 t1 -name '*.moved' | wc -l)" = "$(find t0 t1 -type f | wc -l)"
find t0 t1 -name '*.moved' -print0 | xargs -0 -n 50 -P 4 rm || fail "find | xargs rm failed"
check "nothing left of t0, t1" test "$(find t0 t1 ! -type d ! -type l | wc -l)" = 0
pids=; for d in t*; do rm -rf "$d" & pids="$pids $!"; done
(i=0; while [ $i -lt 300 ]; do ls -laR . >/dev/null 2>&1 || true; i=$((i + 30)); done) &
for p in $pids; do wait "$p" || fail "a parallel rm failed"; done
check "all removed" test -z "$(find . -mindepth 1)"
pids=; for w in 1 2 3 4; do (i=0; while [ $i -lt 200 ]; do echo "$w $i" >>log; i=$((i + 1)); done) & pids="$pids $!"; done
for p in $pids; do wait "$p" || fail "an appender failed"; done
check "no line lost" test "$(sort log | uniq | wc -l)" = 800
verdict
