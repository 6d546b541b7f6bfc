#!/usr/bin/env python3
"""Adds up test runs of scripts/test.sh: single GoogleTest cases, and for other tests one each.

count_tests.py BROKEN DIR...   BROKEN: builds that failed. Each DIR: tests.json, ctest.xml, gtest/*.xml of one run.
Prints what failed and was skipped, then "N passed, N failed"; exits 1 if anything failed or nothing ran.
"""
import glob
import json
import os
import sys
import xml.etree.ElementTree as xml


def gtest_cases(path):
    """(program, passed, names failed, skipped) of one GoogleTest result; None if the program died while writing it."""
    try:
        root = xml.parse(path).getroot()
    except xml.ParseError:
        return None
    passed, failed, skipped = 0, [], 0
    for case in root.iter("testcase"):
        if case.get("status") == "notrun":
            continue
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname')}.{case.get('name')}")
        elif case.get("result") == "skipped":
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def count(directory):
    """(passed, names failed, skipped) of one ctest run."""
    commands = {}
    with open(os.path.join(directory, "tests.json"), encoding="utf-8") as f:
        for test in json.load(f)["tests"]:
            commands[test["name"]] = os.path.basename(test.get("command", ["not built"])[0])
    by_program = {}
    for path in glob.glob(os.path.join(directory, "gtest", "*.xml")):
        cases = gtest_cases(path)
        # A program that is run twice writes NAME.xml and NAME_1.xml.
        program = os.path.basename(path)[: -len(".xml")]
        if program not in commands.values():
            program = program.rstrip("0123456789").rstrip("_")
        if cases:
            by_program.setdefault(program, []).append(cases)
    passed, failed, skipped = 0, [], 0
    for runs in by_program.values():
        for p, f, s in runs:
            passed, failed, skipped = passed + p, failed + f, skipped + s
    for case in xml.parse(os.path.join(directory, "ctest.xml")).getroot().iter("testcase"):
        name, status = case.get("name"), case.get("status")
        runs = by_program.get(commands.get(name, ""), [])
        if case.find("skipped") is not None or status in ("notrun", "disabled"):
            if commands.get(name) == "not built":
                failed.append(f"{name} (not built)")
            else:
                skipped += 1
        elif status == "fail":
            if not any(f for _, f, _ in runs):
                failed.append(f"{name} (the program ended badly)")
        elif not runs:
            passed += 1
    return passed, failed, skipped


def main():
    broken = int(sys.argv[1])
    passed, failed, skipped = 0, ["build"] * broken, 0
    for directory in sys.argv[2:]:
        if not os.path.exists(os.path.join(directory, "ctest.xml")):
            if not broken:
                failed.append("ctest")
            continue
        p, f, s = count(directory)
        passed, failed, skipped = passed + p, failed + f, skipped + s
    for name in failed:
        print(f"FAILED: {name}")
    if skipped:
        print(f"{skipped} skipped (see above for what they need)")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
