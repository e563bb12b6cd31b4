"""What the lint checks share: where the source is, its files, C text without comments and strings, and how a
check ends (0 clean, 1 faults, 77 cannot run here). HF_SRCDIR names the source tree; HF_STRICT=1 makes a
missing tool a failure, as in ./bootstrap check, which installs them."""

import os
import re
import sys

ROOT = os.environ.get("HF_SRCDIR") or os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
SKIP = 77

_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)


def files(folders, endings=(".c", ".h")):
    """Paths relative to ROOT, sorted."""
    found = []
    for folder in folders:
        for where, _, names in os.walk(os.path.join(ROOT, folder)):
            found += [os.path.relpath(os.path.join(where, n), ROOT) for n in names if n.endswith(endings)]
    return sorted(found)


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def code(path):
    """The text with comments and the inside of string literals blanked; line numbers stay."""
    def blank(m):
        s = m.group(0)
        kept = s[0] if s[0] in "\"'" else " "
        return kept + re.sub(r"[^\n]", " ", s[1:-1]) + kept
    return _TOKEN.sub(blank, text(path))


def line_of(content, offset):
    return content.count("\n", 0, offset) + 1


def finish(what, faults, checked):
    for fault in faults:
        print(fault)
    print(f"{what}: {checked} checked, {len(faults)} faults")
    sys.exit(1 if faults or not checked else 0)


def cannot(reason):
    """A tool is missing: skipped in a tarball, a failure where the tool was to be installed."""
    strict = os.environ.get("HF_STRICT") == "1"
    print(f"{'FAIL' if strict else 'SKIP'}: {reason}")
    sys.exit(1 if strict else SKIP)
