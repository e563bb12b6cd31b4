"""What goes beyond Webdis: several commands in one request, transactions, errors as HTTP statuses, timeouts, users of Redis."""
import base64
import gzip
import json
import os
import re
import threading

import pytest

from harness import WebSocket, wait_until

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def proxy(shared):
    client = shared.proxy()
    client.flushall()
    return client


@pytest.fixture
def web(shared, proxy):
    with shared.http() as h:
        yield h


def post(web, doc, path="/", headers=None):
    body = doc if isinstance(doc, bytes) else json.dumps(doc)
    return web.request("POST", path, body, headers={**JSON, **(headers or {})})


# --- several commands ---

def test_one_command_as_json(web):
    assert post(web, ["SET", "k/ä", "v\0\n"]).json == {"SET": [True, "OK"]}
    reply = post(web, ["get", "k/ä"])
    assert reply.json == {"get": "v\0\n"} and reply.headers["content-type"] == "application/json" and "etag" in reply.headers
    assert post(web, ["HSET", "h", "f", 1, "g", 2.5], headers={"Content-Type": "application/json; charset=utf-8"}).json == {"HSET": 2}
    assert post(web, ["HGETALL", "h"]).json == {"HGETALL": {"f": "1", "g": "2.5"}}
    assert post(web, ["GET", "k/ä"], "/7").json == {"GET": None}
    # any bytes as {"base64":…}; numbers as they would be written
    assert post(web, ["SET", {"base64": "AP8="}, {"base64": "//4A"}]).json == {"SET": [True, "OK"]}
    assert web.get("/GET/%00%ff.bin").body == b"\xff\xfe\0"
    numbers = (b"19.99", b"0.1", b"-1.5", b"3", b"-9223372036854775808", b"0.30000000000000004", b"1e+300")
    assert post(web, b'["RPUSH","numbers",' + b",".join(numbers) + b"]").json == {"RPUSH": len(numbers)}
    assert web.get("/LRANGE/numbers/0/-1").json["LRANGE"] == [n.decode() for n in numbers]
    with WebSocket(web.port) as w:
        assert w("ECHO", 19.99) == {"ECHO": "19.99"}
        w.send_frame(w.TEXT, b'["ECHO",12345678901234567890]')
        assert "64 bits" in w.next()["message"]
    assert post(web, ["GET", "k/ä"], "/?enc=base64").json == {"GET": base64.b64encode(b"v\0\n").decode()}
    # without the type it is Webdis' body
    assert web.request("POST", "/", "GET/k%2f%c3%a4").json == {"GET": "v\0\n"}


def test_several_commands(web):
    reply = post(web, [["SET", "a", 1], ["INCR", "a"], ["NOSUCH"], ["LPUSH", "a", "x"], ["HGETALL", "none"], ["BLPOP", "none", 0.01], ["GET", "a"]])
    docs = reply.json
    assert reply.status == 200
    assert [docs[i] for i in (0, 1, 4, 5, 6)] == [{"SET": [True, "OK"]}, {"INCR": 2}, {"HGETALL": {}}, {"BLPOP": None}, {"GET": "2"}]
    assert docs[2]["NOSUCH"][1].startswith("ERR unknown command") and docs[3]["LPUSH"][1].startswith("WRONGTYPE")
    assert post(web, [["ECHO", n] for n in range(1000)]).json == [{"ECHO": str(n)} for n in range(1000)]
    value = os.urandom(1 << 20).hex()
    docs = post(web, [["SET", "big", value], ["GET", "big"], ["PING"]]).json
    assert docs == [{"SET": [True, "OK"]}, {"GET": value}, {"PING": [True, "PONG"]}]


def test_pipelined_with_others_in_order(web):
    body = json.dumps([["INCR", "n"], ["INCR", "n"]]).encode()
    one = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    get = b"GET /INCR/n HTTP/1.1\r\nHost: localhost\r\n\r\n"
    atomic = one.replace(b"POST / ", b"POST /MULTI ")
    web.send_raw(one + get + atomic + get + one)
    replies = [web.reply().json for _ in range(5)]
    assert replies == [[{"INCR": 1}, {"INCR": 2}], {"INCR": 3}, [{"INCR": 4}, {"INCR": 5}], {"INCR": 6}, [{"INCR": 7}, {"INCR": 8}]]


