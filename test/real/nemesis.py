#!/usr/bin/env python3
"""nemesis.py --curvefs BIN [--writer BIN] [--seconds N] [--seed S] [--work DIR] [--keep]

A cluster of `curvefs cluster up`, mounted twice, under a load that keeps a manifest of what was fsynced
(test/crash/crash_writer.cc), while processes of every sort are killed (SIGKILL) and stopped (SIGSTOP), ports are
cut off in one direction or both, the disk of a metaserver and of an etcd member is full, other disks are slow, and
everything loses its power. Then all is made well, and: every promise holds on both mounts, both list the same tree, link counts
are right, the replicas hold the same. In the end the checks are held against damage of ours (canaries).

In namespaces of its own: needs root, and leaves nothing mounted. Without what it needs it exits with 77. What
was done, when, is printed; --seed does the same in the same order again, the moments differ.
"""
import argparse
import concurrent.futures
import ctypes
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TMPFS = "256m"  # the disks that get full
PATIENCE = 180  # seconds for what must come


def skip(why):
    print(f"NOT TESTED: {why}", file=sys.stderr)
    sys.exit(77)


def run(*args, check=True, timeout=PATIENCE):
    """The process, ended; its output as text."""
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"'{' '.join(args)}' returned {done.returncode}: {done.stdout.strip()}")
    return done


