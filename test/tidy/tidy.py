#!/usr/bin/env python3
"""Holds the sources to the rules of docs/ARCHITECTURE.md (who may include whom) and docs/STYLE.md.

tidy.py ROOT        checks the tree; prints what is wrong as "file:line: rule: text"; exits 1 if anything is
tidy.py --canary    checks that each rule fires on a sample that breaks it, and not on one that does not
"""
import os
import re
import sys
import tempfile

# The table of docs/ARCHITECTURE.md: a folder may include itself and these.
MAY_INCLUDE = {
    "base": [],
    "net": ["base"],
    "kv": ["base"],
    "raft": ["base", "kv", "net"],
    "meta": ["base", "kv"],
    "proto": ["base", "meta"],
    "object": ["base"],
    "data": ["base", "object", "meta"],
    "metaserver": ["base", "net", "kv", "raft", "meta", "proto", "object"],
    "mds": ["base", "net", "meta", "proto"],
    "client": ["base", "net", "meta", "proto", "data", "object"],
    "fuse": ["base", "client", "meta", "data"],
    "cli": ["base", "net", "kv", "raft", "meta", "proto", "object", "data", "metaserver", "mds", "client", "fuse"],
}
# Beyond that a folder's tests may use any folder, and test/support.
ERRNO_FOLDERS = {"base", "fuse", "cli"}
# meta is pure: neither clock nor thread nor I/O.
META_FORBIDDEN = re.compile(r"#include <(thread|mutex|fstream|iostream|unistd\.h|fcntl\.h|condition_variable|random|shared_mutex)>")
HEADER_LINES, SOURCE_LINES = 200, 600
TOO_LONG = 1000
COLUMNS, TOO_WIDE = 110, 120  # the formatter's; what it leaves a little wider (comments) is only noted
# file: rule that does not apply, and why
EXEMPT = {
    "test/crash/crash_writer.cc": "sleep",  # writes for a given time, until it is killed
    "test/wire/idle_main.cc": "sleep",  # measures for a given time
}

