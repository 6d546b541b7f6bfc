#!/usr/bin/env python3
"""delete_many.py DIR COUNT: how long single operations of one program take, alone and while another deletes COUNT files.
Prints median and worst of both, of the same run, and returns 1 if the deletion makes them worse by more than a generous
factor: it shares two processors with it, but must not make it wait its turn behind thousands."""
import os, subprocess, sys, time

mnt, count = sys.argv[1], int(sys.argv[2])
PER_DIR = 1000
MEDIAN, WORST = 20, 100  # times as long; the worst of a loaded machine is a matter of luck
many, work = mnt + "/many", mnt + "/work"
os.mkdir(many), os.mkdir(work)
began = time.monotonic()
for d in range((count + PER_DIR - 1) // PER_DIR):
    os.mkdir(f"{many}/{d}")
    for i in range(min(PER_DIR, count - d * PER_DIR)):
        fd = os.open(f"{many}/{d}/{i}", os.O_CREAT | os.O_WRONLY)
        os.write(fd, b"x" * 100)
        os.close(fd)
os.sync()
print(f"  {count} files made in {time.monotonic() - began:.1f} s")


def operations(i):
    name = f"{work}/{i}"
    yield lambda: os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
    yield lambda: os.stat(name)
    yield lambda: os.rename(name, name + "x")
    yield lambda: os.listdir(work)
    yield lambda: os.unlink(name + "x")


def measure(go_on):
    took, i = [], 0
    while go_on():
        for operation in operations(i):
            at = time.perf_counter()
            operation()
            took.append(time.perf_counter() - at)
        i += 1
    took.sort()
    return took[len(took) // 2], took[-1], len(took)


def alone(seconds):
    end = time.monotonic() + seconds
    return measure(lambda: time.monotonic() < end)


before = alone(3)
began = time.monotonic()
rm = subprocess.Popen(["rm", "-rf", many])
beside = measure(lambda: rm.poll() is None)
took = time.monotonic() - began
settling = alone(3)  # the background deletes what the files held
after = alone(3)
for what, (median, worst, n) in [("alone", before), (f"beside rm -rf ({took:.1f} s)", beside),
                                 ("while space is freed", settling), ("alone again", after)]:
    print(f"  {what}: median {median * 1e6:.0f} us, worst {worst * 1e3:.1f} ms, of {n}")
bad = rm.returncode != 0
for busy in (beside, settling):
    bad |= busy[0] > MEDIAN * max(before[0], after[0])
    bad |= busy[1] > WORST * max(before[1], after[1], 10 * before[0])
sys.exit(1 if bad else 0)
