"""
A cluster of several hosts, for tests: each is a Cluster of its own, with the same configuration file and another holdfast.node.

Without a lab the hosts are addresses of the loopback network, which needs no rights and is enough for all but cuts; with one (netlab.py) they are
network namespaces. Ports are the same on all hosts, as they have to be.
"""
import itertools
import os
import secrets
import signal
import sys
import threading
import time

import pytest
import redis

import procs
from harness import Cluster
from waiting import NotYet, wait_until
from wire import Closed, Http, Wire, WireError

NAMES = "abcdefg"


class Host(Cluster):
    def __init__(self, case, hosts, number, **options):
        self.hosts, self.number, self.by_port = hosts, number, {}
        self.name, self.address = NAMES[number - 1], hosts.address(number)
        super().__init__(case, **options)
        self.ports.release()
        self.ports = hosts.ports
        self.options = hosts.options_of(self)
        self.args = ["-s", f"holdfast.node={self.name}"]
        self.own_events = ("--host", self.name)
        hosts.write_file(self.ini, self.options)

    def _client(self, port, **options):
        options.setdefault("socket_timeout", 5)
        if self.hosts.tls and port != self.ports.proxy:
            options = {**self.hosts.tls_client(self), **options}
        key = (port, *sorted(options.items()))
        if key not in self.by_port:  # a look at all hosts is taken again and again
            self.by_port[key] = redis.Redis(host=self.address, port=port, **options)
            self.clients.append(self.by_port[key])
        return self.by_port[key]

    def redis(self, name="redis-1", **options):
        return super().redis(name, **options)

    def port(self, name):
        """Where it is reached."""
        return super().port(name) + self.hosts.published

    def secret(self):
        return self.hosts.secret

    def wire(self, **options):
        return Wire(self.ports.proxy, host=self.address, **options)

    def http(self):
        return Http(self.ports.http, host=self.address)

    def close(self):
        if not self.closed:
            self.closed = True
            self.keeper.close()


