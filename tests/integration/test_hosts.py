"""
Several hosts, as addresses of the loopback network: the first start, starts of all in every order, deaths of processes and of whole hosts. What takes
a network that can be cut is in test_hosts_cut.py.
"""
import itertools
import os
import shutil
import signal
import time

import pytest
import redis

from harness import Cases
from hosts import PATIENT_S, Hosts, outlive_master_process
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("hosts")


@pytest.fixture(scope="module")
def _cases(request):
    cases = Cases(request.node.name)
    yield cases
    faults = cases.finish(failed=False)
    if faults:
        pytest.fail("after the tests:\n" + "\n".join(faults), pytrace=False)


@pytest.fixture(scope="module")
def _hosts(_cases):
    """Three hosts, started one after the other in the test of the first start."""
    return Hosts(_cases, options={"proxy.durability": 1})


@pytest.fixture
def hosts(_hosts):
    for h in _hosts.all:
        if h.run is None or h.run.exit is not None:
            h.start(wait=False)
    _hosts.wait_agreed()
    return _hosts


def test_the_first_start_waits_for_a_majority(_hosts):
    a, b, c = _hosts.all
    b.start(wait=False)
    wait_until(lambda: b.status(check=False), "a status")
    b.wait_event("hosts.waiting")
    wait_until(lambda: any("waits for a majority" in r and r.endswith("not a, c") for r in b.status()["reasons"]), "a reason")
    status = b.status()
    assert status["state"] == "starting" and status["master"] is None, status
    # it has been asked for votes by nobody and has started nothing that could take a write
    assert b.instance("redis-1", status)["pid"] is None
    c.start(wait=False)
    master = _hosts.wait_agreed([b, c], "ready|degraded")
    assert master.wire()("SET", "first", "1") == "OK"
    epoch = master.status()["master"]["epoch"]
    a.start(wait=False)
    assert _hosts.wait_agreed() is master
    assert master.status()["master"]["epoch"] == epoch, "a host that comes later changes nothing"
    assert a.wire()("GET", "first") == b"1"
    assert len(a.events("hosts.agreed")) == 1


def test_all_hosts_are_shown_on_each(hosts):
    master = hosts.wait_agreed()

    def roles(shown, other):
        return {i["name"]: (i["state"], i["role"]) for i in shown[other.name]["instances"]}

    for h in hosts.all:
        expected = {other.name: {"redis-1": ("ready", "master" if other is master else "replica"), "sentinel-1": ("ready", None),
                                 "proxy-1": ("ready", None)} for other in hosts.but(h)}
        # what runs there beside the servers says the host's supervisor, which is heard a little later than they are
        shown = wait_until(lambda h=h, expected=expected: (
            lambda s: s if all(roles(s, other) == expected[other.name] for other in hosts.but(h)) else None)(
            {x["name"]: x for x in h.status()["hosts"]}), "everything of each other host is shown ready")
        assert sorted(shown) == ["a", "b", "c"] and all(x["reachable"] for x in shown.values())
        assert all(x["self"] or x["supervised"] for x in shown.values())
        assert [n for n, x in shown.items() if x["master"]] == [master.name]
        assert [n for n, x in shown.items() if x["self"]] == [h.name]
        text = h.cli("status").stdout
        assert all(f"{other.name}/redis-1" in text for other in hosts.but(h)), text


def test_a_sentinel_tells_everybody_and_obeys_nobody(hosts):
    guest = hosts.all[0].sentinel("sentinel-1")
    master = hosts.wait_agreed()
    wait_until(lambda: guest.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "main")[0].decode() == master.address, "this one names it, too")
    for words in (("SENTINEL", "FAILOVER", "main"), ("SENTINEL", "REMOVE", "main"), ("PUBLISH", "__sentinel__:hello", "x"),
                  ("SENTINEL", "IS-MASTER-DOWN-BY-ADDR", master.address, hosts.ports.redis, "99", "f" * 40), ("SHUTDOWN",)):
        with pytest.raises(redis.exceptions.NoPermissionError):
            guest.execute_command(*words)


def test_a_master_process_that_dies(hosts, measured):
    master = outlive_master_process(hosts, measured)
    assert not hosts.but(master)[0].events("failover.failed")


def test_a_switchover_to_a_host_from_any_host(hosts):
    master = hosts.wait_agreed()
    target, third = hosts.but(master)
    with_load = hosts.history(writers=2, prefix="switch", timeout=PATIENT_S).start()
    with_load.wait_progress()
    third.cli("failover", "--to", target.name)
    with_load.wait_progress()
    assert hosts.wait_agreed() is target
    target.cli("failover", "--to", f"{master.name}/redis-1")
    with_load.wait_progress()
    assert hosts.wait_agreed() is master
    with_load.stop()
    assert with_load.unknown == [[], []], with_load.unknown
    assert with_load.check(master.redis()) == ([], [], [])
    refused = master.cli("failover", "--to", "nobody", check=False)
    assert refused.returncode == 1 and "no redis instance or host 'nobody'" in refused.stderr


