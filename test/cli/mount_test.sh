#!/usr/bin/env bash
# The commands on a real mount: mount, umount, signals, the mount helper, exit codes, fsck, dump, load.
#   mount_test.sh CURVEFS       exit code 77: cannot mount here
set -uo pipefail

curvefs=$(readlink -f "$1")
[ -r /dev/fuse ] && [ -w /dev/fuse ] && [ "$(id -u)" -eq 0 ] || { echo "skipped: needs root and /dev/fuse"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/curvefs-cli-test.XXXXXX")
fs=$work/fs mnt=$work/mnt
mkdir "$mnt"
. "$(dirname "$0")/common.sh"
mounted() { grep -qF " $mnt fuse.curvefs " /proc/mounts; }
daemon() { sed -n 's/^pid //p' "$fs/LOCK"; }
# A process that nobody has waited for yet counts as gone.
alive() { [ -d "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
ended() { for _ in $(seq 400); do alive "$1" || return 0; sleep 0.05; done; return 1; }

# Help, with examples, for everything; nonsense is refused.
for command in mount umount info fsck dump load config version; do
  expect 0 "$curvefs" $command --help; says "Examples:"
done
expect 16 "$curvefs"
expect 16 "$curvefs" bake; says "no command 'bake'"
expect 16 "$curvefs" quota bake; says "no command 'quota bake'"
expect 16 "$curvefs" mount --standalone "$fs"
expect 16 "$curvefs" mount --standalone "$fs" "$mnt" --commit-interval 1h; says "commit-interval"
expect 16 "$curvefs" mount --standalone "$fs" "$mnt" -o bogus; says "bogus"
expect 0 "$curvefs" version --json; holds 'python3 -m json.tool <"$work/out" >/dev/null'
expect 0 "$curvefs" config --json; holds 'python3 -m json.tool <"$work/out" >/dev/null'

# Output that is lost is a failure.
lost() { "$@" >/dev/full; }
for command in "version" "version --json" "config" "config --json" "--help"; do
  expect 8 lost "$curvefs" $command; says "standard output: No space left on device"
done
expect 0 sh -c "\"$curvefs\" mount --standalone \"$work/nowhere\" \"$work/neither\" >&-; [ \$? = 32 ]"

# What cannot be mounted is refused, with the reason, and leaves nothing behind.
expect 32 "$curvefs" mount --standalone "$fs" "$work/nowhere"; says "mkdir"
expect 32 "$curvefs" mount --standalone "$work/a/b/c" "$mnt"
expect 32 "$curvefs" mount --standalone "$mnt/fs" "$mnt"; says "one in the other"
mkdir "$work/full"; echo precious >"$work/full/file"
expect 32 "$curvefs" mount --standalone "$work/full" "$mnt"; says "file"
holds '[ "$(ls "$work/full")" = file ]'
expect 32 "$curvefs" mount --standalone "$fs" "$mnt" --read-only; says "holds no CurveFS"
holds '! mounted'

# Mount, use, a second mount, unmount.
expect 0 "$curvefs" mount --standalone "$fs" "$mnt" --commit-interval 300ms
holds mounted
holds '[ "$(stat -c %a "$fs/meta")" = 700 ]'
expect 0 cp -a /usr/include/linux "$mnt/"
expect 0 diff -r --no-dereference /usr/include/linux "$mnt/linux"
expect 0 cat "$mnt/.config"; says 'commit-interval = "300ms"'
expect 0 cat "$mnt/.stats"; says "journal_durable"
expect 32 "$curvefs" mount --standalone "$fs" "$work/full"; says "process $(daemon)"; says "$mnt"
expect 8 "$curvefs" fsck "$fs"; says "in use"
expect 0 "$curvefs" info "$mnt/linux/fs.h"; says "inode"
expect 0 "$curvefs" info --json "$mnt/linux" "$mnt/linux/fs.h"; holds 'python3 -m json.tool <"$work/out" >/dev/null'
expect 0 "$curvefs" info "$mnt/linux"; says "entries    $(ls "$mnt/linux" | wc -l)"
expect 8 lost "$curvefs" info --json "$mnt"; says "standard output"
expect 8 lost "$curvefs" info "$mnt/linux/fs.h"; says "standard output"
expect 8 lost "$curvefs" quota list "$mnt"; says "standard output"
expect 8 "$curvefs" info /proc; says "not in a mounted CurveFS"
exec 5<"$mnt/linux/fs.h"
expect 8 "$curvefs" umount "$mnt"; says "in use by"
exec 5<&-
pid=$(daemon)
expect 0 "$curvefs" umount "$mnt"
holds '! mounted'
holds '! alive "$pid"'
holds '[ ! -s "$fs/LOCK" ]'
expect 8 "$curvefs" umount "$mnt"; says "nothing is mounted"
expect 8 "$curvefs" umount /proc; says "not of CurveFS"

# Check, dump, load into the other engine, check again.
expect 0 "$curvefs" fsck --deep "$fs"; says clean
expect 0 "$curvefs" fsck --json "$fs"; holds 'python3 -m json.tool <"$work/out" >/dev/null'
expect 8 "$curvefs" fsck "$work/full"; says "is no CurveFS file system"
expect 0 "$curvefs" dump "$fs" "$work/dump"
expect 0 "$curvefs" load --meta-engine rocksdb "$work/dump" "$work/copy"
expect 8 "$curvefs" load "$work/dump" "$work/copy"; says "already"
expect 0 "$curvefs" dump "$work/copy" "$work/dump2"
holds 'cmp <(tail -n +2 "$work/dump") <(tail -n +2 "$work/dump2")'
cp -a "$fs/objects/." "$work/copy/objects/"
expect 0 "$curvefs" fsck --deep "$work/copy"
expect 0 "$curvefs" mount --standalone "$work/copy" "$mnt" --meta-memory 32MiB
expect 0 diff -r --no-dereference /usr/include/linux "$mnt/linux"
expect 0 "$curvefs" umount "$mnt"

# An object goes missing, another is left over.
object=$(find "$work/copy/objects" -type f | head -1)
mv "$object" "$work/object"
expect 4 "$curvefs" fsck "$work/copy"; says "missing"
expect 4 "$curvefs" fsck --repair "$work/copy"
mv "$work/object" "$object"
expect 0 "$curvefs" fsck "$work/copy"

# In front, ended by SIGTERM; the data are there.
"$curvefs" mount --standalone "$fs" "$mnt" -f >"$work/front" 2>&1 &
background=$!
timeout 20 sh -c "until grep -qF ' $mnt fuse.curvefs ' /proc/mounts; do sleep 0.05; done"
holds mounted
echo "kept by SIGTERM" >"$mnt/note"
kill -TERM "$background"
expect 0 wait "$background"
background=
holds '! mounted'
holds 'grep -q "all is stored" "$work/front"'

# A lazy unmount: what is open goes on, the process ends with it.
expect 0 "$curvefs" mount --standalone "$fs" "$mnt"
holds '[ "$(cat "$mnt/note")" = "kept by SIGTERM" ]'
pid=$(daemon)
exec 5>"$mnt/late"
expect 0 "$curvefs" umount --lazy "$mnt"
holds '! mounted'
holds 'echo "written late" >&5'
exec 5>&-
expect 0 ended "$pid"

# The mount helper, as mount(8) and fstab use it.
ln -s "$curvefs" "$work/mount.curvefs"
expect 1 "$work/mount.curvefs" "$fs"
expect 1 "$work/mount.curvefs" "$fs" "$mnt" -o nonsense
expect 0 "$work/mount.curvefs" "$fs" "$mnt" -f -o rw
holds '! mounted'
expect 0 "$work/mount.curvefs" "$fs" "$mnt" -o rw,nosuid,nodev,noatime,nofail,_netdev,x-systemd.automount,sync_close
holds 'grep -F " $mnt fuse.curvefs " /proc/mounts | grep -q nosuid,nodev,noatime'
holds '[ "$(cat "$mnt/late")" = "written late" ]'
holds 'grep -q "sync-close = true" "$mnt/.config"'

# A killed process: the mount is taken away, the next one recovers what was synced, and says so.
expect 0 dd if=/dev/urandom of="$mnt/synced" bs=64k count=40 conv=fsync
cp "$mnt/synced" "$work/synced"
pid=$(daemon)
kill -9 "$pid"
ended "$pid"
expect 8 "$curvefs" umount "$mnt"; says "before all was stored"
expect 0 "$curvefs" fsck --deep "$fs"
expect 0 "$curvefs" mount --standalone "$fs" "$mnt"
expect 0 cmp "$mnt/synced" "$work/synced"
holds 'grep -q "not closed cleanly by process $pid" "$fs/curvefs.log"'

# A mount whose process was killed does not stand in the way of the next.
pid=$(daemon)
kill -9 "$pid"
ended "$pid"
expect 0 "$curvefs" mount --standalone "$fs" "$mnt"
expect 0 cmp "$mnt/synced" "$work/synced"
expect 0 "$curvefs" umount "$mnt"

# Read-only: by flag, by -o, by the environment; nothing below DIR changes.
sums() { (cd "$fs" && find . -type f ! -name LOCK -exec md5sum {} + | sort); }
before=$(sums)
expect 0 "$curvefs" mount --standalone "$fs" "$mnt" --read-only --log-file "$work/log"
expect 1 touch "$mnt/new"; says "Read-only file system"
expect 0 diff -r --no-dereference /usr/include/linux "$mnt/linux"
expect 0 "$curvefs" umount "$mnt"
expect 0 env CURVEFS_READ_ONLY=true CURVEFS_LOG_FILE="$work/log" "$curvefs" mount --standalone "$fs" "$mnt"
expect 1 rm "$mnt/note"
expect 0 "$curvefs" umount "$mnt"
holds '[ "$(sums)" = "$before" ]'
holds 'grep -q "is mounted" "$work/log"'
# The same where the directory cannot be written at all.
mkdir "$work/bind"
if mount --bind "$fs" "$work/bind" 2>/dev/null && mount -o remount,bind,ro "$work/bind" 2>/dev/null; then
  expect 0 "$curvefs" mount --standalone "$work/bind" "$mnt" -o ro --log-file "$work/log"
  holds '[ "$(cat "$mnt/note")" = "kept by SIGTERM" ]'
  expect 0 "$curvefs" umount "$mnt"
  expect 32 "$curvefs" mount --standalone "$work/bind" "$mnt" --log-file "$work/log"
  umount "$work/bind"
fi

# A knob that does not apply is an error, not silence.
expect 32 "$curvefs" mount --standalone "$fs" "$mnt" --meta-memory 64MiB; says "rocksdb"
expect 32 "$curvefs" mount --standalone "$fs" "$mnt" --meta-engine rocksdb; says "memory engine"

# Relative paths are those of the shell, also for the process in the background.
echo "open sesame" >"$work/pass"
mkdir "$work/warm"
expect 0 cd "$work"
expect 0 "$curvefs" mount --standalone enc mnt --encrypt-passphrase-file pass --cache-dir warm --log-file enc.log
holds mounted
holds '[ -n "$(ls "$work/warm")" ]'
expect 0 "$curvefs" umount mnt
holds 'grep -q "is mounted" "$work/enc.log"'
expect 0 cd /

# A directory of a newer format is refused.
sed -i 's/^format = 1/format = 99/' "$fs/curvefs.toml"
expect 32 "$curvefs" mount --standalone "$fs" "$mnt"; says "format 99"
sed -i 's/^format = 99/format = 1/' "$fs/curvefs.toml"

holds '! mounted'
echo "$checks checks, $failures failed"
[ "$failures" -eq 0 ]