@pytest.mark.parametrize("path", ["/MULTI", "/?atomic=1", "/3?atomic=1", "/3/MULTI", "/3/multi?status=0"])
def test_transactions(web, proxy, path):
    docs = post(web, [["SET", "a", "x"], ["LPUSH", "a", "y"], ["HSET", "h", "f", "v"], ["HGETALL", "h"], ["GET", "a"]], path).json
    assert [docs[i] for i in (0, 2, 3, 4)] == [{"SET": "OK"}, {"HSET": 1}, {"HGETALL": {"f": "v"}}, {"GET": "x"}] or \
           [docs[i] for i in (0, 2, 3, 4)] == [{"SET": [True, "OK"]}, {"HSET": 1}, {"HGETALL": {"f": "v"}}, {"GET": "x"}]
    assert docs[1]["LPUSH"][1].startswith("WRONGTYPE")
    # one that cannot be queued: nothing happens
    docs = post(web, [["SET", "a", "z"], ["GET"], ["SET", "b", "z"]], path).json
    assert docs[0]["SET"][1].startswith("EXECABORT") and docs[1]["GET"][1].startswith("ERR wrong number") and docs[2]["SET"][0] is False
    assert web.get("/3/GET/a" if path.startswith("/3") else "/GET/a").json == {"GET": "x"}
    # of one
    assert len(post(web, ["INCR", "n"], path).json) == 1


def test_nobody_comes_between(shared, proxy):
    proxy.set("n", 0)
    odd = []

    def add():
        with shared.http() as h:
            for _ in range(50):
                docs = post(h, [["INCR", "n"]] * 10, "/MULTI").json
                numbers = [d["INCR"] for d in docs]
                if numbers != list(range(numbers[0], numbers[0] + 10)):
                    odd.append(numbers)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not odd and proxy.get("n") == b"2000"


@pytest.mark.parametrize("body, said", [
    (b"nonsense", "no JSON"), (b"{}", "array"), (b"[]", "array"), (b'"PING"', "no JSON"), (b"[[]]", "array"), (b'[["GET",null]]', "strings"),
    (b'[["GET","k"],"PING"]', "strings"), (b'["GET",{"a":1}]', "strings"), (b'["ECHO","\xff"]', "no JSON"), (b"[" * 5000, "no JSON"),
    (json.dumps([["PING"]] * 1001).encode(), "1000"), (b'["ECHO",12345678901234567890]', "64 bits"), (b'[["SUBSCRIBE","c"]]', "subscription"),
])
def test_bodies_that_are_none(web, body, said):
    reply = post(web, body)
    assert reply.status == 400 and said in reply.json["error"], reply
    assert web.get("/PING").status == 200


def test_refused_commands_refuse_all_of_it(web, proxy):
    assert post(web, [["SET", "k", "v"], ["SHUTDOWN"]]).status == 403
    assert post(web, [["SET", "k", "v"], ["MULTI"]]).status == 403
    assert not proxy.exists("k")


def test_refusals_say_what_to_do_instead(web, proxy):
    for path, said in (("/MULTI", "POST its commands to /MULTI"), ("/EXEC", "/MULTI"), ("/WATCH/k", "WebSocket"), ("/SELECT/3", "/3/GET/key"),
                       ("/AUTH/x", "http.redis_users"), ("/HELLO/3", "HTTP Basic"), ("/QUIT", "connect to the proxy")):
        reply = web.get(path)
        assert reply.status == 403 and said in reply.json["error"], path
    # JSON without its type was taken for the name of a command
    for path in ("/MULTI", "/", "/3"):
        for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
            reply = web.request("POST", path, b'[["SET","k","v"],["GET","k"]]', headers=headers)
            assert reply.status == 400 and "Content-Type: application/json" in reply.json["error"], (path, headers)
    assert post(web, ["GET", "k"], "/GET/k").status == 400 and "/N/MULTI" in post(web, ["GET", "k"], "/MULTI.msg").json["error"]
    assert post(web, ["PING"], "/65536/MULTI").status == 400 and post(web, ["PING"], "/3x/MULTI").status == 400
    assert not proxy.exists("k")


# --- statuses and timeouts ---