def test_a_host_that_dies_and_comes_back(hosts, measured):
    master = hosts.wait_agreed()
    rest = hosts.but(master)
    load = hosts.history(rest, prefix="death").start()
    load.wait_progress()
    since = {h: h.last_event() for h in rest}
    hosts.kill_host(master)
    load.wait_progress()
    now = hosts.wait_agreed(rest, "degraded")
    # the kernel of that host says that nothing listens there any more: nobody has to wait for a silence
    led = [e for h in rest for e in h.events("failover.started", after=since[h])]
    assert led and {e["detail"]["why"] for e in led} == {"nothing listens in its place"}, led
    assert now in rest
    wait_until(lambda: any(f"host {master.name} cannot be reached" in r for r in now.status()["reasons"]), "a reason")
    load.stop()
    gap = max(max((b - a for (_, a), (_, b) in zip(acked, acked[1:])), default=0) for acked in load.acked)
    measured(f"{1000 * gap:.0f} ms without an acknowledged write")
    assert load.check(now.redis()) == ([], [], [])
    master.start(wait=False)
    assert hosts.wait_agreed() is now
    assert load.check(master.redis()) == ([], [], [])


def test_a_host_that_is_told_to_stop_hands_over_first(hosts, measured):
    master = hosts.wait_agreed()
    rest = hosts.but(master)
    since = {h: h.last_event() for h in hosts.all}
    load = hosts.history(rest, prefix="told", timeout=PATIENT_S).start()
    load.wait_progress()
    began = time.monotonic()
    master.stop()
    load.wait_progress()
    load.stop()
    assert load.unknown == [[], []], "somebody has noticed"
    now = hosts.wait_agreed(rest, "degraded")
    assert not [e for h in rest for e in h.events("failover.started", after=since[h])], "nobody has to find out"
    assert load.check(now.redis()) == ([], [], [])
    measured(f"{load.longest_gap_ms(began):.0f} ms without an acknowledged write")
    master.start(wait=False)
    assert hosts.wait_agreed() is now
    done = master.events("failover.done", after=since[master])
    assert len(done) == 1 and done[0]["subject"] == f"{now.name}/redis-1", done


def test_a_rolling_restart_of_all_hosts(hosts, measured):
    """From a host whose redis is a replica: each host's servers once, one host at a time, and the master hands over once."""
    master = hosts.wait_agreed()
    asked = hosts.but(master)[0]
    since = {h: h.last_event() for h in hosts.all}
    pids = {(h.name, n): h.instance(n)["pid"] for h in hosts.all for n in ("redis-1", "sentinel-1")}
    load = hosts.history(prefix="rolling", timeout=PATIENT_S).start()
    load.wait_progress()
    began = time.monotonic()
    done = asked.cli("restart", "--rolling", timeout=120)
    load.wait_progress()
    load.stop()
    assert load.unknown == [[], []], load.unknown
    now = hosts.wait_agreed()
    assert now is not master and load.check(now.redis()) == ([], [], [])
    assert f"host {master.name}: has its turn (4 of 4)" in done.stdout, done.stdout
    assert all(h.instance(n)["pid"] != pids[h.name, n] for h in hosts.all for n in ("redis-1", "sentinel-1"))
    assert [len(h.events("failover.started", after=since[h])) for h in hosts.all] == [int(h is master) for h in hosts.all]
    turns = []
    for h in hosts.all:
        h.wait_event("rolling.done", after=since[h])
        (first,), (last,) = h.events("rolling.started", after=since[h]), h.events("rolling.done", after=since[h])
        if h is not asked:
            turns.append((first["time"], last["time"]))
        assert {e["subject"] for e in h.events("instance.starting", after=since[h])} == {"redis-1", "sentinel-1"}
    assert all(a[1] <= b[0] for a, b in zip(sorted(turns), sorted(turns)[1:])), turns
    measured(f"{load.longest_gap_ms(began):.0f} ms at most without an acknowledged write")


def test_a_rolling_restart_ends_at_a_host_that_cannot(hosts):
    """And says why; nothing after it is touched."""
    master = hosts.wait_agreed()
    asked, other = hosts.but(master)
    os.kill(other.run.pid, signal.SIGSTOP)
    pids = {h.name: h.instance("redis-1")["pid"] for h in (asked, master)}
    try:
        run = asked.spawn(*asked.command("restart", "-d", asked.dir, "--rolling"), label="rolling")
        wait_until(lambda: f"host {other.name}: has its turn" in run.out, "its turn")
        asked.stop()
        assert run.wait() == 3, run.err
        assert "everything is being stopped" in run.err and f"not: {other.name}, {master.name}" in run.err, run.err
    finally:
        os.kill(other.run.pid, signal.SIGCONT)
    assert master.instance("redis-1")["pid"] == pids[master.name]
    asked.start(wait=False)
    assert hosts.wait_agreed() is master


