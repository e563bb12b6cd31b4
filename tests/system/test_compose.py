"""The files for docker compose, as they are: one container, and three as three hosts."""
import re
import time

import pytest
import redis
from lab import wait_until
from test_docker import client, get, status, wait_ready

HOSTS = "abc"
# Docker chooses ports that are free.
ANY_PORT = {f"{kind}_PORT{host}": "0" for kind in ("REDIS", "HTTP") for host in ("", "_A", "_B", "_C")}
LIMIT = "services: {holdfast: {mem_limit: 200m, memswap_limit: 200m}}\n"


def kill_the_master(c):
    """kill -9 inside: another server takes over."""
    master = next(i for i in status(c)["instances"] if i["role"] == "master")
    c.exec("sh", "-c", f"kill -9 {master['pid']}")
    wait_until(lambda: (status(c)["master"] or {}).get("name") not in (None, master["name"]), "another master", 60)
    wait_ready(c)


def test_one_container(compose):
    project = compose("compose.yaml", LIMIT, **ANY_PORT)
    c = project.up().container("holdfast").wait_healthy()
    password = re.search(r"the password of the user default, for Redis and HTTP, is (\S+)", project("logs", "holdfast").stdout).group(1)
    assert client(c, password).set("k", "v")
    assert get(c, "/GET/k", password) == (200, b'{"GET":"v"}')
    assert c.inspect()["HostConfig"]["ReadonlyRootfs"] and c.exec("id", "-u").stdout.strip() != "0"
    kill_the_master(c)
    assert client(c, password).get("k") == b"v"

    # Within a limit on memory a server that wants more dies alone.
    with pytest.raises(redis.RedisError):
        client(c, password).setrange("big", 450_000_000, "x")
    wait_until(lambda: "killed by signal 9" in c.exec("holdfast", "events", "-n", "20").stdout, "the kernel killed it", 60)
    wait_ready(c)
    assert client(c, password).get("k") == b"v"
    assert c.inspect()["RestartCount"] == 0

    # A stop is in order; another container has the volume.
    project("stop")
    assert c.state()["ExitCode"] == 0 and "everything has stopped" in c.logs()
    project("down")
    again = project.up().container("holdfast").wait_healthy()
    assert again.name != c.name
    assert client(again, password).get("k") == b"v"
    assert "said this once" not in again.logs()


def agreed(containers):
    """All are ready and name the same master: its host, or None."""
    found = set()
    for c in containers.values():
        s = status(c)
        if s["state"] not in ("ready", "degraded") or not s["master"]:
            return None
        found.add((s["master"]["node"], s["master"]["epoch"]))
    return found.pop()[0] if len(found) == 1 else None


def wait_agreed(containers):
    return wait_until(lambda: agreed(containers), "one master that all hosts name", 90, ignore=(ValueError,))


def test_three_containers_as_three_hosts(engine, compose):
    project = compose("three-hosts.yaml", **ANY_PORT)
    project.up()
    all_hosts = {h: project.container(h).wait_healthy() for h in HOSTS}
    for c in all_hosts.values():
        wait_ready(c)
    first = wait_agreed(all_hosts)
    password = project("exec", "-T", "a", "cat", "/run/holdfast/password").stdout.strip()
    assert len(password) == 64
    with pytest.raises(redis.AuthenticationError):
        client(all_hosts["a"], None).get("k")
    for h, c in all_hosts.items():  # each leads to the master
        assert client(c, password).set(f"from-{h}", 1)
        assert all(client(other, password).get(f"from-{h}") == b"1" for other in all_hosts.values())
        assert get(c, "/readyz")[0] == 200

    # A server dies inside: its own host sees to it, or hands over.
    pid = next(i["pid"] for i in status(all_hosts[first])["instances"] if i["role"] == "master" and i["pid"])
    all_hosts[first].exec("sh", "-c", f"kill -9 {pid}")
    assert client(all_hosts[first], password).set("after-kill", 1)
    for c in all_hosts.values():
        wait_ready(c)

    # The master's container is gone, as a host whose power fails: the two others go on.
    master = wait_agreed(all_hosts)
    assert client(all_hosts[master], password).wait(2, 20000) == 2
    rest = {h: c for h, c in all_hosts.items() if h != master}
    begun = time.monotonic()
    engine.docker("kill", all_hosts[master].name)
    for c in rest.values():
        assert client(c, password).set("while-one-is-gone", c.name)
    print(f"killed container -> next writes at both others after {time.monotonic() - begun:.2f} s")
    assert wait_agreed(rest) in rest
    assert all(client(c, password).get("after-kill") == b"1" for c in rest.values())

    # It comes back as a replica, where it was.
    project.up()
    all_hosts = {h: project.container(h).wait_healthy() for h in HOSTS}
    for c in all_hosts.values():
        wait_ready(c)
    assert wait_agreed(all_hosts) != master
    assert client(all_hosts[master], password).get("while-one-is-gone") is not None

    # All stop in order, and other containers go on with the volumes.
    project("stop")
    for c in all_hosts.values():
        assert c.state()["ExitCode"] == 0, c.logs()[-2000:]
        assert "everything has stopped" in c.logs()
    project("down")
    project.up()
    all_hosts = {h: project.container(h).wait_healthy() for h in HOSTS}
    wait_agreed(all_hosts)
    assert client(all_hosts["a"], password).get("after-kill") == b"1"
