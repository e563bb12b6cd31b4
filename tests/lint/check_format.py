#!/usr/bin/env python3
"""Every C file looks as clang-format 14 with .clang-format writes it. Another version formats otherwise."""

import os
import re
import subprocess

import lintlib

WANT = 14


def main():
    tool = os.environ.get("HF_CLANG_FORMAT", "clang-format-14")
    try:
        version = subprocess.run([tool, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        lintlib.cannot("clang-format 14 is missing (Debian: clang-format-14)")
    found = re.search(r"version (\d+)", version)
    if not found or int(found.group(1)) != WANT:
        lintlib.cannot(f"{tool} is '{version.strip()}', wanted is clang-format {WANT}")
    paths = lintlib.files(["src", "tests"])
    done = subprocess.run([tool, "--dry-run", "--style=file"] + paths, cwd=lintlib.ROOT, stderr=subprocess.PIPE,
                          text=True, check=False)
    wrong = sorted({m.group(1) for m in re.finditer(r"^(\S+?):\d+:\d+: (?:warning|error)", done.stderr, re.MULTILINE)})
    faults = [f"{path}: run clang-format-14 -i on it" for path in wrong]
    if done.returncode != 0 and not wrong:
        faults.append(f"{tool} failed: {done.stderr.strip()}")
    lintlib.finish("format", faults, len(paths))


main()
