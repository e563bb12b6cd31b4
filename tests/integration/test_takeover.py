"""
The takeover that the supervisor leads: a master that dies, or no longer answers, is replaced at once, and Sentinel stays the authority.

Sentinel's own detection is far away in these tests (down_after_ms), so that what is seen is ours, or what we asked Sentinel for.
"""
import os
import signal
import sqlite3
import threading

import pytest
import redis

from harness import WireError, procs, wait_until

PATIENT = {"sentinel.down_after_ms": 120000}


@pytest.fixture
def patient(make_cluster):
    return make_cluster(options=PATIENT).start()


def takeovers(c, kind="failover.done"):
    return [e for e in c.events(kind) if kind != "failover.started" or e["detail"].get("takeover")]


def sentinels_own(c):
    """Lines of the sentinels that tell of a failover of their own."""
    return [line for n in (1, 2, 3) for line in c.log(f"sentinel-{n}").splitlines() if "+try-failover" in line or "+sdown master" in line]


def assert_all_agree(c):
    """One master and one epoch: servers, sentinels, status, the database, the workers."""
    name = c.assert_one_master()
    status = c.status()
    epoch = status["master"]["epoch"]
    with sqlite3.connect(f"file:{c.dir}/state.db?mode=ro", uri=True) as db:
        assert db.execute("SELECT instance, epoch FROM master").fetchall() == [(name, epoch)]
    for n in (1, 2, 3):
        fields = c.sentinel(f"sentinel-{n}").execute_command("SENTINEL MASTER", "main")
        assert int(fields["config-epoch"] if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2]))[b"config-epoch"]) == epoch
        assert len(c.sentinel(f"sentinel-{n}").execute_command("SENTINEL SENTINELS", "main")) == 2, "a phantom"
    with c.wire() as wire:
        assert wire("SET", "agreed", "1") == "OK"
    assert c.redis(name).get("agreed") == b"1"
    return name, epoch


def test_a_dead_master_is_replaced_at_once_and_all_agree(patient, measured):
    c = patient
    times = []
    for turn in range(4):
        old, (_, epoch) = c.master(), assert_all_agree(c)
        c.kill(old)
        new = c.wait_master_is_not(old)
        c.wait_agreed()
        assert assert_all_agree(c) == (new, epoch + 1)
        assert c.instance(old)["role"] == "replica"
        done = takeovers(c)[turn]
        assert done["subject"] == new
        times.append(done["detail"])
    assert len(takeovers(c, "failover.started")) == 4
    assert sentinels_own(c) == []
    measured("the new master takes writes after " + ", ".join(f"{t['writes_ms']:.1f}" for t in times)
             + " ms, all sentinels name it after " + ", ".join(f"{t['agreed_ms']:.1f}" for t in times) + " ms")


@pytest.mark.parametrize("sig", [signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM])
def test_whatever_ends_it(patient, sig):
    c = patient
    old = c.master()
    c.kill(old, sig)
    c.wait_master_is_not(old)
    c.wait_agreed()
    assert_all_agree(c)
    assert sentinels_own(c) == []


def test_a_master_that_is_stopped_is_killed_and_replaced(patient):
    """SIGSTOP: it keeps its connections and its port. When it could run again, it would take writes."""
    c = patient
    old = c.master()
    with c.wire() as wire, c.load(writers=1) as load:
        wait_until(lambda: load.acked > 20, "the load")
        pid = c.kill(old, signal.SIGSTOP)
        c.deaths[old] = 2  # that it is killed, and that it ends
        new = c.wait_master_is_not(old)
        c.wait_agreed()
        assert wire("SET", "k", "v") == "OK"
    assert not procs.alive(pid)
    assert [e["detail"].get("busy") for e in c.events("instance.silent", old)] == [None]
    assert c.events("instance.killed", old)
    assert c.instance(old)["role"] == "replica" and c.master() == new
    assert load.lost(c.proxy()) == []
    assert sentinels_own(c) == []


def test_a_master_that_does_not_answer_but_sleeps(make_cluster):
    c = make_cluster(options={**PATIENT, "redis.config.enable-debug-command": "yes"}).start()
    old = c.master()
    c.deaths[old] = 2
    sleeper = c.redis(old, socket_timeout=60, retry_on_timeout=False)
    thread = threading.Thread(target=lambda: pytest.raises(redis.RedisError, sleeper.execute_command, "DEBUG", "SLEEP", "600"))
    c.redis(old).ping()
    thread.start()
    c.wait_master_is_not(old)
    c.wait_agreed()
    thread.join()
    assert_all_agree(c)


