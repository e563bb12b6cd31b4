"""Whatever arrives, it closes that client alone."""
import json
import os
import socket
import subprocess
import time

import pytest


from harness import Closed, Wire, wait_until

MAX = 1 << 20


@pytest.fixture(scope="module")
def _doors(_shared_cases):
    return _shared_cases(options={"proxy.max_request_bytes": MAX, "http.max_request_bytes": MAX,
                                  "sentinel.down_after_ms": 20000}).start()  # as in conftest.py


@pytest.fixture
def doors(_doors):
    """The shared cluster, and after each test: the same workers, and a neighbour that noticed nothing."""
    c = _doors
    c.wait_ready()
    before = c.pids()
    with c.wire() as neighbour, c.http() as page:
        assert neighbour("SET", "neighbour", "well") == "OK"
        assert page.get("/GET/neighbour").json == {"GET": "well"}
        yield c
        assert neighbour("GET", "neighbour") == b"well"
        assert page.get("/GET/neighbour").json == {"GET": "well"}
    assert c.pids() == before


def closed_soon(wire):
    return wait_until(wire.is_closed, "the proxy to close this client")


RESP = {
    "binary": b"\x00\xff\xfe\x80" * 64 + b"\r\n",
    "tls_hello": bytes.fromhex("16030100f8010000f40303") + bytes(240),
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "too_many_arguments": b"*2147483648\r\n",
    "a_count_beyond_64_bits": b"*99999999999999999999999\r\n",
    "no_count": b"*abc\r\n",
    "bulk_beyond_the_limit": b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n" % (MAX * 4),
    "negative_bulk": b"*2\r\n$3\r\nGET\r\n$-5\r\n",
    "bulk_without_dollar": b"*2\r\n$3\r\nGET\r\n:5\r\n",
    "bulk_without_its_newline": b"*2\r\n$3\r\nGET\r\n$1\r\nkXY*1\r\n$4\r\nPING\r\n",
    "a_length_with_letters": b"*1\r\n$4x\r\nPING\r\n",
}


@pytest.mark.parametrize("what", RESP)
def test_malformed_resp_closes_that_client_alone(doors, what):
    with doors.wire() as wire:
        wire.send_raw(RESP[what])
        if what == "tls_hello":
            wait_until(lambda: wire.is_closed() and wire.pending.startswith(b"\x15\x03"), "told in its own words")
            return
        if what == "binary":
            # To Redis too this is the beginning of an inline command, which ends nowhere.
            try:
                wire.send_raw(b"x" * 200000)
            except OSError:
                pass
        closed_soon(wire)
        # An error before the close where there was a way to tell.
        assert wire.pending == b"" or wire.pending.startswith(b"-")


def test_an_inline_line_without_end_is_closed(doors):
    with doors.wire() as wire:
        try:
            for _ in range(64):
                wire.send_raw(b"x" * 65536)
        except OSError:
            pass
        closed_soon(wire)


def test_half_a_request_delays_nobody(doors):
    with doors.wire() as slow:
        slow.send_raw(b"*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$5\r\nab")
        with doors.wire() as other:
            for n in range(50):
                assert other("SET", "k", n) == "OK"
        for byte in b"cde\r\n":
            slow.send_raw(bytes([byte]))
        assert slow.reply() == "OK"
    assert doors.proxy().get("slow") == b"abcde"


def test_a_request_byte_by_byte(doors):
    with doors.wire() as wire:
        for byte in Wire.pack("SET", "bytes", "one by one"):
            wire.send_raw(bytes([byte]))
        assert wire.reply() == "OK"