def await_that(what, condition, limit=PATIENCE):
    end = time.monotonic() + limit
    while True:
        try:
            found = condition()
        except (OSError, RuntimeError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            found, what = None, f"{what.split(' — ')[0]} — {error}"
        if found:
            return found
        if time.monotonic() > end:
            raise RuntimeError(f"within {limit} s not: {what}")
        threading.Event().wait(0.1)


def enter_namespaces():
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newns, clone_newnet, ms_rec, ms_private = 0x20000, 0x40000000, 0x4000, 1 << 18
    if libc.unshare(clone_newns | clone_newnet) != 0:
        skip(f"no namespaces of our own (root is needed): {os.strerror(ctypes.get_errno())}")
    if libc.mount(b"none", b"/", None, ms_rec | ms_private, None) != 0:
        skip(f"nothing can be mounted: {os.strerror(ctypes.get_errno())}")
    # Rules come before the table of local addresses, so that they hold on loopback.
    for command in ("ip link set lo up", "ip rule add pref 100 lookup local", "ip rule del pref 0",
                    "ip rule add pref 1 ipproto tcp dport 9 blackhole", "ip rule del pref 1"):
        done = run(*command.split(), check=False)
        if done.returncode != 0:
            skip(f"'{command}': {done.stdout.strip()}")


class SlowDisk:
    """A group of processes whose writes the kernel holds back (control groups, of either version)."""

    def __init__(self, root, device, old):
        self.root, self.device, self.old = root, device, old
        self.group = f"{root}/curvefs-nemesis-{os.getpid()}"

    @staticmethod
    def write(path, text):
        with open(path, "w", encoding="ascii") as f:
            f.write(text)

    def slow(self, pid, writes):
        os.makedirs(self.group, exist_ok=True)
        if self.old:
            self.write(f"{self.group}/blkio.throttle.write_iops_device", f"{self.device} {writes}")
        else:
            self.write(f"{self.group}/io.max", f"{self.device} wiops={writes}")
        self.write(f"{self.group}/cgroup.procs", str(pid))
        return self.mend

    def mend(self):
        if not os.path.isdir(self.group):
            return
        with open(f"{self.group}/cgroup.procs", encoding="ascii") as f:
            pids = f.read().split()
        for pid in pids:
            try:
                self.write(f"{self.root}/cgroup.procs", pid)
            except ProcessLookupError:
                pass  # it has ended
        await_that("the group of the slow disk is empty", lambda: os.rmdir(self.group) or True)


def slow_disk(path):
    """None where there are no such groups, or `path` is on no disk."""
    device = os.stat(path).st_dev
    device = f"{os.major(device)}:{os.minor(device)}"
    if not os.path.exists(f"/sys/dev/block/{device}"):
        return None
    whole = os.path.realpath(f"/sys/dev/block/{device}")
    if os.path.exists(f"{whole}/partition"):
        with open(f"{os.path.dirname(whole)}/dev", encoding="ascii") as f:
            device = f.read().strip()
    for root, old in (("/sys/fs/cgroup/blkio", True), ("/sys/fs/cgroup", False)):
        disk = SlowDisk(root, device, old)
        try:
            if not old:
                SlowDisk.write(f"{root}/cgroup.subtree_control", "+io")
            disk.slow(0, 1000)()  # this process, and back
            return disk
        except OSError:
            if os.path.isdir(disk.group):
                os.rmdir(disk.group)
    return None


class Mount:
    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.path = f"{cluster.base}/mnt{number}"
        os.mkdir(self.path)
        self.process = self.writer = None
        self.generation = 0
        self.manifests = []  # (directory below the root, manifest)

    def attach(self):
        with open(f"{self.cluster.base}/mount{self.number}.log", "ab") as log:
            self.process = subprocess.Popen([self.cluster.curvefs, "mount", "-f", f"mds://{self.cluster.mds}/home", self.path],
                                            stdout=log, stderr=log)
        # Asked in a process of its own: it may have to wait.
        await_that(f"mount {self.number}", lambda: os.path.ismount(self.path) and
                   run("stat", self.path + "/.", check=False, timeout=60).returncode == 0)

    def load(self):
        self.generation += 1
        name = f"w{self.number}-{self.generation}"
        manifest = f"{self.cluster.base}/{name}.manifest"
        await_that(f"directory {name}", lambda: run("mkdir", "-p", f"{self.path}/{name}"))
        run("sync", self.path, check=False)
        self.manifests.append((name, manifest))
        with open(f"{self.cluster.base}/writer{self.number}.log", "ab") as log:
            self.writer = subprocess.Popen([self.cluster.writer, "run", f"{self.path}/{name}", manifest, "--threads", "1",
                                            "--seed", str(self.cluster.seed * 100 + self.generation)], stdout=log, stderr=log)

    def stop_load(self):
        if self.writer:
            self.writer.kill()
            self.writer.wait(PATIENCE)
            self.writer = None

    def kill(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None
        for _ in range(20):
            if run("umount", "-l", self.path, check=False).returncode != 0:
                break
        if self.writer:
            self.writer.wait(PATIENCE)
            self.writer = None


class Cluster:
    def __init__(self, base, args):
        self.base, self.curvefs, self.writer, self.seed = base, args.curvefs, args.writer, args.seed
        self.dir = base + "/cluster"
        self.mds = None
        self.disks = {}  # name of a process: its directory, a tmpfs

    def up(self):
        run(self.curvefs, "cluster", "up", self.dir)
        self.mds = self.status()["mds"]
        os.environ["CURVEFS_MDS"] = self.mds

    def status(self):
        return json.loads(run(self.curvefs, "cluster", "status", "--json", self.dir, check=False).stdout)

    def pids(self):
        return {p["name"]: p["pid"] for p in self.status()["processes"] if p.get("pid")}

    def ports(self, name):
        """Of the process: what it listens on."""
        pid, ports = self.pids()[name], []
        for line in run("ss", "-Hltnp").stdout.splitlines():
            if f"pid={pid}," in line:
                ports.append(int(line.split()[3].rsplit(":", 1)[1]))
        return sorted(set(ports))

    def small_disk(self, name):
        """Moves what the process has to a small file system of its own."""
        place = f"{self.dir}/{name}"
        run(self.curvefs, "cluster", "kill", self.dir, name)
        shutil.move(place, place + ".moved")
        os.mkdir(place, 0o700)
        run("mount", "-t", "tmpfs", "-o", f"size={TMPFS},mode=700", "nemesis", place)
        run("cp", "-a", place + ".moved/.", place)
        shutil.rmtree(place + ".moved")
        run(self.curvefs, "cluster", "start", self.dir, name)
        self.disks[name] = place

    def healthy(self):
        return run(self.curvefs, "status", check=False).returncode == 0

    def metaservers(self):
        return [m["address"] for m in json.loads(run(self.curvefs, "topology", "list", "metaserver", "--json").stdout)]

    def copysets(self):
        return sorted({p["copyset"] for p in json.loads(run(self.curvefs, "partition", "list", "home", "--json").stdout)})


def go_on(pid):
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


class Nemesis:
    """What goes wrong: each deed returns how it is made well again."""

    def __init__(self, cluster, mounts, rng):
        self.cluster, self.mounts, self.rng = cluster, mounts, rng
        self.count = {}
        self.stopped = set()
        self.disk = None  # that can be slow
        self.began = time.monotonic()

    def say(self, text):
        print(f"  {time.monotonic() - self.began:6.1f} s  {text}", flush=True)

    def some(self, *sorts):
        return self.rng.choice([n for n in sorted(self.cluster.pids()) if n.rstrip("0123456789") in sorts])

    def deed_kill(self):
        name = self.some("etcd", "mds", "metaserver")
        self.say(f"kill {name}")
        os.kill(self.cluster.pids()[name], signal.SIGKILL)  # the supervisor starts it again
        return lambda: None

    def deed_stop(self):
        name = self.some("etcd", "mds", "metaserver")
        pid = self.cluster.pids()[name]
        self.say(f"stop {name}")
        self.stopped.add(pid)
        os.kill(pid, signal.SIGSTOP)
        return lambda: go_on(pid)

    def deed_cut(self):
        name = self.some("etcd", "mds", "metaserver")
        way = self.rng.choice(["to", "from", "to and from"])
        ports = self.cluster.ports(name)
        self.say(f"cut {way} {name}")
        rules = []
        for port in ports:
            rules += [f"ipproto tcp dport {port} blackhole"] if "to" in way.split() else []
            rules += [f"ipproto tcp sport {port} blackhole"] if "from" in way else []
        for rule in rules:
            run("ip", "rule", "add", "pref", "10", *rule.split())

        def mend():
            for rule in rules:
                run("ip", "rule", "del", "pref", "10", *rule.split())
        return mend

    def deed_fill(self):
        name = self.rng.choice(sorted(self.cluster.disks))
        self.say(f"fill the disk of {name}")
        filler = self.cluster.disks[name] + "/filler"
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(1 << 16))
            except OSError:
                pass
        return lambda: os.path.exists(filler) and os.remove(filler)

    def deed_slow(self):
        name = self.rng.choice([n for n in sorted(self.cluster.pids()) if n[:4] in ("etcd", "meta") and n not in self.cluster.disks])
        pid, writes = self.cluster.pids()[name], self.rng.choice([5, 20, 60])
        self.say(f"the disk of {name} is slow: {writes} writes per second")
        return self.disk.slow(pid, writes)

    def deed_client(self):
        mount = self.rng.choice(self.mounts)
        self.say(f"kill mount {mount.number}")
        mount.kill()

        def again():
            mount.attach()
            mount.load()
        return again

    def deed_pause(self):
        mount = self.rng.choice(self.mounts)
        self.say(f"stop mount {mount.number}")
        mount.process.send_signal(signal.SIGSTOP)
        return lambda: mount.process.send_signal(signal.SIGCONT)

    def deed_power(self):
        self.say("power off: every process is killed")
        pids = self.cluster.pids()
        supervisor = int(run("ps", "-o", "ppid=", "-p", str(pids["mds1"])).stdout)
        for pid in [supervisor, *pids.values()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # the supervisor's end took it along
        for mount in self.mounts:
            mount.kill()

        def on():
            await_that("the cluster is up", lambda: self.cluster.up() or True)
            for mount in self.mounts:
                mount.attach()
                mount.load()
        return on

    def round(self, deeds):
        """One or two deeds at once, for some seconds; then all is well again, and stays so for a moment."""
        undo = []
        for deed in deeds:
            self.count[deed] = self.count.get(deed, 0) + 1
            undo.append(getattr(self, "deed_" + deed)())
        threading.Event().wait(self.rng.uniform(1, 8))
        for mend in reversed(undo):
            mend()
        self.say("well again")
        for mount in self.mounts:
            if mount.writer and mount.writer.poll() is not None:
                raise RuntimeError(f"the load on mount {mount.number} was told an error: see writer{mount.number}.log")
        await_that("the cluster is healthy — " + run(self.cluster.curvefs, "status", check=False).stdout, self.cluster.healthy)
        threading.Event().wait(self.rng.uniform(0.5, 2))


def tree(root):
    """path: (type, size, links, inode) of all below root."""
    found = {}
    for where, dirs, files, fd in os.fwalk(root):
        for name in dirs + files:
            s = os.stat(name, dir_fd=fd, follow_symlinks=False)
            found[os.path.relpath(f"{where}/{name}", root)] = (s.st_mode, 0 if stat.S_ISDIR(s.st_mode) else s.st_size, s.st_nlink, s.st_ino)
    return found


def wrong_trees(one, two):
    """What two listings of one file system, and the link counts in them, have against each other."""
    wrong = []
    for path in sorted(set(one) | set(two)):
        if one.get(path) != two.get(path):
            wrong.append(f"{path}: {one.get(path)} on one mount, {two.get(path)} on the other")
    names, below = {}, {}
    for path, (mode, _, _, inode) in one.items():
        is_dir = stat.S_ISDIR(mode)
        names.setdefault(inode, []).append(path)
        if is_dir:
            below[os.path.dirname(path)] = below.get(os.path.dirname(path), 0) + 1
    for path, (mode, _, links, inode) in one.items():
        is_dir = stat.S_ISDIR(mode)
        want = 2 + below.get(path, 0) if is_dir else len(names[inode])
        if links != want:
            wrong.append(f"{path}: {links} links, not {want}")
        if is_dir and len(names[inode]) != 1:
            wrong.append(f"{path}: a directory with two names: {names[inode]}")
    return wrong


def verify(cluster, mount, manifests):
    wrong = []
    for name, manifest in manifests:
        done = run(cluster.writer, "verify", f"{mount.path}/{name}", manifest, check=False, timeout=900)
        if done.returncode != 0:
            wrong.append(f"{name} on mount {mount.number}: {done.stdout.strip()[-2000:]}")
    return wrong


def digests(cluster):
    """copyset: what each metaserver says of its replica."""
    with open(cluster.dir + "/cluster.json", encoding="utf-8") as plan:
        name = json.load(plan)["name"]
    return {c: [run(cluster.curvefs, "copyset", "digest", str(c), "--server", m, "--cluster", name).stdout.strip()
                for m in cluster.metaservers()] for c in cluster.copysets()}


def judge(cluster, mounts):
    wrong = []
    manifests = [m for mount in mounts for m in mount.manifests]
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda what: verify(cluster, what[0], [what[1]]), [(mount, m) for mount in mounts for m in manifests]):
            wrong += found
    print(f"  verified on both mounts within {time.monotonic() - began:.0f} s", flush=True)
    trees = [tree(mount.path) for mount in mounts]
    wrong += wrong_trees(*trees)
    said = {}

    def same():
        said.update(digests(cluster))
        return all(len(set(d)) == 1 for d in said.values())
    try:
        await_that("replicas with equal digests", same, 60)
    except RuntimeError as error:
        wrong.append(f"{error}: {said}")
    promises = sum(sum(1 for _ in open(m, encoding="utf-8", errors="replace")) for _, m in manifests if os.path.exists(m))
    print(f"  {promises} lines of {len(manifests)} manifests, {len(trees[0])} names, digests {said}")
    return wrong, trees[0]


def canaries(cluster, mount, listing):
    """Damage that must be found."""
    missed = []
    name, manifest = mount.manifests[-1]
    lie = manifest + ".lie"
    shutil.copy(manifest, lie)
    run(cluster.writer, "lie", lie)
    if not verify(cluster, mount, [(name, lie)]):
        missed.append("a promise that was broken is not found")
    for what, change in (("a name that is missing on one mount", lambda t, p: t.pop(p)),
                         ("a link too many", lambda t, p: t.update({p: (*t[p][:2], t[p][2] + 1, t[p][3])}))):
        other = dict(listing)
        change(other, sorted(listing)[-1])
        if not wrong_trees(other, other if "link" in what else listing):
            missed.append(f"{what} is not found")
    return missed


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    root = os.path.dirname(os.path.dirname(HERE))
    parser.add_argument("--curvefs", default=f"{root}/build/release/curvefs")
    parser.add_argument("--writer")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 20))
    parser.add_argument("--deeds", default="", help="only these, separated by commas")
    parser.add_argument("--work", default=tempfile.gettempdir())
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    args.writer = args.writer or os.path.join(os.path.dirname(args.curvefs), "test/crash/crash_writer")
    for program in (args.curvefs, args.writer):
        if not os.access(program, os.X_OK):
            print(f"nemesis: no {program}; build it", file=sys.stderr)
            return 2
    for need in ("/dev/fuse", "/usr/bin/etcd"):
        if not os.path.exists(need):
            skip(f"no {need} here")
    for need in ("ip", "ss"):
        if not shutil.which(need):
            skip(f"no '{need}' here (Debian: iproute2)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # cleans up, too
    enter_namespaces()
    base = tempfile.mkdtemp(prefix="curvefs-nemesis-", dir=args.work)
    print(f"nemesis: --seed {args.seed}, {args.seconds:.0f} s, in {base}", flush=True)
    cluster = Cluster(base, args)
    rng = random.Random(args.seed)
    mounts, bad, nemesis = [], [], None
    try:
        cluster.up()
        cluster.small_disk("metaserver3")
        cluster.small_disk("etcd3")
        run(args.curvefs, "fs", "create", "home", "--data", f"dir:{cluster.dir}/objects/home")
        await_that("the cluster is healthy", cluster.healthy)
        mounts = [Mount(cluster, 1), Mount(cluster, 2)]
        for mount in mounts:
            mount.attach()
            mount.load()
        nemesis = Nemesis(cluster, mounts, rng)
        deeds = args.deeds.split(",") if args.deeds else ["kill", "stop", "cut", "fill", "slow", "client", "pause", "power"]
        nemesis.disk = slow_disk(base)
        if "slow" in deeds and nemesis.disk is None:
            print("NOT TESTED: slow disks: no control groups here, or the files are on no disk", file=sys.stderr)
            deeds.remove("slow")
        queue = []
        while time.monotonic() < nemesis.began + args.seconds:
            if not queue:  # every one, in an order by chance; sometimes a second one beside it
                queue = rng.sample(deeds, len(deeds))
            now = [queue.pop()]
            beside = rng.choice(["kill", "stop", "cut", None])
            if beside and now[0] not in ("power", beside) and not args.deeds:
                now.append(beside)
            nemesis.round(now)
        for mount in mounts:
            mount.stop_load()
        print("  " + ", ".join(f"{n} × {d}" for d, n in sorted(nemesis.count.items())), flush=True)
        bad, listing = judge(cluster, mounts)
        bad += canaries(cluster, mounts[0], listing)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        bad.append(f"{type(error).__name__}: {error}")
    finally:
        for line in bad:
            print(f"FAIL {line}")
        run("ip", "rule", "flush", "pref", "10", check=False)
        for pid in nemesis.stopped if nemesis else ():
            go_on(pid)
        if nemesis and nemesis.disk:
            nemesis.disk.mend()
        for mount in mounts:
            if mount.writer:
                mount.writer.kill()
            mount.kill()
        run(args.curvefs, "cluster", "down", "--force", cluster.dir, check=False)
        for place in cluster.disks.values():
            if bad and args.keep:
                run("cp", "-a", place, place + ".kept", check=False)
            run("umount", "-l", place, check=False)
        if bad and args.keep:
            print(f"kept: {base}")
        else:
            shutil.rmtree(base, ignore_errors=True)
    print(f"{0 if bad else 1} passed, {1 if bad else 0} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
