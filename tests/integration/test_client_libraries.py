"""
Client libraries in use, as they come from their registries, against the proxy, also across a failover.

Each program in tests/clients says a word when a thing is proven, and FAILOVER when it holds connections, a subscription and
a WATCH: the master is killed then, and the same connections must go on as if nothing had happened. None may connect again.
"""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from harness import SERVER, wait_until

CLIENTS = Path(__file__).parent.parent / "clients"
PROVEN = ["connect", "pipeline", "transaction", "pubsub", "blocking", "script", "stream", "scan", "big", "FAILOVER", "failover"]
PROGRAMS = {
    "redis-py": [sys.executable, "client.py"],
    "phpredis": ["php", "client.php"],
    "redis-rb": ["ruby", "client.rb"],
    "ioredis": ["node", "ioredis.mjs"],
    "node-redis": ["node", "node_redis.mjs"],
}
LOADED = {"phpredis": ["php", "-r", "exit(extension_loaded('redis') ? 0 : 1);"], "redis-rb": ["ruby", "-e", "require 'redis'"]}


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory):
    """A copy of the programs with the libraries of node.js beside them."""
    wanted = json.loads((CLIENTS / "package.json").read_text())["dependencies"]
    if not shutil.which("npm"):
        pytest.skip(f"npm is not installed, which fetches {', '.join(wanted)}")
    folder = tmp_path_factory.mktemp("clients")
    for file in CLIENTS.glob("*.mjs"):
        shutil.copy(file, folder)
    shutil.copy(CLIENTS / "package.json", folder)
    done = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"], cwd=folder,
                          capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        pytest.skip(f"npm could not install {', '.join(wanted)}: {done.stderr[-300:]}")
    return folder


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_client_library(name, _shared, request):
    command = list(PROGRAMS[name])
    folder = request.getfixturevalue("node_folder") if command[0] == "node" else CLIENTS
    if not shutil.which(command[0]) or (name in LOADED and subprocess.run(LOADED[name], capture_output=True).returncode != 0):
        pytest.skip(f"{name} is not installed")
    c = _shared
    c.wait_ready()
    with subprocess.Popen([*command, str(c.ports.proxy)], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as program:
        said = []
        for line in program.stdout:
            said.append(line.rstrip("\n"))
            if said[-1] == "FAILOVER":
                old = c.master()
                c.wait_replicated()
                c.kill(old)
                program.stdin.write("\n")
                program.stdin.flush()
    assert program.returncode == 0 and said == PROVEN, "\n".join(said)
    assert c.wait_master_is_not(old)
    c.wait_agreed()
    wait_until(lambda: c.instance(old)["state"] == "ready", f"{old} is back")


# Where a cluster's answer is its own, the form of it is compared; in what order a table has its entries is nobody's promise.
UNORDERED = re.compile(r"^(COMMAND$|COMMAND DOCS$|SCAN 0|CONFIG GET|ACL CAT|[SH]SCAN|SMEMBERS)")
FORM_ONLY = re.compile(r"^(CLIENT LIST|INFO|MEMORY STATS|MEMORY USAGE text|SLOWLOG (GET|LEN|RESET)|ACL USERS|COMMAND DOCS$|XINFO|LATENCY|DBSIZE)")
INFO_ASKED = {"redis_version", "redis_mode", "os", "uptime_in_days", "connected_clients", "used_memory", "used_memory_human", "maxmemory_policy",
              "total_commands_processed", "instantaneous_ops_per_sec", "instantaneous_input_kbps", "keyspace_hits", "keyspace_misses", "role",
              "used_cpu_sys", "cluster_enabled"}


def unordered(x):
    return sorted((unordered(y) for y in x), key=json.dumps) if isinstance(x, list) else x


def fields(info):
    return dict(line.split(":", 1) for line in info.split("\r\n") if ":" in line)


@pytest.fixture(scope="module")
def plain_redis(_shared_cases):
    """A redis-server of its own beside the cluster; what is asked through the proxy is asked of it as well."""
    folder = _shared_cases.folder("plain")
    c = _shared_cases.clusters[0]
    port = c.ports.extra
    server = c.spawn(SERVER, "--port", port, "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes", label="plain")
    client = c._client(port)
    wait_until(client.ping, "the plain server", ignore=(redis.RedisError,))
    yield client, port
    client.shutdown(nosave=True)
    server.wait()


@pytest.mark.parametrize("library", ["ioredis", "node-redis"])
def test_what_redis_insight_sends(library, _shared, node_folder, plain_redis):
    """A browser of data takes the proxy for a plain Redis: it gets the answers that one gives."""
    c = _shared
    c.wait_ready()
    plain, plain_port = plain_redis
    for client in (plain, *(c.redis(i["name"]) for i in c.instances("redis"))):
        client.execute_command("ACL", "SETUSER", "insight", "on", ">secret", "~*", "&*", "+@all")
    said = {}
    for name, port in (("plain", plain_port), ("proxy", c.ports.proxy)):
        done = subprocess.run(["node", "insight.mjs", library, str(port)], cwd=node_folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{name}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        said[name] = json.loads(done.stdout)
        (plain if name == "plain" else c.proxy(username="insight", password="secret")).execute_command("FLUSHALL")
    for (line, ours), (_, theirs) in zip(said["proxy"]["answers"], said["plain"]["answers"], strict=True):
        if line.startswith("CLIENT SETINFO"):
            assert ours == "OK", "whether the server knows it or not, which Redis 7.0 does not"
        elif line.startswith("INFO"):
            assert re.findall(r"^# \w+", ours, re.M) == re.findall(r"^# \w+", theirs, re.M), line
            assert (INFO_ASKED & set(fields(theirs))) <= set(fields(ours)), line
        elif FORM_ONLY.match(line):
            assert type(ours) is type(theirs), f"{line}: {ours!r}, a plain server {theirs!r}"
        elif UNORDERED.match(line):
            assert unordered(ours) == unordered(theirs), line
        else:
            assert ours == theirs, line
    by = dict(said["proxy"]["answers"])
    assert "unknown command 'SENTINEL'" in by["SENTINEL MASTERS"]["error"] and "cluster support disabled" in by["CLUSTER INFO"]["error"]
    assert (fields(by["INFO"])["role"], fields(by["INFO"])["redis_mode"]) == ("master", "standalone")
    mine = [line for line in by["CLIENT LIST"].splitlines() if "name=redisinsight-browser-1-2" in line]
    assert len(mine) == 1 and " db=3 " in mine[0] and " user=insight " in mine[0]
    assert by["SCAN 0 MATCH * COUNT 10000 TYPE string"] == ["0", ["text"]] and by["ACL WHOAMI"] == "insight"
    assert by["SLOWLOG GET 1"] and len(by["SLOWLOG GET 1"][0]) == 6
    for what in ("seen", "heard", "refused"):
        assert said["proxy"][what] == said["plain"][what], what
