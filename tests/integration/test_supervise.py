"""Children that die, fail or talk; what the supervisor makes of it."""
import os
import signal
import socket
import threading
import time

import pytest

from harness import SERVER, Closed, Http, Wire, procs, wait_until, wrapper


def restarts(c, name):
    return c.instance(name)["restarts"]


def came_back(c, name, before, pid):
    def back():
        i = c.instance(name)
        return i["state"] == "ready" and i["pid"] != pid and i["restarts"] == before + 1

    wait_until(back, f"{name} back")


@pytest.mark.slow
def test_each_of_the_eight_may_be_killed_under_load(make_cluster, measured):
    c = make_cluster().start()
    others = ["http-1", "proxy-1", "sentinel-1", "sentinel-2", "sentinel-3", *c.replicas()]
    with c.load(writers=2) as load:
        wait_until(lambda: load.acked > 100, "the load")
        for name in others:
            before = restarts(c, name)
            came_back(c, name, before, c.kill(name))
            c.wait_ready()
            now = time.monotonic()
            wait_until(lambda: load.acked_since(now), f"writes after {name}")
        assert load.refused == []
        assert load.lost(c.proxy()) == [], "lost although the master never died"

        master = c.master()
        killed_at = time.monotonic()
        pid = c.kill(master)
        c.wait_master_is_not(master)
        came_back(c, master, 0, pid)
        c.wait_agreed()
        now = time.monotonic()
        wait_until(lambda: load.acked_since(now), "writes after the master's death")
    assert c.instance(master)["role"] == "replica"
    assert load.refused == []
    # Asynchronous replication: what the dead master had acknowledged but not yet sent may be gone,
    # and nothing else.
    lost = load.lost(c.proxy())
    measured(f"{len(lost)} of {load.acked} acknowledged writes lost with the master, "
             f"longest pause of a writer {load.longest_gap_ms:.0f} ms")
    assert [key for key, t in lost if not killed_at - 1.0 <= t <= killed_at + 0.2] == []
    assert [text for _, text in load.errors if text.startswith(("READONLY", "LOADING", "MASTERDOWN"))] == []


def test_a_worker_may_die_again_and_again_and_no_connection_is_refused(cluster, measured):
    c = cluster
    faults, attempts, stop = [], [0], threading.Event()

    def knock():
        """Each connection attempt must succeed and each must be served, unless its worker dies."""
        while not stop.is_set():
            for port in (c.ports.proxy, c.ports.http):
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=10).close()
                    attempts[0] += 1
                except OSError as e:
                    faults.append((port, repr(e)))
            stop.wait(0.001)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        for name, serves in (("proxy-1", lambda: Wire(c.ports.proxy)("PING") == "PONG"),
                             ("http-1", lambda: Http(c.ports.http).get("/PING").status == 200)):
            waits = []
            for _ in range(3):
                before = restarts(c, name)
                pid = c.kill(name)
                killed_at = time.monotonic()
                wait_until(serves, f"service by {name}", ignore=(Closed, ConnectionError))
                waits.append((time.monotonic() - killed_at) * 1000)
                came_back(c, name, before, pid)
            measured(f"{name} served again after {', '.join(f'{w:.0f}' for w in waits)} ms")
    finally:
        stop.set()
        thread.join()
    assert faults == []
    assert attempts[0] > 100
    c.wait_ready()


def test_a_child_that_cannot_start_is_given_up_and_the_rest_goes_on(make_cluster):
    server = make_cluster.folder("bin") / "server"
    wrapper(server, f'exec {SERVER} "$@"')
    c = make_cluster(options={"redis-3.server": server, "holdfast.restart_max": 3}).start()
    before = c.last_event()

    wrapper(server, "echo it cannot go on; exit 9")
    c.kill("redis-3")
    c.deaths["redis-3"] = 100  # it dies at each attempt from here on
    failed = c.wait_event("instance.failed", "redis-3", after=before)
    assert failed["text"]
    status = c.status()
    i = c.instance("redis-3", status)
    assert (i["state"], i["wanted"], i["pid"]) == ("failed", "up", None)
    assert status["state"] == "degraded"
    assert c.cli("status", check=False).returncode == 3
    assert "it cannot go on" in c.cli("logs", "redis-3").stdout
    assert c.proxy().set("still", "served")
    # It is left alone until somebody starts it.
    assert len(c.events("instance.failed", "redis-3", after=before)) == 1

    wrapper(server, f'exec {SERVER} "$@"')
    c.cli("start", "redis-3")
    c.wait_ready()
    assert c.instance("redis-3")["state"] == "ready"
    assert c.redis("redis-3").get("still") == b"served"


