"""WebSockets: JSON and RESP, subscriptions beside commands, transactions, rules, and frames that no client should send."""
import json
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import Closed, WebSocket, wait_until


@pytest.fixture
def proxy(shared):
    client = shared.proxy()
    client.flushall()
    return client


@pytest.fixture
def ws(shared, proxy):
    with WebSocket(shared.ports.http) as w:
        yield w


def raw(*args):
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in args)


def test_commands_as_json(ws):
    assert ws("SET", "hello", "wörld\0") == {"SET": [True, "OK"]}
    assert ws("get", "hello") == {"get": "wörld\0"}
    assert ws("INCRBY", "n", 5) == {"INCRBY": 5}
    assert ws("HSET", "h", "f", 1.5) == {"HSET": 1}
    assert ws("HGETALL", "h") == {"HGETALL": {"f": "1.5"}}
    assert ws("GET", "none") == {"GET": None}
    assert ws("NOSUCH")["NOSUCH"][0] is False


@pytest.mark.parametrize("path", ["/", "/.json", "/?x=y"])
def test_places(shared, path):
    with WebSocket(shared.ports.http, path) as w:
        assert w("PING") == {"PING": [True, "PONG"]}


def test_commands_as_resp(shared, proxy):
    with WebSocket(shared.ports.http, "/.raw") as w:
        w.send(raw(b"SET", b"k", b"\xff\0\r\n"))
        assert w.next() == b"+OK\r\n"
        w.send(raw(b"GET", b"k") + raw(b"PING"))
        assert w.next() == b"$4\r\n\xff\0\r\n\r\n"
        assert w.next() == b"+PONG\r\n"
        w.send(raw(b"SUBSCRIBE", b"c"))
        assert w.next() == b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
        w.send(raw(b"SHUTDOWN"))
        assert w.next() == b"-ERR Forbidden\r\n"
        w.send(b"GET k\r\n")
        assert w.next().startswith(b"-ERR a message is")


def test_subscriptions_beside_commands(ws, proxy):
    assert ws("SUBSCRIBE", "a", "b") == {"SUBSCRIBE": ["subscribe", "a", 1]}
    assert ws.next() == {"SUBSCRIBE": ["subscribe", "b", 2]}
    assert ws("SET", "k", "v") == {"SET": [True, "OK"]}
    assert ws("psubscribe", "x*") == {"psubscribe": ["psubscribe", "x*", 3]}
    proxy.publish("xy", b"1")
    assert ws.next() == {"psubscribe": ["pmessage", "x*", "xy", "1"]}
    proxy.publish("b", b"2")
    assert ws.next() == {"SUBSCRIBE": ["message", "b", "2"]}
    assert ws("GET", "k") == {"GET": "v"}
    assert ws("UNSUBSCRIBE", "b") == {"UNSUBSCRIBE": ["unsubscribe", "b", 2]}
    wait_until(lambda: proxy.publish("b", b"3") == 0, "no subscription")
    assert ws("UNSUBSCRIBE") == {"UNSUBSCRIBE": ["unsubscribe", "a", 1]}
    assert ws("UNSUBSCRIBE") == {"UNSUBSCRIBE": ["unsubscribe", None, 1]}
    proxy.publish("xy", b"4")
    assert ws.next() == {"psubscribe": ["pmessage", "x*", "xy", "4"]}


def test_many_commands_in_order(ws):
    for i in range(2000):
        ws.send(["ECHO", i])
    assert [ws.next()["ECHO"] for _ in range(2000)] == [str(i) for i in range(2000)]


def test_a_blocking_command_stalls_nobody_else(shared, ws, proxy):
    ws.send(["BLPOP", "queue", "0"])
    master = shared.redis(shared.master())
    wait_until(lambda: master.info("clients")["blocked_clients"] == 1, "the client blocks")
    with WebSocket(shared.ports.http) as other:
        assert other("RPUSH", "queue", "x") == {"RPUSH": 1}
    assert ws.next() == {"BLPOP": ["queue", "x"]}


