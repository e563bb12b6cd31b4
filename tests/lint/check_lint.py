#!/usr/bin/env python3
"""The checks themselves: each is run on a small tree with one fault of its kind and must find it, and on the same
tree without the fault and must not."""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LAYERS = "# rooms\nbase\nnet\nresp http\ncli\n"
HEADER = "/* What it is for. */\n#ifndef NET_A_H\n#define NET_A_H\n\n#endif\n"

# check, file, bad text, good text, what the output must say of the bad one
CASES = [
    ("check_layers.py", "src/net/a.c", '#include "cli/x.h"\n', '#include "base/x.h"\n', "cli is above net"),
    ("check_layers.py", "src/resp/a.c", '#include "http/x.h"\n', '#include "resp/x.h"\n', "beside each other"),
    ("check_layers.py", "src/net/a.c", '#include "x.h"\n', '#include "net/x.h"\n', "write the path"),
    ("check_layers.py", "src/new/a.c", '#include "base/x.h"\n', None, "in no row"),
    ("check_layers.py", "src/net/a.c", '#include "base/x.h"\n#  include "cli/x.h"\n', '#include "net/x.h"\n', "a.c:2:"),
    ("check_banned.py", "src/net/a.c", "int f(void) { return atoi(x); }\n", "/* atoi(x) */\n", "atoi()"),
    ("check_banned.py", "src/net/a.c", "f(strcpy (a, b));\n", 'f("strcpy(a, b)");\n', "strcpy()"),
    ("check_banned.py", "src/net/a.c", "pid = waitpid(-1, 0, 0);\n", "my_waitpid(1); p->wait(1);\n", "waitpid()"),
    ("check_banned.py", "src/net/a.c", "signal(SIGTERM, on_term);\n", "signal(SIGPIPE, SIG_IGN);\n", "ev_signal"),
    ("check_banned.py", "src/net/a.c", "typedef struct x x;\n", "typedef void fn(int);\n", "no typedef"),
    ("check_banned.py", "src/net/a.c", '#include "config.h"\n', '#include "base/config.h"\n', "-include"),
    ("check_banned.py", "src/net/a.c", "\n\nusleep(1);\n", "my_usleep(1);\n", "a.c:3:"),
    ("check_headers.py", "src/net/a.h", HEADER.replace("NET_A_H", "A_H"), HEADER, "guard"),
    ("check_headers.py", "src/net/a.h", HEADER.replace("/* What it is for. */\n", ""), HEADER, "comment"),
    ("check_headers.py", "src/net/a.h", HEADER.replace("\n\n", "\n\nsize_t f(void);\n"), HEADER, "alone"),
    ("check_style.py", "src/net/a.c", "int x; // TODO: later\n", "int x; // TODO(#7): later\n", "names an issue"),
    ("check_style.py", "src/net/a.c", "int x; \n", "int x;\n", "blanks"),
    ("check_style.py", "src/net/a.c", "\t" * 20 + "int x;\n", "int x;\n", "160 columns"),
    ("check_style.py", "src/net/a.c", "int x;\n" * 1201, "int x;\n" * 1200, "cut it"),
    ("check_dist.py", "src/net/a.c", "int x;\n", None, "in no local.mk"),
    ("check_format.py", "src/net/a.c", "int  x;\n", "int x;\n", "clang-format-14 -i"),
]


def run(check, path, content):
    """(exit code, output) of one check on a tree with that one file."""
    with tempfile.TemporaryDirectory() as tree:
        for name, text in (("tests/lint/layers.txt", LAYERS), ("Makefile.am", "EXTRA_DIST = tests/lint\n\tmkdir src/net\n"), (path, content)):
            os.makedirs(os.path.dirname(os.path.join(tree, name)), exist_ok=True)
            with open(os.path.join(tree, name), "w", encoding="utf-8") as f:
                f.write(text)
        env = dict(os.environ, HF_SRCDIR=tree, HF_STRICT="0", HF_COMPILE_FLAGS=f"-I{tree}/src")
        done = subprocess.run([sys.executable, os.path.join(HERE, check)], env=env, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout


def main():
    faults = 0
    for check, path, bad, good, says in CASES:
        code, output = run(check, path, bad)
        if code == 77:
            continue  # its tool is missing; the check itself says so
        if code != 1 or says not in output:
            print(f"{check} did not find its fault in {bad!r}: exit {code}\n{output}")
            faults += 1
        code, output = run(check, path, good) if good is not None else (0, "")
        if code != 0:
            print(f"{check} found a fault in {good!r}: exit {code}\n{output}")
            faults += 1
    print(f"lint checks: {len(CASES)} cases, {faults} faults")
    sys.exit(1 if faults else 0)


main()
