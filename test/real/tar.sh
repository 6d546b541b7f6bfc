#!/bin/sh
# A tree of real files in and out again: bytes, times, modes, links.
. "$(dirname "$0")/common.sh"
need tar
src=/usr/include
[ -n "$full" ] || [ ! -d /usr/include/linux ] || src=/usr/include/linux
tar() { command tar --format=posix "$@"; } # nanoseconds
check "pack the original" tar -C / -cf "$scratch/a.tar" "${src#/}"
check unpack tar -xpf "$scratch/a.tar"
check "bytes" diff -r --no-dereference "$src" "$work$src"
list() { (cd "$1" && find . -printf '%P %y %m %s %T@ %l\n' | sed -E 's/^(.* d [0-9]+) [0-9]+ /\1 /' | LC_ALL=C sort); }
list "$src" >"$scratch/want"; list "$work$src" >"$scratch/got"
check "names, types, modes, sizes, times, targets" diff "$scratch/want" "$scratch/got"
check "compare with the archive" tar -df "$scratch/a.tar"
check repack tar -cf "$scratch/b.tar" "${src#/}"
check "unpack again" sh -c "mkdir again && tar --format=posix -C again -xpf '$scratch/b.tar'"
check "bytes of the second copy" diff -r --no-dereference "$src" "again$src"
mkdir h; echo one >h/a; ln h/a h/b; ln -s a h/c; mkfifo h/p; chmod 4711 h/a; touch -d '1999-12-31 23:59:59.123456789' h/a
check "pack links" tar -cf h.tar h
check "unpack links" sh -c 'mkdir x && tar -C x -xpf h.tar'
check "hard link kept" test "$(stat -c %i x/h/a)" = "$(stat -c %i x/h/b)"
check "set-id bit kept" test "$(stat -c %a x/h/a)" = 4711
check "fifo kept" test -p x/h/p
check "rm -rf" rm -rf again usr x h
check "nothing left" test -z "$(find . -mindepth 1 ! -name h.tar)"
verdict
