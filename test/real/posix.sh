#!/bin/sh
# The conformance suite (test/posix); POSIX_CONFORMANCE names the program.
. "$(dirname "$0")/common.sh"
prog=${POSIX_CONFORMANCE:-}
[ -x "$prog" ] || { echo "SKIP posix: set POSIX_CONFORMANCE to the program" >&2; exit 77; }
chmod 755 "$work"
"$prog" "$work" >"$scratch/log" || { fail "checks failed"; grep FAIL "$scratch/log" >&2 || true; }
tail -n 1 "$scratch/log"
verdict
