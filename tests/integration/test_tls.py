"""TLS on the listeners of proxy and http: real clients, real certificates, reloads, failovers and peers that do not play along."""
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest
import redis

from certs import Certs
from harness import Http, WebSocket, Wire, WireError, wait_until

ARRIVAL_MAX = 512  # backend/arrival.h


@pytest.fixture
def certs(make_cluster):
    return Certs(make_cluster.folder("certs"))


class Secure:
    """A cluster with plain and TLS listeners side by side on proxy and http."""

    def __init__(self, make_cluster, certs, ca=False, **options):
        self.certs = certs
        self.pair = certs.issue("server")
        # what the configuration names is replaced when a certificate is renewed
        self.cert, self.key = certs.folder / "live.pem", certs.folder / "live.key"
        self.install(self.pair)
        self.c = make_cluster()
        p = self.c.ports
        self.redis, self.https = p.extra, p.extra + 1
        files = {"tls_cert": self.cert, "tls_key": self.key, **({"tls_ca": certs.ca.cert} if ca else {})}
        self.c.options.update({
            "proxy.listen": f"127.0.0.1:{p.proxy}, tls:127.0.0.1:{self.redis}",
            "http.listen": f"127.0.0.1:{p.http}, tls:127.0.0.1:{self.https}",
            **{f"{section}.{key}": path for section in ("proxy", "http") for key, path in files.items()}, **options})
        self.c.write_options()

    def install(self, pair):
        for source, target in ((pair.cert, self.cert), (pair.key, self.key)):
            new = target.with_suffix(".new")
            new.write_bytes(source.read_bytes())
            new.chmod(0o600)
            new.rename(target)

    def start(self):
        self.c.start()
        return self

    def wire(self, own=None, **options):
        return Wire(self.redis, tls=self.certs.context(own, **options))

    def http(self, own=None):
        return Http(self.https, tls=self.certs.context(own))

    def redis_cli(self, *words, own=None):
        files = ["--cert", str(own.cert), "--key", str(own.key)] if own else []
        return subprocess.run(["redis-cli", "-h", "localhost", "-p", str(self.redis), "--tls", "--cacert",
                               str(self.certs.ca.cert), *files, *words], capture_output=True, text=True, timeout=30)

    def s_client(self, *words, port=None, text=""):
        return subprocess.run(["openssl", "s_client", "-connect", f"localhost:{port or self.redis}", "-CAfile",
                               str(self.certs.ca.cert), "-verify_return_error", *map(str, words)],
                              input=text, capture_output=True, text=True, timeout=30)


@pytest.fixture
def secure(make_cluster, certs):
    return Secure(make_cluster, certs).start()


def shown(wire):
    """The serial number of the certificate that the server showed."""
    return wire.sock.getpeercert()["serialNumber"]


# --- clients ---

def test_redis_clients_over_tls_and_plain_side_by_side(secure):
    with secure.c.wire() as plain, secure.wire() as wire:
        assert wire("SET", "k", "over tls") == "OK"
        assert plain("GET", "k") == b"over tls"
        assert wire.sock.version() == "TLSv1.3"
    assert secure.redis_cli("GET", "k").stdout.strip() == "over tls"
    client = redis.Redis(host="localhost", port=secure.redis, ssl=True, ssl_ca_certs=str(secure.certs.ca.cert))
    secure.c.clients.append(client)
    with client.pipeline() as pipe:
        pipe.set("a", "1")
        pipe.incr("a")
        assert pipe.execute() == [True, 2]
    pubsub = client.pubsub()
    pubsub.subscribe("news")
    wait_until(lambda: pubsub.get_message(timeout=0.1), "subscribed")
    assert client.publish("news", "hello") == 1
    assert wait_until(lambda: pubsub.get_message(timeout=0.1), "the message")["data"] == b"hello"
    pubsub.close()
    done = secure.s_client("-quiet", text="PING\r\nquit\r\n")
    assert "+PONG" in done.stdout, done


