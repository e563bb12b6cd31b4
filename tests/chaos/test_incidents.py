"""
How such systems failed their users elsewhere: twelve public reports, each a scenario under a write load.

Each docstring names the report, and the guard without which the scenario fails: it was seen to fail with that guard
taken out of the program.
"""
import os
import re
import signal
import sqlite3
import threading
import time

import pytest
import redis

import faults
from harness import Wire, WireError, procs, wait_until

NEVER_SEEN = ("READONLY", "LOADING", "MASTERDOWN")
SERVERS = ("redis-1", "redis-2", "redis-3")


class Masters(threading.Thread):
    """Asks every server for its ROLE, again and again: who has ever said that it is a master, and how many at once."""

    def __init__(self, c):
        super().__init__(daemon=True)
        self.c, self.stop = c, threading.Event()
        self.seen, self.most = set(), 0

    def run(self):
        clients = {}
        secret = None
        while not self.stop.is_set():
            now = set()
            for name in SERVERS:
                try:
                    secret = secret or self.c.secret()
                    client = clients.get(name) or redis.Redis(port=self.c.port(name), username="holdfast", password=secret,
                                                              socket_timeout=5)
                    clients[name] = client
                    if client.execute_command("ROLE")[0] in ("master", b"master"):
                        now.add(name)
                except (redis.RedisError, OSError):
                    pass
            self.seen |= now
            self.most = max(self.most, len(now))
            self.stop.wait(0.002)
        for client in clients.values():
            client.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


def replicated(c, key, value):
    wait_until(lambda: all(c.redis(n).get(key) == value for n in c.replicas()), f"{key} on all replicas")


def writes(load, count=50):
    goal = load.acked + count
    wait_until(lambda: load.acked >= goal, f"{count} writes")


def sentinels(c):
    return [i["pid"] for i in c.instances("sentinel")]


ORDERS = ("master replicas sentinels", "master sentinels replicas", "replicas master sentinels",
          "replicas sentinels master", "sentinels master replicas", "sentinels replicas master")


@pytest.mark.parametrize("order", ORDERS)
def test_01_all_went_down_in_any_order_with_stale_configs(make_cluster, order):
    """
    redis/redis#13658, valkey-io/valkey#1322: after stop and start Sentinel named one master and both servers another.
    The recorded one must be master again, the newer value must live. Fails when resume_decide takes redis.conf's word.
    """
    c = make_cluster().start()
    c.proxy().set("k", "old")
    replicated(c, "k", b"old")
    c.cli("failover", "--to", "redis-2")
    assert c.wait_agreed() == "redis-2"
    c.proxy().set("k", "new")
    replicated(c, "k", b"new")
    pids = {"master": [c.instance("redis-2")["pid"]],
            "replicas": [c.instance(n)["pid"] for n in c.replicas()], "sentinels": sentinels(c)}
    c.kill_supervisor()
    c.allow("deaths")
    for group in order.split():
        for pid in pids[group]:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(procs.alive(pid) for pid in pids[group]), f"the end of {group}")
    faults.write_stale_configs(c)
    c.start()
    assert c.wait_agreed() == "redis-2"
    assert c.proxy().get("k") == b"new"
    decided = c.events("master.decided")[-1]
    assert decided["subject"] == "redis-2" and "epoch" in decided["detail"] and "on_word_of" in decided["detail"]


def test_02_the_old_master_comes_back_as_a_replica(cluster):
    """
    helm/charts#21287, #21303: it came back as a master without replicas and took writes. Fails when roles_for_start
    starts the dead master with its own role.
    """
    c = cluster
    old = c.master()
    with Masters(c) as masters, c.load() as load:
        writes(load)
        c.kill(old)
        new = c.wait_master_is_not(old)
        masters.seen.clear()
        wait_until(lambda: c.instance(old)["state"] == "ready", f"{old} back")
        assert c.wait_agreed() == new
        writes(load)
        assert old not in masters.seen and new in masters.seen
    with pytest.raises(redis.ReadOnlyError):
        c.redis(old).set("stolen", "1")
    assert c.redis(new).info("replication")["connected_slaves"] == 2


def test_03_a_masterless_ring_heals(make_cluster):
    """
    DandyDeveloper/charts#412: Sentinel's "master" was a replica and nobody noticed, for ever. Here two servers follow
    each other and Sentinel's own patience is long. Fails without roles_tick.
    """
    c = make_cluster(options={"sentinel.down_after_ms": 30000}).start()
    c.proxy().set("k", "1")
    replicated(c, "k", b"1")
    c.redis("redis-1").execute_command("REPLICAOF", "127.0.0.1", c.port("redis-2"))
    wait_until(lambda: c.redis("redis-1").execute_command("ROLE")[0] in ("slave", b"slave"), "no master at all")
    with c.wire() as wire:
        assert wire("SET", "after", "1") == "OK"
    c.wait_agreed()
    assert c.proxy().get("k") == b"1"
    assert c.events("role.corrected") or c.events("master.elected")


