"""
Several hosts, what takes longer or another set-up: five of them, a slow network, clocks that differ, machines that have too much to do.
"""
import os
import subprocess
import sys
import time

import pytest
import redis

from harness import Cases
from hosts import Hosts, Inside
from netlab import Lab, Unable
from waiting import wait_until
from wire import Wire

pytestmark = pytest.mark.xdist_group("hosts_more")


@pytest.fixture
def make_hosts(request):
    cases, labs = Cases(request.node.name), []

    def make(count=3, lab=None, tls=False, **options):
        if lab is not None:
            try:
                labs.append(Lab(count, **lab))
            except Unable as e:
                pytest.skip(str(e))
        return Hosts(cases, count, labs[-1] if labs else None, tls=tls, options={"proxy.durability": 1, "proxy.hold_ms": 3000, **options})

    try:
        yield make
        faults = cases.finish(failed=False)
        if faults:
            pytest.fail("after the test:\n" + "\n".join(faults), pytrace=False)
    finally:
        for lab in labs:
            lab.close()


def test_five_hosts(make_hosts, measured):
    """
    Two of five may be gone, one after the other; the three that are left go on. A third one, and nothing is written. Seen to fail with two for a majority.
    """
    hosts = make_hosts(5).start()
    load = hosts.history(hosts.all, prefix="five").start()
    load.wait_progress()
    left, gaps = list(hosts.all), []
    for _ in range(2):
        master = hosts.wait_agreed(left, "ready|degraded")
        began = time.monotonic()
        hosts.kill_host(master)
        left.remove(master)
        load.wait_progress()
        gaps.append(load.longest_gap_ms(began))
    now = hosts.wait_agreed(left, "degraded")
    after = {h: h.last_event() for h in left}
    hosts.kill_host(hosts.but(now, *(h for h in hosts.all if h not in left))[0])
    left = [h for h in left if h.run.exit is None]
    for h in left:
        h.wait_event("hosts.isolated", after=after[h])
    load.stop()
    assert now.role("redis-1")[0] == b"master"
    for h in hosts.but(*left):
        h.start(wait=False)
    assert hosts.check(load) == ([], [], [])
    measured(f"{', '.join(f'{g:.0f}' for g in gaps)} ms without an acknowledged write")


# for 5 s
LONG = "local t, n = redis.call('TIME'), 0; local e = t[1] * 1000000 + t[2] + 5000000 repeat n = n + 1; redis.call('SET', KEYS[1], n) " \
       "t = redis.call('TIME') until t[1] * 1000000 + t[2] > e return n"


def test_a_master_that_works_is_replaced_by_nobody(make_hosts):
    """For longer than any sentinel waits by itself: those of the other hosts learn from its own to wait."""
    hosts = make_hosts(**{"redis.probe_ms": 200, "sentinel.down_after_ms": 2500}).start()
    master = hosts.wait_agreed()
    since = {h: h.last_event() for h in hosts.all}

    def patience():
        return {int(h.sentinel("sentinel-1").sentinel_master("main")["down-after-milliseconds"]) for h in hosts.all}

    with Wire(hosts.ports.redis, master.address, timeout=60) as w:
        w.send("EVAL", LONG, 1, "n")
        wait_until(lambda: patience() == {60000}, "all sentinels are told to wait")
        n = w.reply()
        assert isinstance(n, int) and n > 0, n
    wait_until(lambda: patience() == {2500}, "they wait no longer than before")
    assert hosts.wait_agreed() is master and int(master.redis().get("n")) == n
    assert [e for h in hosts.all for e in h.events("failover.started", after=since[h])] == []


def test_a_failover_of_sentinels_own(make_hosts):
    """Without durability, should it come to that: each supervisor has its replica stop following the old master as soon as it hears of it, before
    anybody is promoted."""
    hosts = make_hosts(**{"proxy.durability": "none"}).start()
    master = hosts.wait_agreed()
    sentinel = master.sentinel("sentinel-1", username="holdfast", password=hosts.secret)
    # it knows of the replicas once it has asked again
    wait_until(lambda: sentinel.execute_command("SENTINEL", "FAILOVER", "main"), "Sentinel's failover", ignore=(redis.ResponseError,))
    now = wait_until(lambda: (m := hosts.wait_agreed()) is not master and m, "another master")
    said = {h.name: "follows" in h.run.err and "no more, which Sentinel is about to replace" in h.run.err for h in hosts.but(master)}
    assert all(said.values()), said
    assert hosts.wait_agreed() is now


SHIFTED = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x80) != 0:  # CLONE_NEWTIME
    sys.exit("unshare: " + os.strerror(ctypes.get_errno()))
with open("/proc/self/timens_offsets", "w") as f:
    f.write(f"monotonic {sys.argv[1]} 0\\nboottime {sys.argv[1]} 0\\n")