def test_errors_as_statuses(web, proxy):
    web.get("/SET/k/v")
    for path, status in (("/GET/k", 200), ("/GET/none", 404), ("/HGETALL/none", 200), ("/LPUSH/k/x", 409), ("/NOSUCH", 400), ("/SET/k", 400),
                         ("/EVALSHA/0000000000000000000000000000000000000000/0", 404), ("/XREADGROUP/GROUP/g/c/STREAMS/s/0", 404),
                         ("/GET/none.raw", 404), ("/GET/none.txt", 404), ("/LPUSH/k/x.raw", 409)):
        assert web.get(path + "?status=1").status == status, path
    reply = web.get("/GET/none?status=1")
    assert reply.json == {"GET": None} and "etag" not in reply.headers
    assert web.get("/LPUSH/k/x?status=0").status == 200
    assert web.get("/LPUSH/k/x?status=maybe").status == 400
    proxy.config_set("maxmemory", 1)
    try:
        assert web.get("/SET/k/v?status=1").status == 507
    finally:
        proxy.config_set("maxmemory", 0)


def test_errors_of_several_commands_as_statuses(web, proxy):
    reply = post(web, [["SET", "k", "v"], ["GET", "none"], ["LPUSH", "k", "x"], ["NOSUCH"]], "/?status=1")
    docs = reply.json
    assert reply.status == 207 and "etag" not in reply.headers
    assert docs[:2] == [{"SET": [True, "OK"], "status": 200}, {"GET": None, "status": 404}]
    assert [d["status"] for d in docs[2:]] == [409, 400] and docs[2]["LPUSH"][1].startswith("WRONGTYPE")
    # the one that all have is that of the whole
    for commands, status in (([["GET", "k"], ["PING"]], 200), ([["GET", "a"], ["GET", "b"]], 404), ([["LPUSH", "k", 1]], 409)):
        reply = post(web, commands, "/?status=1")
        assert (reply.status, {d["status"] for d in reply.json}) == (status, {status})
    # one command alone is answered as by GET
    reply = post(web, ["GET", "none"], "/?status=1")
    assert reply.status == 404 and reply.json == {"GET": None}
    # a transaction: its commands one by one, or nothing of it
    reply = post(web, [["GET", "k"], ["LPUSH", "k", "x"]], "/MULTI?status=1")
    assert reply.status == 207 and [d["status"] for d in reply.json] == [200, 409]
    reply = post(web, [["SET", "k", "w"], ["GET"]], "/MULTI?status=1")
    assert reply.status == 409 and [d["status"] for d in reply.json] == [409, 400] and proxy.get("k") == b"v"
    # and without the wish all is as it was
    assert post(web, [["GET", "none"], ["PING"]]).json == [{"GET": None}, {"PING": [True, "PONG"]}]


def test_timeouts(shared, web, proxy):
    reply = web.get("/BLPOP/none/0?timeout_ms=100")
    assert reply.status == 504 and "timeout_ms" in reply.json["error"]
    # the server waits for nobody any more
    wait_until(lambda: proxy.info("clients")["blocked_clients"] == 0, "nobody blocks")
    assert web.get("/RPUSH/none/x").json == {"RPUSH": 1}
    assert web.get("/BLPOP/none/0?timeout_ms=20000").json == {"BLPOP": ["none", "x"]}
    # behind it all goes on, in order
    web.send_raw(b"".join(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % p for p in (
        b"/INCR/n", b"/BLPOP/none/0?timeout_ms=100", b"/INCR/n", b"/BLPOP/none/0?timeout_ms=50", b"/INCR/n")))
    assert [web.reply().status for _ in range(5)] == [200, 504, 200, 504, 200]
    assert proxy.get("n") == b"3"
    for bad in ("0", "x", "-1", "3600001"):
        assert web.get(f"/PING?timeout_ms={bad}").status == 400
    assert post(web, [["PING"], ["BLPOP", "none", 0]], "/?timeout_ms=100").status == 504


