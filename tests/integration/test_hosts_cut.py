"""
Several hosts on a network that is cut: a host that hears nobody is not told so, it only hears nothing. Network namespaces need root; without it these
tests are skipped, and say so.
"""
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
import redis

from harness import Cases
from hosts import PATIENT_S, Hosts, Inside
from netlab import Lab, Unable
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("hosts_cut")


@pytest.fixture(scope="module")
def _hosts(request):
    try:
        lab = Lab(3)
    except Unable as e:
        pytest.skip(str(e))
    cases = Cases(request.node.name)
    try:
        yield Hosts(cases, lab=lab, options={"proxy.durability": 1, "proxy.hold_ms": 3000})
        faults = cases.finish(failed=False)
        if faults:
            pytest.fail("after the tests:\n" + "\n".join(faults), pytrace=False)
    finally:
        lab.close()


@pytest.fixture
def hosts(_hosts):
    if _hosts.all[0].run is None:
        _hosts.start(wait=False)
    _hosts.lab.heal_all()
    _hosts.wait_agreed()
    return _hosts


def test_the_masters_host_is_cut_off(hosts, measured):
    master = hosts.wait_agreed()
    rest = hosts.but(master)
    load = hosts.history(rest, prefix="cut").start()
    inside = Inside(hosts, master)
    load.wait_progress()
    wait_until(lambda: len(inside.taken()) > 100, "writes inside")
    since, cut = master.last_event(), time.monotonic()
    hosts.lab.cut(master.number)
    load.wait_progress()
    now = hosts.wait_agreed(rest, "degraded")
    assert now in rest
    # On its side of the cut nobody writes any more, through its proxy or past it.
    master.wait_event("hosts.isolated", after=since)
    assert any("writes are paused" in r for r in master.status()["reasons"])
    refused = subprocess.run([*hosts.lab.runner(master.number), "redis-cli", "-h", master.address, "-p", str(hosts.ports.proxy),
                              "SET", "x", "1"], capture_output=True, text=True, timeout=20)
    assert refused.stdout.startswith("MASTERDOWN"), refused
    last = max(inside.taken())
    hosts.lab.heal(master.number)
    assert hosts.wait_agreed() is now
    inside.stop()
    load.wait_progress()
    load.stop()
    assert load.check(now.redis()) == ([], [], [])
    assert load.check(master.redis()) == ([], [], [])
    measured(f"{load.longest_gap_ms(cut):.0f} ms without an acknowledged write, last one on the cut-off side after "
             f"{1000 * (last - cut):.0f} ms, {load.count()} acknowledged and none lost")
    assert max(inside.taken()) == last, "a write was taken by the old master after the cut healed"


def test_a_replicas_host_is_cut_off(hosts):
    master = hosts.wait_agreed()
    cut = hosts.but(master)[0]
    epoch = master.status()["master"]["epoch"]
    load = hosts.history(hosts.but(cut), prefix="replica", timeout=PATIENT_S).start()
    load.wait_progress()
    since = master.last_event()
    hosts.lab.cut(cut.number)
    master.wait_event("host.lost", cut.name, after=since)
    load.wait_progress()
    hosts.lab.heal(cut.number)
    assert hosts.wait_agreed() is master
    load.stop()
    assert load.unknown == [[], []]
    assert load.check(master.redis()) == ([], [], [])
    assert master.status()["master"]["epoch"] == epoch


def test_all_hosts_are_cut_off_from_each_other(hosts):
    """Nobody is a majority: nobody takes a write, and nobody becomes another master."""
    master = hosts.wait_agreed()
    load = hosts.history(prefix="all").start()
    load.wait_progress()
    after = {h: h.last_event() for h in hosts.all}
    for h in hosts.all:
        hosts.lab.cut(h.number)
    for h in hosts.all:
        h.wait_event("hosts.isolated", after=after[h])
    for h in (master, *hosts.but(master)):  # two without it would be a majority, and replace it rightly
        hosts.lab.heal(h.number)
    now = hosts.wait_agreed()
    load.wait_progress()
    load.stop()
    assert load.check(now.redis()) == ([], [], [])
    assert now is master