os.execvp(sys.argv[2], sys.argv[2:])
"""


def test_clocks_that_differ(make_hosts):
    """
    Each host has been up for another time. (Their wall clocks are the same: those have no namespace.) Nothing that hosts tell each other is measured by
    such a clock; seen to fail when the age of what supervisors say was.
    """
    probe = [sys.executable, "-I", "-S", "-c", SHIFTED, "1000000"]
    done = subprocess.run([*probe, sys.executable, "-c", "import time; print(time.monotonic())"], capture_output=True, text=True)
    if done.returncode != 0 or float(done.stdout) < 1000000:
        pytest.skip(f"no time namespace here: {done.stderr or done.stdout}")
    hosts = make_hosts()
    for h, shift in zip(hosts.all, ("0", "1000000", "30000000")):
        h.runner = [*probe[:-1], shift]
    hosts.start()
    load = hosts.history(prefix="clocks").start()
    load.wait_progress()
    for _ in range(2):
        master = hosts.wait_agreed()
        hosts.kill_host(master)
        load.wait_progress()
        master.start(wait=False)
        hosts.wait_agreed()
    # what supervisors say to each other has an age, too
    hosts.all[0].cli("restart", "--rolling", timeout=120)
    load.wait_progress()
    load.stop()
    assert hosts.check(load) == ([], [], [])


def rounds(default):
    return int(os.environ.get("HOLDFAST_TEST_FAULTS", default))


def figures(gaps):
    gaps = sorted(gaps)
    return f"{gaps[len(gaps) // 2]:.0f} ms in the median, {gaps[-1]:.0f} ms at most, of {len(gaps)}"


@pytest.mark.long
@pytest.mark.parametrize("delay_ms,tls", [(0, False), (20, False), (0, True), (20, True)], ids=["near", "far", "near-tls", "far-tls"])
def test_figures(make_hosts, measured, delay_ms, tls):
    """HOLDFAST_TEST_FAULTS: how many of each. What the README says of several hosts."""
    hosts = make_hosts(lab={"delay_ms": delay_ms}, tls=tls).start()
    lab, found = hosts.lab, {"host dead": [], "host cut off": [], "cut-off side, last write": [], "process dead": [], "switchover": []}

    some = 30 if delay_ms else 200  # each write takes the way to a replica and back

    def gap(name, doors, fault):
        load = hosts.history(doors, prefix=f"{name}{len(found[name])}").start()
        load.wait_progress(some)
        began = time.monotonic()
        fault()
        load.wait_progress(some)
        hosts.wait_agreed(doors, "ready|degraded")
        load.stop()
        found[name].append(load.longest_gap_ms(began - 0.005))
        return load

    for _ in range(rounds("5")):
        master = hosts.wait_agreed()
        load = gap("host dead", hosts.but(master), lambda: hosts.kill_host(master))
        master.start(wait=False)
        assert hosts.check(load) == ([], [], [])
        master = hosts.wait_agreed()
        inside = Inside(hosts, master)
        wait_until(lambda: len(inside.taken()) > 100, "writes inside")
        cut = []
        load = gap("host cut off", hosts.but(master), lambda: (cut.append(time.monotonic()), lab.cut(master.number)))
        found["cut-off side, last write"].append(1000 * (max(inside.taken()) - cut[0]))
        inside.stop()
        lab.heal_all()
        assert hosts.check(load) == ([], [], [])
        master = hosts.wait_agreed()
        load = gap("process dead", hosts.but(master), lambda: master.kill("redis-1"))
        assert hosts.check(load) == ([], [], [])
        master = hosts.wait_agreed()
        load = gap("switchover", hosts.all, lambda: master.cli("failover"))
        assert load.unknown == [[], []], load.unknown
        assert hosts.check(load) == ([], [], [])
    for name, gaps in found.items():
        measured(f"{delay_ms} ms between hosts{', TLS' * tls}: {name}: {figures(gaps)}")


@pytest.mark.long
def test_a_busy_machine_takes_nothing_over(make_hosts, measured):
    """HOLDFAST_TEST_MINUTES: two programs for each core that do nothing but count, while a replica's link flaps."""
    minutes = float(os.environ.get("HOLDFAST_TEST_MINUTES", "1"))
    hosts = make_hosts(lab={}).start()
    master = hosts.wait_agreed()
    since = {h: h.last_event() for h in hosts.all}
    load = hosts.history([master], prefix="busy").start()
    loops = [subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"]) for _ in range(2 * os.cpu_count())]
    flaps = 0
    try:
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until:
            victim = hosts.but(master)[flaps % 2]
            hosts.lab.cut(victim.number)
            time.sleep(0.1 + flaps % 7 * 0.1)  # the fault itself
            hosts.lab.heal(victim.number)
            time.sleep(1.5)  # part of the fault: links of both replicas that fail in turn without a pause cut the master off
            flaps += 1
            load.wait_progress()
    finally:
        for p in loops:
            p.kill()
            p.wait()
    assert hosts.wait_agreed() is master
    load.stop()
    led = [e for h in hosts.all for e in h.events("failover.started", after=since[h])]
    assert led == [] and hosts.check(load) == ([], [], [])
    measured(f"{minutes:.0f} min, {flaps} flaps, {load.count()} acknowledged, {sum(map(len, load.unknown))} not: nothing was taken over")