class Hosts:
    """Makes `count` hosts that are not started; `cases` is what the fixture make_cluster gives."""

    def __init__(self, cases, count=3, lab=None, options=None, tls=False):
        from ports import Ports
        self.cases, self.count, self.lab = cases, count, lab
        self.ports = Ports()
        self.secret = secrets.token_hex(32)
        self.secret_file = cases.folder(f"secret{len(cases.clusters)}") / "secret"
        self.secret_file.write_text(self.secret)
        self.secret_file.chmod(0o600)
        self.extra = options or {}
        self.published = 0  # what is to be added to a server's port to reach it
        self.tls = self.secret_file.parent / "tls" if tls else None
        self.all = [self.add(i) for i in range(1, count + 1)]
        if tls:
            self.all[0].cli("cert", self.tls, *[f"{h.name}={h.address}" for h in self.all])

    def address(self, number):
        # one block of ports is nobody else's on the loopback network, so the addresses may be
        return self.lab.address(number) if self.lab else f"127.0.77.{number}"

    def options_of(self, host):
        p = self.ports
        return {
            "holdfast.secret": f"@{self.secret_file}",
            **{f"peer-{NAMES[i - 1]}.address": self.address(i) for i in range(1, self.count + 1)},
            "redis.port": p.redis, "redis.allow_open": "yes",
            "sentinel.port": p.sentinel,
            "sentinel.down_after_ms": 2000, "sentinel.failover_timeout_ms": 3000,
            "http.listen": "none",
            "proxy.allow_open": "yes",
            "proxy.listen": f"{host.address}:{p.proxy}",
            **(self.tls_options(host.name) if self.tls else {}),
            **self.extra,
        }

    def tls_options(self, name):
        return {"redis.tls_ca": self.tls / "ca.crt", "redis.tls_cert": self.tls / f"{name}.crt", "redis.tls_key": self.tls / f"{name}.key"}

    def tls_client(self, host):
        """As whom redis-py comes to servers and sentinels: as one of the hosts."""
        return {"ssl": True, "ssl_ca_certs": str(self.tls / "ca.crt"), "ssl_certfile": str(self.tls / f"{host.name}.crt"),
                "ssl_keyfile": str(self.tls / f"{host.name}.key")}

    @staticmethod
    def write_file(path, options):
        sections = {}
        for key, value in options.items():
            section, _, name = key.partition(".")
            sections.setdefault(section, []).append(f"{name} = {value}")
        path.write_text("\n".join(f"[{s}]\n" + "\n".join(lines) + "\n" for s, lines in sections.items()))

    def add(self, number):
        runner = self.lab.runner(number) if self.lab else ()
        host = Host(self.cases.root / f"host{number}-{len(self.cases.clusters)}", self, number, runner=runner)
        self.cases.clusters.append(host)
        return host

    def __getitem__(self, name):
        return next(h for h in self.all if h.name == name)

    def start(self, wait=True):
        for h in self.all:
            h.start(wait=False)
        if wait:
            self.wait_agreed()
        return self

    def named_by(self, host):
        """Who is master, by that host; None: by it nobody, or one that is not running any more."""
        at = (host.status(check=False) or {}).get("master")
        named = self[at["node"]] if at else None
        return named if named and named.run.exit is None else None

    def but(self, *hosts):
        return [h for h in self.all if h not in hosts]

    def wait_agreed(self, hosts=None, state="ready", timeout=60.0):
        """All of `hosts` (None: all) are in that state and name the same master, whose redis says so too; gives its host."""
        hosts = hosts or self.all

        def agreed():
            found = set()
            for h in hosts:
                s = h.status(check=False)
                if not s or s["state"] not in state.split("|") or not s["master"]:
                    return None
                found.add((s["master"]["node"], s["master"]["host"], s["master"]["epoch"]))
            if len(found) != 1:
                return None
            master = self[found.pop()[0]]
            roles = {h.name: h.redis().execute_command("ROLE") for h in hosts}
            if [n for n, r in roles.items() if r[0] == b"master"] != [master.name]:
                return None
            follow = {(r[1].decode(), r[3].decode()) for r in roles.values() if r[0] == b"slave"}
            return master if follow <= {(master.address, "connected")} else None

        try:
            return wait_until(agreed, f"{state} with one master that all agree on", timeout, ignore=(redis.RedisError, KeyError))
        except NotYet as e:
            raise NotYet(f"{e}\n" + "\n".join(str(h.status(check=False)) for h in hosts)) from None

    def kill_host(self, host):
        """Everything on it at once, as if its power was cut; the network answers for it, though: connections are reset."""
        host.kill_everything()

    def freeze(self, host, number=signal.SIGSTOP):
        """All its processes stop where they are (SIGCONT: go on): what they would do later they do then."""
        for pid in [host.run.pid, *procs.descendants(host.run.pid)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def check(self, load):
        """load.check on the master: one that still is it after the look, for a takeover may come late."""
        while True:
            now = self.wait_agreed()
            wrong = load.check(now.redis())
            if self.wait_agreed() is now:
                return wrong

    def history(self, hosts=None, **options):
        return History([(h.address, self.ports.proxy) for h in hosts or self.all], **options)


class Inside:
    """A writer on the cut host itself, past the proxy, who does not wait for replicas: when was its last write taken?"""

    CODE = """
import socket, ssl, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
if sys.argv[3:]:
    tls = ssl.create_default_context(cafile=sys.argv[3])
    tls.check_hostname = False
    tls.load_cert_chain(*sys.argv[4:])
    s = tls.wrap_socket(s)
while True:
    s.sendall(b"SET inside x\\r\\n")
    print(time.monotonic(), s.recv(4096).decode().strip(), flush=True)
    time.sleep(0.002)
"""

    def __init__(self, hosts, host):
        self.run = host.spawn(*hosts.lab.runner(host.number), sys.executable, "-I", "-S", "-c", self.CODE, host.address,
                              hosts.ports.redis, *(hosts.tls_options(host.name).values() if hosts.tls else ()), label="inside")

    def taken(self):
        """Monotonic s of each write that was taken."""
        return [float(t) for t, text in (line.split(None, 1) for line in self.run.out.splitlines() if line.count(" ")) if text == "+OK"]

    def stop(self):
        if self.run.exit is None:
            self.run.signal(signal.SIGKILL)


PATIENT_S = 30.0  # of a writer none of whose writes may fail, however busy the machine is


class History:
    """
    Writers that append their own numbers, each number once, to a list of their own, through whichever door answers; and the check of the whole
    list: what was acknowledged is there, once, and in the order it was sent in. What was answered otherwise, or not in time, may be there or not,
    and anywhere: the writer has not waited for it.
    """

    def __init__(self, doors, writers=2, prefix="history", timeout=1.0):
        self.doors, self.prefix, self.timeout = doors, prefix, timeout
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._write, args=(i,), daemon=True) for i in range(writers)]
        self.acked = [[] for _ in range(writers)]     # (n, monotonic s)
        self.unknown = [[] for _ in range(writers)]   # (n, words)
        self.lock = threading.Lock()

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join(60)
            assert not t.is_alive(), "a writer hangs: no reply and no error for a minute"
        return self

    def _write(self, i):
        doors, wire = itertools.cycle(self.doors[i % len(self.doors):] + self.doors[:i % len(self.doors)]), None
        for n in itertools.count(1):
            if self.stopping.is_set():
                break
            try:
                if wire is None:
                    host, port = next(doors)
                    wire = Wire(port, host=host, timeout=self.timeout)
                wire("RPUSH", f"{self.prefix}:{i}", n)
                self.acked[i].append((n, time.monotonic()))
            except WireError as e:
                self.unknown[i].append((n, str(e)))
            except OSError as e:
                self.unknown[i].append((n, "closed" if isinstance(e, Closed) else repr(e)))
                if wire:
                    wire.close()
                    wire = None
                self.stopping.wait(0.02)
            self.stopping.wait(0.001)
        if wire:
            wire.close()

    def count(self):
        return sum(len(a) for a in self.acked)

    def wait_progress(self, more=50, timeout=40.0):
        """So many more writes are acknowledged."""
        before = self.count()
        wait_until(lambda: self.count() >= before + more, f"{more} more acknowledged writes", timeout)

    def longest_gap_ms(self, since):
        """Between two acknowledgements, of any writer, the later one after `since`."""
        times = sorted(t for a in self.acked for _, t in list(a)[-20000:])
        return 1000 * max((b - a for a, b in zip(times, times[1:]) if b > since), default=0)

    def check(self, client):
        """Gives (lost, twice, out of order) over all writers; each must be empty."""
        lost, twice, disordered = [], [], []
        for i, writer in enumerate(self.acked):
            acked = list(writer)  # before the look: the writers may go on
            there = [int(n) for n in client.lrange(f"{self.prefix}:{i}", 0, -1)]
            known = set(there)
            lost += [(i, n) for n, _ in acked if n not in known]
            twice += [(i, n) for n in known if there.count(n) > 1] if len(known) != len(there) else []
            sure = {n for n, _ in acked}
            in_order = [n for n in there if n in sure]
            disordered += [(i, b) for a, b in zip(in_order, in_order[1:]) if b <= a]
        return lost, twice, disordered


def all_back(hosts):
    """What a test before has ended runs again, and all name one master."""
    for h in hosts.all:
        if h.run.exit is not None:
            h.start(wait=False)
    hosts.wait_agreed()
    return hosts


def outlive_master_process(hosts, measured):
    """The master's process dies: another host has it, with what was written before. Returns the host that had it."""
    master = hosts.wait_agreed()
    wire = hosts.but(master)[0].wire()
    assert wire("SET", "before", "1") == "OK"
    since = master.last_event()
    master.kill("redis-1")
    # what was on its way may have happened or not: such a write is UNCERTAIN
    wait_until(lambda: wire("SET", "after", "1") == "OK", "a write", ignore=(WireError,))
    now = hosts.wait_agreed()
    assert now is not master
    done = master.wait_event("failover.done", after=since)
    measured(f"writes {done['detail']['writes_ms']:.1f} ms, agreed {done['detail']['agreed_ms']:.1f} ms after the death")
    assert wire("GET", "before") == b"1"
    return master


def finish_module(cases):
    """The end of a fixture of a whole module: nothing was left behind."""
    faults = cases.finish(failed=False)
    if faults:
        pytest.fail("after the tests:\n" + "\n".join(faults), pytrace=False)
