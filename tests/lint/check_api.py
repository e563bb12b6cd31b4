#!/usr/bin/env python3
"""The operator's interface is described as it is: etc/openapi.json and holdfast-api(7) have the paths, methods, parameters and roles of
src/httpd/api.def, no more and no less. That the answers are as described is for tests/integration/test_api.py."""

import json
import re

import lintlib

ROW = re.compile(r'^API\((\w+), "([^"]+)", (\w+), "([^"]*)", \w+, (true|false), "[^"]+"\)$', re.MULTILINE)
OPENAPI, PAGE = "etc/openapi.json", "etc/man/holdfast-api.7"
ROLES = {"NOBODY": "none", "VIEWER": "viewer", "OPERATOR": "operator"}


def unnamed(path):
    """As the table writes it: what stands for a word of the path has no name there."""
    return re.sub(r"\{\w+\}", "{}", path)


def table():
    """{(method, path): (role, query parameters, does it stream)}"""
    found = {}
    for verb, path, role, params, streams in ROW.findall(lintlib.text("src/httpd/api.def")):
        found[verb, path] = ROLES[role], sorted(params.split()), streams == "true"
    return found


def described():
    found = {}
    for path, methods in json.loads(lintlib.text(OPENAPI))["paths"].items():
        for verb, o in methods.items():
            query = sorted(p["name"] for p in o.get("parameters", []) if p["in"] == "query")
            found[verb.upper(), unnamed(path)] = o.get("x-role"), query, "text/event-stream" in str(o["responses"].get("200"))
    return found


def documented():
    """What heads the entries of the man page's section: {(method, path): parameters}"""
    section = lintlib.text(PAGE).partition(".SH INTERFACE\n")[2].partition("\n.SH ")[0]
    found = {}
    for head in re.findall(r"^\.TP\n\.B (.*)$", section, re.MULTILINE):
        verb, path, *rest = re.sub(r"\\f[A-Z]", "", head).replace("\\-", "-").split()
        query = sorted(rest[0].strip("?").split("&")) if rest else []
        found[verb, re.sub(r"(?<=/)[A-Z]+", "{}", path)] = query
    return found


def main():
    rows, faults = table(), []
    lines = re.findall(r"^API\(", lintlib.text("src/httpd/api.def"), re.MULTILINE)
    if len(lines) != len(rows):
        faults.append(f"src/httpd/api.def: {len(lines)} rows, {len(rows)} of them understood")
    for where, have, of in ((OPENAPI, described(), lambda row: row), (PAGE, documented(), lambda row: row[1])):
        for key in sorted(rows.keys() | have.keys()):
            if key not in have:
                faults.append(f"{where}: {' '.join(key)} is missing")
            elif key not in rows:
                faults.append(f"{where}: {' '.join(key)} is in no table")
            elif have[key] != of(rows[key]):
                faults.append(f"{where}: {' '.join(key)}: {have[key]}, and {of(rows[key])} by src/httpd/api.def")
    lintlib.finish("interface", faults, len(rows))


main()
