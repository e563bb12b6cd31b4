"""The supervisor is killed; the servers and their clients must not care."""
import os
import signal
import socket
import sqlite3
import threading
import time

import pytest

from harness import Http, Wire, procs, wait_until

SERVERS = ["redis-1", "redis-2", "redis-3", "sentinel-1", "sentinel-2", "sentinel-3"]


def servers(c):
    return {name: pid for name, pid in c.pids().items() if name in SERVERS}


def test_servers_live_on_and_are_adopted(cluster):
    c = cluster
    before = servers(c)
    starts = {pid: procs.start_time(pid) for pid in before.values()}
    with Wire(c.ports.redis) as direct:
        assert direct("AUTH", "holdfast", c.secret()) == "OK"
        assert direct("SET", "k", "1") == "OK"
        c.kill_supervisor()
        assert direct("INCR", "k") == 2
        # The doors go on as well while nobody supervises them.
        with c.wire() as wire:
            assert wire("INCR", "k") == 3
        c.start()
        assert direct("INCR", "k") == 4
    assert servers(c) == before
    assert {pid: procs.start_time(pid) for pid in before.values()} == starts
    assert c.events("supervisor.adopted")
    assert c.assert_one_master() == "redis-1"
    # Nothing runs twice.
    left = [procs.cmdline(p) for p in c.keeper.left()]
    assert len([line for line in left if "redis-server" in line or "redis-sentinel" in line]) == 6, left
    assert len([line for line in left if "holdfast" in line.split()[0] or "--worker" in line]) == 3, left


def test_what_is_adopted_is_supervised(cluster, make_cluster):
    c = cluster
    c.kill_supervisor()
    c.start()
    for name in ("sentinel-2", "redis-3", "redis-1"):
        pid = c.kill(name)
        wait_until(lambda: (i := c.instance(name))["state"] == "ready" and i["pid"] not in (None, pid), f"{name} back", 40)
    c.wait_agreed()
    assert c.stop() == 0


def test_output_goes_on_after_adoption(cluster):
    c = cluster
    c.kill_supervisor()
    # Printed while nobody reads: it must neither block nor kill the server, nor be lost.
    c.redis("redis-1").execute_command("BGREWRITEAOF")
    wait_until(lambda: not c.redis("redis-1").info("persistence")["aof_rewrite_in_progress"], "the rewrite")
    c.start()
    wait_until(lambda: "AOF rewrite" in c.log("redis-1"), "the lines printed meanwhile in the log")


def test_one_that_died_meanwhile_is_started_the_others_adopted(cluster):
    c = cluster
    before = servers(c)
    c.kill_supervisor()
    os.kill(before["redis-2"], signal.SIGKILL)
    wait_until(lambda: not procs.alive(before["redis-2"]), "its end")
    c.start()
    after = servers(c)
    assert after.pop("redis-2") != before.pop("redis-2")
    assert after == before
    c.wait_agreed()


def test_a_master_that_died_meanwhile_is_not_started_as_master(cluster):
    c = cluster
    c.proxy().set("kept", "1")
    wait_until(lambda: all(c.redis(n).get("kept") == b"1" for n in c.replicas()), "replication")
    before = servers(c)
    c.kill_supervisor()
    os.kill(before["redis-1"], signal.SIGKILL)
    c.start()
    new = c.wait_agreed(60)
    assert c.proxy().get("kept") == b"1"
    assert {n: p for n, p in servers(c).items() if n != "redis-1"} == {n: p for n, p in before.items() if n != "redis-1"}
    assert new in ("redis-2", "redis-3")


def test_another_process_with_a_remembered_pid_is_left_alone(make_cluster):
    """state.db names pids; after a reboot they are somebody else's."""
    c = make_cluster().start()
    c.kill_everything()
    c.allow("deaths")
    stranger = c.spawn("tail", "-f", "/dev/null", label="stranger")
    with sqlite3.connect(c.dir / "state.db") as db:
        db.execute("UPDATE instances SET pid = ?", (stranger.pid,))
    db.close()
    c.start()
    assert stranger.exit is None
    assert stranger.pid not in c.pids().values()
    assert c.stop() == 0
    assert stranger.exit is None


class Knocker(threading.Thread):
    """Opens connections to both doors all the time; none may be refused."""

    def __init__(self, *ports):
        super().__init__(daemon=True)
        self.ports, self.faults, self.count, self.stop = ports, [], 0, threading.Event()

    def run(self):
        while not self.stop.is_set():
            for port in self.ports:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=30).close()
                    self.count += 1
                except OSError as e:
                    self.faults.append((port, repr(e)))
            self.stop.wait(0.001)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


