#!/usr/bin/env python3
"""What etc/prometheus and etc/grafana ask for is what /metrics says: names and labels by src/httpd/prom.def and prom.c. With promtool (Debian:
prometheus) each expression is parsed, and each alert fires in its case, alone, and on a cluster in which all is well none does."""

import json
import os
import re
import shutil
import subprocess
import tempfile

import lintlib

RULES, DASHBOARD = "etc/prometheus/holdfast.rules.yml", "etc/grafana/holdfast-dashboard.json"
LABELS = {"alertname", "cluster", "command", "instance_name", "kind", "le", "node", "role", "route", "state", "status", "version"}

REDIS_1 = 'instance_name="redis-1",kind="redis",role="master"'
REDIS_2 = 'instance_name="redis-2",kind="redis",role="replica"'
PROXY = 'instance_name="proxy-1",kind="proxy"'
GET, BLPOP = PROXY + ',command="GET"', PROXY + ',command="BLPOP"'
# Twenty minutes of a cluster in which all is well, a value each 15 s: one restart, a command that waits, an instance that somebody stopped.
WELL = {
    ("holdfast_build_info", 'version="1"'): "1x80",
    ("holdfast_state", 'state="ready"'): "1x80",
    ("holdfast_state", 'state="degraded"'): "0x80",
    ("holdfast_instance_ready", REDIS_1): "1x80",
    ("holdfast_instance_wanted", REDIS_1): "1x80",
    ("holdfast_instance_ready", REDIS_2): "1x80",
    ("holdfast_instance_wanted", REDIS_2): "1x80",
    ("holdfast_instance_ready", 'instance_name="http-2",kind="http"'): "0x80",
    ("holdfast_instance_wanted", 'instance_name="http-2",kind="http"'): "0x80",
    ("holdfast_instance_restarts_total", REDIS_2): "0x40 1x40",
    ("holdfast_redis_connected_replicas", REDIS_1): "1x80",
    ("holdfast_redis_connected_replicas", REDIS_2): "0x80",
    ("holdfast_replica_lag_bytes", REDIS_2): "5000x80",
    ("holdfast_redis_memory_used_bytes", REDIS_1): "1000000x80",
    ("holdfast_redis_memory_max_bytes", REDIS_1): "0x80",
    ("holdfast_master_epoch", ""): "3x80",
    ("holdfast_failovers_failed_total", ""): "1x80",
    ("holdfast_worker_requests_uncertain_total", PROXY): "7x80",
    ("holdfast_worker_requests_expired_total", PROXY): "7x80",
    ("holdfast_worker_undurable_writes_total", PROXY): "7x80",
    ("holdfast_worker_clients_refused_total", PROXY): "7x80",
    ("holdfast_commands_total", GET): "0+1000x80",
    ("holdfast_command_errors_total", GET): "0+10x80",
    ("holdfast_command_duration_seconds_bucket", GET + ',le="0.1"'): "0+1000x80",
    ("holdfast_command_duration_seconds_bucket", GET + ',le="1"'): "0+1000x80",
    ("holdfast_command_duration_seconds_bucket", GET + ',le="+Inf"'): "0+1000x80",
    ("holdfast_command_duration_seconds_bucket", BLPOP + ',le="0.1"'): "0x80",
    ("holdfast_command_duration_seconds_bucket", BLPOP + ',le="1"'): "0x80",
    ("holdfast_command_duration_seconds_bucket", BLPOP + ',le="+Inf"'): "0+1000x80",
}
# What differs where an alert is to fire: None takes a series away.
CASES = {
    "HoldfastNotHeard": {key: None for key in WELL},
    "HoldfastNotReady": {("holdfast_state", 'state="ready"'): "0x80", ("holdfast_state", 'state="degraded"'): "1x80"},
    "HoldfastInstanceDown": {("holdfast_instance_ready", REDIS_2): "1x60 0x20"},
    "HoldfastInstanceRestarts": {("holdfast_instance_restarts_total", REDIS_2): "0x40 0+1x40"},
    "HoldfastFailover": {("holdfast_master_epoch", ""): "3x60 4x20"},
    "HoldfastFailoverFailed": {("holdfast_failovers_failed_total", ""): "1x60 2x20"},
    "HoldfastNoReplica": {("holdfast_redis_connected_replicas", REDIS_1): "1x40 0x40"},
    "HoldfastReplicaLag": {("holdfast_replica_lag_bytes", REDIS_2): "0+2000000x80"},
    "HoldfastMemoryNearlyFull": {("holdfast_redis_memory_max_bytes", REDIS_1): "1050000x80"},
    "HoldfastWritesUncertain": {("holdfast_worker_requests_uncertain_total", PROXY): "7x70 8x10"},
    "HoldfastRequestsExpired": {("holdfast_worker_requests_expired_total", PROXY): "7x70 8x10"},
    "HoldfastWritesNotDurable": {("holdfast_worker_undurable_writes_total", PROXY): "7x70 8x10"},
    "HoldfastClientsRefused": {("holdfast_worker_clients_refused_total", PROXY): "7x70 8x10"},
    "HoldfastCommandErrors": {("holdfast_command_errors_total", GET): "0+100x80"},
    "HoldfastSlow": {("holdfast_command_duration_seconds_bucket", GET + ',le="0.1"'): "0+900x80"},
}


