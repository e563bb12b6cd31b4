"""
Client libraries in use, as they come from their registries, against the proxy, also across a failover.

Each program in tests/clients says a word when a thing is proven, and FAILOVER when it holds connections, a subscription and
a WATCH: the master is killed then, and the same connections must go on as if nothing had happened. None may connect again.
"""
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import wait_until

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
                c.kill(old)
                program.stdin.write("\n")
                program.stdin.flush()
    assert program.returncode == 0 and said == PROVEN, "\n".join(said)
    assert c.wait_master_is_not(old)
    c.wait_agreed()
    wait_until(lambda: c.instance(old)["state"] == "ready", f"{old} is back")