def test_put_with_arguments_behind_the_body(web, proxy):
    assert web.request("PUT", "/SET/k?args=EX/60", b"a/b%").json == {"SET": [True, "OK"]}
    assert proxy.get("k") == b"a/b%" and 0 < proxy.ttl("k") <= 60
    value = os.urandom(200_000)
    assert web.request("PUT", "/SET/k?args=KEEPTTL/GET", value).json["SET"]
    assert proxy.get("k") == value and proxy.ttl("k") > 0
    assert web.request("PUT", "/SET/k?args=%zz", b"x").status == 400
    # where there is no body they stand in the path: they are not ignored
    for method, path, body in (("GET", "/SET/k/v?args=EX/60", None), ("POST", "/?args=EX/60", b"SET/k/v"), ("POST", "/SET/k/v?args=EX/60", None)):
        reply = web.request(method, path, body)
        assert reply.status == 400 and "PUT" in reply.json["error"], (method, path)
    assert proxy.get("k") == value
    # and what has no meaning is, as by Webdis: caches are got past with it
    assert web.request("PUT", "/SET/k?ex=60&_=123", b"x").json == {"SET": [True, "OK"]} and proxy.ttl("k") == -1
    assert web.get("/GET/k?_=124").json == {"GET": "x"}


def test_ranges(web, proxy):
    value = bytes(range(256)) * 10
    web.request("PUT", "/SET/k", value)
    tag = web.get("/GET/k.bin").headers["etag"]
    for asked, got, said in (("0-0", value[:1], "0-0"), ("10-19", value[10:20], "10-19"), ("2550-", value[2550:], "2550-2559"),
                             ("-5", value[-5:], "2555-2559"), ("-9999", value, "0-2559"), ("5-99999", value[5:], "5-2559")):
        reply = web.get("/GET/k.bin", headers={"Range": f"bytes={asked}"})
        assert (reply.status, reply.body, reply.headers["content-range"]) == (206, got, f"bytes {said}/2560"), asked
        assert (reply.headers["etag"], reply.headers["accept-ranges"]) == (tag, "bytes")
    for asked in ("2560-", "9-5", "-0"):
        reply = web.get("/GET/k.bin", headers={"Range": f"bytes={asked}"})
        assert (reply.status, reply.headers["content-range"], reply.headers["accept-ranges"]) == (416, "bytes */2560", "bytes"), asked
    for asked in ("bytes=0-1,5-6", "lines=0-1", "bytes=x-1", "bytes=", "bytes=-"):
        assert web.get("/GET/k.bin", headers={"Range": asked}).status == 200
    # part of the value that a client has begun with; of another one it gets the whole
    assert web.get("/GET/k.bin", headers={"Range": "bytes=0-1", "If-Range": tag}).body == value[:2]
    for other in ('"%s"' % ("0" * 32), "W/" + tag, '"x"', "Sun, 06 Nov 1994 08:49:37 GMT"):
        reply = web.get("/GET/k.bin", headers={"Range": "bytes=0-1", "If-Range": other})
        assert (reply.status, reply.body) == (200, value), other
    assert web.get("/GET/k.bin", headers={"Range": "bytes=0-1", "If-None-Match": tag}).status == 304
    assert web.get("/GET/k", headers={"Range": "bytes=0-1"}).status == 200
    assert web.get("/GET/none.bin", headers={"Range": "bytes=0-1"}).status == 404
    big = os.urandom(3 << 20)
    web.request("PUT", "/SET/k", big)
    assert web.get("/GET/k.bin", headers={"Range": "bytes=2000000-2999999"}).body == big[2000000:3000000]


def test_whose_parts_can_be_asked_for(web, proxy):
    """Accept-Ranges stands where a Range would be heeded (RFC 9110 section 14.3)."""
    proxy.set("k", "text " * 1000)
    proxy.rpush("l", "long value", "b")
    for method, path in (("GET", "/GET/k.txt"), ("HEAD", "/GET/k.bin"), ("GET", "/GET/k?type=video/mp4"), ("GET", "/LRANGE/l/0/-1.txt")):
        assert web.request(method, path).headers.get("accept-ranges") == "bytes", (method, path)
    for method, path, headers in (("GET", "/GET/k", {}), ("GET", "/GET/k.raw", {}), ("GET", "/GET/none.txt", {}), ("GET", "/SET/x/y.txt", {}),
                                  ("GET", "/GET/k.txt", {"Accept-Encoding": "gzip"}), ("GET", "/healthz", {})):
        assert "accept-ranges" not in web.request(method, path, headers=headers).headers, (method, path)
    # what a command takes away comes whole
    reply = web.get("/LPOP/l.txt", headers={"Range": "bytes=0-1"})
    assert (reply.status, reply.body) == (200, b"long value")


