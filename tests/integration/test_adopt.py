"""The supervisor is killed; the servers and their clients must not care."""
import os
import signal
import sqlite3

from harness import Wire, procs, wait_until

SERVERS = ["redis-1", "redis-2", "redis-3", "sentinel-1", "sentinel-2", "sentinel-3"]


def servers(c):
    return {name: pid for name, pid in c.pids().items() if name in SERVERS}


def test_servers_live_on_and_are_adopted(cluster):
    c = cluster
    before = servers(c)
    starts = {pid: procs.start_time(pid) for pid in before.values()}
    with Wire(c.ports.redis) as direct:
        assert direct("AUTH", "holdfast", c.secret()) == "OK"
        assert direct("SET", "k", "1") == "OK"
        c.kill_supervisor()
        assert direct("INCR", "k") == 2
        # The doors go on as well while nobody supervises them.
        with c.wire() as wire:
            assert wire("INCR", "k") == 3
        c.start()
        assert direct("INCR", "k") == 4
    assert servers(c) == before
    assert {pid: procs.start_time(pid) for pid in before.values()} == starts
    assert c.events("supervisor.adopted")
    assert c.assert_one_master() == "redis-1"
    # Nothing runs twice.
    left = [procs.cmdline(p) for p in c.keeper.left()]
    assert len([line for line in left if "redis-server" in line or "redis-sentinel" in line]) == 6, left
    assert len([line for line in left if "holdfast" in line.split()[0] or "--worker" in line]) == 3, left


def test_what_is_adopted_is_supervised(cluster, make_cluster):
    c = cluster
    c.kill_supervisor()
    c.start()
    for name in ("sentinel-2", "redis-3", "redis-1"):
        pid = c.kill(name)
        wait_until(lambda: (i := c.instance(name))["state"] == "ready" and i["pid"] not in (None, pid), f"{name} back", 40)
    c.wait_agreed()
    assert c.stop() == 0


def test_output_goes_on_after_adoption(cluster):
    c = cluster
    c.kill_supervisor()
    # Printed while nobody reads: it must neither block nor kill the server, nor be lost.
    c.redis("redis-1").execute_command("BGREWRITEAOF")
    wait_until(lambda: not c.redis("redis-1").info("persistence")["aof_rewrite_in_progress"], "the rewrite")
    c.start()
    wait_until(lambda: "AOF rewrite" in c.log("redis-1"), "the lines printed meanwhile in the log")


def test_one_that_died_meanwhile_is_started_the_others_adopted(cluster):
    c = cluster
    before = servers(c)
    c.kill_supervisor()
    os.kill(before["redis-2"], signal.SIGKILL)
    wait_until(lambda: not procs.alive(before["redis-2"]), "its end")
    c.start()
    after = servers(c)
    assert after.pop("redis-2") != before.pop("redis-2")
    assert after == before
    c.wait_agreed()


def test_a_master_that_died_meanwhile_is_not_started_as_master(cluster):
    c = cluster
    c.proxy().set("kept", "1")
    wait_until(lambda: all(c.redis(n).get("kept") == b"1" for n in c.replicas()), "replication")
    before = servers(c)
    c.kill_supervisor()
    os.kill(before["redis-1"], signal.SIGKILL)
    c.start()
    new = c.wait_agreed(60)
    assert c.proxy().get("kept") == b"1"
    assert {n: p for n, p in servers(c).items() if n != "redis-1"} == {n: p for n, p in before.items() if n != "redis-1"}
    assert new in ("redis-2", "redis-3")


def test_another_process_with_a_remembered_pid_is_left_alone(make_cluster):
    """state.db names pids; after a reboot they are somebody else's."""
    c = make_cluster().start()
    c.kill_everything()
    c.allow("deaths")
    stranger = c.spawn("tail", "-f", "/dev/null", label="stranger")
    with sqlite3.connect(c.dir / "state.db") as db:
        db.execute("UPDATE instances SET pid = ?", (stranger.pid,))
    db.close()
    c.start()
    assert stranger.exit is None
    assert stranger.pid not in c.pids().values()
    assert c.stop() == 0
    assert stranger.exit is None
