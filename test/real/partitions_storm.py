"""partitions_storm.py run MOUNT SECONDS NAME MODEL [SEED]: renames, links and removes between top-level directories d0, d1 … of MOUNT, where others do the
same; what was acknowledged goes to MODEL.
partitions_storm.py check MOUNT MODEL...: walks all of MOUNT, and compares it with what was acknowledged. Exit code 1: something is wrong."""
import errno, json, os, random, sys, time

TOPS, SUBS = 6, 6
# What others' renames may make of an operation.
RACES = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL, errno.ELOOP}


class Storm:
    def __init__(self, root, name, seed):
        self.root, self.name, self.random = root, name, random.Random(seed)
        self.files = {}  # id -> its paths
        self.dirs = {}   # id -> path, of directories that are ours alone
        self.doubt = set()  # the outcome of an operation on them is not known
        self.n = self.done = self.moved = 0

    def top(self):
        return f"{self.root}/d{self.random.randrange(TOPS)}"

    def new(self):
        self.n += 1
        return f"{self.name}.{self.n}"

    def step(self):
        what = self.random.choice(["create", "move", "move", "move", "link", "unlink", "mkdir", "movedir", "movedir", "rmdir", "sub", "sub", "above"])
        if what == "create" or not self.files:
            who, path = self.new(), None
            path = f"{self.top()}/{who}"
            self.doubt.add(who)
            with open(path, "x") as f:
                f.write(who)
            self.files[who] = [path]
        elif what in ("move", "link", "unlink"):
            who = self.random.choice(list(self.files))
            paths = self.files[who]
            i = self.random.randrange(len(paths))
            new = f"{self.top()}/{self.new()}"
            if what == "unlink" and len(paths) < 2:
                return
            self.doubt.add(who)
            if what == "move":
                os.rename(paths[i], new)
                paths[i] = new
            elif what == "link":
                os.link(paths[i], new)
                paths.append(new)
            else:
                os.unlink(paths[i])
                del paths[i]
        elif what == "mkdir":
            who = self.new()
            path = f"{self.top()}/{who}.dir"
            self.doubt.add(who)
            os.mkdir(path)
            self.dirs[who] = path
        elif what in ("movedir", "rmdir"):
            if not self.dirs:
                return
            who = self.random.choice(list(self.dirs))
            self.doubt.add(who)
            if what == "movedir":
                new = f"{self.top()}/{self.new()}.dir"
                os.rename(self.dirs[who], new)
                self.dirs[who] = new
            else:
                os.rmdir(self.dirs[who])
                del self.dirs[who]
        elif what == "above":  # right below the root
            who = self.new()
            os.mkdir(f"{self.root}/{who}.dir")
            os.rmdir(f"{self.root}/{who}.dir")
        else:
            # Directories that everybody moves, into one another, too.
            a, b = self.random.sample(range(SUBS), 2)
            places = [f"{self.root}/d{i}/s{a}" for i in range(TOPS)] + [f"{self.root}/d{i}/s{b}/s{a}" for i in range(TOPS)]
            self.random.shuffle(places)
            target = self.random.choice([f"{self.top()}/s{a}", f"{self.top()}/s{a}", f"{self.top()}/s{b}/s{a}"])
            for place in places:
                try:
                    os.rename(place, target)
                    self.moved += 1
                    break
                except OSError as e:
                    if e.errno not in RACES:
                        raise
            return
        self.doubt.discard(who) if what != "above" else None

    def run(self, seconds):
        end = time.time() + seconds
        error = None
        while time.time() < end:
            try:
                self.step()
                self.done += 1
            except OSError as e:
                error = f"{e}"
                break
        return {"name": self.name, "files": {k: len(v) for k, v in self.files.items()}, "dirs": list(self.dirs), "doubt": list(self.doubt), "done": self.done,
                "moved": self.moved, "error": error}


def check(root, models):
    wrong, names, inodes, contents, seen, subs, dirs = [], {}, {}, {}, set(), [], []
    say = wrong.append

    def walk(path, depth):
        here = os.lstat(path)
        if (here.st_ino in seen) or depth > 50:
            return say(f"{path}: a directory twice, or a loop")
        seen.add(here.st_ino)
        children = 0
        with os.scandir(path) as entries:
            listed = list(entries)
        for e in listed:
            st = os.lstat(e.path)
            if st.st_ino != e.inode():
                say(f"{e.path}: inode {e.inode()} in the listing, {st.st_ino} by its name")
            if e.is_dir(follow_symlinks=False):
                children += 1
                if e.name in {f"s{i}" for i in range(SUBS)}:
                    subs.append(e.name)
                if e.name.endswith(".dir"):
                    dirs.append(e.path)
                walk(e.path, depth + 1)
            else:
                names[st.st_ino] = names.get(st.st_ino, 0) + 1
                inodes[st.st_ino] = st.st_nlink
                with open(e.path) as f:
                    contents.setdefault(f.read(), set()).add(st.st_ino)
        if here.st_nlink != 2 + children:
            say(f"{path}: {here.st_nlink} links, {children} subdirectories")
        os.utime(path)  # nothing is locked

    walk(root, 0)
    for ino, n in names.items():
        if inodes[ino] != n:
            say(f"inode {ino}: link count {inodes[ino]}, {n} names")
    if sorted(subs) != [f"s{i}" for i in range(SUBS)]:
        say(f"shared directories: {sorted(subs)}")
    known, known_dirs, doubtful = 0, 0, 0
    for m in models:
        doubt = set(m["doubt"])
        doubtful += len(doubt)
        for who, n in m["files"].items():
            known += 1
            found = contents.get(who, set())
            if who in doubt:
                continue
            if len(found) != 1:
                say(f"file {who}: {len(found)} inodes")
            elif names[min(found)] != n:
                say(f"file {who}: {names[min(found)]} names, {n} acknowledged")
        known_dirs += len(m["dirs"])
    all_known = {w for m in models for w in list(m["files"]) + m["doubt"]}
    for who in contents:
        if who and who not in all_known:
            say(f"file {who!r} that nobody made")
    if abs(len(dirs) - known_dirs) > doubtful + len(models):
        say(f"{len(dirs)} directories, {known_dirs} acknowledged")
    for line in wrong[:20]:
        print(line)
    print(f"{known} files, {len(dirs)} directories, {len(names)} inodes, {sum(names.values())} names, {doubtful} in doubt, {len(wrong)} wrong")
    return 1 if wrong else 0


if sys.argv[1] == "run":
    root, seconds, name, model = sys.argv[2:6]
    result = Storm(root, name, sys.argv[6] if len(sys.argv) > 6 else name).run(float(seconds))
    with open(model, "w") as f:
        json.dump(result, f)
    print(f"{name}: {result['done']} operations, {result['moved']} shared directories moved{', ' + result['error'] if result['error'] else ''}")
elif sys.argv[1] == "check":
    sys.exit(check(sys.argv[2], [json.load(open(m)) for m in sys.argv[3:]]))
