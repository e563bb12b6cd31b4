"""TLS on the other side: a proxy and an HTTP front end alone, before a cluster elsewhere that speaks nothing but TLS."""
import signal
import subprocess

import pytest

from certs import Certs
from harness import Http, Wire, WireError, wait_until

SERVER = """\
bind 127.0.0.1
port 0
tls-port {port}
tls-cert-file {pair.cert}
tls-key-file {pair.key}
tls-ca-cert-file {ca}
tls-replication yes
dir {folder}
save ""
repl-diskless-sync-delay 0
"""
REPLICA = "replicaof 127.0.0.1 {master}\n"
SENTINEL = """\
sentinel monitor main 127.0.0.1 {master} 1
sentinel down-after-milliseconds main 600000
sentinel failover-timeout main 3000
"""


class Elsewhere:
    """Master, replica and a sentinel that take clients with a certificate of their authority only."""

    def __init__(self, c, certs):
        self.c, self.certs, self.own = c, certs, certs.issue("client")
        self.master, self.replica, self.sentinel, self.door, self.read, self.web = (c.ports.extra + n for n in range(6))
        pair = certs.issue("server")
        self.runs = {}
        for port, more, kind in ((self.master, "", "server"), (self.replica, REPLICA, "server"), (self.sentinel, SENTINEL, "sentinel")):
            folder = c.case / f"elsewhere-{port}"
            folder.mkdir()
            file = folder / "its.conf"
            file.write_text((SERVER + more).format(port=port, pair=pair, ca=certs.ca.cert, folder=folder, master=self.master)
                            .replace('save ""\nrepl-diskless-sync-delay 0\n', "" if kind == "sentinel" else 'save ""\nrepl-diskless-sync-delay 0\n'))
            self.runs[port] = c.spawn(f"redis-{kind}", file, label=f"elsewhere-{port}")
            wait_until(lambda port=port: self.says(port, "PING") == "PONG", f"{port}", ignore=(AssertionError,))
        wait_until(lambda: "state=online" in self.says(self.master, "INFO", "replication"), "the replica follows")
        wait_until(lambda: "num-slaves\n1\n" in self.says(self.sentinel, "SENTINEL", "MASTER", "main") + "\n", "the sentinel knows the replica")

    def says(self, port, *words):
        done = subprocess.run(["redis-cli", "-p", str(port), "--tls", "--cacert", self.certs.ca.cert, "--cert", self.own.cert, "--key", self.own.key,
                               *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done
        return done.stdout.replace("\r", "").strip()

    def words(self, ca=None, own=True):
        files = {"tls_ca": ca or self.certs.ca.cert, **({"tls_cert": self.own.cert, "tls_key": self.own.key} if own else {})}
        return ["--sentinel", f"tls:127.0.0.1:{self.sentinel}", *[w for k, v in files.items() for w in ("-s", f"redis.{k}={v}")]]

    def alone(self, kind, *words, **options):
        return self.c.spawn(*self.c.command(kind, *self.words(**options), "-d", self.c.case / kind, *words), label=kind)


@pytest.fixture
def elsewhere(make_cluster):
    return Elsewhere(make_cluster(), Certs(make_cluster.folder("certs")))


def test_all_that_is_behind_is_reached_by_tls(elsewhere):
    e = elsewhere
    proxy = e.alone("proxy", "-s", f"proxy.listen=127.0.0.1:{e.door}", "-s", f"proxy.read_listen=127.0.0.1:{e.read}", "-s", "proxy.durability=1",
                    "-s", "proxy.hold_ms=60000")
    web = e.alone("http", "-s", f"http.listen=127.0.0.1:{e.web}")

    def set_to(value):
        with Wire(e.door) as w:
            return w("SET", "k", value) == "OK"

    wait_until(lambda: set_to("one"), "the proxy serves", ignore=(OSError, WireError))
    with Wire(e.read) as r:
        wait_until(lambda: r("GET", "k") == b"one", "the read door")
        wait_until(lambda: "cmdstat_get" in e.says(e.replica, "INFO", "commandstats"), "it led to the replica")
    big = "0123456789abcdef" * (1 << 17)
    with Wire(e.door, timeout=120) as w:
        assert w("SET", "big", big) == "OK" and w("GET", "big") == big.encode()
        w.send_raw(b"".join(Wire.pack("INCR", "n") for _ in range(1000)))
        assert [w.reply() for _ in range(1000)] == list(range(1, 1001))
        # its failover is Sentinel's own, which was patient until now; this connection goes on
        e.says(e.sentinel, "SENTINEL", "SET", "main", "down-after-milliseconds", "500")
        e.runs[e.master].signal(signal.SIGKILL)
        assert w("GET", "k") == b"one"
    wait_until(lambda: Http(e.web).get("/GET/k").json == {"GET": "one"}, "HTTP", ignore=(OSError,))
    for run in (proxy, web):
        run.signal(signal.SIGTERM)
        assert run.wait() == 0, run.err


def test_whom_it_does_not_trust_it_does_not_serve(elsewhere, make_cluster):
    e = elsewhere
    other = Certs(make_cluster.folder("others"))
    words = ("-s", f"proxy.listen=127.0.0.1:{e.door}", "-s", "proxy.hold_ms=500")
    run = e.alone("proxy", *words, ca=other.ca.cert)
    wait_until(lambda: "certificate verify failed" in run.err, "the reason")
    with Wire(e.door) as w, pytest.raises(WireError, match="^MASTERDOWN"):
        w("SET", "k", 1)
    run.signal(signal.SIGTERM)
    run.wait()
    # and it has nothing to show that they would trust
    run = e.alone("proxy", *words, own=False)
    wait_until(lambda: "certificate required" in run.err, "their reason")


def test_a_mistake_is_told_at_once(make_cluster):
    c = make_cluster()
    certs = Certs(make_cluster.folder("certs"))
    words = ["proxy", "--sentinel", "tls:127.0.0.1:1", "-s", f"proxy.listen=127.0.0.1:{c.ports.extra}"]
    for more, told in (([], "set redis.tls_ca"), (["-s", "redis.tls_ca=/none.pem"], "/none.pem"),
                       (["-s", f"redis.tls_ca={certs.ca.cert}", "-s", f"redis.tls_cert={certs.ca.cert}"], "redis.tls_key"),
                       (["-s", f"redis.tls_ca={certs.ca.key}"], "holds no certificate")):
        done = c.cli(*words, *more, check=False)
        assert done.returncode != 0 and told in done.stderr, (more, done)