def test_gzip(web, proxy):
    value = "text " * 1000
    proxy.set("k", value)
    proxy.set("small", "x")
    zipped = {"Accept-Encoding": "br, gzip;q=0.8"}
    plain = web.get("/GET/k")
    reply = web.get("/GET/k", headers=zipped)
    assert reply.headers["content-encoding"] == "gzip" and reply.headers["vary"] == "Accept-Encoding" and len(reply.body) < len(value) / 10
    assert gzip.decompress(reply.body) == plain.body and reply.headers["etag"] == "W/" + plain.headers["etag"]
    for tag in (plain.headers["etag"], reply.headers["etag"]):
        assert web.get("/GET/k", headers={**zipped, "If-None-Match": tag}).status == 304
    assert gzip.decompress(web.get("/GET/k.txt", headers=zipped).body).decode() == value
    for path, headers in (("/GET/k.png", zipped), ("/GET/k.raw", zipped), ("/GET/small", zipped), ("/GET/k", {"Accept-Encoding": "gzip;q=0"}),
                          ("/GET/k", {"Accept-Encoding": "gzip;q=0.0, br"}), ("/GET/k", {"Accept-Encoding": "xgzip"})):
        assert "content-encoding" not in web.get(path, headers=headers).headers, (path, headers)
    assert web.get("/GET/k.txt", headers={**zipped, "Range": "bytes=0-3"}).body == b"text"
    big = os.urandom(1 << 20).hex()
    proxy.set("k", big)
    assert json.loads(gzip.decompress(web.get("/GET/k", headers=zipped).body)) == {"GET": big}
    assert gzip.decompress(post(web, [["GET", "k"]] * 3, headers=zipped).body).count(big.encode()) == 3


# --- streams as events ---

EVENTS = {"Accept": "text/event-stream"}


def entries(h, count):
    """(id, entry) of the next events; comments are passed over."""
    found = []
    while len(found) < count:
        lines = h.next_chunk().decode().split("\n")
        if lines[0].startswith("id: "):
            found.append((lines[0][4:], json.loads(lines[1][6:])))
    return found


def test_a_stream_as_events(shared, proxy):
    proxy.xadd("s", {"f": "old\n"}, id="1-1")
    with shared.http() as h, shared.http() as from_now:
        assert h.open_stream("/XREAD/STREAMS/s/0", EVENTS).headers["content-type"] == "text/event-stream"
        assert entries(h, 1) == [("1-1", {"id": "1-1", "msg": {"f": "old\n"}})]
        from_now.open_stream("/XREAD/BLOCK/0/STREAMS/s/$", EVENTS)
        for n in range(2, 400):
            proxy.xadd("s", {"n": n}, id=f"{n}-0")
        assert [i for i, _ in entries(h, 398)] == [f"{n}-0" for n in range(2, 400)]
        assert entries(from_now, 398)[-1] == ("399-0", {"id": "399-0", "msg": {"n": "399"}})
    # a browser that comes again says where it was
    with shared.http() as h:
        h.open_stream("/XREAD/STREAMS/s/$", {**EVENTS, "Last-Event-ID": "397-0"})
        assert [i for i, _ in entries(h, 2)] == ["398-0", "399-0"]
    with shared.http() as h:
        h.open_stream("/XREAD/STREAMS/s/$?enc=base64", {**EVENTS, "Last-Event-ID": "398-0"})
        assert entries(h, 1)[0][1]["msg"] == {"bg==": "Mzk5"}
    with shared.http() as h:
        proxy.set("k", "v")
        assert h.get("/XREAD/STREAMS/k/0", headers=EVENTS).json["XREAD"][1].startswith("WRONGTYPE")
        assert h.get("/GET/k", headers=EVENTS).json == {"GET": "v"}
    wait_until(lambda: proxy.info("clients")["blocked_clients"] == 0, "nobody waits on the server")


def test_a_stream_over_a_failover(cluster):
    client = cluster.proxy()
    client.xadd("s", {"n": 0}, id="1-0")
    with cluster.http() as h:
        h.open_stream("/XREAD/STREAMS/s/0", EVENTS)
        assert entries(h, 1)[0][0] == "1-0"
        wait_until(lambda: client.wait(2, 1000) == 2, "both replicas have it")
        old = cluster.master()
        cluster.kill(old)
        cluster.wait_master_is_not(old)
        client.xadd("s", {"n": 1}, id="2-0")
        assert entries(h, 1)[0][0] == "2-0"
        cluster.wait_agreed()
        pid = cluster.instance("http-1")["pid"]
        os.kill(pid, 15)
        cluster.deaths["http-1"] = 1
        while (chunk := h.next_chunk()) == b":\n\n":  # now and then, while there is nothing to tell
            pass
        assert chunk == b""
    cluster.wait_replaced("http-1", pid)


