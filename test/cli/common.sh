# Sourced by the scripts of this folder, once $work is there: checks that are counted, and the end of it all.
failures=0 checks=0

cleanup() {
  for m in $(awk -v w="$work" 'index($2, w) == 1 {print $2}' /proc/mounts); do umount -l "$m" 2>/dev/null; done
  [ -n "${background:-}" ] && kill -9 "$background" 2>/dev/null
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
