"""Listeners behind other proxies (the PROXY protocol), and on unix sockets."""
import re
import socket
import ssl
import struct
import subprocess

import pytest

from certs import Certs
from harness import Closed, Http, WebSocket, Wire, WireError, wait_until

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(address="192.0.2.7", port=4711):
    return f"PROXY TCP{6 if ':' in address else 4} {address} {'::1' if ':' in address else '127.0.0.1'} {port} 80\r\n".encode()


def v2(address="192.0.2.7", port=4711, more=b""):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    zero = bytes(len(socket.inet_pton(family, address)))
    body = socket.inet_pton(family, address) + zero + struct.pack("!HH", port, 80) + more
    return V2 + bytes([0x21, 0x21 if ":" in address else 0x11]) + struct.pack("!H", len(body)) + body


LOCAL = V2 + b"\x20\x00\x00\x00"


@pytest.fixture(scope="module")
def behind(_shared_cases):
    """One cluster for all: proxy and http, each plain, proxied, and proxied over TLS and unix sockets; the proxy's other doors, too."""
    certs = Certs(_shared_cases.folder("certs"))
    pair = certs.issue("server")
    c = _shared_cases()
    p = c.ports
    c.certs = certs
    c.proxied, c.secure, c.web, c.https = p.extra, p.extra + 1, p.extra + 2, p.extra + 3
    c.durable, c.reads = p.extra + 4, p.extra + 5
    c.sockets = {name: c.case / f"{name}.sock" for name in ("resp", "proxied", "web")}
    c.options.update({
        "proxy.listen": f"127.0.0.1:{p.proxy}, proxied:127.0.0.1:{c.proxied}, proxied:tls:127.0.0.1:{c.secure}, "
                        f"unix:{c.sockets['resp']}, proxied:unix:{c.sockets['proxied']}",
        "proxy.durable_listen": f"proxied:127.0.0.1:{c.durable}", "proxy.read_listen": f"proxied:tls:127.0.0.1:{c.reads}",
        "http.listen": f"127.0.0.1:{p.http}, proxied:127.0.0.1:{c.web}, proxied:tls:127.0.0.1:{c.https}, unix:{c.sockets['web']}",
        "proxy.tls_cert": pair.cert, "proxy.tls_key": pair.key, "http.tls_cert": pair.cert, "http.tls_key": pair.key})
    c.write_options()
    return c.start()


class Through(Wire):
    """A connection that begins with a header, as a proxy in between sends it."""

    def __init__(self, port, header, tls=None, path=None):
        if path:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(30)
            self.sock.connect(str(path))
        else:
            self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.pending = bytearray()
        self.sock.sendall(header)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")


def own_address(wire):
    return re.search(rb"\baddr=(\S+)", wire("CLIENT", "INFO")).group(1).decode()


# --- who is taken for whom ---

@pytest.mark.parametrize("header, address", [
    (v1(), "192.0.2.7:4711"),
    (v1("2001:db8::1"), "[2001:db8::1]:4711"),
    (v2(), "192.0.2.7:4711"),
    (v2("2001:db8::1"), "[2001:db8::1]:4711"),
    (v2(more=b"\x04\x00\x03\x00\x00\x00"), "192.0.2.7:4711"),
    (LOCAL, None),
    (b"PROXY UNKNOWN\r\n", None)])
def test_the_announced_address_is_the_clients(behind, header, address):
    with Through(behind.proxied, header) as wire:
        assert own_address(wire) == (address or "%s:%d" % wire.sock.getsockname())
    with Through(behind.secure, header, tls=behind.certs.context()) as wire:
        assert own_address(wire) == (address or "%s:%d" % wire.sock.getsockname())
    with Through(0, header, path=behind.sockets["proxied"]) as wire:
        assert own_address(wire) == (address or "unix")


def test_every_door_of_the_proxy_hears_who_comes(behind):
    with Through(behind.durable, v1()) as writer, Through(behind.reads, v1("2001:db8::1"), tls=behind.certs.context()) as reader:
        assert writer("SET", "k", "v") == "OK"
        assert own_address(writer) == "192.0.2.7:4711" and own_address(reader) == "[2001:db8::1]:4711"
        with pytest.raises(WireError, match="^READONLY"):
            reader("SET", "k", "w")
        with behind.wire() as other:
            listed = other("CLIENT", "LIST").decode()
            assert " addr=192.0.2.7:4711 " in listed and " addr=[2001:db8::1]:4711 " in listed
            assert other("CLIENT", "KILL", "ADDR", "[2001:db8::1]:4711", "SKIPME", "no") == 1
        wait_until(reader.is_closed, "closed")
        assert writer("GET", "k") == b"v"


