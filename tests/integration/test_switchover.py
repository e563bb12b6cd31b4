"""Planned changes of the master: no client sees an error, nothing is lost and nothing happens twice."""
import os
import statistics
import subprocess
import sys
import time

import pytest

from counters import KINDS, Counters, One
from harness import wait_until


class Hogs:
    """One process for each core that does nothing but be busy, at the priority of everybody else."""

    def __init__(self, count):
        self.count, self.processes = count, []

    def __enter__(self):
        self.processes = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(self.count)]
        return self

    def __exit__(self, *_):
        for p in self.processes:
            p.kill()
            p.wait()


def check_counters(cluster, counters):
    """What the servers have is what the clients were told."""
    client = cluster.proxy()
    for c in counters.clients:
        if c.kind in ("incr", "one", "multi", "burst", "watch", "sub", "http") and c.done:
            assert int(client.get(c.key)) == c.done, c.key


@pytest.mark.parametrize("hogs", [0, os.cpu_count() or 2], ids=["quiet", "busy"])
def test_many_switchovers_under_load_show_no_error(make_cluster, measured, hogs):
    turns = int(os.environ.get("HOLDFAST_TEST_SWITCHOVERS", 20))
    c = make_cluster().start()
    seen = set()
    with Hogs(hogs), Counters(c.ports, KINDS, times=1 + (hogs == 0)) as counters:
        wait_until(lambda: all(x.done > 5 for x in counters.clients), "the load", 60)
        for _ in range(turns):
            c.cli("failover")
            seen.add(c.master())
            now = time.monotonic()
            wait_until(lambda: counters.all_since(now), "answers after the switchover", 60)
            c.wait_ready(60)  # a replica that fell behind the large values cannot take over yet
    measured(f"{turns} switchovers, {hogs} hogs: {counters.done} acknowledged, {len(counters.errors)} errors")
    assert counters.errors == []
    assert len(seen) > 1
    check_counters(c, counters)
    c.wait_agreed()


def test_how_long_a_writer_waits(cluster, measured):
    c = cluster
    pauses = []
    with Counters(c.ports, (One,), times=2) as counters:
        wait_until(lambda: all(x.done > 50 for x in counters.clients), "the load")
        for _ in range(20):
            begin = time.monotonic()
            c.cli("failover")
            now = time.monotonic()
            wait_until(lambda: counters.all_since(now), "answers after the switchover")
            pauses.append(max(x.longest_between(begin, now) for x in counters.clients) * 1000)
            c.wait_agreed()
    measured(f"longest pause of a writer in a planned switchover, ms: min {min(pauses):.0f}, "
             f"median {statistics.median(pauses):.0f}, max {max(pauses):.0f} of {len(pauses)}")
    assert counters.errors == []
    check_counters(c, counters)


def test_with_a_lone_sentinel_nobody_sees_an_error_either(make_cluster):
    """It fails over itself, and cuts connections as it does so."""
    c = make_cluster(options={"sentinel.instances": 1}).start()
    old = c.master()
    with Counters(c.ports) as counters:
        wait_until(lambda: all(x.done > 5 for x in counters.clients), "the load", 60)
        c.cli("failover")
        assert c.wait_agreed() != old
        now = time.monotonic()
        wait_until(lambda: counters.all_since(now), "answers after the switchover", 60)
    assert counters.errors == []
    check_counters(c, counters)


@pytest.mark.parametrize("verb", ["restart", "stop"])
def test_the_master_goes_by_name_under_load(cluster, verb):
    c = cluster
    with Counters(c.ports) as counters:
        wait_until(lambda: all(x.done > 5 for x in counters.clients), "the load")
        for _ in range(3):
            old = c.master()
            c.cli(verb, old)
            if verb == "stop":
                c.cli("start", old)
            assert c.wait_agreed() != old
            now = time.monotonic()
            wait_until(lambda: counters.all_since(now), "answers")
    assert counters.errors == []
    check_counters(c, counters)
