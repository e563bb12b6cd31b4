#!/usr/bin/env python3
"""What neither the compiler nor clang-format sees. Faults: lines over 160 columns (code over 100 is
clang-format's to say), blanks at line ends, a TODO without an issue's number, files far over the bound. Notes only:
long files and long functions."""

import re

import lintlib

FILE_LINES, FILE_LINES_MOST = 800, 1200
FUNCTION_LINES = 60
COLUMNS_MOST = 160
TODO = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\s*\(?\s*(?:issue\s*)?#?\d)")


def functions(lines):
    """(line, length, name) of each function body; a definition's braces stand in the first column."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            name = next((re.match(r"(\w+)\(", before).group(1) for before in reversed(lines[:start - 1])
                         if re.match(r"\w+\(", before)), "?")
            yield start, number - start - 1, name
            start = None


def main():
    faults, notes = [], []
    paths = lintlib.files(["src", "tests"])
    for path in paths:
        lines = lintlib.text(path).splitlines()
        for number, line in enumerate(lines, 1):
            if len(line.expandtabs(8)) > COLUMNS_MOST:
                faults.append(f"{path}:{number}: over {COLUMNS_MOST} columns")
            if line != line.rstrip():
                faults.append(f"{path}:{number}: blanks at the end of the line")
            if TODO.search(line):
                faults.append(f"{path}:{number}: a TODO names an issue, TODO(#N)")
        if len(lines) > FILE_LINES_MOST and path.startswith("src/"):
            faults.append(f"{path}: {len(lines)} lines, at most {FILE_LINES_MOST}: cut it")
        elif len(lines) > FILE_LINES:
            notes.append(f"note: {path}: {len(lines)} lines, over {FILE_LINES} wants a cut")
        if path.startswith("src/"):
            notes += [f"note: {path}:{at}: {name}() has {length} lines, over {FUNCTION_LINES} wants a cut"
                      for at, length, name in functions(lines) if length > FUNCTION_LINES]
    for note in notes:
        print(note)
    lintlib.finish("style", faults, len(paths))


main()