class Clients:
    """One of each kind that keeps its connection; call it to see that all of them still work."""

    def __init__(self, c):
        self.plain, self.subscriber, self.watcher = c.wire(), c.wire(), c.wire()
        self.publisher, self.http = c.wire(), Http(c.ports.http)
        self.count = 0
        self.subscriber.send("SUBSCRIBE", "news")
        assert self.subscriber.reply() == [b"subscribe", b"news", 1]
        assert self.watcher("WATCH", "watched") == "OK"
        self()
        self.http_socket = self.http.sock

    def __call__(self):
        self.count += 1
        assert self.plain("INCR", "count") == self.count
        assert self.publisher("PUBLISH", "news", self.count) == 1
        assert self.subscriber.reply() == [b"message", b"news", str(self.count).encode()]
        assert self.watcher("GET", "watched") is None
        assert self.http.get("/GET/count").json == {"GET": str(self.count)}
        if self.count > 1:
            assert self.http.sock is self.http_socket

    def close(self):
        for client in (self.plain, self.subscriber, self.watcher, self.publisher, self.http):
            client.close()


def test_clients_of_the_workers_notice_nothing(cluster, measured):
    c = cluster
    before = c.pids()
    starts = {pid: procs.start_time(pid) for pid in before.values()}
    clients = Clients(c)
    with Knocker(c.ports.proxy, c.ports.http) as knocker, c.load(writers=2) as load:
        for _ in range(3):
            wait_until(lambda: load.acked > 100, "the load")
            c.kill_supervisor()
            clients()
            now = time.monotonic()
            wait_until(lambda: load.acked_since(now), "writes without a supervisor")
            begun = time.monotonic()
            c.start()
            measured(f"ready again {(time.monotonic() - begun) * 1000:.0f} ms after the start")
            clients()
            assert c.pids() == before
        now = time.monotonic()
        wait_until(lambda: load.acked_since(now), "writes with the new one")
    clients.close()
    assert load.errors == []
    assert load.connections == 2
    assert load.lost(c.proxy()) == []
    assert knocker.faults == [] and knocker.count > 100
    measured(f"{load.acked} writes and {knocker.count} new connections over three deaths of the supervisor, 0 errors, "
             f"longest pause of a writer {load.longest_gap_ms:.0f} ms")
    assert {pid: procs.start_time(pid) for pid in before.values()} == starts
    assert len(c.events("supervisor.adopted")) == 3
    assert c.events("instance.exited") == []
    # Nothing runs twice.
    assert len([p for p in c.keeper.left() if "--worker" in procs.cmdline(p)]) == 2


def test_adopted_workers_are_told_who_is_master(cluster):
    c = cluster
    wire = c.wire()
    c.kill_supervisor()
    c.start()
    c.cli("failover", "--to", "redis-2")
    assert wire("SET", "k", "v") == "OK"
    assert c.redis("redis-2").get("k") == b"v"
    wire.close()


def test_an_adopted_worker_that_dies_is_started_again_and_no_connection_is_refused(cluster):
    c = cluster
    before = c.pids()
    c.kill_supervisor()
    c.start()
    with Knocker(c.ports.proxy, c.ports.http) as knocker:
        for name in ("proxy-1", "http-1"):
            c.kill(name)
            wait_until(lambda: (i := c.instance(name))["state"] == "ready" and i["pid"] != before[name], f"{name} back")
        c.wait_ready()
    assert knocker.faults == []
    assert c.proxy().set("k", "v")


def test_a_worker_that_hangs_is_replaced(cluster):
    c = cluster
    before = c.pids()
    busy = c.wire()
    busy.send("BLPOP", "nothing", 4)  # it takes its time to end
    wait_until(lambda: c.redis("redis-1").info("clients")["blocked_clients"] == 1, "the client blocked")
    c.kill_supervisor()
    os.kill(before["proxy-1"], signal.SIGSTOP)
    with Knocker(c.ports.proxy) as knocker:
        c.start()
    busy.close()
    if os.geteuid() == 0:  # else it depends on the host whether its socket may be taken from it
        assert knocker.faults == []
    after = c.pids()
    assert after["proxy-1"] != before["proxy-1"] and after["http-1"] == before["http-1"]
    assert not procs.alive(before["proxy-1"])
    assert c.proxy().set("k", "v")


def test_with_another_worker_that_is_well_no_connection_is_refused_for_one_that_hangs(make_cluster):
    c = make_cluster(options={"proxy.workers": 2}).start()
    before = c.pids()
    c.kill_supervisor()
    os.kill(before["proxy-1"], signal.SIGSTOP)
    with Knocker(c.ports.proxy) as knocker:
        c.start()
    assert knocker.faults == []
    after = c.pids()
    assert after["proxy-1"] != before["proxy-1"] and after["proxy-2"] == before["proxy-2"]