UNDONE = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b|not implemented|unimplemented", re.IGNORECASE)
INCLUDE = re.compile(r'^\s*#include "([^"]+)"')
THROW = re.compile(r"^[^/\"]*\bthrow\b(?! std::bad_alloc)")  # as operator new does
SLEEP = re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep)\s*\(|[^a-z_]sleep\([0-9]")
LIBFUSE = re.compile(r"#include <(fuse|fuse3/|fuse_lowlevel)")
ERRNO = re.compile(r"#include <(cerrno|errno\.h)>")
# std::unique_lock is left to what is Lockable and no mutex (data::Turn); it does not fit ours.
STD_MUTEX = re.compile(r"#include <(mutex|shared_mutex|condition_variable)>|"
                       r"\bstd::((recursive_|shared_|timed_)*mutex|lock_guard|scoped_lock|shared_lock|condition_variable)\b")


def is_test(path):
    name = os.path.basename(path)
    return path.startswith("test/") or "_test" in name or name.endswith("_fuzz.cc") or name.startswith("fake_")


def check_file(path, text):
    """Yields (line, rule, text)."""
    lines = text.split("\n")
    folder = path.split("/")[1] if path.startswith("src/") else None
    if path.endswith(".h") and "#pragma once" not in text:
        yield 1, "pragma-once", "a header without #pragma once"
    if path.endswith(".h") and not text.startswith("//"):
        yield 1, "header-comment", "a header opens with what it is for"
    if text and not text.endswith("\n"):
        yield len(lines), "last-line", "no line end at the end of the file"
    for number, line in enumerate(lines, 1):
        if len(line) > TOO_WIDE and "http" not in line and "R\"" not in line:
            yield number, "columns", f"{len(line)} columns, at most {COLUMNS}"
        if UNDONE.search(line):
            yield number, "undone", line.strip()
        if LIBFUSE.search(line):
            yield number, "libfuse", "the transport is our own"
        if is_test(path) and SLEEP.search(line):
            yield number, "sleep", "a test waits for a condition, not for a time"
        if folder is None:
            continue
        include = INCLUDE.match(line)
        if include and not is_test(path):
            other = include.group(1).split("/")[0]
            if other in MAY_INCLUDE and other != folder and other not in MAY_INCLUDE[folder]:
                yield number, "include", f"{folder} may not include {other}"
            elif other == "test":
                yield number, "include", "only tests include test/"
        if is_test(path):
            continue
        if ERRNO.search(line) and folder not in ERRNO_FOLDERS:
            yield number, "errno", f"{folder} knows Status, not errno"
        if path != "src/base/mutex.h" and STD_MUTEX.search(line):
            yield number, "mutex", "base/mutex.h has the locks that clang checks"
        if folder == "meta" and META_FORBIDDEN.search(line):
            yield number, "meta-pure", "meta has no I/O, no clock and no threads"
        if THROW.search(line):
            yield number, "throw", "no exceptions across our functions"


def length_of(path, text):
    """A warning, an error or None: lines against the limits."""
    count = text.count("\n")
    limit = HEADER_LINES if path.endswith(".h") else SOURCE_LINES
    return (count, limit) if count > limit else None


def check_tree(root):
    errors, warnings = [], []
    for top in ("src", "test"):
        for directory, names, files in os.walk(os.path.join(root, top)):
            names.sort()
            for name in sorted(files):
                if not name.endswith((".h", ".cc")):
                    continue
                path = os.path.relpath(os.path.join(directory, name), root)
                with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
                    text = f.read()
                errors += [
                    f"{path}:{n}: {rule}: {what}" for n, rule, what in check_file(path, text) if EXEMPT.get(path) != rule
                ]
                wide = sum(len(line) > COLUMNS for line in text.split("\n"))
                if wide:
                    warnings.append(f"{path}: {wide} lines over {COLUMNS} columns")
                long = length_of(path, text)
                if long and long[0] > TOO_LONG:
                    errors.append(f"{path}:{long[0]}: length: over {TOO_LONG} lines")
                elif long:
                    warnings.append(f"{path}: {long[0]} lines, aim for {long[1]}")
        if top == "src":
            for name in sorted(os.listdir(os.path.join(root, top))):
                if os.path.isdir(os.path.join(root, top, name)) and name not in MAY_INCLUDE:
                    errors.append(f"src/{name}:1: include: a folder that the table does not know")
    errors += check_architecture(root) + check_semantics(root)
    return errors, warnings


def check_architecture(root):
    """The table in the documentation says the same as MAY_INCLUDE."""
    path = os.path.join(root, "docs", "ARCHITECTURE.md")
    if not os.path.exists(path):
        return ["docs/ARCHITECTURE.md:1: include: missing"]
    documented = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            row = re.match(r"\| `src/(\w+)` \|.*\| ([^|]*) \|$", line.strip())
            if row:
                documented[row.group(1)] = set(re.findall(r"`(\w+)`", row.group(2)))
    errors = []
    for folder, may in MAY_INCLUDE.items():
        if documented.get(folder) != set(may):
            errors.append(f"docs/ARCHITECTURE.md:1: include: the row of {folder} is not what the test holds: {sorted(may)}")
    return errors


def check_semantics(root):
    """Every test that docs/SEMANTICS.md names is there."""
    path = os.path.join(root, "docs", "SEMANTICS.md")
    if not os.path.exists(path):
        return []
    known = set()
    for top in ("src", "test"):
        for directory, _, files in os.walk(os.path.join(root, top)):
            for name in files:
                if not name.endswith((".cc", ".sh")):
                    continue
                with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as f:
                    text = f.read()
                known |= {f"{a}.{b}" for a, b in re.findall(r"^TEST(?:_F|_P)?\((\w+), (\w+)\)", text, re.MULTILINE)}
                known |= {f"posix: {a}" for a, _ in re.findall(r"^\w*TEST\w*\((\w+), (\w+)", text, re.MULTILINE)}
                known |= {f"crash: {part}" for part in re.findall(r"^part_(\w+)\(\)", text, re.MULTILINE)}
    with open(path, encoding="utf-8") as f:
        text = f.read()
    named = re.findall(r"`([A-Z]\w+\.[A-Z]\w+)`", text) + re.findall(r"`((?:posix|crash): \w+)`", text)
    named = [n for n in named if n not in ("posix: group", "crash: part", "Suite.Case")]
    return [f"docs/SEMANTICS.md:1: semantics: there is no test {n}" for n in named if n not in known]


GOOD_HEADER = '// What it is for.\n#pragma once\n\n#include "base/status.h"\n'
CANARIES = [
    ("include", "src/kv/bad.cc", '#include "meta/keys.h"\n'),
    ("include", "src/client/bad.h", '// Bad.\n#pragma once\n#include "metaserver/copyset.h"\n'),
    ("include", "src/base/bad.cc", '#include "test/support/sim_disk.h"\n'),
    ("libfuse", "src/fuse/bad.cc", "#include <fuse_lowlevel.h>\n"),
    ("errno", "src/meta/bad.cc", "#include <cerrno>\n"),
    ("meta-pure", "src/meta/bad.cc", "#include <thread>\n"),
    ("mutex", "src/kv/bad.cc", "#include <mutex>\n"),
    ("mutex", "src/kv/bad.cc", "  std::shared_mutex mu_;\n"),
    ("mutex", "src/kv/bad.cc", "  std::lock_guard lock(mu_);\n"),
    ("undone", "src/kv/bad.cc", "int x;  // TO" "DO: finish\n"),
    ("throw", "src/kv/bad.cc", '  throw std::runtime_error("x");\n'),
    ("sleep", "src/kv/bad_test.cc", "std::this_thread::sleep_for(1s);\n"),
    ("columns", "src/kv/bad.cc", "int " + "x" * 120 + ";\n"),
    ("pragma-once", "src/kv/bad.h", "// Bad.\nint x;\n"),
    ("header-comment", "src/kv/bad.h", "#pragma once\n"),
    ("last-line", "src/kv/bad.cc", "int x;"),
    ("length", "src/kv/bad.cc", "int x;\n" * 1001),
    ("include", "src/unknown/bad.cc", "int x;\n"),
    ("semantics", "docs/SEMANTICS.md", "Never lost: `NoSuchTest.NeverLost`.\n"),
    ("semantics", "docs/SEMANTICS.md", "Never lost: `crash: nothing`.\n"),
]


def errors_of(path, text):
    with tempfile.TemporaryDirectory() as root:
        for directory in (os.path.dirname(path), "src", "test", "docs"):
            os.makedirs(os.path.join(root, directory), exist_ok=True)
        with open(os.path.join(root, "docs", "ARCHITECTURE.md"), "w", encoding="utf-8") as f:
            for folder, may in MAY_INCLUDE.items():
                f.write(f"| `src/{folder}` | what | {', '.join(f'`{m}`' for m in may)} |\n")
        with open(os.path.join(root, path), "w", encoding="utf-8") as f:
            f.write(text)
        return check_tree(root)[0]


def canary():
    failed = []
    for rule, path, text in CANARIES:
        errors = errors_of(path, text)
        if not any(f": {rule}: " in e for e in errors):
            failed.append(f"rule {rule} let {path} pass: {errors}")
    for path, text in [("src/meta/good.h", GOOD_HEADER), ("src/kv/good_test.cc", '#include "meta/keys.h"\n#include "test/support/sim_disk.h"\n')]:
        errors = errors_of(path, text)
        if errors:
            failed.append(f"{path} is good and was refused: {errors}")
    print("\n".join(failed) if failed else f"{len(CANARIES)} bad samples caught")
    return 1 if failed else 0


def main():
    if sys.argv[1:] == ["--canary"]:
        return canary()
    errors, warnings = check_tree(sys.argv[1])
    for line in warnings:
        print("note:", line)
    for line in errors:
        print(line)
    print(f"{len(errors)} errors")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
