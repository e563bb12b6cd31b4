"""
Debian's webdis and our HTTP front end, asked the same on the same master: status, content type, body, ETag. Left out, and
said so, where webdis is not installed.
"""
import json
import re
import shutil

import pytest

from harness import Http, wait_until

WEBDIS = shutil.which("webdis")
pytestmark = pytest.mark.skipif(WEBDIS is None, reason="webdis is not installed (Debian: webdis): answers are not compared with it")

# In order; each goes on from the one before it. Debian builds webdis without MessagePack.
SAME = [
    "/SET/hello/world", "/GET/hello", "/get/hello", "/GET/none", "/INCR/n", "/DECRBY/n/5", "/TYPE/hello", "/EXISTS/hello",
    "/RPUSH/l/a%2fb/c+d/%2e/%3f", "/LRANGE/l/0/-1", "/LRANGE/none/0/-1", "/LLEN/l", "/LPOP/hello", "/NOSUCH/x",
    "/HSET/h/f/v", "/HGETALL/h", "/HGETALL/none", "/HKEYS/h", "/HMGET/h/f/g", "/SADD/s/x", "/SMEMBERS/s", "/ZADD/z/1.5/m",
    "/ZRANGE/z/0/-1/WITHSCORES", "/GET/hello.txt", "/GET/hello.html", "/GET/hello.xhtml", "/GET/hello.xml", "/GET/hello.png",
    "/GET/hello.jpg", "/GET/hello.jpeg", "/GET/hello.js", "/GET/hello.json", "/GET/hello.css", "/GET/hello.raw",
    "/GET/none.raw", "/LRANGE/l/0/-1.raw", "/INCR/n.raw", "/NOSUCH.raw", "/SET/hello/w.raw", "/LRANGE/l/0/-1.txt", "/INCR/n.txt",
    "/SET/hello/world.txt", "/NOSUCH.txt", "/GET/hello?type=application/pdf", "/GET/hello?jsonp=fn", "/GET/hello?callback=fn",
    "/GET/hello.js?jsonp=fn", "/7/SET/seven/x", "/7/GET/seven", "/GET/seven",
    "/SET/quoted/%22%5c%0a%c3%a4", "/GET/quoted", "/GET/quoted.txt", "/ECHO/a.b", "/ECHO/.x", "/GET/hello.unknown",
]


@pytest.fixture(scope="module")
def pair(_shared, tmp_path_factory):
    """(ours, webdis) as ports, both in front of the same master."""
    folder = tmp_path_factory.mktemp("webdis")
    master = _shared.port(_shared.master())
    port = _shared.ports.extra
    conf = folder / "webdis.json"
    conf.write_text(json.dumps({
        "redis_host": "127.0.0.1", "redis_port": master, "http_host": "127.0.0.1", "http_port": port, "threads": 1, "daemonize": False,
        "websockets": True, "database": 0, "acl": [{"disabled": ["DEBUG"]}], "verbosity": 2, "logfile": str(folder / "log")}))
    run = _shared.spawn(WEBDIS, conf, label="webdis")

    def answers():
        with Http(port) as h:
            return h.get("/PING").status == 200

    wait_until(answers, "webdis answers", ignore=(OSError,))
    yield _shared.ports.http, port
    run.signal(15)
    run.wait()


def essence(reply):
    kind = re.sub(r";.*", "", reply.headers.get("content-type", ""))
    return reply.status, kind, reply.body, reply.headers.get("etag")


def test_the_same_answers(pair, shared):
    ours, theirs = pair
    differ = []
    for port in (theirs, ours):
        shared.redis(shared.master()).flushall()
        with Http(port) as h:
            answers = [essence(h.get(path)) for path in SAME]
        if port == theirs:
            expected = answers
    for path, want, got in zip(SAME, expected, answers):
        if want != got:
            differ.append(f"{path}: webdis {want}, we {got}")
    assert not differ, "\n".join(differ)
