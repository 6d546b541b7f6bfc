#!/usr/bin/env python3
"""Draws a flame graph (Brendan Gregg's: width = samples, stacked = callers below) as one SVG.

perf record -a -g -F 499 -o perf.data -- COMMAND; perf script -i perf.data | bench/flame.py [--only REGEX] "TITLE" > flame.svg

--only keeps the threads whose name (comm) matches. Frames under 0.2 % of all samples are left out.
"""

import argparse
import collections
import html
import re
import sys

WIDTH, ROW, LEAST = 1200, 15, 0.002


def stacks(lines, only):
    """Yields one stack for each sample: the thread's name, then functions, the outermost first."""
    comm, frames = None, []
    for line in lines:
        if not line.strip():
            if comm is not None and only.search(comm):
                yield (comm, *reversed(frames))
            comm, frames = None, []
        elif not line[0].isspace():
            comm = re.sub(r"[-/:]?\d+$", "", re.match(r"\s*(.+?)\s+\d+\b", line).group(1))  # without its number
        else:
            name = line.split(maxsplit=1)[1].rsplit(" (", 1)[0]
            name = re.sub(r"\+0x[0-9a-f]+$", "", name)
            frames.append(re.sub(r"\(.*\)( const)?$", "", name) or name)


def tree(samples):
    root = {"n": 0, "below": collections.OrderedDict()}
    for stack in samples:
        node = root
        node["n"] += 1
        for frame in stack:
            node = node["below"].setdefault(frame, {"n": 0, "below": collections.OrderedDict()})
            node["n"] += 1
    return root


def color(name, depth):
    if depth == 1:
        return "rgb(200,200,200)"
    shade = sum(name.encode()) % 55
    return f"rgb(120,{170 + shade},230)" if "curvefs::" in name else f"rgb(240,{150 + shade},90)"


def draw(node, name, x, depth, total, out):
    width = node["n"] / total * WIDTH
    share = node["n"] / total * 100
    label = html.escape(name)
    text = label if len(name) * 6.5 < width else html.escape(name[:max(0, int(width / 6.5) - 1)])
    out.append((depth, f'<g><title>{label}: {share:.1f} %</title><rect x="{x:.1f}" y="@{depth}@" width="{width:.1f}" '
                f'height="{ROW - 1}" fill="{color(name, depth)}"/><text x="{x + 2:.1f}" y="@{depth}t@">{text}</text></g>'))
    for below, child in sorted(node["below"].items()):
        if child["n"] >= total * LEAST:
            draw(child, below, x, depth + 1, total, out)
            x += child["n"] / total * WIDTH


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("title")
    parser.add_argument("--only", default="", help="threads whose name matches this expression")
    args = parser.parse_args()
    root = tree(stacks(list(sys.stdin) + [""], re.compile(args.only)))
    if root["n"] == 0:
        sys.exit("flame.py: no samples; is the input `perf script`'s, and recorded with -g?")
    out = []
    draw(root, "all", 0, 0, root["n"], out)
    deepest = max(depth for depth, _ in out)
    height = (deepest + 2) * ROW + 10
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="monospace" font-size="11">')
    print(f'<text x="4" y="14" font-size="13">{html.escape(args.title)} ({root["n"]} samples)</text>')
    for depth, box in out:
        y = height - (depth + 1) * ROW
        print(box.replace(f"@{depth}@", str(y)).replace(f"@{depth}t@", str(y + 11)))
    print("</svg>")


main()
