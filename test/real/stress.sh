#!/bin/sh
# stress-ng's stressors of file systems, each for a short time.
. "$(dirname "$0")/common.sh"
need stress-ng
t=${full:+10}; t=${t:-1}
list="access chattr chdir chmod chown copy-file dentry dir dirdeep dirmany dnotify dup fallocate fcntl fiemap file-ioctl filename flock
  fpunch fsize fstat getdent hdd inotify io iomix lease link locka lockf lockofd mknod open readahead rename revio rotate seek
  sendfile symlink sync-file touch unlink utime verity xattr"
[ -n "$full" ] || list="access chdir chmod chown dentry dir dirdeep fallocate fcntl filename flock fpunch fstat getdent hdd
  iomix link locka lockofd mknod open rename seek sendfile symlink touch unlink utime xattr"
known=$(stress-ng --stressors 2>/dev/null | tr ' ' '\n')
for s in $list; do
  echo "$known" | grep -qx "$s" || continue
  case $s in hdd) more="--hdd-bytes 16m" ;; iomix) more="--iomix-bytes 16m" ;; seek) more="--seek-size 16m" ;; fallocate) more="--fallocate-bytes 16m" ;; *) more= ;; esac
  # shellcheck disable=SC2086
  timeout $((t * 10 + 60)) stress-ng --temp-path "$work" --"$s" 2 $more --timeout "${t}s" --verify --oomable --quiet >"$scratch/out" 2>&1 && r=0 || r=$?
  case $r in
  0 | 3 | 4) ;; # 3: no resources, 4: not implemented here
  *) fail "$s returned $r"; tail -n 5 "$scratch/out" >&2 ;;
  esac
done
verdict