def test_header_and_request_in_any_pieces(behind):
    whole = v2() + Wire.pack("ECHO", "a") + Wire.pack("ECHO", "b")
    for piece in (1, 7, 28, 29, len(whole)):
        with Through(behind.proxied, b"") as wire:
            wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(0, len(whole), piece):
                wire.send_raw(whole[i:i + piece])
            assert wire.reply() == b"a" and wire.reply() == b"b"


def test_http_behind_a_proxy(behind):
    def curl(*words):
        done = subprocess.run(["curl", "-s", "--haproxy-protocol", *words], capture_output=True, text=True, timeout=30)
        return done.stdout

    assert curl(f"http://127.0.0.1:{behind.web}/ECHO/hello") == '{"ECHO":"hello"}'
    assert curl("--cacert", str(behind.certs.ca.cert), f"https://localhost:{behind.https}/ECHO/hello") == '{"ECHO":"hello"}'
    with Http(behind.web) as http:
        http.send_raw(v1())
        assert http.get("/ECHO/x").json == {"ECHO": "x"}
        assert http.get("/ECHO/y").json == {"ECHO": "y"}


def test_access_rules_are_about_the_announced_address(make_cluster):
    c = make_cluster()
    port, log = c.ports.extra, c.case / "access.log"
    c.options.update({
        "http.listen": f"127.0.0.1:{c.ports.http}, proxied:127.0.0.1:{port}", "http.access_log": log,
        "acl-all.disabled": "*", "acl-proxy.cidr": "127.0.0.0/8", "acl-proxy.enabled": "PING",
        "acl-four.cidr": "192.0.2.0/24", "acl-four.enabled": "GET", "acl-six.cidr": "2001:db8::/32", "acl-six.enabled": "GET"})
    c.write_options()
    c.start()
    for header, may in ((v1(), "GET"), (v2(), "GET"), (v1("2001:db8::1"), "GET"), (v2("2001:db8::1"), "GET"), (v1("::ffff:192.0.2.7"), "GET"),
                        (v1("198.51.100.1"), None), (v2("2001:db9::1"), None), (LOCAL, "PING"), (b"PROXY UNKNOWN\r\n", "PING")):
        with Http(port) as http:
            http.send_raw(header)
            for command, path in (("GET", "/GET/k"), ("PING", "/PING")):
                assert http.get(path).status == (200 if command == may else 403), (header, path)
    with Http(port) as http:
        http.send_raw(v1())
        ws = WebSocket(http=http)
        assert ws("GET", "k") == {"GET": None}
        assert ws("PING")["http_status"] == 403
    # without a header it is the connection's own address, whatever the client says
    with c.http() as http:
        assert http.get("/PING", headers={"X-Forwarded-For": "192.0.2.7"}).status == 200
        assert http.get("/GET/k", headers={"X-Forwarded-For": "192.0.2.7"}).status == 403
    wait_until(lambda: log.exists() and {"192.0.2.7", "2001:db8::1", "198.51.100.1", "127.0.0.1"} <= {
        line.split(" ")[0] for line in log.read_text().splitlines()}, "who asked in the access log")


# --- who is not ---

@pytest.mark.parametrize("bad", [
    Wire.pack("PING"), b"PING\r\n", b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 192.0.2.7 127.0.0.1 4711\r\n", b"PROXY TCP4 x y 1 2\r\n",
    b"PROXY " + b"x" * 200, V2 + b"\x31\x11\x00\x0c" + bytes(12), V2 + b"\x21\x11\x00\x04" + bytes(4), V2 + b"\x21\x11\xff\xff",
    b"\x16\x03\x01\x02\x00"])
def test_whoever_does_not_begin_with_a_header_is_closed(behind, bad):
    def begin():
        for port in (behind.proxied, behind.secure, behind.web):
            with Through(port, bad) as wire:
                try:
                    wire.send("SET", "smuggled", "1")
                except OSError:
                    pass
                wait_until(wire.is_closed, "closed")
                assert wire.pending == b""

    behind.wait_said("proxy-1", "does not begin with a PROXY header", doing=begin)
    with behind.wire() as plain:
        assert plain("EXISTS", "smuggled") == 0