def test_a_busy_master_is_left_alone(make_cluster):
    """A script keeps its processor busy for longer than redis.probe_ms: no death."""
    c = make_cluster(options={**PATIENT, "redis.probe_ms": 200}).start()
    old, pid = c.master(), c.instance(c.master())["pid"]
    script = "local t = redis.call('TIME'); local e = t[1] * 1000000 + t[2] + 1500000 repeat t = redis.call('TIME') " \
             "until t[1] * 1000000 + t[2] > e return 'done'"
    assert c.redis(old).eval(script, 0) == b"done"
    silent = c.wait_event("instance.silent", old)
    assert silent["detail"]["busy"]
    c.wait_agreed()
    assert c.instance(old)["pid"] == pid and c.master() == old
    assert takeovers(c, "failover.started") == []


def test_a_long_script_is_let_finish(make_cluster):
    """
    It writes for longer than sentinel.down_after_ms, and for longer than redis is silent about it (then it says BUSY). Failed at times before: the sentinels
    were told to wait no longer as soon as it answered us, and one of them went by the answer it had from before.
    """
    c = make_cluster(options={"redis.probe_ms": 200, "sentinel.down_after_ms": 2500, "redis.config.lua-time-limit": 2000}).start()
    old, pid = c.master(), c.instance(c.master())["pid"]
    script = "local t, n = redis.call('TIME'), 0; local e = t[1] * 1000000 + t[2] + 6000000 repeat n = n + 1; redis.call('SET', KEYS[1], n) " \
             "t = redis.call('TIME') until t[1] * 1000000 + t[2] > e return n"

    def down_after():
        return {int(c.sentinel(f"sentinel-{i}").sentinel_master("main")["down-after-milliseconds"]) for i in (1, 2, 3)}

    def says_busy():
        try:
            c.redis(old).get("n")
        except redis.RedisError as e:
            return "BUSY" in str(e)

    with c.wire(timeout=60) as w:
        w.send("EVAL", script, 1, "n")
        wait_until(lambda: down_after() == {60000}, "the sentinels are told to wait")
        wait_until(says_busy, "redis says that it is busy")
        n = w.reply()
        assert isinstance(n, int) and n > 0, n
        assert w("GET", "n") == str(n).encode()
    wait_until(lambda: down_after() == {2500}, "the sentinels wait no longer than before")
    c.wait_agreed()
    assert c.instance(old)["pid"] == pid and c.master() == old
    assert all(e["detail"].get("busy") for e in c.events("instance.silent"))
    assert takeovers(c, "failover.started") == [] and c.events("master.elected")[1:] == []
    assert "+sdown master" not in "".join(c.log(f"sentinel-{i}") for i in (1, 2, 3))


def test_a_hung_replica_is_no_reason_for_a_takeover(patient):
    c = patient
    name = c.replicas()[0]
    pid = c.kill(name, signal.SIGSTOP)
    try:
        wait_until(lambda: c.status()["state"] == "degraded", "it is noticed")
        assert takeovers(c, "failover.started") == []
    finally:
        os.kill(pid, signal.SIGCONT)
    c.wait_agreed()


def test_with_a_lone_sentinel_that_one_is_asked(make_cluster):
    """It cannot be told the result in the name of another; its own failover, begun at once, is what is left."""
    c = make_cluster(options={**PATIENT, "sentinel.instances": 1}).start()
    old = c.master()
    c.kill(old)
    new = c.wait_master_is_not(old)
    assert c.wait_event("failover.done")["subject"] == new
    c.wait_agreed()
    wait_until(lambda: "+try-failover" in c.log("sentinel-1"), "it says so in its log")


def test_a_minority_of_sentinels_promotes_nobody(make_cluster):
    """Two of three hang: nobody is promoted until they are back; then Sentinel's own detection comes to it."""
    c = make_cluster(options={"sentinel.down_after_ms": 2000}).start()
    c.proxy().set("k", "v")
    old = c.master()
    stopped = [c.kill(f"sentinel-{n}", signal.SIGSTOP) for n in (1, 2)]
    c.deaths[old] = 10
    try:
        c.kill(old)
        c.wait_event("failover.failed")
        assert [c.role(n)[0] for n in ("redis-2", "redis-3")] == [b"slave", b"slave"]
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    c.wait_agreed(60)
    assert c.proxy().get("k") == b"v"


def test_the_master_dies_while_it_hands_over(patient):
    """Whatever the moment: one master, nothing acknowledged is lost, and who asked is told."""
    c = patient
    with c.load(writers=2) as load:
        wait_until(lambda: load.acked > 50, "the load")
        for turn in range(8):
            old = c.master()
            pid = c.instance(old)["pid"]
            asked = threading.Thread(target=c.cli, args=("failover",), kwargs={"check": False})
            before = c.last_event()
            asked.start()
            wait_until(lambda: c.events("failover.started", after=before), "the handover")
            try:
                os.kill(pid, signal.SIGKILL)
                c.deaths[old] = c.deaths.get(old, 0) + 1
            except ProcessLookupError:
                pass
            asked.join()
            c.wait_agreed()
            wait_until(lambda: c.events("failover.done", after=before) or c.events("failover.failed", after=before), "its end")
            assert not c.events("master.lost", c.master(), after=before), "the new master was taken for the dead one"
        now = load.acked
        wait_until(lambda: load.acked > now, "writes go on")
    assert_all_agree(c)


