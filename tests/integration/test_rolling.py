"""The rolling restart: every server anew, and no client notices."""
import os
import signal
import time

import pytest

from counters import Counters
from harness import SERVER, wait_until, wrapper
from test_switchover import Hogs, check_counters

SERVERS = ("redis-1", "redis-2", "redis-3", "sentinel-1", "sentinel-2", "sentinel-3")


def rolling(c, **options):
    return c.cli("restart", "--rolling", timeout=120, **options)


def begin(c):
    """The command in the background."""
    return c.spawn(*c.command("restart", "--rolling", "-d", c.dir), label="rolling")


@pytest.mark.parametrize("hogs", [0, os.cpu_count() or 2], ids=["quiet", "busy"])
def test_every_server_is_new_and_no_client_sees_an_error(cluster, measured, hogs):
    c = cluster
    before, old = c.pids(), c.master()
    with Hogs(hogs), Counters(c.ports) as counters:
        wait_until(lambda: all(x.done > 5 for x in counters.clients), "the load", 60)
        begun = time.monotonic()
        done = rolling(c)
        took = time.monotonic() - begun
        now = time.monotonic()
        wait_until(lambda: counters.all_since(now), "answers afterwards", 60)
    assert counters.errors == []
    check_counters(c, counters)
    after = c.pids()
    for name in before:
        assert (after[name] != before[name]) == (name in SERVERS), name
    steps = done.stdout.splitlines()
    order = [s.split(":")[0] for s in steps if ": restarts" in s]
    assert order == [n for n in SERVERS[:3] if n != old] + [old] + list(SERVERS[3:])
    assert steps.index(f"{old}: hands over") < [i for i, s in enumerate(steps) if s.startswith(f"{old}: restarts")][0]
    assert c.wait_agreed() != old
    kinds = [e["kind"] for e in c.events() if e["kind"].startswith(("rolling.", "failover."))]
    assert kinds == ["rolling.started", "failover.started", "failover.done", "rolling.done"]
    measured(f"rolling restart with {hogs} hogs: {took:.1f} s, {counters.done} acknowledged, {len(counters.errors)} errors, "
             "longest wait of a pipeline of INCR "
             f"{max(x.longest for x in counters.clients if x.kind == 'incr') * 1000:.0f} ms")


def test_one_server_at_a_time(cluster):
    """Each begins only when the one before it is in sync again: told by the history."""
    c = cluster
    after = c.last_event()
    rolling(c)
    down = set()
    for e in c.events(after=after):
        if e["kind"] == "instance.stopping":
            assert down == set(), f"{e['subject']} was stopped while {down} were not back"
            down.add(e["subject"])
        elif e["kind"] == "supervisor.ready":
            down.clear()


def test_what_needs_a_restart_takes_effect(make_cluster):
    c = make_cluster().start()
    c.proxy().set("k", "v")
    c.options["redis.databases"] = 32
    c.options["redis.config.tcp-backlog"] = 100
    c.write_options()
    said = c.cli("reload").stdout
    assert "needs a restart: redis.databases" in said and "holdfast restart --rolling" in said
    assert "holdfast restart --rolling" in c.events("config.reloaded")[-1]["text"]
    rolling(c)
    for n in (1, 2, 3):
        r = c.redis(f"redis-{n}")
        assert r.config_get("databases")["databases"] == "32"
        assert r.config_get("tcp-backlog")["tcp-backlog"] == "100"
    assert c.proxy().get("k") == b"v"
    assert c.proxy(db=20).set("there", 1)


def test_another_program_is_taken_up(make_cluster):
    """As after an upgrade: each server runs the new one, and the old one is nowhere."""
    folder = make_cluster.folder("bin")
    old, new = folder / "old", folder / "new"
    wrapper(old, f'exec {SERVER} "$@"')
    wrapper(new, f'exec {SERVER} "$@" --loglevel verbose')
    c = make_cluster(options={"redis.server": old}).start()
    c.options["redis.server"] = new
    c.write_options()
    said = c.cli("reload").stdout
    assert "redis.server" in said and "--rolling" in said
    assert {c.redis(f"redis-{n}").config_get("loglevel")["loglevel"] for n in (1, 2, 3)} == {"notice"}
    rolling(c)
    assert {c.redis(f"redis-{n}").config_get("loglevel")["loglevel"] for n in (1, 2, 3)} == {"verbose"}


