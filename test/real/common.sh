# Sourced by the scripts of this directory: sh NAME.sh MNT [--full]. Each works in a directory of its own below MNT,
# says on stderr what is wrong, and returns 1 if anything is.
set -eu
name=$(basename "$0" .sh)
[ $# -ge 1 ] || { echo "usage: $0 MNT [--full]" >&2; exit 2; }
mnt=$1
full=; [ "${2:-}" != --full ] || full=1
[ -d "$mnt" ] || { echo "$name: $mnt is not a directory" >&2; exit 2; }
work=$mnt/$name.$$
scratch=$(mktemp -d "${TMPDIR:-/tmp}/curvefs-$name.XXXXXX")
bad=0
fail() { echo "FAIL $name: $*" >&2; bad=1; }
check() { # check WHAT command...: the command succeeds
  what=$1; shift
  "$@" >"$scratch/out" 2>&1 || { fail "$what: '$*' returned $?"; tail -n 20 "$scratch/out" >&2; return 0; }
}
need() { for p in "$@"; do command -v "$p" >/dev/null || { echo "SKIP $name: $p is not installed" >&2; exit 77; }; done; }
finish() {
  status=$?
  trap - EXIT INT TERM
  # shellcheck disable=SC2046
  [ -z "$(jobs -p)" ] || kill $(jobs -p) 2>/dev/null || true
  cd /
  rm -rf "$scratch" "$work" || { echo "FAIL $name: rm -rf $work" >&2; status=1; }
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM
mkdir "$work"
cd "$work"
# The end of each script.
verdict() { [ "$bad" = 0 ] && echo "ok $name"; exit "$bad"; }
