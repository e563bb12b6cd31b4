#!/usr/bin/env python3
"""Every source file is named in a makefile fragment, once in its list, so that it is in the tarball and rebuilt when it changes."""

import os
import re

import lintlib

# what lies beside the sources without being one
OTHER = re.compile(r"^src/ui/(node_modules|dist|dist-test)/|(^|/)(\.|__pycache__/|.*~$|.*\.(o|a|orig|rej|log|trs|replay)$)")


def main():
    makefiles = ["Makefile.am"] + lintlib.files(["src", "tests", "etc", "systemd", "docker"], (".mk",))
    words, whole_folders, faults = set(), set(), []
    for path in makefiles:
        content = re.sub(r"\$\((?:top_)?srcdir\)/", "", lintlib.text(path)).replace("\\\n", " ")
        words.update(content.split())
        for line in content.splitlines():
            named = [w for w in line.split() if re.fullmatch(r"[\w./-]+\.\w+", w)]
            faults.extend(f"{path}: {w} is named twice in one list" for w in sorted(set(named)) if named.count(w) > 1)
        whole_folders.update(*(line.split() for line in content.splitlines() if line.startswith("EXTRA_DIST")))
    paths = lintlib.files(["src", "tests", "etc", "systemd", "docker"], ("",))
    for path in paths:
        stem = os.path.splitext(path)[0]
        folders = [path[:m.start()] for m in re.finditer("/", path)]
        if OTHER.search(path) or path in makefiles or path in words or stem in words or whole_folders & set(folders):
            continue
        if path.startswith("tests/fuzz/") and path.endswith(".dict"):
            continue  # by wildcard
        faults.append(f"{path}: in no local.mk, so not in the tarball")
    lintlib.finish("dist", faults, len(paths))


main()
