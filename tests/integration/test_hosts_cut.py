"""
Several hosts on a network that is cut: a host that hears nobody is not told so, it only hears nothing. Network namespaces need root; without it these
tests are skipped, and say so.
"""
import itertools
import time

import pytest
import redis

from harness import Cases
from hosts import Hosts
from netlab import Lab, Unable
from waiting import wait_until
from wire import WireError

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


def inside(hosts, host, *words):
    """What redis-cli on that host gets from its own redis, as a client that has bypassed the proxy."""
    import subprocess
    return subprocess.run([*hosts.lab.runner(host.number), "redis-cli", "-h", host.address, "-p", str(hosts.ports.redis), *words],
                          capture_output=True, text=True, timeout=20).stdout.strip()


class Inside:
    """A writer on the cut host, past the proxy: when was its last write taken? Without WAIT or durability."""

    def __init__(self, hosts, host):
        import subprocess
        self.file = host.case / "inside.out"
        script = ("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo SET inside $i; done | "
                  f"redis-cli -h {host.address} -p {hosts.ports.redis} | while read -r x; do echo $(date +%s%N) $x; done")
        self.out = open(self.file, "w")
        self.process = subprocess.Popen([*hosts.lab.runner(host.number), "sh", "-c", script], stdout=self.out, start_new_session=True)

    def answers(self):
        lines = [line.split(None, 1) for line in self.file.read_text().splitlines() if " " in line]
        return [(int(t) / 1e9, text) for t, text in lines]

    def stop(self):
        import os
        import signal
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(10)
        self.out.close()


def test_the_masters_host_is_cut_off(hosts, measured):
    master = hosts.wait_agreed()
    rest = hosts.but(master)
    load = hosts.history(rest, prefix="cut").start()
    inside = Inside(hosts, master)
    load.wait_progress()
    wait_until(lambda: len(inside.answers()) > 100, "writes inside")
    wall, mono = time.time(), time.monotonic()
    hosts.lab.cut(master.number)
    load.wait_progress()
    now = hosts.wait_agreed(rest, "degraded")
    assert now in rest
    master.wait_event("hosts.isolated")
    # On its side of the cut nobody writes any more, through its proxy or past it.
    last = max(t for t, text in inside.answers() if text == "OK")
    reasons = master.status()["reasons"]
    assert any("writes are paused" in r for r in reasons), reasons
    time_of = {}
    for name, port in (("proxy", hosts.ports.proxy), ("redis", hosts.ports.redis)):
        time_of[name] = port
    from subprocess import PIPE, Popen
    p = Popen([*hosts.lab.runner(master.number), "redis-cli", "-h", master.address, "-p", str(hosts.ports.proxy), "SET", "x", "1"],
              stdout=PIPE, text=True)
    assert p.communicate(timeout=20)[0].startswith("MASTERDOWN")
    hosts.lab.heal(master.number)
    assert hosts.wait_agreed() is now
    inside.stop()
    load.wait_progress()
    load.stop()
    assert load.check(now.redis()) == ([], [], [])
    assert load.check(master.redis()) == ([], [], [])
    measured(f"next acknowledged write {load.first_ack_after(mono + 0.02):.0f} ms after the cut, last one on the cut-off side after "
             f"{1000 * (last - wall):.0f} ms, {load.count()} acknowledged and none lost")


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