def test_a_host_is_replaced(hosts):
    """
    Its machine is gone for good: another one with the same name and address and an empty folder takes its place, and its part: the others know its sentinel, by the
    id that follows from the host's name and the secret. Seen to fail with that taken out.
    """
    def sentinel(h):
        return h.sentinel("sentinel-1", username="holdfast", password=hosts.secret)

    master = hosts.wait_agreed()
    gone = hosts.but(master)[1]
    name = sentinel(gone).execute_command("SENTINEL", "MYID")
    assert master.wire()("SET", "kept", "1") == "OK"
    hosts.kill_host(gone)
    shutil.rmtree(gone.dir)
    gone.dir.mkdir(mode=0o700)
    gone.start(wait=False)
    assert hosts.wait_agreed() is master
    assert gone.wire()("GET", "kept") == b"1"
    assert sentinel(gone).execute_command("SENTINEL", "MYID") == name
    wait_until(lambda: [len(sentinel(h).sentinel_sentinels("main")) for h in hosts.all] == [len(hosts.all) - 1] * len(hosts.all), "nobody knows it twice")
    gone.cli("failover", "--to", gone.name)
    assert hosts.wait_agreed() is gone


def test_a_master_that_dies_while_no_supervisor_runs(hosts):
    master = hosts.wait_agreed()
    pid = master.instance("redis-1")["pid"]
    master.kill_supervisor()
    master.deaths["redis-1"] = master.deaths.get("redis-1", 0) + 1
    os.kill(pid, signal.SIGKILL)
    now = hosts.wait_agreed(hosts.but(master), "degraded")
    master.start(wait=False)
    assert hosts.wait_agreed() is now


def test_a_start_of_all_in_every_order(hosts):
    """After a power cut, too: the one that was master is it again, whoever comes first, or all at once, and nothing is lost."""
    for n, order in enumerate([*itertools.permutations(hosts.all), hosts.all, hosts.all]):
        master = hosts.wait_agreed()
        assert master.wire()("RPUSH", "order", n) == n + 1
        if n % 2:
            for h in hosts.all:
                hosts.freeze(h)  # at the same moment: nobody is there to take over
            for h in hosts.all:
                hosts.kill_host(h)
        else:
            for h in hosts.all[:-1]:
                h.stop()
            # each has handed over to one that was left
            master = wait_until(lambda: hosts.named_by(hosts.all[-1]), "a master")
            hosts.all[-1].stop()
        if n >= 6:
            for h in order:
                h.start(wait=False)
            assert hosts.wait_agreed() is master
            assert [int(x) for x in master.redis().lrange("order", 0, -1)] == list(range(n + 1))
            continue
        for h in order[:2]:
            h.start(wait=False)
            wait_until(lambda h=h: h.status(check=False), f"the status of {h.name}")
        if order[2] is master:
            # Two are a majority, but only the third is known to have everything.
            wait_until(lambda: [1 for h in order[:2] if h.instance("redis-1")["pid"]], "a server that runs")
            assert all(h.role("redis-1")[0] == b"slave" for h in order[:2] if h.instance("redis-1")["state"] == "ready")
        order[2].start(wait=False)
        assert hosts.wait_agreed() is master, [h.name for h in order]
        assert [int(x) for x in master.redis().lrange("order", 0, -1)] == list(range(n + 1))


@pytest.mark.long
def test_a_start_without_the_last_master(hosts):
    """What only it may have is not given up, until a person says so: in the words of the README."""
    master = hosts.wait_agreed()
    rest = hosts.but(master)
    for h in hosts.all:
        h.kill_everything()
    for h in rest:
        h.start(wait=False)
    wait_until(lambda: all(h.instance("redis-1")["pid"] and h.role("redis-1")[0] == b"slave" for h in rest), "two replicas",
               ignore=(AssertionError, redis.RedisError))
    # Sentinel would like to promote one, and finds none that it may.
    wait_until(lambda: "failover-abort-no-good-slave" in "".join(h.log("sentinel-1") for h in rest), "Sentinel's attempt", 90)
    assert all(h.role("redis-1")[0] == b"slave" for h in rest)
    rest[0].cli("cli", "redis-1", "config", "set", "replica-priority", "100")
    assert hosts.wait_agreed(rest, "degraded") is rest[0]
    master.start(wait=False)
    assert hosts.wait_agreed() is rest[0]


def test_a_host_with_data_of_its_own_is_asked_to_leave_it(make_cluster, request):
    cases = Cases(request.node.name)
    try:
        hosts = Hosts(cases)
        a, b, c = hosts.all
        (a.dir / "redis-1").mkdir(parents=True)
        (a.dir / "redis-1" / "dump.rdb").write_bytes(b"REDIS0009")
        for h in (b, c):
            h.start(wait=False)
        hosts.wait_agreed([b, c], "ready|degraded")
        a.start(wait=False)
        wait_until(lambda: any("has data from before" in r for r in (a.status(check=False) or {"reasons": []})["reasons"]),
                   "a reason")
        assert a.instance("redis-1")["pid"] is None
        assert (a.dir / "redis-1" / "dump.rdb").read_bytes() == b"REDIS0009"
    finally:
        assert cases.finish(failed=False) == []
