"""
The death of the master, by who finds out: Sentinel alone, Sentinel told at once, Holdfast; the same client behind `holdfast proxy` each time.

The plain set-ups are what one has without a supervisor: three redis-servers, three sentinels, and something that starts the dead one again
as a replica, which here is this file. All of them run beside each other and take turns, so that the machine is the same for all.
"""
import os
import signal
import time

import redis

from harness import SERVER, WireError, Wire, wait_until

MASTER = "main"


def fields(reply):
    """A flat list of names and values."""
    texts = [t.decode() for t in reply]
    return dict(zip(texts[::2], texts[1::2]))


class Plain:
    """Redis and Sentinel as they are, behind a proxy that runs alone."""

    def __init__(self, cases, down_after_ms):
        self.c = cases(options={})
        self.down_after_ms = down_after_ms
        self.ports = [self.c.ports.redis + n for n in range(3)]
        self.sentinels = [self.c.ports.sentinel + n for n in range(3)]
        self.runs = {}
        self.start_redis(self.ports[0], None)
        for port in self.ports[1:]:
            self.start_redis(port, self.ports[0])
        for port in self.sentinels:
            self.start_sentinel(port)
        self.c.spawn(*self.c.command(
            "proxy", *[w for port in self.sentinels for w in ("--sentinel", f"127.0.0.1:{port}")],
            "-s", f"proxy.listen=127.0.0.1:{self.c.ports.proxy}", "-s", "proxy.hold_ms=120000"), label="proxy")
        self.wait_settled()

    def start_redis(self, port, master):
        folder = self.c.case / f"redis-{port}"
        folder.mkdir(exist_ok=True)
        words = [SERVER, "--port", port, "--bind", "127.0.0.1", "--dir", folder, "--appendonly", "yes"]
        if master:
            words += ["--replicaof", "127.0.0.1", master]
        self.runs[port] = self.c.spawn(*words, label="redis")

    def start_sentinel(self, port):
        conf = self.c.case / f"sentinel-{port}.conf"
        conf.write_text(f"port {port}\nbind 127.0.0.1\ndir {self.c.case}\nsentinel monitor {MASTER} 127.0.0.1 {self.ports[0]} 2\n"
                        f"sentinel down-after-milliseconds {MASTER} {self.down_after_ms}\nsentinel failover-timeout {MASTER} 10000\n")
        self.c.spawn(SERVER, conf, "--sentinel", label="sentinel")

    def ask(self, port, *words):
        with redis.Redis(port=port, socket_timeout=5) as client:
            return client.execute_command(*words)

    def master_port(self):
        return int(self.ask(self.sentinels[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1])

    def settled(self):
        master = self.master_port()
        for port in self.sentinels:
            known = fields(self.ask(port, "SENTINEL", "MASTER", MASTER))
            replicas = [fields(r) for r in self.ask(port, "SENTINEL", "REPLICAS", MASTER)]
            live = [r for r in replicas if r["flags"] == "slave"]
            if int(known["port"]) != master or known["flags"] != "master" or known["num-other-sentinels"] != "2" or len(live) != 2:
                return False
        return len([1 for port in self.ports if port != master and self.ask(port, "ROLE")[3] == b"connected"]) == 2

    def wait_settled(self):
        wait_until(self.settled, "a settled plain set-up", 120, ignore=(redis.RedisError, KeyError, OSError, TypeError, IndexError))

    def kill(self, ask_at_once):
        """Who was killed, and when: asking who it is takes longer than a takeover."""
        port = self.master_port()
        killed_at = time.monotonic()
        os.kill(self.runs[port].pid, signal.SIGKILL)
        if ask_at_once:
            self.ask(self.sentinels[0], "SENTINEL", "FAILOVER", MASTER)
        return port, killed_at

    def restore(self, port):
        """The dead one as a replica of its successor."""
        wait_until(lambda: self.master_port() != port, "a successor", 120, ignore=(redis.RedisError, OSError))
        self.start_redis(port, self.master_port())
        self.wait_settled()


class Ours:
    def __init__(self, cases):
        # Killed so often in so short a time, an instance would be given up: that is not what is measured.
        self.c = cases(options={"sentinel.down_after_ms": None, "sentinel.failover_timeout_ms": None,
                                "holdfast.restart_max": 1000}).start()
        self.c.allow("deaths")

    def kill(self):
        old = self.c.master()
        pid = self.c.instance(old)["pid"]
        killed_at = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        return old, killed_at

    def restore(self, old):
        self.c.wait_master_is_not(old, 120)
        self.c.wait_agreed(120)


def write_until_ok(wire, n):
    """What was sent in the moment before anybody could know is uncertain: the client tries again, as any would."""
    while True:
        try:
            return wire("SET", "k", n)
        except WireError as e:
            if not str(e).startswith("UNCERTAIN"):
                raise


def gap_ms(setup, wire, n, kill):
    write_until_ok(wire, n)
    old, killed_at = kill()
    write_until_ok(wire, n)
    gap = (time.monotonic() - killed_at) * 1000
    setup.restore(old)
    return gap


def compare(cases, kills):
    """{method: [ms from the kill to the next acknowledged write]}"""
    slow, fast, ours = Plain(cases, 5000), Plain(cases, 1000), Ours(cases)
    methods = {
        "Sentinel alone, down-after 5000": (slow, lambda: slow.kill(False)),
        "Sentinel alone, down-after 1000": (fast, lambda: fast.kill(False)),
        "SENTINEL FAILOVER sent at once": (slow, lambda: slow.kill(True)),
        "Holdfast": (ours, ours.kill),
    }
    gaps = {name: [] for name in methods}
    wires = {setup: Wire(setup.c.ports.proxy, timeout=120) for setup in (slow, fast, ours)}
    try:
        for n in range(kills):
            for name, (setup, kill) in methods.items():
                gaps[name].append(gap_ms(setup, wires[setup], n, kill))
        agreed = [e["detail"]["agreed_ms"] for e in ours.c.events("failover.done")]
    finally:
        for wire in wires.values():
            wire.close()
    ours.c.stop()
    return gaps, agreed


def big(cases, kills, mib):
    """The same with so much data: the process takes its time to end."""
    ours = Ours(cases)
    with Wire(ours.c.ports.proxy, timeout=120) as wire:
        for i in range(mib):
            wire("SET", f"big:{i}", os.urandom(1 << 20))
        ours.c.wait_agreed(120)
        gaps = [gap_ms(ours, wire, n, ours.kill) for n in range(kills)]
    ours.c.stop()
    return gaps


def switchovers(cases, count):
    """Longest pause of a writer in each of so many planned switchovers, and all that was not well."""
    ours = Ours(cases)
    pauses, errors, lost = [], 0, 0
    for _ in range(count):
        with ours.c.load(writers=1, pace_s=0) as load:
            wait_until(lambda: load.acked > 100, "the load")
            ours.c.cli("failover")
            ours.c.wait_agreed(60)
            seen = load.acked
            wait_until(lambda: load.acked > seen + 100, "writes go on")
        pauses.append(load.longest_gap_ms)
        errors += len(load.errors)
        lost += len(load.lost(ours.c.proxy()))
        ours.c.proxy().flushall()
    ours.c.stop()
    return pauses, errors, lost