def names():
    """Of all figures that there are."""
    found = set(re.findall(r'^PROM\("(\w+)"', lintlib.text("src/httpd/prom.def"), re.MULTILINE))
    code = lintlib.text("src/httpd/prom.c")
    found |= set(re.findall(r'"(holdfast_[a-z_]+)[{"]', code))
    for name in [n for n in found if n.endswith("_duration_seconds")]:
        found |= {name + ending for ending in ("_bucket", "_sum", "_count")}
    return found


def expressions():
    """[(where, expression)] of alerts and panels."""
    found = []
    for block in re.findall(r"^ +expr: (\|\n(?: {10,}.*\n)+|.*\n)", lintlib.text(RULES), re.MULTILINE):
        found.append((RULES, " ".join(block.lstrip("|\n").split())))
    board = json.loads(lintlib.text(DASHBOARD))
    found += [(f"{DASHBOARD}: {a['name']}", a["expr"]) for a in board["annotations"]["list"]]
    for panel in board["panels"]:
        found += [(f"{DASHBOARD}: {panel['title']}", t["expr"]) for t in panel.get("targets", [])]
    return found


def check_words(faults):
    known = names()
    for where, text in expressions():
        bare = re.sub(r'"[^"]*"', '""', text)
        for name in re.findall(r"\bholdfast_\w+", bare):
            if name not in known:
                faults.append(f"{where}: there is no {name}")
        labels = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", " ".join(re.findall(r"{([^}]*)}", bare)))
        labels += re.findall(r"\w+", " ".join(re.findall(r"\b(?:by|on|without|ignoring) ?\(([^)]*)\)", bare)))
        faults += [f"{where}: there is no label {label}" for label in labels if label not in LABELS]


def check_dashboard(faults):
    board = json.loads(lintlib.text(DASHBOARD))
    taken = {}
    for panel in board["panels"]:
        g = panel["gridPos"]
        for cell in ((x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])):
            if cell[0] >= 24 or taken.setdefault(cell, panel["id"]) != panel["id"]:
                faults.append(f"{DASHBOARD}: {panel['title']} lies over another one, or outside")
                break
    if len({p["id"] for p in board["panels"]}) != len(board["panels"]):
        faults.append(f"{DASHBOARD}: two panels have one id")


def series(case):
    everywhere = 'cluster="main",node="a"'
    return [{"series": f"{name}{{{labels}{',' if labels else ''}{everywhere}}}", "values": case.get((name, labels), values)}
            for (name, labels), values in WELL.items() if case.get((name, labels), values)]


def check_with_promtool(faults):
    alerts = re.findall(r"^ +- alert: (\w+)", lintlib.text(RULES), re.MULTILINE)
    if sorted(alerts) != sorted(CASES):
        faults.append(f"{RULES}: an alert without a case in tests/lint/check_metrics.py, or the other way: {sorted(set(alerts) ^ set(CASES))}")
    tests = [{"name": name, "interval": "15s", "input_series": series(case), "promql_expr_test": [{
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": "20m",
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1}] if case else []}]} for name, case in {"all is well": {}, **CASES}.items()]
    panels = [{"record": f"x:{i}", "expr": text.replace("$__rate_interval", "1m").replace("$cluster", "main")} for i, (_, text) in enumerate(expressions())]
    with tempfile.TemporaryDirectory() as folder:
        files = {"test.yml": {"rule_files": [os.path.join(lintlib.ROOT, RULES)], "evaluation_interval": "15s", "tests": tests},
                 "panels.yml": {"groups": [{"name": "panels", "rules": panels}]}}
        for name, document in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                json.dump(document, f)  # JSON is YAML
        for words in (["check", "rules", os.path.join(lintlib.ROOT, RULES)], ["check", "rules", os.path.join(folder, "panels.yml")],
                      ["test", "rules", os.path.join(folder, "test.yml")]):
            done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                faults.append(f"promtool {' '.join(words[:2])} {os.path.basename(words[2])}: {done.stdout}{done.stderr}")


def main():
    faults = []
    check_words(faults)
    check_dashboard(faults)
    if not faults and shutil.which("promtool"):
        check_with_promtool(faults)
    elif not faults and os.environ.get("HF_STRICT") == "1":
        faults.append("promtool is not installed (Debian: prometheus): rules and expressions were not given to it")
    elif not faults:
        print("promtool is not installed (Debian: prometheus): names were checked, rules and expressions were not given to it")
    lintlib.finish("metrics", faults, len(expressions()))


main()
