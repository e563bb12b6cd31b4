#!/usr/bin/env python3
"""Functions that this project does not call, each with what to use instead, and where it is allowed."""

import re

import lintlib

# names (a regular expression), what to do instead, path prefixes where it is allowed
BANNED = [
    (r"strcpy|stpcpy|strcat|strncat", "use snprintf, or buf_add_str", ()),
    (r"v?sprintf", "use snprintf, xasprintf or buf_addf", ()),
    (r"gets", "use fgets", ()),
    (r"strtok", "work on a struct slice (or strtok_r)", ()),
    (r"ato[ilf]|atoll", "use slice_to_u64, which says when it is no number", ()),
    (r"v?[fs]?scanf", "work on a struct slice", ()),
    (r"system|popen", "spawn with src/proc", ()),
    (r"sleep|usleep|nanosleep|clock_nanosleep", "wait for the event: a timer or a watcher of the loop", ()),
    (r"alloca", "use a fixed array or buf", ()),
    (r"waitpid|waitid|wait3|wait4|wait", "only the process table waits for children (ev_child)",
     ("src/proc/", "tests/unit/")),
    (r"v?fork|exec(?:v|ve|vp|vpe|l|lp|le|veat)|fexecve|posix_spawnp?|daemon", "spawn with src/proc",
     ("src/proc/", "src/cli/", "tests/unit/")),
    (r"tmpnam|tempnam|mktemp", "use mkstemp or a name of our own in the data folder", ()),
    (r"s?rand|s?random|rand_r|drand48", "use getrandom", ("tests/",)),
    (r"ctime|asctime|gmtime|localtime", "use clock_rfc3339 or the _r form", ()),
    (r"gethostbyname|gethostbyaddr|inet_ntoa|inet_addr", "use endpoint_resolve, endpoint_format", ()),
    (r"getaddrinfo", "use endpoint_resolve", ("src/net/endpoint.c",)),
    (r"select", "use the loop", ()),
]

# spelled out: a handler is the loop's business, ignoring a signal is not
EXTRA = [
    (re.compile(r"\bsignal\s*\([^,()]*,(?!\s*SIG_(?:IGN|DFL)\b)"), "signal with a handler: use ev_signal", ()),
    (re.compile(r"^[ \t]*#[ \t]*include[ \t]+[\"<]config\.h", re.MULTILINE), "config.h comes in by -include", ()),
    (re.compile(r"\btypedef\s+(?:struct|enum|union)\b(?:\s+\w+)?\s*(?:\{|\w+\s*;)"), "structs, enums and unions have no typedef", ()),
]


def main():
    rules = [(re.compile(r"(?<![\w.>])(?:%s)\s*\(" % names), names, instead, allowed)
             for names, instead, allowed in BANNED]
    faults = []
    paths = lintlib.files(["src", "tests"])
    for path in paths:
        content = lintlib.code(path)
        for pattern, names, instead, allowed in rules:
            if path.startswith(allowed):
                continue
            for m in pattern.finditer(content):
                word = m.group(0).rstrip("( \t\n")
                faults.append(f"{path}:{lintlib.line_of(content, m.start())}: {word}(): {instead}")
        for pattern, instead, _ in EXTRA:
            source = lintlib.text(path) if "include" in pattern.pattern else content
            for m in pattern.finditer(source):
                faults.append(f"{path}:{lintlib.line_of(source, m.start())}: {instead}")
    lintlib.finish("banned functions", sorted(faults), len(paths))


main()