def test_a_worker_that_listens_elsewhere_is_replaced(cluster):
    c = cluster
    before = c.pids()
    old = c.ports.proxy
    c.kill_supervisor()
    c.options["proxy.listen"] = f"127.0.0.1:{c.ports.extra}"
    c.write_options()
    c.start()
    after = c.pids()
    assert after["proxy-1"] != before["proxy-1"] and after["http-1"] == before["http-1"]
    with Wire(c.ports.extra) as wire:
        assert wire("PING") == "PONG"
    with pytest.raises(ConnectionRefusedError):
        Wire(old)


def test_a_further_address_needs_no_other_worker(cluster):
    c = cluster
    before = c.pids()
    wire = c.wire()
    c.kill_supervisor()
    c.options["proxy.listen"] = f"127.0.0.1:{c.ports.proxy}, 127.0.0.1:{c.ports.extra}"
    c.write_options()
    c.start()
    assert c.pids() == before
    assert wire("PING") == "PONG"
    with Wire(c.ports.extra) as other:
        assert other("PING") == "PONG"
    wire.close()


def test_of_two_addresses_the_one_that_stays_is_never_refused(make_cluster):
    c = make_cluster()
    c.options["proxy.listen"] = f"127.0.0.1:{c.ports.proxy}, 127.0.0.1:{c.ports.extra}"
    c.write_options()
    c.start()
    before = c.pids()
    c.kill_supervisor()
    c.options["proxy.listen"] = f"127.0.0.1:{c.ports.proxy}"
    c.write_options()
    with Knocker(c.ports.proxy) as knocker:
        c.start()
    assert knocker.faults == []
    assert c.pids()["proxy-1"] != before["proxy-1"]
    with pytest.raises(ConnectionRefusedError):
        Wire(c.ports.extra)


def test_a_worker_whose_options_need_a_start_is_replaced_without_a_refused_connection(cluster):
    c = cluster
    before = c.pids()
    c.kill_supervisor()
    c.options["proxy.allow_open"] = "yes"
    c.write_options()
    with Knocker(c.ports.proxy, c.ports.http) as knocker:
        c.start()
        wait_until(lambda: c.pids()["proxy-1"] not in (None, before["proxy-1"]), "another proxy-1")
        c.wait_ready()
    assert knocker.faults == []
    assert c.pids()["http-1"] == before["http-1"]
    assert "proxy.allow_open" in c.events("instance.replaced", "proxy-1")[0]["text"]


def test_a_unix_socket_of_the_proxy_stays(make_cluster):
    c = make_cluster()
    path = c.case / "p.sock"
    c.options["proxy.listen"] = f"unix:{path}"
    c.write_options()
    c.start()
    before = c.pids()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        c.kill_supervisor()
        c.start()
        client.sendall(b"PING\r\n")
        assert client.recv(64) == b"+PONG\r\n"
    assert c.pids() == before
    assert c.stop() == 0
    assert not path.exists()


def test_a_deep_data_folder_is_no_hindrance(make_cluster):
    """Longer than a socket address may be."""
    c = make_cluster()
    c.dir = c.case / ("deep" * 30) / "data"
    c.start()
    before = c.pids()
    c.kill_supervisor()
    c.start()
    assert c.pids() == before


def test_the_sockets_of_workers_are_private_and_go_with_them(cluster):
    c = cluster
    for name in ("proxy-1", "http-1"):
        assert (c.dir / f"{name}.sock").stat().st_mode & 0o777 == 0o600
    c.kill("proxy-1")
    c.wait_event("instance.exited", "proxy-1")
    c.wait_ready()
    assert c.stop() == 0
    assert sorted(p.name for p in c.dir.glob("*.sock")) == []


def test_a_caller_while_the_supervisor_lives_waits(cluster):
    """It must not take the place of the one that is there."""
    c = cluster
    folder = os.open(c.dir, os.O_PATH)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as caller:
        caller.connect(f"/proc/self/fd/{folder}/proxy-1.sock")
        caller.setblocking(False)
        c.cli("failover")
        assert c.proxy().set("k", "v")
        with pytest.raises(BlockingIOError):
            caller.recv(100)
        c.kill_supervisor()
        caller.settimeout(30)
        assert caller.recv(100).split(b"\0")[:2] == [b"name", b"proxy-1"]
    os.close(folder)
    # It has left again: the next supervisor is let in.
    before_start = [p for p in c.keeper.left() if "--worker" in procs.cmdline(p)]
    c.start()
    assert c.pids()["proxy-1"] in before_start


def test_a_worker_that_was_stopped_by_hand_stays_down(cluster):
    c = cluster
    c.cli("stop", "http-1")
    c.kill_supervisor()
    c.start()
    assert c.instance("http-1")["state"] == "stopped"
    c.cli("start", "http-1")
    c.fds_at_ready = None  # counted without it
    c.wait_ready()