def test_it_stops_at_the_first_server_that_does_not_come_back(make_cluster):
    server = make_cluster.folder("bin") / "server"
    wrapper(server, f'exec {SERVER} "$@"')
    c = make_cluster(options={"redis.server": server}).start()
    with Counters(c.ports) as counters:
        wait_until(lambda: all(x.done > 5 for x in counters.clients), "the load")
        before, master = c.pids(), c.master()
        wrapper(server, "exit 9")
        c.deaths["redis-2"] = 100
        done = rolling(c, check=False)
        assert done.returncode == 1
        assert "redis-2" in done.stderr and "restarted: none" in done.stderr and "holdfast logs redis-2" in done.stderr
        assert {n: p for n, p in c.pids().items() if n != "redis-2"} == {n: p for n, p in before.items() if n != "redis-2"}
        assert c.master() == master
        assert c.events("rolling.failed")[0]["detail"]["restarted"] == "none"
        done = rolling(c, check=False)
        assert done.returncode == 3 and "redis-2" in done.stderr
        wrapper(server, f'exec {SERVER} "$@"')
        c.cli("start", "redis-2")
        c.wait_ready()
        rolling(c)
        now = time.monotonic()
        wait_until(lambda: counters.all_since(now), "answers afterwards")
    assert counters.errors == []
    c.wait_agreed()


def test_it_is_refused_with_the_reason(cluster):
    c = cluster
    c.cli("stop", "redis-3")
    c.cli("stop", "redis-2")
    done = rolling(c, check=False)
    assert done.returncode == 1 and "only redis server" in done.stderr and "holdfast restart redis-1" in done.stderr
    c.cli("start", "redis-2")
    c.wait_ready()
    done = rolling(c)  # one of three stays stopped
    assert "redis-3" not in done.stdout
    assert c.instance("redis-3")["state"] == "stopped"
    c.cli("start", "redis-3")
    c.wait_agreed()


def test_with_one_redis_only(make_cluster):
    c = make_cluster(options={"redis.instances": 1}).start()
    done = rolling(c, check=False)
    assert done.returncode == 1 and "redis-1 is the only redis server" in done.stderr
    assert c.events("rolling.started") == []


def test_meanwhile_nothing_else_is_begun(cluster):
    c = cluster
    run = begin(c)
    c.wait_event("rolling.started")
    for words in (("failover",), ("restart", "redis-1"), ("stop", "redis-1"), ("restart", "--rolling")):
        done = c.cli(*words, check=False)
        if run.exit is not None or c.events("rolling.done"):
            break
        assert done.returncode == 1 and "rolling restart is under way" in done.stderr, words
    assert run.wait(60) == 0
    assert "is the master" in run.out
    c.wait_agreed()


def test_it_goes_on_when_the_command_is_interrupted(cluster):
    c = cluster
    run = begin(c)
    c.wait_event("rolling.started")
    run.signal(signal.SIGINT)
    run.wait()
    c.wait_event("rolling.done", timeout=60)
    c.wait_agreed()


def test_everything_is_stopped_meanwhile(cluster):
    c = cluster
    run = begin(c)
    c.wait_event("rolling.started")
    assert c.stop() == 0
    assert run.wait() == 3
    assert "everything is being stopped" in run.err
    c.start()
    assert c.events("rolling.failed")
    c.wait_agreed()


def test_the_master_dies_meanwhile(cluster):
    """A failover that is not ours: it is left to itself, and the restart stops."""
    c = cluster
    master = c.master()
    run = begin(c)
    c.wait_event("rolling.started")
    c.kill(master)
    assert run.wait(60) == 1
    assert "stopped" in run.err
    assert c.wait_agreed() != master
    assert "all" in rolling(c).stdout