def test_a_reader_that_stops_reading_slows_only_itself(doors):
    doors.proxy().set("big", b"x" * (MAX // 2))
    with doors.wire() as lazy, doors.wire() as busy:
        for _ in range(100):  # 50 MB of answers that nobody reads; the server makes them in one go
            lazy.send("GET", "big")
        for n in range(200):
            assert busy("INCR", "busy") == n + 1
        answers = 0
        try:
            while answers < 100:
                assert len(lazy.reply()) == MAX // 2
                answers += 1
        except (Closed, ConnectionResetError):
            pass  # it may be cut off where too much waits for it, but never be told anything else
    doors.proxy().delete("busy", "big")


def test_a_client_that_leaves_in_the_middle(doors):
    for _ in range(50):
        wire = doors.wire()
        wire.send_raw(Wire.pack("SET", "gone", "1") * 20 + b"*2\r\n$3\r\nGE")
        wire.close()
    with doors.wire() as wire:
        assert wire("PING") == "PONG"


def test_unknown_commands_and_wrong_arguments_are_the_servers_errors(doors):
    with doors.wire() as wire:
        for words in (["NOSUCHTHING"], ["GET"], ["SET", "k"], ["INCR", "neighbour"], ["LPUSH", "neighbour", "1"]):
            wire.send(*words)
            assert type(wire.reply()).__name__ == "WireError", words
        assert wire("PING") == "PONG"


def test_replies_keep_the_order_of_a_deep_pipeline(doors):
    with doors.wire() as wire:
        wire.send_raw(b"".join(Wire.pack("SET", f"p:{n}", n) + Wire.pack("GET", f"p:{n}") for n in range(2000)))
        for n in range(2000):
            assert wire.reply() == "OK"
            assert wire.reply() == str(n).encode()


def test_any_byte_passes(doors):
    every = bytes(range(256)) + b"\r\n$5\r\n*1\r\n"
    with doors.wire() as wire:
        assert wire("SET", every, every) == "OK"
        assert wire("GET", every) == every
        assert wire("DEL", every) == 1


HTTP = {
    "garbage": (b"\x00\x01\x02 nonsense\r\n\r\n", (400,)),
    "no_version": (b"GET /GET/k\r\n\r\n", (400,)),
    "lowercase_method": (b"get /GET/k HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 405, 501)),
    "endless_header": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (MAX * 2), (400, 413, 431)),
    "endless_target": (b"GET /" + b"a" * (MAX * 2), (400, 413, 414, 431)),
    "body_beyond_the_limit": (b"PUT /SET/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (MAX * 8), (413,)),
    "length_beyond_64_bits": (b"PUT /SET/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n", (400, 413)),
    "negative_length": (b"PUT /SET/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", (400,)),
    "two_lengths": (b"PUT /SET/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", (400,)),
    "length_and_chunked": (b"PUT /SET/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,)),
    "bad_chunk": (b"PUT /SET/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", (400,)),
}


@pytest.mark.parametrize("what", HTTP)
def test_malformed_http_ends_in_a_status_and_a_close(doors, what):
    data, allowed = HTTP[what]
    with doors.http() as http:
        try:
            http.send_raw(data)
        except OSError:
            pass  # it may close before it has read all
        try:
            answer = http.reply()
        except OSError:  # the close overtook the answer: more was sent than it would read
            assert len(data) > MAX
            return
        assert answer.status in allowed
        if http.sock:
            with pytest.raises((Closed, ConnectionError)):
                http.reply()


def test_bad_escapes_and_unknown_commands_over_http(doors):
    with doors.http() as http:
        assert http.get("/GET/%zz").status in (200, 400)
        answer = http.get("/NOSUCHTHING/x")
        assert answer.status in (200, 400, 404)
        assert http.get("/GET/neighbour").json == {"GET": "well"}


def test_a_request_that_trickles_delays_nobody(doors):
    with doors.http() as slow, doors.http() as other:
        slow.send_raw(b"GET /GET/neighbour HTTP/1.1\r\nHo")
        for _ in range(20):
            assert other.get("/PING").status == 200
        slow.send_raw(b"st: localhost\r\n\r\n")
        assert slow.reply().json == {"GET": "well"}


def test_pipelined_http_is_answered_in_order(doors):
    with doors.http() as http:
        http.send_raw(b"".join(b"GET /ECHO/%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % n for n in range(100)))
        for n in range(100):
            assert http.reply().json == {"ECHO": str(n)}


def control(c):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(str(c.dir / "control.sock"))
    return s


CONTROL = {
    "binary": b"\x00\xff" * 100 + b"\n",
    "no_json": b"status\n",
    "no_object": b"[1,2,3]\n",
    "unknown": b'{"cmd":"explode"}\n',
    "wrong_type": b'{"cmd":"start","args":{"name":5}}\n',
    "unknown_argument": b'{"cmd":"status","args":{"x":1}}\n',
    "deep": b"[" * 5000 + b"\n",
    "too_long": b"x" * 200000 + b"\n",
    "never_ends": b"x" * 200000,
}


@pytest.mark.parametrize("what", CONTROL)
def test_garbage_on_the_control_socket(doors, what):
    with control(doors) as s:
        try:
            s.sendall(CONTROL[what])
        except OSError:
            pass
        data = b""
        try:
            while b"\n" not in data and (part := s.recv(65536)):
                data += part
        except ConnectionError:
            pass
        if data:
            assert json.loads(data)["ok"] is False
    assert doors.cli("status").returncode == 0


def test_many_silent_clients_of_the_control_socket(doors):
    held = []
    try:
        for _ in range(80):
            try:
                held.append(control(doors))
            except OSError:
                break
        assert len(held) >= 32
    finally:
        for s in held:
            s.close()
    wait_until(lambda: doors.cli("status", check=False).returncode == 0, "the command line to be served again")


def test_more_clients_than_allowed(make_cluster):
    c = make_cluster(options={"proxy.max_clients": 20}).start()
    held = [c.wire() for _ in range(20)]
    try:
        for w in held:
            assert w("PING") == "PONG"
        with c.wire() as extra:
            extra.send("PING")
            answer = None
            try:
                answer = extra.reply()
            except OSError:
                pass
            assert answer is None or "max number of clients" in str(answer)
        assert held[0]("PING") == "PONG"
        held.pop().close()

        def served():
            with c.wire() as wire:
                return wire("PING") == "PONG"

        wait_until(served, "room for another one", ignore=(Exception,))
    finally:
        for w in held:
            w.close()


def test_big_values_pass(make_cluster):
    c = make_cluster(options={"sentinel.down_after_ms": 20000}).start()  # as in conftest.py
    big = os.urandom(1 << 20) * 48
    with c.wire() as wire:
        assert wire("SET", "big", big) == "OK"
        assert wire("GET", "big") == big
    wait_until(lambda: all(c.redis(n).strlen("big") == len(big) for n in c.replicas()), "replication")
    c.wait_ready()


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system that can be filled is mounted only by root")
def test_a_full_disk_is_said_and_loses_nothing(make_cluster):
    c = make_cluster()
    c.dir.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "hft", str(c.dir)], check=True)
    try:
        c.start()
        filler = c.dir / "filler"
        load = c.load(writers=2, value="v" * 2000).start()
        try:
            wait_until(lambda: load.acked > 50, "the load")
            with open(filler, "wb", buffering=0) as f:
                try:
                    while True:
                        f.write(bytes(65536))
                except OSError:
                    pass
            wait_until(lambda: any("MISCONF" in text or "No space" in text for _, text in load.errors),
                       "writers to be told")
            assert c.run.exit is None
            assert c.cli("status", check=False).returncode in (0, 3)
            filler.unlink()
            now = time.monotonic()
            wait_until(lambda: load.acked_since(now), "writes again", 60)
        finally:
            load.stop()
        c.tolerant.add("deaths")  # a server may have to be started again
        c.wait_agreed(60)
        assert load.lost(c.proxy()) == []
        assert c.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(c.dir)], check=True)