def test_websockets_and_streams(secure):
    big = "x" * 300_000
    with WebSocket(http=secure.http()) as ws, secure.http() as stream, secure.wire() as wire:
        assert ws("SET", "k", big) == {"SET": [True, "OK"]}
        assert ws("GET", "k") == {"GET": big}
        assert ws("SUBSCRIBE", "news") == {"SUBSCRIBE": ["subscribe", "news", 1]}
        assert stream.open_stream("/SUBSCRIBE/news").status == 200
        assert b"subscribe" in stream.next_chunk()
        wire("PUBLISH", "news", big)
        assert ws.next() == {"SUBSCRIBE": ["message", "news", big]}
        assert json.loads(stream.next_chunk()) == {"SUBSCRIBE": ["message", "news", big]}


def test_the_other_doors_of_the_proxy(make_cluster, certs):
    secure = Secure(make_cluster, certs, ca=True)
    c, durable, reads = secure.c, secure.c.ports.extra + 2, secure.c.ports.extra + 3
    c.options.update({"proxy.listen": f"127.0.0.1:{c.ports.proxy}", "proxy.durable_listen": f"tls:127.0.0.1:{durable}",
                      "proxy.read_listen": f"tls:127.0.0.1:{reads}"})
    c.write_options()
    done = c.cli("check", "-c", c.ini, check=False)
    assert done.returncode == 0, done.stderr
    secure.start()
    client = certs.context(certs.issue("client"))
    with Wire(durable, tls=client) as writer, Wire(reads, tls=client) as reader:
        assert writer("SET", "k", "v") == "OK"
        wait_until(lambda: writer("WAIT", 1, 1000) >= 1, "a replica has it")
        wait_until(lambda: reader("GET", "k") == b"v", "the value at the replica")
        with pytest.raises(WireError, match="^READONLY"):
            reader("SET", "k", "w")
    for port in (durable, reads):
        with pytest.raises((ssl.SSLError, ConnectionError)), Wire(port, tls=certs.context()) as stranger:
            stranger("PING")
        with Wire(port) as plain:
            plain.send("PING")
            assert "TLS" in str(plain.reply())


def test_values_of_every_size_come_back_whole(secure):
    with secure.wire() as wire:
        for size in (0, 1, 16383, 16384, 16385, 65536, 1 << 20, 20 << 20):
            value = os.urandom(size)
            assert wire("SET", "v", value) == "OK"
            assert wire("GET", "v") == value
        wire.send_raw(Wire.pack("SET", "n", "0") + Wire.pack("INCR", "n") * 5000)
        assert wire.reply() == "OK"
        assert [wire.reply() for _ in range(5000)] == list(range(1, 5001))


def test_https(secure):
    with secure.http() as http:
        assert http.get("/SET/k/v").json == {"SET": [True, "OK"]}
        big = os.urandom(3 << 20)
        assert http.request("PUT", "/SET/big", body=big).status == 200
        assert http.get("/GET/big.bin").body == big
        assert http.get("/healthz").status == 200
    done = subprocess.run(["curl", "-s", "--cacert", str(secure.certs.ca.cert), f"https://localhost:{secure.https}/GET/k",
                           "-H", "Connection: close"], capture_output=True, text=True, timeout=30)
    assert json.loads(done.stdout) == {"GET": "v"}, done
    with secure.c.http() as plain:
        assert plain.get("/GET/k").json == {"GET": "v"}
    done = secure.s_client("-quiet", port=secure.https, text="GET /GET/k HTTP/1.0\r\n\r\n")
    assert '{"GET":"v"}' in done.stdout, done


