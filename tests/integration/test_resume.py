"""Stop, power cut, damage: what the next start makes of what it finds."""
import re
import shutil
import signal

import pytest

from harness import wait_until


def after_a_failover(c, to="redis-3"):
    """A running cluster whose master is not the first one, with data on all."""
    c.start()
    c.proxy().set("old", "1")
    c.cli("failover", "--to", to)
    assert c.wait_agreed() == to
    c.proxy().set("new", "2")
    wait_until(lambda: all(c.redis(n).get("new") == b"2" for n in c.replicas()), "replication")
    return to


def assert_resumed(c, master):
    c.start()
    assert c.wait_agreed() == master
    assert (c.proxy().get("old"), c.proxy().get("new")) == (b"1", b"2")
    with c.wire() as wire:
        assert wire("INCR", "new") == 3


def make_configs_stale(c):
    """What a copy of old files would bring back: redis-1 stands alone, the others follow it."""
    for n in (1, 2, 3):
        (conf,) = list((c.dir / f"redis-{n}").glob("*.conf"))
        lines = [line for line in conf.read_text().splitlines() if not re.match(r"\s*(replicaof|slaveof)\b", line, re.I)]
        if n != 1:
            lines.append(f"replicaof 127.0.0.1 {c.port('redis-1')}")
        conf.write_text("\n".join(lines) + "\n")


def test_stop_and_start_after_a_failover(make_cluster):
    c = make_cluster()
    master = after_a_failover(c)
    assert c.stop() == 0
    assert_resumed(c, master)


def test_stop_and_start_after_the_masters_death(make_cluster):
    c = make_cluster().start()
    c.proxy().set("old", "1")
    old = c.master()
    c.kill(old)
    c.wait_master_is_not(old)
    master = c.wait_agreed()
    c.proxy().set("new", "2")
    assert c.stop() == 0
    assert_resumed(c, master)


def test_stale_configs_of_the_servers_decide_nothing(make_cluster):
    """Incidents 1, 4 and 5."""
    c = make_cluster()
    master = after_a_failover(c)
    assert c.stop() == 0
    make_configs_stale(c)
    assert_resumed(c, master)


def test_stale_configs_and_no_state_db(make_cluster):
    """The sentinels' own files are the next word."""
    c = make_cluster()
    master = after_a_failover(c)
    assert c.stop() == 0
    make_configs_stale(c)
    for path in c.dir.glob("state.db*"):
        path.unlink()
    assert_resumed(c, master)


def test_no_sentinel_files_and_a_good_state_db(make_cluster):
    c = make_cluster()
    master = after_a_failover(c)
    assert c.stop() == 0
    make_configs_stale(c)
    for n in (1, 2, 3):
        shutil.rmtree(c.dir / f"sentinel-{n}")
    assert_resumed(c, master)


DAMAGE = {
    "garbage": lambda p: p.write_bytes(b"this is no database\n" * 500),
    "truncated": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "empty": lambda p: p.write_bytes(b""),
    "deleted": lambda p: p.unlink(),
    "overwritten": lambda p: p.write_bytes(p.read_bytes()[:4096] + b"\xa5" * (p.stat().st_size - 4096)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_state_db_is_set_aside_and_rebuilt(make_cluster, damage):
    c = make_cluster()
    master = after_a_failover(c)
    assert c.stop() == 0
    for path in c.dir.glob("state.db-*"):
        path.unlink()
    DAMAGE[damage](c.dir / "state.db")
    make_configs_stale(c)
    assert_resumed(c, master)
    if damage in ("garbage", "truncated", "overwritten"):
        assert list(c.dir.glob("state.db.damaged-*")), "the damaged file is gone"
        assert c.events("state.damaged")
    assert c.events("supervisor.started")


def test_a_power_cut_loses_nothing_that_was_acknowledged(make_cluster):
    # with everysec Redis puts the write itself off while a flush is under way (aof.c, flushAppendOnlyFile): more than that setting promises is not asked for
    c = make_cluster(options={"redis.appendfsync": "always"})
    master = after_a_failover(c)
    with c.load(writers=2) as load:
        wait_until(lambda: load.acked > 300, "the load")
        c.kill_everything()
        c.allow("deaths")
    make_configs_stale(c)
    assert_resumed(c, master)
    assert load.lost(c.proxy()) == []


def test_a_power_cut_in_the_middle_of_a_failover(make_cluster):
    # as above
    c = make_cluster(options={"redis.appendfsync": "always"}).start()
    c.proxy().set("old", "1")
    c.proxy().set("new", "2")
    wait_until(lambda: all(c.redis(n).get("new") == b"2" for n in c.replicas()), "replication")
    c.kill("redis-1")
    c.kill_everything()
    c.allow("deaths")
    c.start()
    c.wait_agreed()
    assert (c.proxy().get("old"), c.proxy().get("new")) == (b"1", b"2")


def test_a_master_that_comes_back_empty_wipes_nobody(make_cluster):
    """Incident 8: its folder was emptied between stop and start."""
    c = make_cluster()
    master = after_a_failover(c)
    assert c.stop() == 0
    folder = c.dir / master
    for path in folder.iterdir():
        if path.suffix != ".conf":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    c.start()
    c.wait_agreed()
    assert (c.proxy().get("old"), c.proxy().get("new")) == (b"1", b"2")


def test_a_master_without_persistence_that_dies_wipes_nobody(make_cluster):
    """Incident 8 as it was reported: no AOF, no snapshot, restarted fast."""
    c = make_cluster(options={"redis.appendonly": "no", "redis.config.save": '""', "sentinel.down_after_ms": 5000}).start()
    c.proxy().set("kept", "1")
    wait_until(lambda: all(c.redis(n).get("kept") == b"1" for n in c.replicas()), "replication")
    old = c.master()
    c.kill(old)
    c.wait_master_is_not(old)
    c.wait_agreed()
    assert c.proxy().get("kept") == b"1"
    assert c.redis(old).get("kept") == b"1"


def test_what_was_stopped_by_hand(make_cluster):
    """It stays down over a crash of the supervisor; an orderly stop of everything is a new beginning."""
    c = make_cluster().start()
    c.cli("stop", "sentinel-3")
    c.cli("stop", "redis-3")
    c.kill_supervisor()
    c.start()
    for name in ("sentinel-3", "redis-3"):
        i = c.instance(name)
        assert (i["state"], i["wanted"], i["pid"]) == ("stopped", "down", None)
    assert c.stop() == 0
    c.start()
    assert {i["wanted"] for i in c.instances()} == {"up"}


def test_the_history_goes_on_over_restarts(make_cluster):
    c = make_cluster().start()
    first = c.events()
    assert c.stop() == 0
    c.start()
    later = c.events()
    assert [e["id"] for e in later[: len(first)]] == [e["id"] for e in first]
    assert len([e for e in later if e["kind"] == "supervisor.started"]) == 2
    assert "supervisor.stopped" in [e["kind"] for e in later]


def test_a_lock_left_behind_is_no_holder(make_cluster):
    """A power cut leaves holdfast.lock and control.sock; they hold nobody up."""
    c = make_cluster().start()
    c.kill_everything()
    c.allow("deaths")
    assert (c.dir / "holdfast.lock").exists()
    c.start()
    assert c.stop(signal.SIGTERM) == 0
