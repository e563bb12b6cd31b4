#!/usr/bin/env python3
"""Every header has the guard ROOM_FILE_H, begins with a comment, and compiles alone."""

import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

import lintlib


def guard_fault(path):
    want = re.sub(r"[^A-Z0-9]", "_", os.path.relpath(path, "src").upper())
    content = lintlib.text(path)
    if not content.startswith("/*"):
        return f"{path}:1: begin with a comment: what it is for, who owns what, what it never does"
    lines = [line for line in lintlib.code(path).splitlines() if line.strip()]
    if lines[:2] != [f"#ifndef {want}", f"#define {want}"] or not lines[-1].startswith("#endif"):
        return f"{path}: its guard is not {want}"
    return None


def compile_fault(path):
    compiler = shlex.split(os.environ.get("HF_CC", "cc"))
    flags = shlex.split(os.environ.get("HF_COMPILE_FLAGS", "-std=gnu11 -I" + os.path.join(lintlib.ROOT, "src")))
    done = subprocess.run(
        compiler + flags + ["-fsyntax-only", "-Wno-unused-macros", "-x", "c", "-"],
        input=f'#include "{os.path.relpath(path, "src")}"\n', text=True, stderr=subprocess.PIPE, check=False)
    return f"{path} does not compile alone:\n{done.stderr.rstrip()}" if done.returncode != 0 else None


def main():
    paths = lintlib.files(["src"], (".h",))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = [guard_fault(p) for p in paths] + list(pool.map(compile_fault, paths))
    lintlib.finish("headers", [f for f in faults if f], len(paths))


main()