# --- users of Redis ---

def login(user, password, scheme="Basic"):
    return {"Authorization": f"{scheme} " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_users_of_redis(make_cluster):
    cluster = make_cluster(options={"http.redis_users": "yes", "acl-own.user": "own", "acl-own.password": "pw", "acl-own.enabled": "*"}).start()
    for client in (cluster.redis(i["name"]) for i in cluster.instances("redis")):
        client.acl_setuser("ann", enabled=True, passwords=["+secret"], keys=["ann:*"], channels=["ann:*"], categories=["+@all"])
    ann, wrong = login("ann", "secret"), login("ann", "guess")
    with cluster.http() as h:
        for who in (ann, login("ann", "secret", "Bearer")):
            assert h.get("/ACL/WHOAMI", headers=who).json == {"ACL": "ann"}
        assert h.get("/SET/ann:k/v", headers=ann).json == {"SET": [True, "OK"]}
        assert h.get("/SET/k/v", headers=ann).json["SET"][1].startswith("NOPERM")
        assert h.get("/SET/k/v?status=1", headers=ann).status == 403
        reply = h.get("/GET/ann:k?status=1", headers=wrong)
        assert reply.status == 401 and reply.headers["www-authenticate"].startswith("Basic")
        assert h.get("/ACL/WHOAMI").json == {"ACL": "default"}
        # who meant to be somebody is not taken for nobody
        for odd in ("Bearer rubbish", "Basic " + base64.b64encode(b"nobody").decode(), "Basic " + base64.b64encode(b":secret").decode(), "Digest x", "ann"):
            reply = h.get("/ACL/WHOAMI", headers={"Authorization": odd})
            assert reply.status == 401 and "base64" in reply.json["error"] and "www-authenticate" in reply.headers, odd
        assert h.get("/ACL/WHOAMI", headers=login("own", "pw")).json == {"ACL": "default"}
        assert post(h, [["SET", "ann:k", "w"], ["GET", "other"]], "/MULTI", ann).json[1]["GET"][1].startswith("NOPERM")
        assert h.get("/2/ACL/WHOAMI", headers=ann).json == {"ACL": "ann"}
        reply = h.get("/SUBSCRIBE/other", headers=ann)
        assert reply.json["SUBSCRIBE"][1].startswith("NOPERM")
    with WebSocket(cluster.ports.http, headers=ann) as w:
        assert w("ACL", "WHOAMI") == {"ACL": "ann"}
        assert w("SET", "k", "v")["SET"][1].startswith("NOPERM")
        assert w("SUBSCRIBE", "ann:c") == {"SUBSCRIBE": ["subscribe", "ann:c", 1]}
        assert w("MULTI") == {"MULTI": [True, "OK"]}
        assert w("EXEC") == {"EXEC": []}
    with WebSocket(cluster.ports.http, headers=wrong) as w:
        assert w("SUBSCRIBE", "c")["SUBSCRIBE"][1].startswith("WRONGPASS")
    assert "secret" not in cluster.log("http-1") and "guess" not in cluster.log("http-1")


# --- the access log ---

def test_access_log(make_cluster):
    cluster = make_cluster()
    path = cluster.case / "access.log"
    cluster.options.update({"http.access_log": path, "acl-x.disabled": "DEL"})
    cluster.write_options()
    cluster.start()
    with cluster.http() as h:
        h.get("/SET/secret-key/secret-value")
        h.get("/GET/none.txt")
        h.get("/DEL/secret-key")
        h.get("/healthz")
        h.request("PUT", "/APPEND/secret-key", b"x" * 200_000)
        h.get("/NoSuchCommand/secret-key")
        h.send_raw(b"GET /%zz HTTP/1.0\r\n\r\n")
        h.reply()
    with WebSocket(cluster.ports.http) as w:
        w("GET", "secret-key")
        w("DEL", "secret-key")

    def lines(count):
        text = path.read_text()
        return text.splitlines() if text.count("\n") >= count else None

    found = wait_until(lambda: lines(10), "ten lines")
    assert [re.fullmatch(r'127\.0\.0\.1 - - \[../.../.{4}:..:..:.. \+....\] (.*)', line).group(1) for line in found] == [
        '"GET /SET HTTP/1.1" 200 19', '"GET /GET HTTP/1.1" 404 0', f'"GET /DEL HTTP/1.1" 403 {len(forbidden(cluster))}',
        re.search(r'"GET /healthz HTTP/1.1" 200 \d+', found[3]).group(0), '"PUT /APPEND HTTP/1.1" 200 17',
        re.search(r'"GET /- HTTP/1.1" 200 \d+', found[5]).group(0), re.search(r'"GET /- HTTP/1.0" 400 \d+', found[6]).group(0),
        '"GET /- HTTP/1.1" 101 0', re.search(r'"WS /GET HTTP/1.1" 200 \d+', found[8]).group(0), '"WS /DEL HTTP/1.1" 403 0']
    # rotated: a reload opens it anew, here in the other format
    path.rename(cluster.case / "access.log.1")
    cluster.options["http.access_format"] = "json"
    cluster.write_options()
    cluster.cli("reload")
    wait_until(path.exists, "the new file")
    with cluster.http() as h:
        h.get("/GET/none")
        h.open_stream("/SUBSCRIBE/c")
        h.next_chunk()
    first, second = (json.loads(line) for line in wait_until(lambda: lines(2), "two lines"))
    assert (first["method"], first["command"], first["status"], first["bytes"], first["client"]) == ("GET", "GET", 200, 12, "127.0.0.1")
    assert first["us"] > 0 and first["time"].endswith("Z") and second["command"] == "SUBSCRIBE"
    assert "secret" not in path.read_text() + (cluster.case / "access.log.1").read_text()


def forbidden(cluster):
    with cluster.http() as h:
        return h.get("/DEL/x").body


# --- the master goes away ---

def test_a_transaction_over_a_failover(cluster):
    sums, stop = [], threading.Event()

    def ask():
        with cluster.http() as h:
            while not stop.is_set():
                sums.append(post(h, [["INCR", "a"], ["INCR", "b"]], "/MULTI"))

    asker = threading.Thread(target=ask)
    asker.start()
    wait_until(lambda: len(sums) > 20, "transactions")
    old = cluster.master()
    cluster.kill(old)
    cluster.wait_master_is_not(old)
    after = len(sums)
    wait_until(lambda: len(sums) > after + 20, "transactions after the failover")
    cluster.wait_agreed()
    cluster.cli("failover")
    after = len(sums)
    wait_until(lambda: len(sums) > after + 20, "transactions after the planned one")
    stop.set()
    asker.join()
    # What was on its way when the master died: as a whole, or told for each command ([false, text]).
    told = [r for r in sums if r.status == 200 and any(isinstance(v, list) for d in r.json for v in d.values())]
    odd = [r for r in sums if r.status != 200]
    assert len(odd) + len(told) <= 1 and all(r.status == 502 for r in odd), odd + told
    assert all(isinstance(v, list) for r in told for d in r.json for v in d.values()), "half of a transaction"
    assert all(len({next(iter(d.values())) for d in r.json}) == 1 for r in sums if r.status == 200 and r not in told), "half of a transaction"
    client = cluster.proxy()
    assert client.get("a") == client.get("b")
    cluster.wait_agreed()


def test_a_transaction_that_the_old_master_refuses_begins_anew(cluster):
    master = cluster.redis(cluster.master())
    answers = []

    def ask():
        with cluster.http() as h:
            answers.append(post(h, [["SET", "k", "v"], ["GET", "k"]], "/MULTI"))

    master.execute_command("CLIENT", "PAUSE", 60000, "WRITE")
    asker = threading.Thread(target=ask)
    asker.start()
    wait_until(lambda: any("x" in c["flags"] for c in master.client_list()), "the transaction waits behind the pause")
    # as in the midst of a switchover: what comes to its turn finds a replica
    master.execute_command("REPLICAOF", "127.0.0.1", "1")
    master.execute_command("CLIENT", "UNPAUSE")
    wait_until(lambda: "errorstat_EXECABORT" in master.info("errorstats"), "EXEC was refused")
    master.execute_command("REPLICAOF", "NO", "ONE")
    asker.join(30)
    assert answers and answers[0].json == [{"SET": [True, "OK"]}, {"GET": "v"}], answers
