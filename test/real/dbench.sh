#!/bin/sh
# dbench: a file server's load.
. "$(dirname "$0")/common.sh"
need dbench
load=$(find /usr/share/dbench /usr/share/doc/dbench -name 'client.txt*' 2>/dev/null | head -n 1)
[ -n "$load" ] || { echo "SKIP dbench: no client.txt" >&2; exit 77; }
case $load in *.gz) gzip -dc "$load" >"$scratch/client.txt"; load=$scratch/client.txt ;; esac
t=${full:+60}; t=${t:-8}
check "8 clients" dbench -D "$work" -c "$load" -t "$t" 8
check "synchronous" dbench -s -S -D "$work" -c "$load" -t 4 2
check "no errors" sh -c '! grep -iE "failed|error" '"$scratch/out"
verdict