def test_04_who_cannot_reach_a_sentinel_bootstraps_nothing(cluster):
    """
    openstack-k8s-operators/infra-operator#563: a node that reached no sentinel for 3 s made itself a second master.
    All sentinels stand still, a replica comes back with a file that says master, and then the supervisor as well.
    Fails when prepare_redis leaves the role in redis.conf as it finds it.
    """
    c = cluster
    c.proxy().set("k", "1")
    replicated(c, "k", b"1")
    pids = sentinels(c)
    for name in ("sentinel-1", "sentinel-2", "sentinel-3"):
        c.deaths[name] = 2  # whether one that hangs is ended is the supervisor's to decide
    for pid in pids:
        faults.freeze(pid)
    with Masters(c) as masters, c.load() as load:
        writes(load)
        conf = c.dir / "redis-2" / "redis.conf"
        conf.write_text(re.sub(r"(?m)^replicaof .*\n", "", conf.read_text()))
        c.kill("redis-2")
        wait_until(lambda: (i := c.instance("redis-2"))["state"] == "ready" and i["restarts"], "redis-2 back")
        writes(load)
        c.kill_supervisor()
        conf.write_text(re.sub(r"(?m)^replicaof .*\n", "", conf.read_text()))
        c.start(wait=False)
        wait_until(lambda: c.status(check=False), "a supervisor that answers")
        writes(load)
        for pid in pids:
            faults.thaw(pid)
        assert c.wait_agreed() == "redis-1"
        assert masters.seen == {"redis-1"} and masters.most == 1


def test_05_a_reboot_with_files_that_all_say_master(cluster):
    """
    bitnami/charts#8878, #17047: after a reboot every node thought it was the master. Fails when prepare_redis leaves
    the role in redis.conf as it finds it.
    """
    c = cluster
    c.cli("failover", "--to", "redis-3")
    assert c.wait_agreed() == "redis-3"
    with c.load(replicas=1) as load:
        writes(load, 200)
        c.kill_everything()
        c.allow("deaths")
    for name in SERVERS:
        conf = c.dir / name / "redis.conf"
        conf.write_text(re.sub(r"(?m)^replicaof .*\n", "", conf.read_text()))
    with Masters(c) as masters:
        c.start()
        assert c.wait_agreed() == "redis-3"
    assert masters.seen == {"redis-3"} and masters.most == 1
    assert load.lost(c.proxy()) == []


def test_06_no_client_sees_the_demoted_master(cluster):
    """
    flyerhzm/redis-sentinel#14, sensu/sensu#1094: clients kept their connection to the demoted master and got READONLY
    for ever. One connection, handed over and then over a death. Fails when the lanes pass READONLY on (is_turned).
    """
    c = cluster
    with c.wire() as wire, c.load() as load:
        for _ in range(2):
            before = c.master()
            c.cli("failover")
            assert wire("INCR", "n") >= 1
            assert c.wait_agreed() != before
        # Behind everybody's back: the sentinels have not said a word, the server says READONLY.
        c.redis(c.master()).execute_command("REPLICAOF", "127.0.0.1", c.port(c.replicas()[0]))
        assert wire("INCR", "n") == 3
        c.wait_agreed()
        now = time.monotonic()
        wait_until(lambda: load.acked_since(now), "writes of all clients")
    assert load.connections == 2
    assert [e for _, e in load.errors if e.startswith(NEVER_SEEN)] == []


def test_07_no_write_is_sent_to_a_replica(cluster):
    """
    DandyDeveloper/charts#57: a service balanced writes onto replicas. Over a handover, a death and a master that somebody
    made a replica, no server may have refused a write as a replica but those that were on their way at that moment.
    Fails without the check of ROLE (on_role): thousands are sent there, again and again.
    """
    c = cluster
    with c.load(writers=3) as load:
        writes(load, 200)
        c.cli("failover")
        c.wait_agreed()
        writes(load, 200)
        c.kill(c.master())
        c.wait_agreed()
        writes(load, 200)
        c.redis(c.master()).execute_command("REPLICAOF", "127.0.0.1", c.port(c.replicas()[0]))
        c.wait_agreed()
        writes(load, 200)
    stats = {n: str(c.redis(n).info("errorstats").get("errorstat_READONLY", "")) for n in SERVERS}
    refused = [int(number) for text in stats.values() for number in re.findall(r"\d+", text)]
    assert sum(refused) <= 3 * len(load.writers), stats


