#!/usr/bin/env python3
"""locks.py A B: advisory locks, appends and databases of a file system that is mounted at A and at B.

Each test is a function; what is wrong is an AssertionError. Ends with "ok" and a line of what was counted."""
import errno, fcntl, os, signal, sqlite3, struct, subprocess, sys, threading, time

A, B = sys.argv[1], sys.argv[2]
done = []


def run(code, *args):
    return subprocess.Popen([sys.executable, "-c", "import fcntl, os, struct, sys, time\n" + code, *map(str, args)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def refused(f):
    try:
        f()
    except OSError as e:
        assert e.errno in (errno.EAGAIN, errno.EACCES), e
        return True
    return False


def flock_excludes_the_other_mount():
    a, b = open(f"{A}/lock", "w"), open(f"{B}/lock", "r+")
    fcntl.flock(a, fcntl.LOCK_EX)
    assert refused(lambda: fcntl.flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB))
    fcntl.flock(a, fcntl.LOCK_SH)
    fcntl.flock(b, fcntl.LOCK_SH | fcntl.LOCK_NB)
    assert refused(lambda: fcntl.flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB))
    fcntl.flock(b, fcntl.LOCK_UN)
    fcntl.flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB)
    again = open(f"{A}/lock")  # the same mount, another description
    assert refused(lambda: fcntl.flock(again, fcntl.LOCK_SH | fcntl.LOCK_NB))
    a.close()
    until(lambda: not refused(lambda: fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)))  # closed in the background


def ranges_and_who_has_them():
    a, b = open(f"{A}/ranges", "w+"), open(f"{B}/ranges", "r+")
    fcntl.lockf(a, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)
    child = run("""
f = open(sys.argv[1], "r+")
def can(start, n, kind=fcntl.LOCK_EX):
    try: fcntl.lockf(f, kind | fcntl.LOCK_NB, n, start)
    except OSError: return False
    fcntl.lockf(f, fcntl.LOCK_UN, n, start)
    return True
got = struct.unpack("hhqqi", fcntl.fcntl(f, fcntl.F_GETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 100, 0))[:28])
print(can(0, 10), can(9, 1, fcntl.LOCK_SH), can(10, 5), can(0, 0), got[0] == fcntl.F_WRLCK, got[2], got[3])
""", f"{B}/ranges")
    assert child.communicate()[0].split() == "False False True False True 0 10".split(), child
    # Closing any descriptor of the file gives all of the process's back.
    os.close(os.open(f"{A}/ranges", os.O_RDONLY))
    fcntl.lockf(b, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 0)


def open_file_description_locks():
    F_OFD_SETLK = 37
    a, b = open(f"{A}/ofd", "w+"), open(f"{B}/ofd", "r+")
    whole = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)
    fcntl.fcntl(a, F_OFD_SETLK, whole)
    assert refused(lambda: fcntl.fcntl(b, F_OFD_SETLK, whole))
    os.close(os.open(f"{A}/ofd", os.O_RDONLY))  # another description: nothing is given back
    assert refused(lambda: fcntl.fcntl(b, F_OFD_SETLK, whole))
    a.close()
    until(lambda: not refused(lambda: fcntl.fcntl(b, F_OFD_SETLK, whole)))


def until(f, seconds=10):
    end = time.time() + seconds
    while not f():
        assert time.time() < end, "not within %d s" % seconds
        time.sleep(0.02)


HOLD = """
f = open(sys.argv[1], "r+")
fcntl.flock(f, fcntl.LOCK_EX) if sys.argv[2] == "flock" else fcntl.lockf(f, fcntl.LOCK_EX)
print("has", flush=True)
sys.stdin.read()
"""


def whoever_waits_gets_it_and_the_killed_give_it_back():
    for kind in "flock", "lockf":
        path = f"wait.{kind}"
        open(f"{A}/{path}", "w").close()
        first = run(HOLD, f"{A}/{path}", kind)
        assert first.stdout.readline() == "has\n"
        second = run(HOLD, f"{B}/{path}", kind)
        heard = []
        threading.Thread(target=lambda: heard.append(second.stdout.readline()), daemon=True).start()
        time.sleep(0.3)
        assert not heard
        first.kill()
        until(lambda: heard == ["has\n"])
        # A signal ends the waiting.
        third = run("""
import signal
def stop(*_): raise InterruptedError
signal.signal(signal.SIGALRM, stop); signal.setitimer(signal.ITIMER_REAL, 0.3)
f = open(sys.argv[1], "r+")
try: fcntl.flock(f, fcntl.LOCK_EX) if sys.argv[2] == "flock" else fcntl.lockf(f, fcntl.LOCK_EX)
except InterruptedError: print("interrupted")
""", f"{A}/{path}", kind)
        assert third.communicate(timeout=10)[0] == "interrupted\n"
        waiting = run(HOLD, f"{A}/{path}", kind)
        time.sleep(0.2)
        waiting.kill()
        waiting.wait(10)
        second.stdin.close()
        second.wait(10)
        last = run(HOLD, f"{A}/{path}", kind)
        assert last.stdout.readline() == "has\n"
        last.stdin.close()
        last.wait(10)


