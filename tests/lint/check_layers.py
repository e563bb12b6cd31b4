#!/usr/bin/env python3
"""A room includes itself and rooms of the rows above it in layers.txt; never one below, never one beside."""

import os
import re

import lintlib

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.MULTILINE)


def rows():
    rank = {}
    lines = lintlib.text("tests/lint/layers.txt").splitlines()
    for number, line in enumerate(line for line in lines if line.strip() and not line.startswith("#")):
        for room in line.split():
            rank[room] = number
    return rank


def fault(path, target, rank):
    room = path.split("/")[1] if path.count("/") > 1 else None
    if room is None:
        return None  # src/main.c is above all
    if room not in rank:
        return f"room '{room}' is in no row of tests/lint/layers.txt"
    other = target.split("/")[0] if "/" in target else None
    if other is None:
        return f'"{target}": write the path from src/, "{room}/{target}"'
    if other == room:
        return None
    if other not in rank:
        return f'"{target}": \'{other}\' is in no row of tests/lint/layers.txt'
    if rank[other] == rank[room]:
        return f'"{target}": {room} and {other} are beside each other and never include each other'
    if rank[other] > rank[room]:
        return f'"{target}": {other} is above {room}; take a callback or an ops table instead'
    return None


def main():
    rank = rows()
    faults = []
    paths = lintlib.files(["src"])
    for path in paths:
        content = lintlib.text(path)
        for m in INCLUDE.finditer(content):
            what = fault(path, m.group(1), rank)
            if what:
                faults.append(f"{path}:{lintlib.line_of(content, m.start())}: {what}")
        if "/ui/" not in path and not os.path.isabs(path) and path.count("/") > 2:
            faults.append(f"{path}: rooms have no folders inside")
    lintlib.finish("layers", faults, len(paths))


main()