def test_08_an_empty_master_wipes_nobody(make_cluster):
    """
    Redis' documentation on the safety of replication: a master without persistence restarted empty, and its replicas
    copied the emptiness. Here no majority of sentinels can elect another for the time being. Fails without would_wipe.
    """
    c = make_cluster(options={"redis.appendonly": "no", "redis.config.save": '""'}).start()
    c.proxy().set("kept", "1")
    replicated(c, "kept", b"1")
    old = c.master()
    for name in ("sentinel-2", "sentinel-3"):
        c.cli("stop", name)
    after = c.last_event()
    c.kill(old)
    c.wait_event("master.lost", old, after=after)
    assert [c.redis(n).get("kept") for n in SERVERS if n != old] == [b"1", b"1"]
    for name in ("sentinel-2", "sentinel-3"):
        c.cli("start", name)
    assert c.wait_agreed(60) != old
    assert c.proxy().get("kept") == b"1"
    assert c.redis(old).get("kept") == b"1"


def test_09_what_a_cut_off_master_took_is_acknowledged_to_nobody(cluster, measured):
    """
    Network splits in Jepsen's analyses of Redis: the cut-off master went on taking writes that were lost when the cut
    healed. The master stands still until another is there, then it wakes and reads what was sent to it. Writes that
    WAIT 1 has confirmed live, so does every write that was acknowledged after the cut, and what a client of the old one's own
    port had sent to it is not acknowledged.
    Fails when a silent master is replaced without being killed (process_kill in roles_on_silence): it wakes, and takes that write.
    """
    c = cluster
    old = c.master()
    c.deaths[old] = 2
    with c.load(writers=3, replicas=1) as load, c.load(writers=3, prefix="plain") as plain:
        writes(load, 200)
        pid = c.instance(old)["pid"]
        direct = Wire(c.port(old))
        assert direct("AUTH", "holdfast", c.secret()) == "OK"
        faults.freeze(pid)
        direct.send("SET", "to:the:old:one", "1")
        frozen_at = time.monotonic()
        c.wait_master_is_not(old)
        writes(load, 200)
        faults.thaw(pid)
        new = c.wait_agreed()
        writes(load, 200)
        writes(plain, 200)
    assert new != old
    with direct:
        try:
            answer = str(direct.reply())
        except OSError:
            answer = "closed"
    assert answer == "closed" or answer.startswith("READONLY"), answer
    assert load.lost(c.proxy()) == []
    assert [key for key, t in plain.lost(c.proxy()) if t > frozen_at] == []
    measured(f"longest reply {load.longest_reply_s() * 1000:.0f} ms, {load.acked} confirmed writes, none lost")


def test_09_wait_is_about_the_master_that_took_the_write(cluster):
    """
    The second half of the same: a write that no replica has, its master dies, and WAIT is answered by the successor.
    It must not count the successor's replicas for a write that it never saw. Failed before the session knew which
    master had acknowledged what (session_wait_answer).
    """
    c = cluster
    old, replicas = c.master(), c.replicas()
    pid = c.instance(old)["pid"]
    with c.wire() as wire, c.wire() as after:
        assert wire("SET", "first", "1") == "OK"
        assert wire("WAIT", 1, 5000) >= 1
        for n in replicas:
            faults.cut(c, n)
        # A supervisor that has seen the write would promote nobody who lacks it.
        faults.freeze(c.run.pid)
        assert wire("SET", "alone", "1") == "OK"
        c.deaths[old] = 1
        os.kill(pid, signal.SIGKILL)
        faults.thaw(c.run.pid)
        for n in replicas:
            faults.mend(c, n)
        assert c.wait_agreed() != old
        assert c.redis(c.master()).get("alone") is None, "a replica had it after all: this proves nothing"
        assert wire("WAIT", 1, 1000) == 0
        assert wire("SET", "second", "1") == "OK"
        assert wire("WAIT", 1, 5000) >= 1
        assert after("SET", "third", "1") == "OK"
        assert after("WAIT", 1, 5000) >= 1


def test_10_a_master_that_stands_still_is_replaced(make_cluster, measured):
    """
    Half-dead servers, neither up nor down. SIGSTOP: requests are answered within hold_ms, another takes over.
    Fails when no sentinel and no probe looks at it (down_after_ms of an hour).
    """
    c = make_cluster(options={"proxy.hold_ms": 15000}).start()
    old = c.master()
    c.deaths[old] = 2
    pid = c.instance(old)["pid"]
    with c.wire() as wire, c.load() as load:
        writes(load)
        faults.freeze(pid)
        began = time.monotonic()
        try:
            wire("SET", "k", "1")
        except WireError as e:
            assert str(e).startswith("UNCERTAIN"), e
        held_s = time.monotonic() - began
        assert wire("SET", "k", "2") == "OK"
        new = c.wait_master_is_not(old)
        assert c.events("master.elected", new)
        faults.thaw(pid)
        c.wait_agreed()
    measured(f"answered after {held_s * 1000:.0f} ms")
    assert [e for _, e in load.errors if not e.startswith("UNCERTAIN")] == []


