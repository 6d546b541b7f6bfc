#!/bin/sh
# fio writes patterns and reads them back verified: sequential, random, mapped, direct, several jobs, mixed sizes.
. "$(dirname "$0")/common.sh"
need fio
size=${full:+256m}; size=${size:-24m}
run() { # run NAME options...
  job=$1; shift
  check "$job" fio --name="$job" --directory="$work" --size="$size" --verify=crc32c --verify_fatal=1 --do_verify=1 \
    --randrepeat=1 --output="$scratch/fio.log" --eta=never "$@"
  rm -f "$work/$job".*
}
run seq --rw=write --bs=128k
run rand --rw=randwrite --bs=4k --size=8m
run mapped --rw=randwrite --bs=4k --size=8m --ioengine=mmap
run mappedseq --rw=write --bs=64k --ioengine=mmap
run direct --rw=write --bs=256k --direct=1
run directrand --rw=randwrite --bs=4k --direct=1 --size=4m
run mixed --rw=randrw --bsrange=1k-300k --bs_unaligned --size=16m
run jobs --rw=randwrite --bs=8k --numjobs=4 --size=6m
run fsynced --rw=randwrite --bs=4k --size=2m --fsync=16
run osync --rw=write --bs=16k --size=1m --sync=1
run aio --rw=randwrite --bs=4k --size=8m --ioengine=libaio --iodepth=16
run vsync --rw=randwrite --bs=16k --size=8m --ioengine=pvsync2
run trunc --rw=write --bs=64k --size=8m --fallocate=truncate
run prealloc --rw=randwrite --bs=64k --size=8m --fallocate=posix
verdict