def test_no_confirmed_write_is_lost_with_a_replica_that_lags(patient, measured):
    """WAIT 1: the one replica that has it may be either of them, and one of them is behind when the master dies."""
    c = patient
    acked = 0
    for turn in range(6):
        old = c.master()
        slow = c.replicas()[turn % 2]
        pid = c.instance(slow)["pid"]
        with c.wire() as wire:
            os.kill(pid, signal.SIGSTOP)
            try:
                for i in range(50):
                    assert wire("SET", f"w:{turn}:{i}", "x" * 1000) == "OK"
                    if wire("WAIT", "1", "5000") >= 1:
                        acked += 1
                    else:
                        pytest.fail("not confirmed although a replica is there")
                c.kill(old)
            finally:
                os.kill(pid, signal.SIGCONT)
            c.wait_master_is_not(old)
            c.wait_agreed()
            lost = [i for i in range(50) if wire("GET", f"w:{turn}:{i}") is None]
            assert lost == [], f"turn {turn}: of 50 confirmed writes {len(lost)} are lost"
    measured(f"0 of {acked} writes confirmed by WAIT 1 lost in 6 deaths with a replica stopped")


def test_a_big_master_is_seen_to_die_before_its_memory_is_gone(patient, measured):
    c = patient
    old = c.master()
    with c.wire() as wire:
        for i in range(30):
            assert wire("SET", f"big:{i}", b"x" * (10 << 20)) == "OK"
    wait_until(lambda: any(path.endswith("/statm") for path in procs.fds(c.run.pid).values()), "the watch on a big master")
    c.wait_agreed()
    c.kill(old)
    c.wait_master_is_not(old)
    c.wait_agreed()
    events = c.events()
    started = next(e for e in events if e["kind"] == "failover.started")
    exited = next(e for e in events if e["kind"] == "instance.exited")
    assert started["id"] < exited["id"], "the takeover waited for the end of the process"
    assert c.redis(c.master()).dbsize() == 30
    measured(f"master with 300 MB: writes after {takeovers(c)[0]['detail']['writes_ms']:.1f} ms")


def test_no_fit_replica_the_dead_master_comes_back_with_its_data(patient):
    c = patient
    for name in c.replicas():
        c.redis(name).config_set("replica-priority", 0)
    c.proxy().set("k", "v")
    c.kill("redis-1")
    c.wait_event("failover.failed")
    c.wait_agreed()
    assert c.master() == "redis-1" and c.proxy().get("k") == b"v"
    for name in c.replicas():
        c.redis(name).config_set("replica-priority", 100)


def test_a_request_for_a_handover_during_a_takeover_is_refused(make_cluster):
    c = make_cluster(options={"sentinel.down_after_ms": 3000}).start()
    old = c.master()
    stopped = [c.kill(f"sentinel-{n}", signal.SIGSTOP) for n in (1, 2)]
    try:
        c.deaths[old] = 10
        c.kill(old)
        c.wait_event("failover.started")
        done = c.cli("failover", check=False)
        assert done.returncode == 1 and "under way" in done.stderr
        with c.wire(timeout=1) as wire, pytest.raises((WireError, OSError)):
            wire("SET", "k", "v")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    c.wait_agreed(60)


def test_a_master_that_died_with_its_supervisor_is_replaced_by_the_next_one(patient, measured):
    """Nobody saw it; Sentinel would find out after down_after_ms. And the next death right behind that is no harder."""
    c = patient
    with c.wire(timeout=60) as wire:
        assert wire("SET", "k", "1") == "OK"
        wait_until(lambda: all(c.redis(n).get("k") == b"1" for n in c.replicas()), "replication")
        old = c.master()
        pid = c.instance(old)["pid"]
        c.kill_supervisor()
        os.kill(pid, signal.SIGKILL)
        c.start()
        new = c.wait_agreed()
        assert new != old and wire("GET", "k") == b"1"
        c.kill(new)
        c.wait_master_is_not(new)
        c.wait_agreed()
        assert wire("GET", "k") == b"1"
    assert_all_agree(c)
    assert sentinels_own(c) == []
    measured("after the death of supervisor and master, from the start of the next one: "
             f"writes after {takeovers(c)[0]['detail']['writes_ms']:.1f} ms of its takeover")


def test_the_new_master_dies_before_all_have_heard_of_it(patient):
    c = patient
    c.proxy().set("k", "v")
    wait_until(lambda: all(c.redis(n).get("k") == b"v" for n in c.replicas()), "replication")
    for _ in range(3):
        first = c.master()
        before = c.last_event()
        pids = c.pids()
        c.kill(first)
        second = c.wait_event("master.elected", after=before)["subject"]
        os.kill(pids[second], signal.SIGKILL)
        c.deaths[second] = c.deaths.get(second, 0) + 1
        c.wait_agreed()
        assert c.proxy().get("k") == b"v"
    assert_all_agree(c)