def test_transactions(shared, ws, proxy):
    assert ws("MULTI") == {"MULTI": [True, "OK"]}
    assert ws("INCR", "n") == {"INCR": [True, "QUEUED"]}
    assert proxy.get("n") is None
    assert ws("INCR", "n") == {"INCR": [True, "QUEUED"]}
    assert ws("EXEC") == {"EXEC": [1, 2]}
    assert ws("GET", "n") == {"GET": "2"}
    # a watched key that changes
    assert ws("WATCH", "n") == {"WATCH": [True, "OK"]}
    proxy.set("n", 7)
    assert ws("MULTI") == {"MULTI": [True, "OK"]}
    assert ws("INCR", "n") == {"INCR": [True, "QUEUED"]}
    assert ws("EXEC") == {"EXEC": None}
    # nobody else is in it
    ws("MULTI")
    with WebSocket(shared.ports.http) as other:
        assert other("GET", "n") == {"GET": "7"}
    assert ws("DISCARD") == {"DISCARD": [True, "OK"]}
    # all in one go
    for words in (["MULTI"], ["SET", "n", "1"], ["EXEC"], ["GET", "n"], ["MULTI"], ["EXEC"]):
        ws.send(words)
    assert [ws.next() for _ in range(6)] == [
        {"MULTI": [True, "OK"]}, {"SET": [True, "QUEUED"]}, {"EXEC": ["OK"]}, {"GET": "1"},
        {"MULTI": [True, "OK"]}, {"EXEC": []}]


def test_select(ws, proxy):
    ws("SET", "k", "zero")
    assert ws("SELECT", 5) == {"SELECT": [True, "OK"]}
    assert ws("GET", "k") == {"GET": None}
    assert ws("SELECT", 99)["SELECT"][0] is False
    assert ws("SELECT", 0) == {"SELECT": [True, "OK"]}
    assert ws("GET", "k") == {"GET": "zero"}


def test_what_is_no_command(ws):
    for text in (b"nonsense", b"{}", b"[]", b'["GET",null]', b'[["GET","k"]]', b'"PING"', b"\xc3\xa4"):
        ws.send_frame(ws.TEXT, text)
        reply = ws.next()
        assert reply["error"] is True and reply["http_status"] == 400 and "JSON array" in reply["message"], text
    assert ws("SHUTDOWN") == {"message": "Forbidden", "error": True, "http_status": 403}
    assert ws("CLIENT", "SETNAME", "x")["http_status"] == 403
    assert ws("PING") == {"PING": [True, "PONG"]}


def test_frames(ws):
    ws.send_frame(ws.PING, b"are you there")
    assert ws.frame_in() == (ws.PONG, b"are you there")
    # in fragments, with a ping between them
    ws.send_frame(ws.TEXT, b'["ECHO",', fin=False)
    ws.send_frame(ws.PING, b"x")
    ws.send_frame(ws.CONTINUATION, b'"a b"', fin=False)
    ws.send_frame(ws.CONTINUATION, b"]")
    assert ws.frame_in() == (ws.PONG, b"x")
    assert ws.next() == {"ECHO": "a b"}
    # byte by byte
    for byte in ws.frame(ws.TEXT, b'["ECHO","slow"]'):
        ws.http.send_raw(bytes([byte]))
    assert ws.next() == {"ECHO": "slow"}
    value = "x" * 300_000
    assert ws("ECHO", value) == {"ECHO": value}
    ws.send_frame(ws.CLOSE, struct.pack(">H", 1000) + b"bye")
    assert ws.closed_with() == 1000


@pytest.mark.parametrize("code, data", [
    (1002, WebSocket.frame(1, b'["PING"]', mask=b"")),
    (1002, WebSocket.frame(1, b'["PING"]', rsv=4)),
    (1002, WebSocket.frame(3, b"x")),
    (1002, WebSocket.frame(0, b"x")),
    # these three are closed without a code
    (None, WebSocket.frame(9, b"x", fin=False)),
    (None, WebSocket.frame(9, b"x" * 126)),
    (None, WebSocket.frame(8, b"x")),
    (1002, WebSocket.frame(1, b"x", fin=False) + WebSocket.frame(1, b"y")),
    (1007, WebSocket.frame(1, b'["ECHO","\xff\xfe"]')),
    (1002, WebSocket.frame(8, struct.pack(">H", 1005))),
])
def test_bad_frames_end_that_client_alone(shared, ws, code, data):
    with WebSocket(shared.ports.http) as bad:
        bad.http.send_raw(data)
        assert bad.closed_with() == code
        with pytest.raises((Closed, OSError)):
            while True:
                bad.frame_in()
    assert ws("PING") == {"PING": [True, "PONG"]}


