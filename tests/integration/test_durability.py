"""proxy.durability: what is acknowledged is on replicas, whoever dies then; and what is said when there are too few."""
import pytest

from counters import KINDS, Counters
from harness import Wire, WireError, wait_until

DURABLE = {"proxy.durability": 1, "proxy.durability_ms": 300}


def stop_replicas(cluster, count):
    names = sorted(i["name"] for i in cluster.instances("redis") if i["name"] != cluster.master())[:count]
    for name in names:
        cluster.cli("stop", name)
    return names


def refused(wire, *words):
    with pytest.raises(WireError, match=r"^NOREPLICAS the master has the write, but not \d replicas within 300 ms; it may yet be lost$"):
        wire(*words)


def test_a_write_needs_one_of_two_replicas(make_cluster):
    c = make_cluster(options=DURABLE).start()
    with c.wire() as w, c.wire() as reader:
        assert w("SET", "k", 1) == "OK"
        first = stop_replicas(c, 1)[0]
        assert w("SET", "k", 2) == "OK"
        second = stop_replicas(c, 2)[1]
        # what is refused is refused one by one, in its place, and reads that came before a write do not wait for it
        w.send_raw(b"".join(Wire.pack(*words) for words in (
            ("GET", "k"), ("SET", "k", 3), ("GET", "k"), ("MULTI",), ("INCR", "k"), ("EXEC",), ("EVAL", "return redis.call('incr', KEYS[1])", 1, "k"))))
        assert w.reply() == b"2"
        assert reader("GET", "k") in (b"2", b"3", b"4", b"5")
        said = [w.reply() for _ in range(6)]
        assert said[1:4] == [b"3", "OK", "QUEUED"]
        for answer in (said[0], said[4], said[5]):
            assert isinstance(answer, WireError) and str(answer).startswith("NOREPLICAS "), said
        refused(w, "SET", "k", 6)
        refused(w, "LPUSH", "list", "a")
        refused(w, "BLPOP", "list", 1)
        refused(w, "SET", "big", "v" * 1_000_000)
        with pytest.raises(WireError, match="^WRONGTYPE"):
            w("LPUSH", "k", "x")  # nothing was written: it is said at once
        c.cli("start", second)
        wait_until(lambda: written(w, "SET", "k", 7), "a write that a replica has")
        c.cli("start", first)
        c.wait_ready()
        assert w("GET", "k") == b"7"


def written(wire, *words):
    try:
        return wire(*words) == "OK"
    except WireError as e:
        assert str(e).startswith("NOREPLICAS "), e
        return False


def test_some_clients_only(make_cluster):
    """A second door with a durability of its own; who comes in by the first does not wait."""
    c = make_cluster()
    door = c.ports.extra
    c.options.update({"proxy.durable_listen": f"127.0.0.1:{door}", "proxy.durable_replicas": 2, "proxy.durability_ms": 300})
    c.write_options()
    c.start()
    with c.wire() as plain, Wire(door) as durable:
        assert durable("SET", "k", 1) == "OK"
        stop_replicas(c, 1)
        refused(durable, "SET", "k", 2)
        assert plain("SET", "k", 3) == "OK"
        assert durable("GET", "k") == b"3"
        # it is a matter of the config, and may change alive
        c.options["proxy.durable_replicas"] = 1
        c.write_options()
        c.cli("reload")
        wait_until(lambda: written(durable, "SET", "k", 4), "one replica is enough now")


def test_what_cannot_be_confirmed_is_not_acknowledged(make_cluster):
    """Where replies are not told apart from messages, none can be held back."""
    c = make_cluster(options=DURABLE).start()
    with c.wire() as w:
        assert w("MONITOR") == "OK"
        w.send("SET", "k", 1)
        while not isinstance(answer := w.reply(), WireError):
            assert answer.split()[1].startswith("["), "what others ask meanwhile"
        assert str(answer).startswith("NOREPLICAS what is written among subscriptions")
    with c.wire() as w:
        assert w("SET", "k", 1) == "OK"
        # who hears nothing is told nothing
        w.send_raw(Wire.pack("CLIENT", "REPLY", "OFF") + Wire.pack("INCR", "k") + Wire.pack("CLIENT", "REPLY", "ON"))
        assert w.reply() == "OK" and w("GET", "k") == b"2"


def test_no_acknowledged_write_is_lost(make_cluster, measured):
    """The master is killed again and again under load; what was acknowledged, by any client, is there after each time."""
    c = make_cluster(options={"proxy.durability": 1, "holdfast.restart_max": 1000}).start()
    with c.load(writers=6, pace_s=0) as load:
        for _ in range(6):
            goal = load.acked + 300
            wait_until(lambda goal=goal: load.acked > goal, "writes", 60)
            old = c.master()
            c.kill(old)
            c.wait_master_is_not(old)
            c.wait_ready(60)
            assert load.lost(c.redis(c.master())) == []
    assert load.lost(c.redis(c.master())) == []
    assert load.refused == []
    words = {text.split()[0] for _, text in load.errors}
    assert words <= {"UNCERTAIN", "NOREPLICAS"}, load.errors
    measured(f"6 kills, {load.acked} writes acknowledged by a replica each, none lost; {len(load.errors)} were told {sorted(words)}")


def test_a_planned_switchover_shows_no_error(make_cluster):
    """What the old master has carried out it confirms itself, before it leaves."""
    c = make_cluster(options={"proxy.durability": 1}).start()
    with Counters(c.ports, KINDS, times=1) as counters:
        wait_until(lambda: all(x.done > 5 for x in counters.clients), "the load", 60)
        for _ in range(5):
            before = counters.done
            c.cli("failover")
            wait_until(lambda before=before: counters.done > before + 100, "answers after the switchover", 60)
            c.wait_ready(60)
    assert counters.errors == []
    c.wait_agreed()
