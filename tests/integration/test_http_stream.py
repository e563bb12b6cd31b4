"""SUBSCRIBE over HTTP: chunks in every form, many listeners to one channel, a failover, readers that stop."""
import json
import os
import socket

import pytest

from harness import Http, WebSocket, wait_until

HOST = b"Host: localhost\r\n"


def listen(cluster, path, headers=None):
    h = Http(cluster.ports.http)
    reply = h.open_stream(path, headers)
    assert reply.status == 200, reply
    return h, reply


@pytest.fixture
def proxy(shared):
    client = shared.proxy()
    client.flushall()
    return client


def test_a_message_is_a_chunk(shared, proxy):
    h, reply = listen(shared, "/SUBSCRIBE/news/more")
    assert reply.headers["transfer-encoding"] == "chunked" and reply.headers["content-type"] == "application/json"
    assert h.next_chunk() == b'{"SUBSCRIBE":["subscribe","news",1]}'
    assert h.next_chunk() == b'{"SUBSCRIBE":["subscribe","more",2]}'
    assert proxy.publish("news", b"text") == 1
    assert h.next_chunk() == b'{"SUBSCRIBE":["message","news","text"]}'
    proxy.publish("more", "ä\n".encode() + b"\xff")
    assert json.loads(h.next_chunk()) == {"SUBSCRIBE": ["message", "more", "ä\n\ufffd"]}
    h.close()
    wait_until(lambda: proxy.publish("news", b"x") == 0, "the end of the subscription")


@pytest.mark.parametrize("path, kind, chunk", [
    ("/psubscribe/n*", "application/json", b'{"psubscribe":["pmessage","n*","news","v\\"\\u0000"]}'),
    ("/SUBSCRIBE/news.raw", "binary/octet-stream", b'*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$3\r\nv"\0\r\n'),
    ("/SUBSCRIBE/news.txt?sep=|", "text/plain", b'message|news|v"\0'),
    ("/SUBSCRIBE/news.html?sep=%20", "text/html", b'message news v"\0'),
    ("/SUBSCRIBE/news.js?callback=cb", "application/javascript", b'cb({"SUBSCRIBE":["message","news","v\\"\\u0000"]});\n'),
    ("/SUBSCRIBE/news?jsonp=f", "application/json", b'f({"SUBSCRIBE":["message","news","v\\"\\u0000"]});\n'),
    ("/SUBSCRIBE/news?enc=base64", "application/json", b'{"SUBSCRIBE":["bWVzc2FnZQ==","bmV3cw==","diIA"]}'),
    ("/SUBSCRIBE/news?type=text/x-log", "text/x-log", b'messagenewsv"\0'),
    ("/SUBSCRIBE/news.msg", "application/x-msgpack", b'\x81\xa9SUBSCRIBE\x93\xa7message\xa4news\xa3v"\0'),
])
def test_every_form(shared, proxy, path, kind, chunk):
    h, reply = listen(shared, path)
    assert reply.headers["content-type"] == kind
    h.next_chunk()
    assert proxy.publish("news", b'v"\0') == 1
    assert h.next_chunk() == chunk
    h.close()


def test_server_sent_events(shared, proxy):
    h, reply = listen(shared, "/SUBSCRIBE/news", {"Accept": "text/event-stream"})
    assert reply.headers["content-type"] == "text/event-stream" and reply.headers["cache-control"] == "no-store"
    assert h.next_chunk() == b'data: {"SUBSCRIBE":["subscribe","news",1]}\n\n'
    proxy.publish("news", b"a\nb")
    assert h.next_chunk() == b'data: {"SUBSCRIBE":["message","news","a\\nb"]}\n\n'
    h.close()
    # failed before: with what may stand behind a semicolon it was no such wish
    h, reply = listen(shared, "/SUBSCRIBE/news", {"Accept": "text/html;q=0.5, Text/Event-Stream; charset=utf-8;q=0.9"})
    assert reply.headers["content-type"] == "text/event-stream"
    h.close()


def test_silent_events_show_that_they_live(shared, proxy):
    """What lies between and cuts silent connections sees a comment each 15 s; no other form has a place for one."""
    plain, _ = listen(shared, "/SUBSCRIBE/news")
    h, _ = listen(shared, "/SUBSCRIBE/news", {"Accept": "text/event-stream"})
    assert plain.next_chunk() and h.next_chunk()
    assert h.next_chunk() == b":\n\n"
    proxy.publish("news", "c")
    assert h.next_chunk() == b'data: {"SUBSCRIBE":["message","news","c"]}\n\n'
    assert plain.next_chunk() == b'{"SUBSCRIBE":["message","news","c"]}'
    plain.close()
    h.close()


def test_old_clients_get_no_chunks(shared, proxy):
    with socket.create_connection(("127.0.0.1", shared.ports.http), timeout=20) as s:
        s.sendall(b"GET /SUBSCRIBE/news HTTP/1.0\r\n\r\n")
        got = b""
        while b"1]}" not in got:
            got += s.recv(65536)
        assert b"chunked" not in got.lower() and got.endswith(b'\r\n\r\n{"SUBSCRIBE":["subscribe","news",1]}')


