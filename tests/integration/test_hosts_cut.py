"""
Several hosts on a network that is cut: a host that hears nobody is not told so, it only hears nothing. Network namespaces need root; without it these
tests are skipped, and say so.
"""
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from harness import Cases
from hosts import Hosts
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
    for h in _hosts.all:
        _hosts.lab.heal(h.number)
    _hosts.wait_agreed()
    return _hosts


class Inside:
    """A writer on the cut host itself, past the proxy, who does not wait for replicas: when was its last write taken?"""

    CODE = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while True:
    s.sendall(b"SET inside x\\r\\n")
    print(time.monotonic(), s.recv(4096).decode().strip(), flush=True)
    time.sleep(0.002)
"""

    def __init__(self, hosts, host):
        self.run = host.spawn(*hosts.lab.runner(host.number), sys.executable, "-I", "-S", "-c", self.CODE, host.address,
                              hosts.ports.redis, label="inside")

    def taken(self):
        """Monotonic s of each write that was taken."""
        return [float(t) for t, text in (line.split(None, 1) for line in self.run.out.splitlines() if line.count(" ")) if text == "+OK"]

    def stop(self):
        if self.run.exit is None:
            self.run.signal(signal.SIGKILL)


def test_the_masters_host_is_cut_off(hosts, measured):
    master = hosts.wait_agreed()
    rest = hosts.but(master)
    load = hosts.history(rest, prefix="cut").start()
    inside = Inside(hosts, master)
    load.wait_progress()
    wait_until(lambda: len(inside.taken()) > 100, "writes inside")
    cut = time.monotonic()
    hosts.lab.cut(master.number)
    load.wait_progress()
    now = hosts.wait_agreed(rest, "degraded")
    assert now in rest
    # On its side of the cut nobody writes any more, through its proxy or past it.
    master.wait_event("hosts.isolated")
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
    load = hosts.history(hosts.but(cut), prefix="replica").start()
    load.wait_progress()
    hosts.lab.cut(cut.number)
    master.wait_event("host.lost", cut.name, after=master.last_event())
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
    for h in hosts.all:
        hosts.lab.heal(h.number)
    now = hosts.wait_agreed()
    load.wait_progress()
    load.stop()
    assert load.check(now.redis()) == ([], [], [])
    assert now is master


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


FAULTS = [cut_for_a_while, cut_for_a_moment, kill_the_server, kill_the_host, stop_the_host]


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
        for h in hosts.all:
            hosts.lab.heal(h.number)
        hosts.wait_agreed()
        load.wait_progress()
        gaps.append(load.longest_gap_ms(began))
        wrong = hosts.check(load)
        assert wrong == ([], [], []), f"after fault {n}, {fault.__name__} of {host.name}, seed {seed}: {wrong}"
    load.stop()
    gaps.sort()
    measured(f"{rounds} faults, seed {seed}: {load.count()} acknowledged, none lost; without an acknowledged write "
             f"{gaps[len(gaps) // 2]:.0f} ms in the median, {gaps[-1]:.0f} ms at most")
