# Sourced by the scripts that mount and kill (test/crash/run.sh, test/real/s3.sh), once $curvefs, $writer, $base and $mnt are
# set: one mount at a time, in front of a process of ours, so that its number is known.
daemon= helper= passed=0 failed=0 part=setup bad=0

mounted() { grep -q " $mnt fuse" /proc/mounts; }
running() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }
fail() { echo "FAIL $part: $*"; bad=1; }
wait_for() { # wait_for SECONDS command...: until it succeeds
  end=$(($(date +%s) + $1)); shift
  until "$@" 2>/dev/null; do [ "$(date +%s)" -lt $end ] || return 1; sleep 0.02; done
}
end_process() { # end_process PID SIGNAL
  if running "$1"; then kill -CONT "$1" 2>/dev/null || true; kill -"$2" "$1" 2>/dev/null || true; fi
  [ -z "$1" ] || wait "$1" 2>/dev/null || true
}
unmount_dead() { tries=0; while mounted && [ $tries -lt 50 ]; do umount -l "$mnt" 2>/dev/null || sleep 0.1; tries=$((tries + 1)); done; }
stop_helper() { end_process "$helper" KILL; helper=; }
kill_daemon() { end_process "$daemon" KILL; daemon=; unmount_dead; }
# start DIR [options]: mounts, with the metadata engine $engine if that is set, or says why not.
start() {
  "$curvefs" mount -f --standalone "$@" ${engine:+--meta-engine "$engine"} "$mnt" >>"$base/daemon.log" 2>&1 &
  daemon=$!
  up() { mounted && stat "$mnt/." >/dev/null; }
  gone() { up || ! running "$daemon"; }
  wait_for 60 gone || true
  up || { fail "does not mount: $(tail -n 3 "$base/daemon.log")"; daemon=; return 1; }
}
stop() { # stop [options of umount]: a clean end
  "$curvefs" umount "$@" "$mnt" || fail "umount returned $?"
  [ -z "$daemon" ] || wait "$daemon" || fail "the mount's process returned $?: $(tail -n 3 "$base/daemon.log")"
  daemon=
}
fsck() { # fsck DIR: clean without repair
  "$curvefs" fsck --deep "$1" >"$base/fsck" 2>&1 && grep -qx clean "$base/fsck" || fail "fsck: $(tail -n 5 "$base/fsck")"
}
verify() { "$writer" verify "$mnt" "$1" >"$base/verify" 2>&1 || fail "verify: $(tail -n 8 "$base/verify")"; }
# A random number below $1.
random() { od -An -N4 -tu4 /dev/urandom | awk -v n="$1" '{print $1 % n}'; }
# Sleeps a random time from 100 to 100 + $1 milliseconds, or from $2: the moment of a crash.
moment() { sleep "$(random "$1" | awk -v least="${2:-100}" '{printf "%.3f", (least + $1) / 1000}')"; }
run_parts() { # run_parts PART...: part_NAME of each, and the count of them
  for part in "$@"; do
    bad=0 began=$(date +%s)
    part_"$part"
    kill_daemon; stop_helper
    if [ $bad = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); tail -n 5 "$base/daemon.log" || true; fi
    echo "$part: $([ $bad = 0 ] && echo ok || echo FAILED), $(($(date +%s) - began)) s"
  done
  echo "$passed passed, $failed failed"
  [ $failed = 0 ]
}