def test_many_listen_and_the_server_is_asked_once(shared, proxy):
    listeners = [listen(shared, "/SUBSCRIBE/news" if n % 2 else "/SUBSCRIBE/news.raw")[0] for n in range(20)]
    for h in listeners:
        assert b"subscribe" in h.next_chunk()
    assert proxy.publish("news", b"one") == 1
    for h in listeners:
        assert b"one" in h.next_chunk()
    for h in listeners[1:]:
        h.close()
    assert proxy.publish("news", b"two") == 1
    assert b"two" in listeners[0].next_chunk()
    listeners[0].close()
    wait_until(lambda: proxy.pubsub_numsub("news") == [(b"news", 0)], "the end of the subscription")


def test_large_messages(shared, proxy):
    h, _ = listen(shared, "/SUBSCRIBE/news.raw")
    h.next_chunk()
    value = os.urandom(3 << 20)
    proxy.publish("news", value)
    assert h.next_chunk() == b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$%d\r\n%s\r\n" % (len(value), value)
    h.close()


def test_requests_before_it_are_answered_first(shared, proxy):
    with shared.http() as h:
        h.send_raw(b"GET /SET/k/v HTTP/1.1\r\n" + HOST + b"\r\nGET /GET/k HTTP/1.1\r\n" + HOST + b"\r\n")
        reply = h.open_stream("/SUBSCRIBE/news")
        assert reply.status == 200 and h._take(len('{"SET":[true,"OK"]}')) == b'{"SET":[true,"OK"]}'


def test_mistakes(shared, proxy):
    with shared.http() as h:
        assert h.get("/SUBSCRIBE").json["SUBSCRIBE"][0] is False
        assert h.request("HEAD", "/SUBSCRIBE/c").status == 405
        assert h.get("/PING").status == 200


def test_a_failover_is_not_noticed(cluster):
    h, _ = listen(cluster, "/SUBSCRIBE/news")
    ws = WebSocket(cluster.ports.http)
    h.next_chunk()
    assert ws("PSUBSCRIBE", "n*") == {"PSUBSCRIBE": ["psubscribe", "n*", 1]}
    old = cluster.master()
    cluster.kill(old)
    cluster.wait_master_is_not(old)
    client = cluster.proxy()
    wait_until(lambda: client.publish("news", b"again") == 2, "both are subscribed on the new master")
    assert json.loads(h.next_chunk()) == {"SUBSCRIBE": ["message", "news", "again"]}
    assert ws.next() == {"PSUBSCRIBE": ["pmessage", "n*", "news", "again"]}
    # and a planned one
    cluster.wait_agreed()
    cluster.cli("failover")
    client = cluster.proxy()
    wait_until(lambda: client.publish("news", b"planned") == 2, "both are subscribed on the next master")
    planned = next_but(lambda: json.loads(h.next_chunk()), {"SUBSCRIBE": ["message", "news", "again"]})
    assert planned == {"SUBSCRIBE": ["message", "news", "planned"]}
    planned = next_but(ws.next, {"PSUBSCRIBE": ["pmessage", "n*", "news", "again"]})
    assert planned == {"PSUBSCRIBE": ["pmessage", "n*", "news", "planned"]}
    h.close()
    ws.close()
    cluster.wait_agreed()


def next_but(get, again):
    """The next message that is not one of `again`, which came to who was there while the other was not yet."""
    while (got := get()) == again:
        pass
    return got


def is_over(s):
    established = 1
    return s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != established


def test_a_subscriber_that_stops_reading_is_dropped(cluster):
    client = cluster.proxy()
    good, _ = listen(cluster, "/SUBSCRIBE/news")
    good.next_chunk()
    bad = socket.create_connection(("127.0.0.1", cluster.ports.http), timeout=20)
    bad.sendall(b"GET /SUBSCRIBE/news HTTP/1.1\r\n" + HOST + b"\r\n")
    worse = WebSocket(cluster.ports.http)
    worse.send(["SUBSCRIBE", "news"])
    worse.next()
    wait_until(lambda: b'"news",1' in bad.recv(65536, socket.MSG_PEEK), "the subscription")

    def publish():
        client.publish("news", b"x" * 100_000)
        assert len(good.next_chunk()) > 100_000
        return is_over(bad) and is_over(worse.http.sock)

    wait_until(publish, "the end of those who do not read", 120)
    wait_until(lambda: "does not read" in cluster.log("http-1"), "a line in the log")
    good.close()
    bad.close()
    worse.close()


def test_a_stop_ends_it_properly(cluster):
    h, _ = listen(cluster, "/SUBSCRIBE/news")
    ws = WebSocket(cluster.ports.http)
    h.next_chunk()
    assert ws("SUBSCRIBE", "news") == {"SUBSCRIBE": ["subscribe", "news", 1]}
    pid = cluster.instance("http-1")["pid"]
    os.kill(pid, 15)
    cluster.deaths["http-1"] = 1
    assert h.next_chunk() == b""
    assert ws.closed_with() == 1001
    h.close()
    ws.close()
    cluster.wait_replaced("http-1", pid)