def test_10_the_disk_of_one_server_is_full(make_cluster):
    """
    The master's disk is full: it refuses every write. Nobody hangs, and it is either replaced or, when there is room
    again, goes on; the state says so meanwhile. Fails when health takes a master that answers PING for a healthy one.
    """
    c = make_cluster(options=faults.server_options(make_cluster.folder("bin"))).start()
    old = c.master()
    c.deaths[old] = 2
    pid = c.instance(old)["pid"]
    with c.load(replicas=1) as load:
        writes(load)
        faults.fill(pid)
        wait_until(lambda: c.master() not in (None, old) or c.status()["state"] != "ready",
                   "another master, or a word that this one takes no writes")
        faults.make_room(pid)
        c.wait_agreed()
        writes(load)
    assert [e for _, e in load.errors if not e.startswith(("MISCONF", "UNCERTAIN"))] == []
    assert load.lost(c.proxy()) == []


def test_10_servers_killed_for_want_of_memory(cluster):
    """
    An OOM kill is a SIGKILL that nobody announced, here of the master and of the replica that has confirmed the writes; the
    third was cut off a moment before, so it has less than what lies in the files of the other two. It must not become
    master. Fails when a takeover takes whoever is there (without seen_offset): thousands of confirmed writes were gone.
    """
    c = cluster
    behind, replica = c.replicas()
    with c.load(replicas=1) as load:
        writes(load, 200)
        faults.cut(c, behind)
        cut_at = time.monotonic()
        # longer than between two looks of the supervisor at the master, shorter than a replica is taken for up to date
        wait_until(lambda: load.acked_since(cut_at + 1.5), "writes that only one replica has")
        c.kill(replica)
        c.kill(c.master())
        faults.mend(c, behind)
        c.wait_agreed(60)
        writes(load, 200)
    assert load.lost(c.proxy()) == []
    assert [e for _, e in load.errors if e.startswith(NEVER_SEEN)] == []


def test_11_one_server_cannot_be_given_other_modules(make_cluster):
    """
    A replica without the master's module: full copies for ever, and after a failover data that nobody can load. No option
    makes one server differ from the others unseen. Fails when loadmodule is passed on like other directives.
    tests/integration/test_modules.py has the servers that differ all the same.
    """
    advice = {"redis-1.config.loadmodule": "set redis.modules", "redis.config.loadmodule": "set redis.modules",
              "redis-2.modules": "the same for all instances"}
    for option, text in advice.items():
        c = make_cluster(options={option: "/nowhere/json.so"})
        c.allow("exit")
        c.start(wait=False)
        assert c.run.wait() == 78, option
        assert option in c.run.err and text in c.run.err, c.run.err
        assert not list(c.dir.glob("redis-*")), "it began all the same"


def test_12_the_supervisor_is_killed(cluster):
    """
    Children died with it, or ran on unknown and were started a second time. Also when state.db is lost meanwhile.
    Fails without resume_adopt.
    """
    c = cluster
    before = {n: p for n, p in c.pids().items() if n.startswith(("redis", "sentinel"))}
    with c.load() as load:
        for lost in (False, True):
            writes(load)
            c.kill_supervisor()
            writes(load)
            if lost:
                for path in c.dir.glob("state.db*"):
                    path.unlink()
            c.start()
            writes(load)
            assert {n: p for n, p in c.pids().items() if n in before} == before
            left = [procs.cmdline(pid) for pid in c.keeper.left()]
            assert len([line for line in left if line.startswith(("redis-server", "redis-sentinel"))]) == 6, left
    assert c.assert_one_master() == "redis-1"
    assert load.lost(c.proxy()) == []


def test_12_what_was_adopted_by_another_than_its_parent_is_seen_to_die(cluster):
    """The pid in state.db belongs to somebody else by now: nothing foreign is taken over, nothing is started twice."""
    c = cluster
    c.kill_everything()
    c.allow("deaths")
    with sqlite3.connect(c.dir / "state.db") as db:
        db.execute("UPDATE instances SET pid = ?", (c.keeper.process.pid,))
    db.close()
    c.start()
    assert c.events("supervisor.adopted") == []
    assert c.wait_agreed() == "redis-1"