def test_versions(secure):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with secure.wire(low=version, high=version) as wire:
            assert wire("PING") == "PONG"
            assert wire.sock.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
    # at security level 0 the client itself would go down to TLS 1.0
    for old in ("-tls1", "-tls1_1"):
        done = secure.s_client(old, "-cipher", "ALL:@SECLEVEL=0")
        assert done.returncode != 0 and "alert" in done.stderr, done
    # a renegotiation costs the server what it costs the client nothing to ask for
    done = secure.s_client("-tls1_2", "-no_ign_eof", text="R\n")
    assert "no renegotiation" in done.stderr or "NO_RENEGOTIATION" in done.stderr or done.returncode != 0, done


# --- who does not speak what is spoken there ---

def test_plain_text_on_a_tls_listener_is_told_so(secure):
    def ping():
        with Wire(secure.redis) as wire:
            wire.send("PING")
            answer = wire.reply()
            assert isinstance(answer, WireError) and "TLS" in str(answer)
            wait_until(wire.is_closed, "closed")

    def get():
        reply = Http(secure.https).get("/GET/k")
        assert reply.status == 400 and "https" in reply.json["error"]

    secure.c.wait_said("proxy-1", "plain text where TLS is spoken", doing=ping)
    secure.c.wait_said("http-1", "plain text where TLS is spoken", doing=get)
    done = subprocess.run(["redis-cli", "-p", str(secure.redis), "PING"], capture_output=True, text=True, timeout=30)
    assert "TLS" in done.stdout + done.stderr, done


@pytest.mark.parametrize("kind", ["proxy", "http"])
def test_tls_on_a_plain_listener_ends_at_once(secure, kind):
    port = getattr(secure.c.ports, kind)
    with pytest.raises(ssl.SSLError, match="(?i)alert|handshake"):
        Wire(port, tls=secure.certs.context())
    wait_until(lambda: "TLS where plain text is spoken" in secure.c.log(f"{kind}-1"), "a line in the log")