def test_a_second_header_is_no_header(behind):
    with Through(behind.proxied, v1() + v1("198.51.100.1")) as wire:
        # it is what a client says, then: a command that nobody knows
        assert "ERR" in str(wire.reply())
        assert own_address(wire) == "192.0.2.7:4711"


def test_a_header_where_none_is_expected_announces_nobody(behind):
    with Through(behind.ports.proxy, v1()) as wire:
        assert "ERR" in str(wire.reply())
        assert own_address(wire) == "%s:%d" % wire.sock.getsockname()


def test_a_header_has_a_bound_in_time(behind):
    with Through(behind.proxied, b"PROXY TCP4 192.0.2.7") as slow, Through(behind.web, b"") as silent:
        slow.sock.settimeout(60)
        silent.sock.settimeout(60)
        for wire in (slow, silent):
            with pytest.raises(Closed):
                wire.reply()


def test_plain_text_behind_a_header_where_tls_is_spoken(behind):
    def ping():
        with Through(behind.secure, v1() + Wire.pack("PING")) as wire:
            assert "TLS" in str(wire.reply())
            wait_until(wire.is_closed, "closed")

    behind.wait_said("proxy-1", "plain text where TLS is spoken", "peer=192.0.2.7:4711", doing=ping)


def test_only_trusted_proxies_announce(make_cluster):
    c = make_cluster()
    port = c.ports.extra
    c.options.update({"proxy.listen": f"127.0.0.1:{c.ports.proxy}, proxied:127.0.0.1:{port}", "proxy.proxied_from": "10.0.0.0/8"})
    c.write_options()
    c.start()
    with pytest.raises(ConnectionError), Through(port, v1()) as wire:
        wire("PING")
    wait_until(lambda: "none of the proxies in proxied_from" in c.log("proxy-1"), "the reason in the log")
    c.options["proxy.proxied_from"] = "10.0.0.0/8, 127.0.0.1"
    c.write_options()
    assert "proxied_from" in c.cli("reload").stdout

    def is_let_in():
        with Through(port, v1()) as wire:
            return own_address(wire) == "192.0.2.7:4711"

    wait_until(is_let_in, "let in after the reload", ignore=(Closed, OSError))
    c.options["proxy.proxied_from"] = "10.0.0.0/33"
    c.write_options()
    done = c.cli("check", "-c", c.ini, check=False)
    assert done.returncode == 78 and "10.0.0.0/33" in done.stderr


# --- unix sockets ---

def test_clients_over_unix_sockets(behind):
    done = subprocess.run(["redis-cli", "-s", str(behind.sockets["resp"]), "SET", "k", "over a socket"],
                          capture_output=True, text=True, timeout=30)
    assert done.stdout.strip() == "OK", done
    done = subprocess.run(["curl", "-s", "--unix-socket", str(behind.sockets["web"]), "http://localhost/GET/k"],
                          capture_output=True, text=True, timeout=30)
    assert done.stdout == '{"GET":"over a socket"}', done
    with Through(0, b"", path=behind.sockets["resp"]) as wire:
        assert own_address(wire) == "unix"
    status = behind.instance("http-1")
    assert f"unix:{behind.sockets['web']}" in status["listen"] and status["port"] == behind.ports.http


def test_tls_hello_on_a_unix_socket_is_told(behind):
    with Through(0, b"", path=behind.sockets["resp"]) as wire, pytest.raises(ssl.SSLError):
        behind.certs.context().wrap_socket(wire.sock, server_hostname="localhost")


@pytest.mark.parametrize("section", ["proxy", "http"])
def test_unix_sockets_live_as_long_as_they_should(make_cluster, section):
    c = make_cluster()
    path = c.case / "s.sock"
    c.options[f"{section}.listen"] = f"unix:{path}"
    c.write_options()
    c.start()

    def answers():
        words = ["redis-cli", "-s", str(path), "PING"] if section == "proxy" else [
            "curl", "-s", "--unix-socket", str(path), "http://localhost/PING"]
        return "PONG" in subprocess.run(words, capture_output=True, text=True, timeout=30).stdout

    assert answers()
    c.kill(f"{section}-1")
    wait_until(answers, "the worker back on the same socket")
    c.kill_supervisor()
    assert answers()
    c.start()
    assert answers()
    assert c.cli("check", "-c", c.ini).returncode == 0
    assert answers(), "the check took the socket away"
    assert c.stop() == 0
    assert not path.exists()