def led(hosts, since):
    """Every failover that any of the hosts has begun."""
    return [e for h in hosts.all for e in h.events("failover.started", after=since[h])]


def test_what_a_cut_off_master_took_is_kept(hosts):
    """Past the proxy, without waiting for a replica: acknowledged, and thrown away when it becomes a replica. In two databases, and large."""
    master = hosts.wait_agreed()
    rest = hosts.but(master)
    since = master.last_event()
    code = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
f = s.makefile("rb")
def do(*words):
    s.sendall(b"*%d\\r\\n" % len(words) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(w), w) for w in words))
    return f.readline().strip()
n = 0
while True:
    n += 1
    do(b"SELECT", b"%d" % (n % 2 * 3))
    if do(b"SET", b"kept:%d" % n, b"x" * (40000 if n % 50 == 0 else 8)) == b"+OK":
        print(n, flush=True)
    time.sleep(0.002)
"""
    writer = master.spawn(*hosts.lab.runner(master.number), sys.executable, "-I", "-S", "-c", code, master.address,
                          hosts.ports.redis, label="kept")
    wait_until(lambda: len(writer.out.splitlines()) > 100, "writes inside")
    hosts.lab.cut(master.number)
    now = hosts.wait_agreed(rest, "degraded")
    master.wait_event("hosts.isolated", after=since)
    took = [int(n) for n in writer.out.splitlines()]
    writer.signal(signal.SIGKILL)
    hosts.lab.heal(master.number)
    event = master.wait_event("data.diverged", "redis-1", after=since)
    assert hosts.wait_agreed() is now
    there = {n for n in took if now.redis(db=n % 2 * 3).exists(f"kept:{n}")}
    missing = [n for n in took if n not in there]
    assert missing and there, (len(took), len(there))
    # The file has exactly what the new master has not, and applies there as it is.
    assert event["detail"]["exact"] and not event["detail"]["cut_off"]
    file = event["detail"]["file"]
    assert os.stat(file).st_mode & 0o777 == 0o600
    with open(file, "rb") as f:
        kept = f.read()
    names = [int(n) for n in re.findall(rb"\r\nkept:(\d+)\r\n", kept)]
    assert set(missing) <= set(names) and not set(names) & there, (missing[:3], names[:3], sorted(there)[-3:])
    assert event["detail"]["writes"] == len(names) and b"__holdfast__" not in kept
    applied = subprocess.run(["redis-cli", "-h", now.address, "-p", str(hosts.ports.redis), "--pipe"], input=kept,
                             capture_output=True, timeout=60)
    assert b"errors: 0" in applied.stdout, applied
    assert all(now.redis(db=n % 2 * 3).exists(f"kept:{n}") for n in names)


def test_nothing_is_kept_when_nothing_differs(hosts):
    master = hosts.wait_agreed()
    since = {h: h.last_event() for h in hosts.all}
    for h in hosts.all:
        hosts.lab.cut(h.number)
    for h in hosts.all:
        h.wait_event("hosts.isolated", after=since[h])
    for h in (master, *hosts.but(master)):  # likewise
        hosts.lab.heal(h.number)
    assert hosts.wait_agreed() is master
    for h in hosts.all:
        h.wait_event("hosts.rejoined", after=since[h])
    assert not master.events("data.diverged", after=since[master])
    wait_until(lambda: not [f for f in master.dir.glob("diverged/*") if f.stat().st_mtime > time.time() - 5], "no file is left")


@pytest.mark.parametrize("both", [True, pytest.param(False, marks=pytest.mark.long)], ids=["both-ways", "one-way"])
def test_every_single_link_is_cut(hosts, both):
    """Two hosts do not hear each other, the third hears both: the master is alive, and its heartbeat goes round."""
    master = hosts.wait_agreed()
    epoch = master.status()["master"]["epoch"]
    load = hosts.history([master], prefix=f"single{both}", timeout=PATIENT_S).start()
    load.wait_progress()
    for a, b in itertools.permutations(hosts.all, 2):
        if both and a.number > b.number:
            continue
        since = {h: h.last_event() for h in hosts.all}
        hosts.lab.block(a.number, b.number)
        if both:
            hosts.lab.block(b.number, a.number)
        b.wait_event("host.lost", a.name, after=since[b])
        load.wait_progress()
        hosts.lab.heal_all()
        assert hosts.wait_agreed() is master, (a.name, b.name)
        assert not led(hosts, since), (a.name, b.name)
    load.stop()
    assert load.unknown == [[], []]
    assert hosts.check(load) == ([], [], [])
    assert master.status()["master"]["epoch"] == epoch


@pytest.mark.parametrize("way", ["out", "in"])
def test_the_master_is_cut_off_one_way(hosts, way):
    """
    What it says arrives and no answer comes back, or the other way round: for everybody it is gone, itself included. Seen to fail without the isolation, and
    without the pause that it is for clients who come past the proxy.
    """
    master = hosts.wait_agreed()
    rest = hosts.but(master)
    since = master.last_event()
    load = hosts.history(rest, prefix=way).start()
    inside = Inside(hosts, master)
    load.wait_progress()
    wait_until(lambda: len(inside.taken()) > 100, "writes inside")
    for h in rest:
        hosts.lab.block(*((master.number, h.number) if way == "out" else (h.number, master.number)))
    now = hosts.wait_agreed(rest, "degraded")
    load.wait_progress()
    master.wait_event("hosts.isolated", after=since)
    assert any("writes are paused" in r for r in master.status()["reasons"])
    last = max(inside.taken())
    hosts.lab.heal_all()
    assert hosts.wait_agreed() is now
    inside.stop()
    load.stop()
    assert max(inside.taken()) == last, "a write was taken by the old master after it was isolated"
    assert hosts.check(load) == ([], [], [])


def test_the_masters_host_stands_still(hosts):
    """Its kernel acknowledges, so it may only be busy: until down_after_ms. Then the supervisors replace it, not Sentinel, and what it goes on with is
    confirmed by nobody: a replica of it would confirm what its next master has not."""
    master = hosts.wait_agreed()
    since = {h: h.last_event() for h in hosts.all}
    load = hosts.history([master], writers=4, prefix="still").start()
    load.wait_progress()
    hosts.freeze(master)
    now = hosts.wait_agreed(hosts.but(master), "ready|degraded")
    hosts.freeze(master, signal.SIGCONT)
    assert hosts.wait_agreed() is now
    assert {e["detail"].get("why") for e in led(hosts, since)} == {"its host acknowledges and does not answer"}
    load.wait_progress()
    load.stop()
    assert hosts.check(load) == ([], [], [])


class Still:
    """These processes stand still meanwhile."""

    def __init__(self, *pids):
        self.pids = pids

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_):
        for pid in self.pids:
            os.kill(pid, signal.SIGCONT)


def test_sentinel_obeys_nobody_who_would_have_it_promote(hosts):
    """Where writes are acknowledged by replicas it finds none that it may; `holdfast failover` hands over.
    Failed before: it promoted the one that it had heard best of, perhaps ten seconds ago."""
    master = hosts.wait_agreed()
    since = {h: h.last_event() for h in hosts.all}
    for h in hosts.all:
        wait_until(lambda h=h: knows_priorities(hosts, h), f"what the sentinel of {h.name} knows")
        with pytest.raises(redis.ResponseError, match="^NOGOODSLAVE"):
            sentinel_of(h).execute_command("SENTINEL", "FAILOVER", "main")
    assert hosts.wait_agreed() is master and not led(hosts, since)
    hosts.all[0].cli("failover")
    assert hosts.wait_agreed() is not master


def sentinel_of(host):
    return host.sentinel("sentinel-1", username="holdfast", password=host.hosts.secret)


def named_by_sentinel(host):
    return sentinel_of(host).execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "main")[0].decode()


def knows_priorities(hosts, host):
    """Its sentinel asks the replicas every 10 s only."""
    known = [int(r["slave-priority"]) for r in sentinel_of(host).sentinel_slaves("main")]
    replicas = [h.redis() for h in hosts.all if h.role("redis-1")[0] == b"slave"]
    return sorted(known) == sorted(int(r.config_get("replica-priority")["replica-priority"]) for r in replicas)


class Ear:
    """Has this sentinel given an attempt of its own up, since nobody may be promoted?"""

    def __init__(self, host):
        self.pubsub = sentinel_of(host).pubsub(ignore_subscribe_messages=True)
        self.pubsub.subscribe("-failover-abort-no-good-slave")

    def heard(self):
        return self.pubsub.get_message(timeout=0.01) is not None


TILT_S = 90.0  # a sentinel that stood still for 2 s, in an earlier test or on a busy machine, does nothing of its own for half a minute


def test_sentinel_alone_promotes_nobody(hosts):
    """No supervisor may lead, one replica lags, and the one that has all that was acknowledged does not answer: whoever is promoted then has not all.
    Failed before: Sentinel promoted the one that lagged, and the other one threw away what it had more."""
    master = hosts.wait_agreed()
    behind, ahead = hosts.but(master)
    for h in (behind, ahead):
        wait_until(lambda h=h: knows_priorities(hosts, h), f"what the sentinel of {h.name} knows")
    load = hosts.history([ahead], prefix="alone").start()
    load.wait_progress()
    pid = ahead.instance("redis-1")["pid"]
    with Still(*(h.run.pid for h in (behind, ahead))):
        for a, b in itertools.permutations((master, behind), 2):
            hosts.lab.block(a.number, b.number)
        load.wait_progress()
        load.stop()
        with Still(pid):
            wait_until(lambda: any(r["is_sdown"] for r in sentinel_of(behind).sentinel_slaves("main")), "it is missed", TILT_S)
            ears = [Ear(h) for h in (behind, ahead)]
            hosts.lab.cut(master.number)
            wait_until(lambda: any(e.heard() for e in ears) or
                       {named_by_sentinel(h) for h in (behind, ahead)} == {behind.address}, "Sentinel's attempt", TILT_S)
    assert load.check(hosts.wait_agreed([behind, ahead], "degraded").redis()) == ([], [], [])
    hosts.lab.heal_all()
    assert hosts.check(load) == ([], [], [])


def test_a_host_that_was_cut_off_does_not_lead_without_the_other_replica(hosts):
    """It hears that one's sentinel again, whose vote makes a majority, and not its redis yet, nor the master: what is silent to it may have acknowledged
    all the time. Failed before: it left that one out, promoted its own redis, and all that was acknowledged meanwhile was lost."""
    master = hosts.wait_agreed()
    back, other = hosts.but(master)
    since = back.last_event()
    pid = other.instance("redis-1")["pid"]
    load = hosts.history([master], prefix="back").start()
    load.wait_progress()
    hosts.lab.cut(back.number)
    back.wait_event("hosts.isolated", after=since)
    load.wait_progress()
    load.stop()
    told = len(back.run.err)
    with Still(pid):
        for a, b in itertools.permutations((master, back), 2):
            hosts.lab.block(a.number, b.number)
        hosts.lab.heal(back.number)
        wait_until(lambda: "may have writes that no other has" in back.run.err[told:] or back.events("failover.done", after=since), "it to wait")
        assert not back.events("failover.done", after=since)  # once that one answers again it may lead at once
    hosts.lab.heal_all()
    assert hosts.check(load) == ([], [], [])


def test_a_link_that_flaps(hosts):
    """A replica's: nobody takes over anything. The master's: whoever is it, nothing is lost."""
    rng = random.Random(5)
    for victim in ("replica", "master"):
        master = hosts.wait_agreed()
        host = master if victim == "master" else hosts.but(master)[0]
        since = {h: h.last_event() for h in hosts.all}
        load = hosts.history(hosts.but(host), prefix=f"flaps {victim}", timeout=PATIENT_S).start()
        load.wait_progress()
        for _ in range(8):
            hosts.lab.cut(host.number)
            time.sleep(rng.uniform(0.05, 0.6))  # the fault itself
            hosts.lab.heal(host.number)
            time.sleep(rng.uniform(0.05, 0.4))  # likewise
        now = hosts.wait_agreed()
        load.wait_progress()
        load.stop()
        assert hosts.check(load) == ([], [], [])
        if victim == "replica":
            assert now is master and not led(hosts, since)
            assert load.unknown == [[], []]


def shout(host, words, stop):
    """An ordinary client, that says again and again what supervisors say."""
    client = host.redis(socket_timeout=0.2)
    while not stop.is_set():
        for w in words:
            try:
                client.publish("__holdfast__:beat", w)
            except redis.RedisError:
                break  # cut off
        stop.wait(0.05)


def test_what_clients_say_in_a_supervisors_name(hosts):
    """Made up or repeated: no dead master is kept alive by it, and no proxy is held up."""
    master = hosts.wait_agreed()
    rest = hosts.but(master)
    ear = master.redis().pubsub(ignore_subscribe_messages=True)
    ear.subscribe("__holdfast__:beat")
    heard = []
    wait_until(lambda: heard.append(ear.get_message(timeout=1)) or len([m for m in heard if m]) > 5, "beats")
    heard = [m["data"] for m in heard if m]
    epoch = master.status()["master"]["epoch"]
    made_up = [b"beat", f"hold {epoch} {master.name}".encode(),
               *(b" ".join(m.split()[:2] + [w, m.split()[-1]]) for m in heard for w in (b"beat", b"hold %d" % epoch)),
               b"%s 99999999999999 hold %d %s" % (master.name.encode(), epoch, b"0" * 32), b"x" * 600, b" ", b"\0", b""]
    stop = threading.Event()
    shouters = [threading.Thread(target=shout, args=(h, made_up + heard, stop), daemon=True) for h in hosts.all]
    load = hosts.history(rest, prefix="shout", timeout=PATIENT_S).start()
    since = {h: h.last_event() for h in hosts.all}
    try:
        for t in shouters:
            t.start()
        load.wait_progress(200)  # a hold is longer than hold_ms here: a proxy that heeds it answers with an error
        assert load.unknown == [[], []] and not led(hosts, since)
        hosts.lab.cut(master.number)
        now = hosts.wait_agreed(rest, "degraded")
        assert [e["detail"].get("why") for e in led(hosts, since)], "left to Sentinel"
        load.wait_progress()
    finally:
        stop.set()
        for t in shouters:
            t.join()
    hosts.lab.heal(master.number)
    assert hosts.wait_agreed() is now
    load.stop()
    assert hosts.check(load) == ([], [], [])


class Roles:
    """Who says that he is a master, of some hosts, looked at as often as it goes."""

    def __init__(self, hosts):
        self.hosts, self.stopping, self.seen = hosts, threading.Event(), []
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        clients = {h.name: h.redis(socket_timeout=2) for h in self.hosts}
        while not self.stopping.is_set():
            masters = set()
            for name, c in clients.items():
                try:
                    if c.execute_command("ROLE")[0] == b"master":
                        masters.add(name)
                except redis.RedisError:
                    pass
            if not self.seen or self.seen[-1] != masters:
                self.seen.append(masters)

    def stop(self):
        self.stopping.set()
        self.thread.join()
        return self.seen


def test_two_who_lead_at_once(hosts, measured):
    """Both supervisors have asked for votes before any sentinel has answered either: then all votes are given in the same moment. Nothing is written
    meanwhile, so both replicas have the same, and each supervisor would choose its own."""
    for n in range(int(os.environ.get("HOLDFAST_TEST_FAULTS", "2"))):
        master = hosts.wait_agreed()
        rest = hosts.but(master)
        since = {h: h.last_event() for h in hosts.all}
        load = hosts.history(rest, prefix=f"two{n}").start()
        load.wait_progress()
        load.stop()
        roles = Roles(rest)
        sentinels = [h.instance("sentinel-1")["pid"] for h in rest]
        for pid in sentinels:
            os.kill(pid, signal.SIGSTOP)
        hosts.lab.cut(master.number)
        for h in rest:
            h.wait_event("failover.started", after=since[h])
        for pid in sentinels:
            os.kill(pid, signal.SIGCONT)
        now = hosts.wait_agreed(rest, "degraded")
        assert now.wire()("RPUSH", f"two{n}", 1) == 1
        seen = roles.stop()
        assert all(len(m) <= 1 for m in seen) and set().union(*seen) == {now.name}, (seen, led(hosts, since))
        hosts.lab.heal(master.number)
        assert hosts.wait_agreed() is now
        assert hosts.check(load) == ([], [], [])
    measured(f"{n + 1} times two led at once: one master each time")


def cut_one_way(hosts, load, host, rng):
    """What it says to one or to all of the others vanishes, or what they say to it."""
    for other in hosts.but(host)[:rng.choice([1, 2])]:
        hosts.lab.block(*rng.choice([(host.number, other.number), (other.number, host.number)]))
    time.sleep(rng.uniform(0.1, 3.0))  # the fault itself
    hosts.lab.heal_all()


def cut_two_links(hosts, load, host, rng):
    """Two hosts do not hear each other; a moment later it is another two."""
    for other in rng.sample(hosts.but(host), 2):
        hosts.lab.block(host.number, other.number)
        hosts.lab.block(other.number, host.number)
        time.sleep(rng.uniform(0.1, 1.5))  # likewise
        hosts.lab.heal_all()


def cut_for_a_while(hosts, load, host, rng):
    hosts.lab.cut(host.number)
    hosts.wait_agreed(hosts.but(host), "degraded")
    load.wait_progress()
    hosts.lab.heal(host.number)


def cut_for_a_moment(hosts, load, host, rng):
    """Around the time at which it is taken for dead."""
    hosts.lab.cut(host.number)
    time.sleep(rng.uniform(0.1, 1.5))  # the fault itself, not a wait for anything
    hosts.lab.heal(host.number)


def kill_the_server(hosts, load, host, rng):
    host.kill("redis-1")


def kill_the_host(hosts, load, host, rng):
    hosts.kill_host(host)
    load.wait_progress()
    host.start(wait=False)


def stop_the_host(hosts, load, host, rng):
    """All its processes stand still, and go on with what they had in mind."""
    hosts.freeze(host)
    time.sleep(rng.uniform(0.1, 3.0))  # likewise
    hosts.freeze(host, signal.SIGCONT)


def stop_a_supervisor(hosts, load, host, rng):
    """It finds everything changed when it goes on; meanwhile the master's host may be cut off."""
    os.kill(host.run.pid, signal.SIGSTOP)
    victim = rng.choice(hosts.all)
    if rng.random() < 0.5:
        hosts.lab.cut(victim.number)
    time.sleep(rng.uniform(0.3, 2.5))  # the fault itself
    os.kill(host.run.pid, signal.SIGCONT)
    hosts.lab.heal(victim.number)