def test_bytes_that_are_no_handshake(secure):
    for bad in (b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\x16" * 100, b"\x16\x03\x01\x00\x00"):
        with Wire(secure.redis) as wire:
            try:
                wire.send_raw(bad)
                wire.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            wait_until(wire.is_closed, f"closed after {bad[:10]}")
    with secure.wire() as wire:
        raw = socket.fromfd(wire.sock.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)  # a record that nobody encrypted
        with raw, pytest.raises((ssl.SSLError, ConnectionError)):
            wire("PING")
    with secure.wire() as wire:
        assert wire("PING") == "PONG"


def test_a_client_that_stops_in_the_middle_holds_nobody_up(secure):
    def crowd():
        slow = []
        try:
            for _ in range(ARRIVAL_MAX + 50):
                s = socket.create_connection(("127.0.0.1", secure.redis), timeout=30)
                s.sendall(b"\x16\x03\x01")
                slow.append(s)
            # all places are taken: those who hold them longest make room
            with secure.wire() as wire:
                assert wire("PING") == "PONG"
            with secure.c.wire() as plain:
                assert plain("PING") == "PONG"
        finally:
            for s in slow:
                s.close()

    secure.c.wait_said("proxy-1", f"{ARRIVAL_MAX} clients are in the middle", doing=crowd)


def test_a_handshake_has_a_bound_in_time(secure):
    silent = socket.create_connection(("127.0.0.1", secure.redis), timeout=60)
    slow = socket.create_connection(("127.0.0.1", secure.https), timeout=60)
    slow.sendall(b"\x16\x03\x01\x02\x00")
    for s in (silent, slow):
        assert s.recv(100) == b""
        s.close()


# --- client certificates ---

def test_client_certificates(make_cluster, certs):
    secure = Secure(make_cluster, certs, ca=True).start()
    good = certs.issue("client")
    stranger = certs.issue("stranger", by=certs.authority("elsewhere"))
    with secure.wire(good) as wire:
        assert wire("SET", "k", "v") == "OK"
    with secure.http(good) as http:
        assert http.get("/GET/k").json == {"GET": "v"}
    assert secure.redis_cli("GET", "k", own=good).stdout.strip() == "v"
    for own, why in ((None, "peer did not return a certificate"), (stranger, "certificate verify failed"),
                     (certs.issue("old", days=-1), "certificate verify failed")):
        def ping(own=own):
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    with secure.wire(own, high=version) as wire:
                        wire("PING")

        secure.c.wait_said("proxy-1", why, doing=ping)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            secure.http(own).get("/GET/k")
    # side by side: the plain listener asks nobody
    with secure.c.wire() as plain:
        assert plain("GET", "k") == b"v"


def test_certificates_stand_for_a_password(make_cluster, certs):
    """Off loopback without a password only where clients have to show a certificate."""
    c = make_cluster()
    pair = certs.issue("server")
    words = ["-s", f"proxy.listen=tls:0.0.0.0:{c.ports.extra}", "-s", f"proxy.tls_cert={pair.cert}", "-s", f"proxy.tls_key={pair.key}"]
    done = c.cli("check", "-c", c.ini, *words, check=False)
    assert done.returncode == 78 and "without a password" in done.stderr
    assert c.cli("check", "-c", c.ini, *words, "-s", f"proxy.tls_ca={certs.ca.cert}").returncode == 0


# --- renewal ---

def renewals(c):
    return [a for e in c.events("config.reloaded") for a in e["detail"]["applied"] if a["option"].endswith("tls_cert")]


@pytest.mark.parametrize("how", ["command", "signal"])
def test_a_renewed_certificate_is_shown_after_a_reload(secure, how):
    c = secure.c
    with secure.wire() as old, secure.http() as old_http:
        assert old("SET", "k", "1") == "OK"
        assert old_http.get("/GET/k").status == 200
        before = shown(old)
        pids = c.pids()
        secure.install(secure.certs.issue("renewed"))
        if how == "command":
            assert "tls_cert" in c.cli("reload").stdout
        else:
            c.run.signal(signal.SIGHUP)
        wait_until(lambda: len(renewals(c)) == 2, "the event")

        def renewed(port):
            with Wire(port, tls=secure.certs.context()) as wire:
                return shown(wire) != before

        wait_until(lambda: renewed(secure.redis) and renewed(secure.https), "the new certificate")
        # nobody was dropped, and nobody restarted
        assert old("INCR", "k") == 2
        assert old_http.get("/GET/k").json == {"GET": "2"}
        assert c.pids() == pids
    change = renewals(c)[0]
    assert "CN = server" in change["from"] and "CN = renewed" in change["to"] and "until" in change["to"]
    assert change["restart"] == ""
    c.cli("reload")
    assert len(renewals(c)) == 2, "nothing was renewed"


def test_a_reload_with_a_broken_certificate_changes_nothing(secure):
    c = secure.c
    good_key = secure.key.read_bytes()
    with secure.wire() as before:
        serial = shown(before)
    secure.key.write_bytes(secure.certs.issue("other").key.read_bytes())
    done = c.cli("reload", check=False)
    assert done.returncode == 78 and str(secure.key) in done.stderr and "is not that of the certificate" in done.stderr
    secure.cert.unlink()
    done = c.cli("reload", check=False)
    assert done.returncode == 78 and str(secure.cert) in done.stderr
    with secure.wire() as wire:
        assert shown(wire) == serial
    secure.cert.write_bytes(secure.pair.cert.read_bytes())
    secure.key.write_bytes(good_key)
    assert c.cli("reload").returncode == 0


def test_a_reload_while_a_worker_drains(secure):
    """Nobody arrives there any more; those who are still served must not notice."""
    c = secure.c
    with secure.wire() as wire:
        wire.send("BLPOP", "list", "0")
        wait_until(lambda: c.redis(c.master()).info("clients")["blocked_clients"] == 1, "blocked")
        stop = c.spawn(*c.command("stop", "-d", c.dir, "proxy-1"), label="stop")
        c.wait_event("instance.stopping", "proxy-1")
        secure.install(secure.certs.issue("renewed"))
        c.cli("reload")
        wait_until(lambda: len(renewals(c)) == 2, "the event")
        c.redis(c.master()).rpush("list", "x")
        assert wire.reply() == [b"list", b"x"]
        assert stop.wait() == 0
    c.cli("start", "proxy-1")
    c.wait_ready()


def test_another_authority_after_a_reload(make_cluster, certs):
    secure = Secure(make_cluster, certs, ca=True).start()
    c, other = secure.c, certs.authority("other")
    good, later = certs.issue("client"), certs.issue("later", by=other)
    with secure.wire(good) as standing:
        assert standing("PING") == "PONG"
        c.options["proxy.tls_ca"] = other.cert
        c.write_options()
        assert "proxy.tls_ca" in c.cli("reload").stdout

        def arrives():
            with secure.wire(later) as wire:
                return wire("PING") == "PONG"

        wait_until(arrives, "a client of the new authority", ignore=(OSError,))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with secure.wire(good) as wire:
                wire("PING")
        assert standing("PING") == "PONG"


# --- what `holdfast check` says ---

def test_check(make_cluster, certs):
    secure = Secure(make_cluster, certs)
    c = secure.c

    def check(code, *words):
        done = c.cli("check", "-c", c.ini, check=False)
        assert done.returncode == code, done.stderr + done.stdout
        for word in words:
            assert word in done.stdout + done.stderr, done.stdout + done.stderr

    check(0, "CN = server, until ", "the certificate of proxy runs out in ")
    secure.key.chmod(0o644)
    check(0, f"note: {secure.key} can be read or changed by others")
    secure.key.chmod(0o600)
    secure.install(certs.issue("old", days=-1))
    check(78, "proxy.tls_cert: the certificate is out of date (CN = old, until ", "http.tls_cert: the certificate is out of date")
    secure.install(secure.pair)
    secure.key.write_text("no key\n")
    check(78, f"{secure.key} holds no private key")
    secure.install(certs.ca)
    secure.key.write_bytes(secure.pair.key.read_bytes())
    check(78, "is not that of the certificate")
    secure.key.unlink()
    check(78, f"cannot be read from {secure.key}")
    del c.options["proxy.tls_key"]
    c.write_options()
    check(78, f"tls:127.0.0.1:{secure.redis} needs proxy.tls_cert and proxy.tls_key")
    c.options["proxy.listen"] = f"127.0.0.1:{c.ports.proxy}"
    c.write_options()
    check(78, "proxy.tls_cert is set, but no address of proxy.listen begins with tls:")


def test_an_old_certificate_does_not_keep_a_start_back(make_cluster, certs):
    """Redis for everyone else is worth more; who looks at certificates is refused anyway."""
    secure = Secure(make_cluster, certs)
    secure.install(certs.issue("old", days=-1))
    secure.start()
    wait_until(lambda: "out of date" in secure.c.log("proxy-1"), "the line in the log")
    with secure.c.wire() as plain:
        assert plain("PING") == "PONG"
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        secure.wire()


# --- sessions ---

def test_sessions_are_resumed(make_cluster, certs):
    """By the other worker, and by one that was started later, too: their tickets are made with the same secret."""
    secure = Secure(make_cluster, certs, **{"proxy.workers": 2}).start()
    c = secure.c
    file = certs.folder / "session"

    def connect(way, version):
        done = secure.s_client(version, way, file, "-ign_eof", text="PING\r\nquit\r\n")
        assert "+PONG" in done.stdout, done
        return re.search(r"^(New|Reused), ", done.stdout, re.M).group(1)

    for version in ("-tls1_2", "-tls1_3"):
        assert connect("-sess_out", version) == "New"
        for _ in range(8):
            assert connect("-sess_in", version) == "Reused"
        killed = {name: c.kill(name) for name in ("proxy-1", "proxy-2")}
        for name, pid in killed.items():
            c.wait_replaced(name, pid)
        for _ in range(4):
            assert connect("-sess_in", version) == "Reused"


# --- when something breaks ---

def test_a_failover_under_load_over_tls(secure):
    c = secure.c
    stop, errors, counts = threading.Event(), [], [0] * 4

    def count(me):
        try:
            with secure.wire() as wire:
                while not stop.is_set():
                    assert wire("SET", f"t:{me}:{counts[me]}", "x" * 1000) == "OK"
                    counts[me] += 1
        except WireError as e:
            if not str(e).startswith("UNCERTAIN"):
                errors.append(e)
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=count, args=(n,)) for n in range(4)]
    with secure.wire() as standing, secure.wire() as listener, secure.http() as http:
        assert listener("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        for t in threads:
            t.start()
        wait_until(lambda: min(counts) > 10 or errors, "all of them write")
        old = c.master()
        c.kill(old)
        c.wait_master_is_not(old)
        assert standing("SET", "after", "it") == "OK"
        assert http.get("/GET/after").json == {"GET": "it"}
        c.wait_agreed()

        def heard():
            return standing("PUBLISH", "news", "hello") == 1

        wait_until(heard, "subscribed again")
        assert listener.reply() == [b"message", b"news", b"hello"]
        stop.set()
        for t in threads:
            t.join(30)
    assert errors == [] and not any(t.is_alive() for t in threads)


def test_tls_clients_outlive_their_supervisor(secure):
    c = secure.c
    with secure.wire() as wire, secure.http() as http:
        assert wire("SET", "k", "1") == "OK"
        c.kill_supervisor()
        assert wire("INCR", "k") == 2
        with secure.wire() as another:
            assert another("INCR", "k") == 3
        secure.install(secure.certs.issue("renewed"))
        before = shown(wire)
        c.start()
        assert wire("INCR", "k") == 4
        assert http.get("/GET/k").json == {"GET": "4"}
        # the next supervisor has its workers read the files, too
        def renewed():
            with secure.wire() as w:
                return shown(w) != before

        wait_until(renewed, "the new certificate")


def test_a_stop_ends_tls_cleanly(secure):
    wire = secure.wire()
    assert wire("PING") == "PONG"
    assert secure.c.stop() == 0
    # a cut would raise SSLEOFError here
    assert wire.sock.recv(100) == b""
    wire.close()


# --- alone, and from here ---

def test_a_proxy_alone(secure):
    c, port = secure.c, secure.c.ports.extra + 2
    words = [w for n in (1, 2, 3) for w in ("--sentinel", f"127.0.0.1:{c.port(f'sentinel-{n}')}")]
    sets = {"proxy.listen": f"tls:127.0.0.1:{port}", "proxy.tls_cert": secure.cert, "proxy.tls_key": secure.key}
    for key, value in sets.items():
        words += ["-s", f"{key}={value}"]
    c.spawn(*c.command("proxy", *words), label="alone")

    def serves():
        with Wire(port, tls=secure.certs.context()) as wire:
            return wire("PING") == "PONG"

    wait_until(serves, "the proxy alone", ignore=(OSError,))


def test_the_commands_of_holdfast_know_of_tls(make_cluster, certs):
    secure = Secure(make_cluster, certs)
    c = secure.c
    c.options["proxy.listen"] = f"tls:127.0.0.1:{secure.redis}"
    c.options["proxy.read_listen"] = f"127.0.0.1:{c.ports.extra + 2}"
    c.write_options()
    c.start(wait=True)
    # by the door for all commands, although the one for reads is plain
    assert c.cli("cli", "SET", "k", "v").stdout.strip() == "OK"
    assert c.instance("proxy-1")["listen"] == [f"tls:127.0.0.1:{secure.redis}"]
    assert c.instance("proxy-1")["port"] == secure.redis
    wait_until(lambda: f"tls:127.0.0.1:{secure.redis}" in c.run.out and "redis-cli --tls" in c.run.out, "what to try is said")