def test_too_large(make_cluster):
    cluster = make_cluster(options={"http.max_request_bytes": 10_000}).start()
    with WebSocket(cluster.ports.http) as w:
        w.send_frame(w.TEXT, b'["ECHO","' + b"x" * 20_000 + b'"]')
        assert w.closed_with() == 1009
    with WebSocket(cluster.ports.http) as w:
        w.send_frame(w.TEXT, b'["ECHO","' + b"x" * 6_000, fin=False)
        w.send_frame(w.CONTINUATION, b"x" * 6_000, fin=False)
        assert w.closed_with() == 1009


def test_handshakes(shared, make_cluster):
    for headers, status in (({"Sec-WebSocket-Version": "8"}, 426), ({"Sec-WebSocket-Key": "short"}, 400),
                            ({"Origin": "http://evil.example"}, 403), ({"Upgrade": "h2c"}, 404)):
        w = WebSocket(shared.ports.http, headers=headers)
        assert w.reply.status == status, headers
        if status == 426:
            assert (w.reply.headers["upgrade"], w.reply.headers["connection"], w.reply.headers["sec-websocket-version"]) == ("websocket", "Upgrade", "13")
        w.close()
    with WebSocket(shared.ports.http, headers={"Origin": f"http://127.0.0.1:{shared.ports.http}"}) as w:
        assert w("PING") == {"PING": [True, "PONG"]}
    cluster = make_cluster(options={"http.websockets": "no", "http.default_root": "/PING"}).start()
    w = WebSocket(cluster.ports.http)
    assert w.reply.status == 200 and w.reply.json == {"PING": [True, "PONG"]}
    w.close()


def test_commands_that_come_with_the_handshake(shared):
    with shared.http() as h:
        h.send_raw(b"GET /PING HTTP/1.1\r\nHost: localhost\r\n\r\n"
                   b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
                   b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                   + WebSocket.frame(1, b'["ECHO","early"]'))
        assert h.reply().json == {"PING": [True, "PONG"]}
        reply = h.reply()
        assert (reply.status, reply.headers["sec-websocket-accept"]) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        assert json.loads(h._take(2 + 16)[2:]) == {"ECHO": "early"}


def test_silence_is_asked_about(make_cluster):
    cluster = make_cluster(options={"http.client_timeout_s": 3}).start()
    with WebSocket(cluster.ports.http) as alive, WebSocket(cluster.ports.http) as dead, ThreadPoolExecutor(1) as pool:
        def answer_pings():
            """How many came before the first message, and that message."""
            pings = 0
            while (frame := alive.frame_in())[0] == alive.PING:
                alive.send_frame(alive.PONG, b"")
                pings += 1
            return pings, frame

        answers = pool.submit(answer_pings)
        assert dead.frame_in()[0] == dead.PING
        with pytest.raises((Closed, OSError)):
            dead.frame_in()
        alive.send(["PING"])
        pings, (opcode, message) = answers.result()
        assert pings >= 1 and opcode == alive.TEXT and json.loads(message) == {"PING": [True, "PONG"]}


def test_a_lost_master_ends_an_open_transaction(cluster):
    with WebSocket(cluster.ports.http) as w, WebSocket(cluster.ports.http) as plain:
        assert w("MULTI") == {"MULTI": [True, "OK"]}
        assert w("SET", "k", "v") == {"SET": [True, "QUEUED"]}
        old = cluster.master()
        cluster.kill(old)
        assert w.closed_with() == 1012
        assert plain("GET", "k") == {"GET": None}
    cluster.wait_agreed()