def test_a_stolen_port_is_named_and_given_back_later(make_cluster):
    c = make_cluster(options={"holdfast.restart_max": 2}).start()
    c.cli("stop", "redis-3")
    port = c.port("redis-3")
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        c.deaths["redis-3"] = 100
        done = c.cli("start", "redis-3", check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("holdfast: ") and "redis-3" in done.stderr and str(port) in done.stderr
        wait_until(lambda: c.instance("redis-3")["state"] == "failed", "redis-3 given up")
        assert c.proxy().set("k", "v")
    c.cli("start", "redis-3")
    c.wait_ready()


def test_what_a_child_prints_is_kept_by_line_and_rotated_by_size(make_cluster):
    server = make_cluster.folder("bin") / "server"
    wrapper(server, 'i=0; while [ $i -lt 400 ]; do echo "line number $i of the talker"; i=$((i+1)); done\n'
                    "head -c 20000 /dev/zero | tr '\\0' x; echo; echo after the long one\n"
                    f'exec {SERVER} "$@"')
    c = make_cluster(options={"redis-3.server": server, "holdfast.log_file_bytes": 4096, "holdfast.log_files": 2}).start()

    files = sorted(p.name for p in c.dir.glob("log/redis-3.log*"))
    assert files == ["redis-3.log", "redis-3.log.1", "redis-3.log.2"]
    assert all((c.dir / "log" / f).stat().st_size <= 4096 + 4096 + 100 for f in files)
    assert "Ready to accept connections" in c.log("redis-1")
    assert "Ready to accept connections" in c.cli("logs", "-n", "1000", "redis-1").stdout
    assert "after the long one" in c.log("redis-3")
    everything = c.cli("logs", "-n", "1000").stdout
    assert all(name in everything for name in ("redis-1", "redis-2", "sentinel-1"))
    some = c.cli("logs", "-n", "3", "redis-1").stdout.splitlines()
    assert len(some) == 3
    assert c.cli("logs", "redis-9", check=False).returncode in (1, 2)


def test_lines_of_a_talker_are_whole_and_in_order(make_cluster):
    server = make_cluster.folder("bin") / "server"
    wrapper(server, 'i=0; while [ $i -lt 2000 ]; do echo "talk $i"; i=$((i+1)); done\n' f'exec {SERVER} "$@"')
    c = make_cluster(options={"redis-2.server": server}).start()
    lines = c.log("redis-2").splitlines()
    talk = [line.split("talk ")[1] for line in lines if "talk " in line]
    assert talk == [str(n) for n in range(2000)]


def test_a_child_that_ignores_sigterm_is_killed_within_the_bound(make_cluster):
    server = make_cluster.folder("bin") / "server"
    # A shell that ignores the signal and lives on when its server has gone.
    wrapper(server, f'trap "" TERM\n{SERVER} "$@"\nexec tail -f /dev/null')
    c = make_cluster(options={"redis-3.server": server, "holdfast.stop_timeout_s": 2}).start()
    before = c.last_event()
    c.deaths["redis-3"] = 1
    c.cli("stop", "redis-3")
    assert c.wait_event("instance.killed", "redis-3", after=before)
    assert c.instance("redis-3")["state"] == "stopped"


def test_a_paused_sentinel_is_seen_and_does_not_stop_the_rest(cluster):
    c = cluster
    pid = c.kill("sentinel-2", signal.SIGSTOP)
    try:
        assert c.proxy().set("k", "v")
        assert c.cli("status", check=False).returncode in (0, 3)
    finally:
        os.kill(pid, signal.SIGCONT)
    c.wait_ready()
    assert procs.alive(pid)


def test_workers_that_stand_still_are_replaced(make_cluster):
    """Failed before: they stayed ready, and their clients waited for ever. One that is without work is none of them."""
    c = make_cluster(options={"proxy.workers": 2}).start()
    c.proxy().set("k", "v")
    idle = c.instance("proxy-2")["pid"]
    before = c.last_event()
    stopped = {name: c.kill(name, signal.SIGSTOP) for name in ("proxy-1", "http-1")}
    for name, pid in stopped.items():
        c.deaths[name] = 2  # that it is killed, and that it ends
        assert "has done nothing" in c.wait_event("instance.silent", name, after=before)["text"]
        assert c.wait_event("instance.killed", name, after=before)
        c.wait_replaced(name, pid)
        assert not procs.alive(pid)
    assert c.proxy().get("k") == b"v"
    with c.http() as h:
        assert h.get("/GET/k").json == {"GET": "v"}
    assert c.instance("proxy-2")["pid"] == idle and not c.events("instance.silent", "proxy-2")


def test_killed_many_times_at_once_nothing_leaks(cluster):
    """Both doors, all sentinels and both replicas at the same moment."""
    c = cluster
    names = ["http-1", "proxy-1", "sentinel-1", "sentinel-2", "sentinel-3", *c.replicas()]
    pids = {name: c.kill(name) for name in names}
    for name in names:
        wait_until(lambda: (i := c.instance(name))["state"] == "ready" and i["pid"] != pids[name], f"{name} back")
    c.wait_agreed()
    # A server's own background child is a zombie until the server's next tick.
    wait_until(lambda: not [p for p in procs.descendants(c.run.pid) if procs.state(p) == "Z"], "no zombie")
