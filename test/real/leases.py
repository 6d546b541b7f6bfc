#!/usr/bin/env python3
"""leases.py --curvefs BIN [--seconds N] [--seed S] [--partitions N] [--early] [--canary] [--work DIR]

A cluster of `curvefs cluster up`, mounted twice. Threads do something on one mount and look at once on the other, which
has been looked at all the time and so answers from what it keeps: names, attributes, extended attributes, links, contents.
Other threads watch numbers that only grow. Meanwhile metaservers are killed and stopped, leaders hand over, and the second
mount is stopped: others' changes wait for it for a moment, and not longer. With --canary the second mount may rely on what
it knows for ten seconds, and must be found out. With --early both mounts take answers before the commit: what a leader
that dies had answered so, they must bring to the next. Leaves nothing mounted or running; without what it needs it exits with 77.
"""
import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE = 120   # seconds for what must come
HELD_UP = 6.0    # so long a change may take at most while the other mount is stopped; on a busy machine


def run(*args, check=True, timeout=PATIENCE):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"'{' '.join(args)}' returned {done.returncode}: {done.stdout.strip()}")
    return done.stdout


class Run:
    def __init__(self, args, base):
        self.args, self.base, self.rng = args, base, random.Random(args.seed)
        self.dir, self.mnt = base + "/cluster", [base + "/1", base + "/2"]
        self.processes = []
        self.wrong, self.checks, self.slowest, self.end = [], 0, 0.0, 0.0
        self.quiet = threading.Lock()  # held while the second mount is stopped: nobody looks there
        self.grown = [[0, 0] for _ in range(4)]  # of each worker: what both mounts must show at least, and what is being set

    def say(self, text):
        print("  " + text, flush=True)

    def up(self):
        run(self.args.curvefs, "cluster", "up", self.dir)
        status = json.loads(run(self.args.curvefs, "cluster", "status", "--json", self.dir))
        os.environ["CURVEFS_MDS"] = self.mds = status["mds"]
        run(self.args.curvefs, "fs", "create", "home", "--data", "dir:" + self.base + "/objects", "--partitions", str(self.args.partitions))
        for i, mnt in enumerate(self.mnt):
            os.mkdir(mnt)
            relies = ["--attr-cache", "10s", "--entry-cache", "10s"] if i == 1 and self.args.canary else []
            if self.args.early:
                relies.append("--early-answers")
            with open(f"{self.base}/mount{i}.log", "ab") as log:
                self.processes.append(subprocess.Popen([self.args.curvefs, "mount", "-f", f"mds://{self.mds}/home", mnt, *relies], stdout=log, stderr=log))
            end = time.monotonic() + PATIENCE
            while not os.path.ismount(mnt):
                if time.monotonic() > end:
                    raise RuntimeError("not mounted: " + mnt)
                time.sleep(0.05)

    def stats(self, mount):
        with open(self.mnt[mount] + "/.stats", encoding="utf-8") as counters:
            return dict(line.rsplit(" ", 1) for line in counters.read().splitlines() if line.count(" ") == 1)

    def down(self):
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
        for mnt, process in zip(self.mnt, self.processes):
            subprocess.run(["umount", "-l", mnt], stderr=subprocess.DEVNULL, check=False)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        subprocess.run([self.args.curvefs, "cluster", "down", self.dir], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=PATIENCE)

    # ---- Workers

    def must(self, what, good):
        self.checks += 1
        if not good and len(self.wrong) < 20:
            self.wrong.append(what)

    def steps(self, n, rng):
        """Each: what is done on one mount `a`, and what `b` must show then. Of a directory of the worker's own."""
        d, i = f"w{n}", 0
        while True:
            i += 1
            f, g = f"{d}/f{i % 7}", f"{d}/g{i % 5}"
            def there(p):
                return lambda b: os.path.lexists(f"{b}/{p}") and os.path.basename(p) in os.listdir(f"{b}/{d}")
            def gone(p):
                return lambda b: not os.path.lexists(f"{b}/{p}") and os.path.basename(p) not in os.listdir(f"{b}/{d}")
            def write(a, p=f, text=f"{i}" * (i % 300)):
                with open(f"{a}/{p}", "w", encoding="ascii") as out:
                    out.write(text)
            def reads(b, p=f, text=f"{i}" * (i % 300)):
                with open(f"{b}/{p}", encoding="ascii") as got:
                    return os.stat(f"{b}/{p}").st_size == len(text) and got.read() == text
            yield "write", write, reads
            yield "chmod", lambda a, p=f, m=0o600 + i % 64: os.chmod(f"{a}/{p}", m), lambda b, p=f, m=0o600 + i % 64: os.stat(f"{b}/{p}").st_mode & 0o777 == m
            yield "setxattr", lambda a, p=f, v=b"%d" % i: os.setxattr(f"{a}/{p}", "user.x", v), lambda b, p=f, v=b"%d" % i: os.getxattr(f"{b}/{p}", "user.x") == v
            yield "rename", lambda a, p=f, q=g: os.rename(f"{a}/{p}", f"{a}/{q}"), lambda b, p=f, q=g: there(q)(b) and gone(p)(b)
            yield "link", lambda a, p=f, q=g: os.link(f"{a}/{q}", f"{a}/{p}"), lambda b, p=f, q=g: os.stat(f"{b}/{p}").st_nlink == 2 == os.stat(f"{b}/{q}").st_nlink
            yield "unlink", lambda a, q=g: os.unlink(f"{a}/{q}"), lambda b, p=f, q=g: gone(q)(b) and os.stat(f"{b}/{p}").st_nlink == 1
            yield "removexattr", lambda a, p=f: os.removexattr(f"{a}/{p}", "user.x"), lambda b, p=f: "user.x" not in os.listxattr(f"{b}/{p}")
            yield "mkdir", lambda a, q=g: os.mkdir(f"{a}/{q}"), lambda b, q=g: os.listdir(f"{b}/{q}") == []
            yield "create in it", lambda a, q=g: os.close(os.open(f"{a}/{q}/x", os.O_CREAT | os.O_EXCL)), lambda b, q=g: os.listdir(f"{b}/{q}") == ["x"] and os.path.exists(f"{b}/{q}/x")
            yield "unlink in it", lambda a, q=g: os.unlink(f"{a}/{q}/x"), lambda b, q=g: os.listdir(f"{b}/{q}") == [] and not os.path.exists(f"{b}/{q}/x")
            yield "rmdir", lambda a, q=g: os.rmdir(f"{a}/{q}"), gone(g)
            yield "symlink", lambda a, q=g, t=f"t{i}": os.symlink(t, f"{a}/{q}"), lambda b, q=g, t=f"t{i}": os.readlink(f"{b}/{q}") == t
            yield "unlink it", lambda a, q=g: os.unlink(f"{a}/{q}"), gone(g)
            yield "truncate", lambda a, p=f, n=i * 11 % 5000: os.truncate(f"{a}/{p}", n), lambda b, p=f, n=i * 11 % 5000: os.stat(f"{b}/{p}").st_size == n
            self.grown[n][1] = i
            yield "grow", lambda a, n=n, i=i: os.utime(f"{a}/grows{n}", ns=(i, i)), lambda b, n=n, i=i: os.stat(f"{b}/grows{n}").st_mtime_ns == i
            self.grown[n][0] = i

    def work(self, n):
        rng = random.Random(self.args.seed * 100 + n)
        os.mkdir(f"{self.mnt[0]}/w{n}")
        try:
            for what, do, shows in self.steps(n, rng):
                if time.monotonic() > self.end or self.wrong:
                    return
                a, b = rng.sample(self.mnt, 2)
                with self.quiet:  # else it would wait for a mount that is stopped
                    pass
                do(a)
                self.must(f"{what} on {a} does not show on {b}", shows(b))
                self.must(f"{what} on {a} does not show there", shows(a))
        except OSError as error:
            self.wrong.append(f"worker {n}: {what}: {error}")

    def watch(self, n):
        """What only grows, on either mount."""
        seen = 0
        while time.monotonic() < self.end and not self.wrong:
            b = self.mnt[seen % 2]
            least = self.grown[n][0]
            now = os.stat(f"{b}/grows{n}").st_mtime_ns
            self.must(f"{b} shows {now}, and {max(seen, least)} was there before", now >= max(seen, least))
            seen = now

    # ---- What goes wrong

    def disturb(self):
        status = json.loads(run(self.args.curvefs, "cluster", "status", "--json", self.dir, check=False))
        pids = {p["name"]: p["pid"] for p in status["processes"] if p.get("pid")}
        name = self.rng.choice(sorted(p for p in pids if p.startswith("metaserver")))
        deed = self.rng.choice(["kill", "stop", "hand over", "stop the mount"])
        self.say(f"{deed} {name if deed in ('kill', 'stop') else ''}")
        if deed == "kill":
            os.kill(pids[name], signal.SIGKILL)
        elif deed == "stop":
            os.kill(pids[name], signal.SIGSTOP)
            time.sleep(1.5)
            os.kill(pids[name], signal.SIGCONT)
        elif deed == "hand over":
            for copyset in json.loads(run(self.args.curvefs, "copyset", "list", "--mds", self.mds, "--json")):
                to = self.rng.choice(copyset["peers"])["replica"]
                for peer in copyset["peers"]:  # one of them leads
                    run(self.args.curvefs, "copyset", "transfer", str(copyset["copyset"]), str(to), "--server", peer["address"], check=False)
        else:
            with self.quiet:
                time.sleep(0.5)  # who looks there now has his answer
                self.processes[1].send_signal(signal.SIGSTOP)
                began = time.monotonic()
                for i in range(20):
                    os.utime(f"{self.mnt[0]}/grows{i % 4}", ns=(self.grown[i % 4][1], self.grown[i % 4][1]))
                    os.close(os.open(f"{self.mnt[0]}/w0/stopped{i}", os.O_CREAT))
                    os.unlink(f"{self.mnt[0]}/w0/stopped{i}")
                took = time.monotonic() - began
                self.processes[1].send_signal(signal.SIGCONT)
            self.slowest = max(self.slowest, took)
            self.must(f"60 changes took {took:.1f} s while the other mount was stopped", took < HELD_UP)

    def alone(self):
        """One mount changes things alone, in eight threads, so all answers are early ones, while one metaserver after another is
        killed or stopped: every name whose making, renaming and removal was acknowledged is as it was told, with its inode id."""
        there = [{} for _ in range(8)]
        done = threading.Event()

        def work(n):
            try:
                os.mkdir(f"{self.mnt[0]}/alone{n}")
                for i in range(10**6):
                    name = f"{self.mnt[0]}/alone{n}/f{i}"
                    made = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                    os.write(made, name.encode())
                    inode = os.fstat(made).st_ino
                    os.close(made)
                    if i % 3 == 1:
                        os.rename(name, name + "r")
                    elif i % 3 == 2:
                        os.unlink(name)
                    if i % 3 < 2:
                        there[n][f"f{i}" + "r" * (i % 3)] = inode
                    if done.is_set():
                        break
            except OSError as error:
                self.wrong.append(f"alone: {error}")

        threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(8)]
        for thread in threads:
            thread.start()
        for i in range(9):
            time.sleep(1.2)
            status = json.loads(run(self.args.curvefs, "cluster", "status", "--json", self.dir, check=False))
            pids = {p["name"]: p["pid"] for p in status["processes"] if p.get("pid")}
            pid = pids.get(f"metaserver{i % 3 + 1}")
            if pid:
                os.kill(pid, signal.SIGKILL if i % 2 else signal.SIGSTOP)
                time.sleep(1.2)
                if i % 2 == 0:
                    os.kill(pid, signal.SIGCONT)
        done.set()
        for n, thread in enumerate(threads):
            thread.join(PATIENCE)
            self.must("somebody waits for ever", not thread.is_alive())
            seen = {entry.name: entry.inode() for entry in os.scandir(f"{self.mnt[1]}/alone{n}")}
            wrong = {name for name in seen.keys() | there[n].keys() if seen.get(name) != there[n].get(name)}
            self.must(f"other than it was told: {sorted(wrong)[:5]}", not wrong)
            for name in list(there[n])[-200:]:
                with open(f"{self.mnt[1]}/alone{n}/{name}", "rb") as file:
                    self.must(f"alone{n}/{name} has another content", file.read().endswith(name.rstrip("r").encode()))
        self.say(f"{sum(map(len, there))} names made by one mount alone, all as they were told")

    def go(self):
        self.up()
        if self.args.early:
            self.alone()
        for n in range(4):
            os.close(os.open(f"{self.mnt[0]}/grows{n}", os.O_CREAT))
            os.utime(f"{self.mnt[0]}/grows{n}", ns=(0, 0))
        self.end = time.monotonic() + self.args.seconds
        threads = [threading.Thread(target=f, args=(n,), daemon=True) for n in range(4) for f in (self.work, self.watch)]
        for thread in threads:
            thread.start()
        while time.monotonic() < self.end - 3 and not self.wrong:
            time.sleep(self.rng.uniform(1, 3))
            if not self.args.canary:
                self.disturb()
        for thread in threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.wrong.append("somebody waits for ever")
                break
        for wrong in self.wrong:
            self.say("WRONG " + wrong)
        stats = self.stats(1)
        if self.args.early:
            early, again, lost = (sum(int(self.stats(i)["meta_" + name]) for i in (0, 1)) for name in ("early_answers", "sent_again", "lost"))
            self.say(f"{early} answers before the commit, {again} brought to another leader, {lost} lost")
            if early < 100 or lost > 0:
                self.wrong.append("early answers")
        self.say(f"{self.checks} looks, {stats.get('meta_lease_hits')} answers of the second mount from what it keeps, {len(self.wrong)} wrong; "
                 f"60 changes while it was stopped took {self.slowest:.1f} s at most")
        return not self.wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curvefs", required=True)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--early", action="store_true")
    parser.add_argument("--canary", action="store_true")
    parser.add_argument("--work", default=None)
    args = parser.parse_args()
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("NOT TESTED: needs root and /dev/fuse", file=sys.stderr)
        sys.exit(77)
    base = tempfile.mkdtemp(prefix="curvefs-leases-", dir=args.work)
    print(f"leases: --seed {args.seed}, {args.partitions} partitions, {args.seconds:.0f} s")
    run_ = Run(args, base)
    good = False
    try:
        good = run_.go()
    finally:
        run_.down()
        shutil.rmtree(base, ignore_errors=True)
    if args.canary:
        good = not good
    print("1 passed, 0 failed" if good else "0 passed, 1 failed")
    sys.exit(0 if good else 1)


main()