FAULTS = [cut_for_a_while, cut_for_a_moment, cut_one_way, cut_two_links, kill_the_server, kill_the_host, stop_the_host, stop_a_supervisor]


def test_faults_at_random(hosts, measured):
    """HOLDFAST_TEST_FAULTS: how many (200 take about half an hour), HOLDFAST_TEST_SEED: which."""
    rounds, seed = int(os.environ.get("HOLDFAST_TEST_FAULTS", "4")), int(os.environ.get("HOLDFAST_TEST_SEED", "9"))
    rng = random.Random(seed)
    load = hosts.history(prefix=f"random{seed}").start()
    gaps = []
    for n in range(rounds):
        load.wait_progress()
        fault, host = rng.choice(FAULTS), rng.choice(hosts.all)
        began = time.monotonic()
        fault(hosts, load, host, rng)
        hosts.lab.heal_all()
        hosts.wait_agreed()
        load.wait_progress()
        gaps.append(load.longest_gap_ms(began))
        wrong = hosts.check(load)
        assert wrong == ([], [], []), f"after fault {n}, {fault.__name__} of {host.name}, seed {seed}: {wrong}"
    load.stop()
    gaps.sort()
    measured(f"{rounds} faults, seed {seed}: {load.count()} acknowledged, none lost; without an acknowledged write "
             f"{gaps[len(gaps) // 2]:.0f} ms in the median, {gaps[-1]:.0f} ms at most")