COUNT = """
import fcntl
for _ in range(int(sys.argv[2])):
    with open(sys.argv[1], "r+") as f:
        fcntl.flock(f, fcntl.LOCK_EX) if sys.argv[3] == "flock" else fcntl.lockf(f, fcntl.LOCK_EX)
        n = int(f.read() or 0)
        f.seek(0); f.write(str(n + 1)); f.flush()
        if sys.argv[3] == "flock": fcntl.flock(f, fcntl.LOCK_UN)
"""


def counters_under_a_lock():
    for kind in "flock", "lockf":
        open(f"{A}/count.{kind}", "w").close()
        workers = [run(COUNT, f"{m}/count.{kind}", 40, kind) for m in (A, B, A, B)]
        assert all(w.wait(120) == 0 for w in workers)
        counted = open(f"{A}/count.{kind}").read()
        assert counted == "160", counted


def lock_files_made_with_o_excl():
    code = """
for _ in range(int(sys.argv[2])):
    while True:
        try: os.close(os.open(sys.argv[1] + ".lock", os.O_CREAT | os.O_EXCL)); break
        except FileExistsError: time.sleep(0.001)
    n = int(open(sys.argv[1]).read() or 0)
    with open(sys.argv[1], "w") as f: f.write(str(n + 1))
    os.unlink(sys.argv[1] + ".lock")
"""
    open(f"{A}/excl", "w").close()
    workers = [run(code, f"{m}/excl", 30) for m in (A, B)]
    assert all(w.wait(120) == 0 for w in workers)
    assert open(f"{B}/excl").read() == "60"


def whoever_creates_second_opens_what_is_there():
    code = """
for i in range(int(sys.argv[2])):
    fd = os.open(f"{sys.argv[1]}/{i}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    assert os.write(fd, b"x") == 1
    os.close(fd)
"""
    os.mkdir(f"{A}/made")
    workers = [run(code, f"{m}/made", 300) for m in (A, B, A, B)]
    assert all(w.wait(180) == 0 for w in workers)
    for i in range(300): assert open(f"{B}/made/{i}").read() == "xxxx", i


def appends_lose_nothing():
    code = """
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for i in range(int(sys.argv[3])):
    line = f"{sys.argv[2]} {i} " + "x" * (i * 37 % 3000) + "\\n"
    assert os.write(fd, line.encode()) == len(line)
"""
    each = 60
    workers = [run(code, f"{m}/log", k, each) for k, m in enumerate((A, B, A, B))]
    assert all(w.wait(180) == 0 for w in workers)
    for m in A, B:
        lines = open(f"{m}/log").read().splitlines()
        assert len(lines) == 4 * each, len(lines)
        last = {}
        for line in lines:
            who, i, x = (line.split(" ") + [""])[:3]
            assert int(i) == last.get(who, -1) + 1, line[:40]
            assert x == "x" * (int(i) * 37 % 3000), line[:40]
            last[who] = int(i)


def sqlite_from_both_sides():
    with sqlite3.connect(f"{A}/db") as db:
        db.execute("pragma journal_mode = delete")
        db.execute("create table t (who int, i int)")
    db.close()
    code = """
import sqlite3
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
for i in range(int(sys.argv[3])):
    db.execute("begin immediate"); db.execute("insert into t values (?, ?)", (int(sys.argv[2]), i)); db.execute("commit")
"""
    workers = [run(code, f"{m}/db", k, 25) for k, m in enumerate((A, B))]
    assert all(w.wait(180) == 0 for w in workers)
    for m in A, B:
        db = sqlite3.connect(f"{m}/db", timeout=60)
        assert db.execute("select who, count(*), max(i) from t group by who").fetchall() == [(0, 25, 24), (1, 25, 24)]
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        db.close()


tests = [f for n, f in list(globals().items()) if callable(f) and getattr(f, "__module__", "") == "__main__"
         and n not in ("run", "refused", "until")]
wanted = sys.argv[3:]
for test in tests:
    if wanted and test.__name__ not in wanted: continue
    begin = time.time()
    test()
    done.append(f"{test.__name__} {time.time() - begin:.1f} s")
    print("  " + done[-1], flush=True)
assert done
