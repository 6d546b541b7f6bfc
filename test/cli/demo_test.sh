#!/usr/bin/env bash
# The demo on a small tree; then that it says what is wrong, and leaves nothing behind when something is.
set -uo pipefail
curvefs=$(readlink -f "$1")
demo=$(readlink -f "$(dirname "$0")/../../scripts/demo.sh")
[ -r /dev/fuse ] && [ -w /dev/fuse ] && [ "$(id -u)" -eq 0 ] || { echo "skipped: needs root and /dev/fuse"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/curvefs-demo-test.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
export TMPDIR=$work DEMO_SOURCE=/usr/include/linux

"$demo" "$curvefs" || { echo "FAILED: the demo"; exit 1; }
[ -z "$(ls "$work")" ] || { echo "FAILED: left behind: $(ls "$work")"; exit 1; }
# A curvefs that cannot mount: the demo fails, says so, and leaves nothing.
printf '#!/bin/sh\ncase $1 in mount) echo "no luck today" >&2; exit 32;; esac\nexec %s "$@"\n' "$curvefs" >"$work/broken"
chmod +x "$work/broken"
if "$demo" "$work/broken" >"$work/out" 2>&1; then echo "FAILED: a failed mount went unnoticed"; exit 1; fi
grep -q "no luck today" "$work/out" || { echo "FAILED: it does not say why"; cat "$work/out"; exit 1; }
rm "$work/broken" "$work/out"
[ -z "$(ls "$work")" ] || { echo "FAILED: left behind: $(ls "$work")"; exit 1; }
if grep -qF " $work" /proc/mounts; then echo "FAILED: left mounted"; exit 1; fi
