#!/usr/bin/env python3
"""holdfast.8 says what the tables say: its synopsis is the table of subcommands, and every option, event and exit
code is described."""

import re

import lintlib

PAGE = "etc/man/holdfast.8"


def rows(path, macro):
    """The arguments of each row of an X-macro table; adjacent string literals count as one."""
    found = []
    text = re.sub(r"/\*.*?\*/", "", lintlib.text(path), flags=re.DOTALL)
    for m in re.finditer(macro + r"\(((?:\"(?:\\.|[^\"])*\"|[^()\"])*)\)", text):
        args = re.findall(r"(?:\"(?:\\.|[^\"])*\"\s*)+|[^,\s][^,]*", m.group(1))
        found.append(["".join(re.findall(r"\"((?:\\.|[^\"])*)\"", a)) if a.startswith('"') else a.strip() for a in args])
    return found


def plain(roff):
    """The words of a line without its fonts."""
    line = re.sub(r"\\f(?:[A-Z]|\[.*?\])", "", roff).replace("\\-", "-")
    return re.sub(r"^\.[A-Z]+\s+", "", line).strip()


def section(page, name):
    m = re.search(r"^\.SH %s\n(.*?)(?=^\.SH |\Z)" % re.escape(name), page, re.DOTALL | re.MULTILINE)
    lines = m.group(1).splitlines() if m else []
    return [line for line in lines if not line.startswith('.\\"')]


def tags(lines):
    """What the entries of a list are headed with."""
    return [plain(lines[i + 1]) for i, line in enumerate(lines[:-1]) if line == ".TP"]


def compare(faults, what, wanted, found):
    for item in wanted:
        if item not in found:
            faults.append(f"{PAGE}: {what}: '{item}' is missing")
    for item in found:
        if item not in wanted:
            faults.append(f"{PAGE}: {what}: '{item}' is in no table")
    if not faults and wanted != found:
        faults.append(f"{PAGE}: {what}: not in the order of the table")


def main():
    page = lintlib.text(PAGE)
    commands = rows("src/cli/commands.def", "CLI_COMMAND")
    options = rows("src/cli/options.def", "CLI_OPTION")
    events = rows("src/store/events.def", "EVENT")
    codes = re.findall(r"CLI_\w+ = (\d+)", lintlib.code("src/cli/cli.h"))
    faults = []
    synopsis = [plain(line) for line in section(page, "SYNOPSIS") if not line.startswith(".")]
    compare(faults, "SYNOPSIS", [f"holdfast {c[0]} {c[2]}".strip() for c in commands], synopsis)
    compare(faults, "SUBCOMMANDS", [c[0] for c in commands], tags(section(page, "SUBCOMMANDS")))
    compare(faults, "EVENTS", [e[1] for e in events], tags(section(page, "EVENTS")))
    compare(faults, "EXIT STATUS", codes, tags(section(page, "EXIT STATUS")))
    refused = re.findall(r'^CMD\("([^"]+)", [^,]+, [^,]*CMD_REFUSED', lintlib.text("src/backend/commands.def"), re.MULTILINE)
    listed = re.search(r"CMD_REFUSED\n(.*)$", page, re.MULTILINE)
    compare(faults, "PROXY", refused, listed.group(1).split(", ") if listed else [])
    described = " ".join(tags(section(page, "OPTIONS")))
    for option in options:
        if f"--{option[1]}" not in described:
            faults.append(f"{PAGE}: OPTIONS: '--{option[1]}' is missing")
    lintlib.finish("man page", faults, len(commands) + len(options) + len(events) + len(codes))


main()
