"""proxy.read_listen: reads from replicas that are near enough, writes refused, the master as the last resort."""
import os
import signal

import pytest

from harness import Wire, WireError, wait_until

READONLY = "^READONLY You can't write against a read only replica.$"


def door(cluster):
    return Wire(cluster.ports.extra)


@pytest.fixture
def reading(make_cluster):
    def make(**options):
        c = make_cluster()
        c.options["proxy.read_listen"] = f"127.0.0.1:{c.ports.extra}"
        c.options.update(options)
        c.write_options()
        return c.start()
    return make


def role(wire):
    return [line for line in wire("INFO", "replication").decode().split("\r\n") if line.startswith("role:")][0][5:]


def served_by(wire):
    """The port of the server behind it."""
    return int(wire("CONFIG", "GET", "port")[1])


def both_serve(c):
    """One that comes after another is led elsewhere: two of them see whether both replicas serve."""
    with door(c) as one, door(c) as two:
        return role(one) == role(two) == "slave" and served_by(one) != served_by(two)


def test_reads_come_from_replicas_and_writes_are_refused(reading):
    c = reading()
    with c.wire() as w:
        assert w("SET", "k", 1) == "OK"
        assert w("WAIT", 2, 5000) == 2
    wait_until(lambda: both_serve(c), "both replicas to serve")
    with door(c) as r, door(c) as other:
        assert (role(r), role(other)) == ("slave", "slave")
        assert r("GET", "k") == b"1"
        for words in (("SET", "k", 2), ("DEL", "k"), ("BLPOP", "l", 1), ("EVAL", "return 1", 0), ("CONFIG", "SET", "maxmemory", 0), ("FLUSHALL",),
                      ("PUBLISH", "c", "m"), ("NO.SUCH", "k"), ("SET", "big", "x" * 1_000_000)):
            with pytest.raises(WireError, match=READONLY):
                r(*words)
        assert r("EVAL_RO", "return redis.call('get', KEYS[1])", 1, "k") == b"1"
        r.send_raw(b"".join(Wire.pack(*words) for words in (("GET", "k"), ("SET", "k", 2), ("GET", "k"))))
        assert (r.reply(), str(r.reply()), r.reply()) == (b"1", READONLY[1:-1], b"1")
        assert (r("MULTI"), r("GET", "k"), r("EXEC")) == ("OK", "QUEUED", [b"1"])
        assert r("MULTI") == "OK"
        with pytest.raises(WireError, match=READONLY):
            r("SET", "k", 2)
        with pytest.raises(WireError, match="^EXECABORT Transaction discarded because of previous errors.$"):
            r("EXEC")
        assert r("SELECT", 3) == "OK"
        assert r("GET", "k") is None
        # one that comes after another is led elsewhere, and each stays where it is
        assert len({served_by(x) for x in (r, other)}) == 2
        assert r("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        with c.wire() as w:
            wait_until(lambda: w("PUBLISH", "news", "hello") >= 0, "a message sent")
        assert r.reply() == [b"message", b"news", b"hello"]


def test_who_reads_does_not_notice_deaths(reading):
    c = reading()
    with c.wire() as w, door(c) as r:
        w("SET", "k", 1)
        wait_until(lambda: role(r) == "slave" and r("GET", "k") == b"1", "a replica to serve")
        stopped = []
        for expected in ("slave", "master"):
            port = served_by(r)
            name = next(i["name"] for i in c.instances("redis") if i["port"] == port)
            c.cli("stop", name)
            stopped.append(name)
            assert r("GET", "k") == b"1"
            assert role(r) == expected
            with pytest.raises(WireError, match=READONLY):
                r("SET", "k", 2)
        for name in stopped:
            c.cli("start", name)
        c.wait_ready()
        wait_until(lambda: role(r) == "slave", "a replica to serve again")
        # the master's death is none of its business
        old = c.master()
        c.kill(old)
        c.wait_master_is_not(old)
        assert r("GET", "k") == b"1"


def test_who_is_behind_does_not_serve(reading):
    c = reading(**{"proxy.max_lag_ms": 200, "redis.probe_ms": 60000})
    with c.wire() as w, door(c) as r:
        w("SET", "k", 1)
        wait_until(lambda: role(r) == "slave" and r("GET", "k") == b"1", "a replica to serve")
        behind = served_by(r)
        pid = next(i["pid"] for i in c.instances("redis") if i["port"] == behind)
        os.kill(pid, signal.SIGSTOP)
        try:
            w("SET", "k", 2)
            wait_until(lambda: r("GET", "k") == b"2", "the value from one that is not behind")
            assert served_by(r) != behind
        finally:
            os.kill(pid, signal.SIGCONT)
