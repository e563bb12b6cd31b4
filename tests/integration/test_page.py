"""The operator's page in a real browser: scenarios of tests/browser against a real cluster, driven and answered from here."""
import gzip
import os
import re
import signal
import struct
import time
import zlib
from pathlib import Path

import pytest

from browser import has_page, missing, prepare, scenario
from harness import Http, wait_until

pytestmark = pytest.mark.xdist_group("page")

EVIL_LOG = "<img src=x onerror=window.__xss=1>"


@pytest.fixture(scope="module")
def scripts():
    """tests/browser with its one package beside it."""
    return prepare()


@pytest.fixture(scope="module")
def _page_cluster(_shared_cases):
    c = _shared_cases(options={"sentinel.down_after_ms": 20000, "redis.config.enable-debug-command": "local", "redis.config.save": '""'}).start()
    if not has_page(c):
        missing("this build has no page (configure --disable-ui)")
    return c


@pytest.fixture
def watched(_page_cluster):
    _page_cluster.wait_ready()
    return _page_cluster


def png():
    """8 by 8, one colour."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = zlib.compress(b"".join(b"\0" + b"\x20\x80\x80" * 8 for _ in range(8)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def value_of(client, key):
    kind = client.type(key).decode()
    out = {"type": kind, "ttl": client.ttl(key)}
    if kind == "string":
        raw = client.get(key)
        out.update(hex=raw.hex(), text=raw.decode(errors="replace"))
    elif kind == "hash":
        out["map"] = {k.hex(): v.hex() for k, v in client.hgetall(key).items()}
    elif kind == "zset":
        out["map"] = {k.hex(): v for k, v in client.zrange(key, 0, -1, withscores=True)}
    elif kind == "list":
        out["length"] = client.llen(key)
    elif kind == "set":
        out["length"] = client.scard(key)
    return out


def state_of(cluster):
    return {"master": cluster.master(), "keys": cluster.proxy().dbsize()}


def test_the_files_of_the_page(watched):
    with Http(watched.ports.http) as h:
        moved = h.request("GET", "/ui")
        assert (moved.status, moved.headers["location"]) == (302, "/ui/")
        index = h.request("GET", "/ui/")
        assert index.status == 200 and index.headers["cache-control"] == "no-cache" and index.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in index.headers["content-security-policy"] and "unsafe" not in index.headers["content-security-policy"]
        assert h.request("GET", "/ui/", headers={"If-None-Match": index.headers["etag"]}).status == 304
        names = re.findall(r'"([\w.-]+-[0-9a-f]{10}\.(?:js|css|svg))"', index.body.decode())
        assert sorted(n.rsplit(".")[-1] for n in names) == ["css", "js", "svg"]
        weight = len(h.request("GET", "/ui/", headers={"Accept-Encoding": "gzip"}).body)
        for name in names:
            packed = h.request("GET", f"/ui/{name}", headers={"Accept-Encoding": "gzip"})
            assert packed.status == 200 and "immutable" in packed.headers["cache-control"] and packed.headers["content-encoding"] == "gzip"
            plain = h.request("GET", f"/ui/{name}")
            assert plain.body == gzip.decompress(packed.body) and "content-encoding" not in plain.headers
            assert h.request("HEAD", f"/ui/{name}").headers["content-length"] == str(len(plain.body))
            weight += len(packed.body)
        assert weight <= 120 * 1024, "the page is for a person on call, perhaps on a phone"
        for path in ("/ui/none", "/ui/../healthz", "/ui/%2e%2e/etc", "/ui/index.html/", "/ui//"):
            assert h.request("GET", path).status == 404, path
        assert h.request("POST", "/ui/", "x").status == 405


def test_every_view(scripts, watched, measured):
    client = watched.proxy()
    client.flushall()
    for i in range(1, 40):
        client.hset(f"user:{i}", mapping={"name": f"Zoë {i}", "visits": i})
    for i in range(60):
        client.zadd(f"loose:{i}", {f"m{k}": k for k in range(200)})
    with watched.proxy(db=3) as three:
        three.mset({"odd[1]:a": 1, "odd[1]:b": 2})
    load = watched.load(writers=2, pace_s=0.02)
    application = watched.proxy()

    def closed(_):
        # redis-py connects anew by itself, without the name
        wait_until(lambda: application.client_getname() is None, "the connection was closed")

    try:
        figures = scenario(scripts, "views", watched, {
            "client": lambda _: application.client_setname("an-application") and None,
            "client-closed": closed,
            "state": lambda _: state_of(watched),
            "load": lambda _: load.start() and None,
            "subscribed": lambda _: wait_until(lambda: client.execute_command("PUBSUB", "NUMPAT"), "the page listens") and None,
        })
    finally:
        load.stop()
        watched.redis(watched.master()).config_set("slowlog-log-slower-than", 10000)
    measured(f"time to the first picture of the page: {figures['first_picture_ms']} ms")


def test_values_are_changed_byte_for_byte_and_never_taken_for_markup(scripts, watched):
    client = watched.proxy()
    client.flushall()
    client.set("edit:json", '{"n":9007199254740993,"list":[1.0,true,null]}', ex=5000)
    client.set("edit:bytes", bytes(range(256)))
    client.set("edit:text", "ours")
    client.set("edit:png", png())
    client.set("edit:msgpack", b"\x82\xa1a\x01\xa1b\xc4\x02\xff\x00")
    client.hset("edit:hash", mapping={"a": "1"})
    client.hset("edit:many", mapping={f"field {i}": i for i in range(700)})
    for i in range(60):
        fat = f"{i}:" + "x" * 400000
        client.rpush("fat:list", fat)
        client.hset("fat:hash", f"field {i}", fat)
        client.zadd("fat:zset", {fat: i})
        client.xadd("fat:stream", {"fat": fat})
    client.rpush("edit:list", *[f"job {i}" for i in range(250)])
    client.sadd("edit:set", "x", "y")
    client.zadd("edit:zset", {"p": 1, "q": 2})
    for i in range(10):
        client.xadd("edit:stream", {"n": i})
    client.xgroup_create("edit:stream", "billing", 0)
    client.xreadgroup("billing", "one", {"edit:stream": ">"}, count=5)
    for i in range(300):
        client.set(f"bulk:{i}", os.urandom(8), ex=5000)

    def evil(message):
        text = message["text"]
        client.hset(text, mapping={text: text})
        client.sadd(f"set:{text}", text)
        master = watched.redis(watched.master())
        master.execute_command("CLIENT", "SETNAME", text.replace(" ", "_"))
        master.config_set("slowlog-log-slower-than", 0)
        master.execute_command("ECHO", text)
        master.config_set("slowlog-log-slower-than", 10000)
        client.xadd(f"stream:{text}", {text: text})
        client.xgroup_create(f"stream:{text}", text, 0)
        client.xreadgroup(text, text, {f"stream:{text}": ">"})
        master.execute_command("ACL", "SETUSER", EVIL_LOG.replace(" ", "/"), "on", ">secret", "~*", "+@all")
        # a line of a server's log: what the page shows of it is text, too
        master.execute_command("DEBUG", "LOG", EVIL_LOG)
        return {"master": watched.master()}

    def say(message):
        wait_until(lambda: client.execute_command("PUBSUB", "NUMPAT") or not message["heard"], "the page listens")
        client.set("said", message["text"])
        client.publish(message["text"], message["text"])

    scenario(scripts, "edit", watched, {
        "value": lambda m: value_of(client, m["key"]),
        "set": lambda m: client.set(m["key"], m["to"]) and None,
        "count": lambda m: {"n": sum(1 for _ in client.scan_iter(m["match"], count=1000))},
        "evil": evil,
        "say": say,
    })
    watched.redis(watched.master()).execute_command("ACL", "DELUSER", EVIL_LOG.replace(" ", "/"))
    client.flushall()


def test_what_modules_and_later_servers_answer(scripts, watched):
    """JSON, time series, fields that expire: no server here has them, so their answers are canned."""
    scenario(scripts, "canned", watched, {})


@pytest.mark.long
def test_a_million_keys(scripts, watched, measured):
    master = watched.redis(watched.master())
    master.flushall()
    for i in range(1000):
        master.set(f"few:{i}", i)
    master.execute_command("DEBUG", "POPULATE", 1000000, "many", 8)
    master.config_resetstat()

    def cost(_):
        s = master.info("commandstats")["cmdstat_scan"]
        return {"text": f"{s['calls']} SCANs, {s['usec_per_call']:.0f} us each on the server"}

    figures = scenario(scripts, "million", watched, {"scan-cost": cost})
    measured(f"a million keys in the page: {figures['scan_ms']} ms to scan, {figures['scan']}, frame p95 {figures['frame_p95_ms']} ms, heap {figures['heap_mb']} MB")
    master.flushall()


@pytest.mark.long
def test_ten_pages(scripts, watched, measured):
    pid = watched.instance("http-1")["pid"]

    def worker(_):
        rss = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.M)
        return {"rss_kib": int(rss.group(1)), "fds": watched.count_fds("http-1")}

    load = watched.load(writers=2, pace_s=0.02)
    try:
        f = scenario(scripts, "pages", watched, {"worker": worker, "load": lambda _: load.start() and None})
    finally:
        load.stop()
    assert watched.instance("http-1")["pid"] == pid
    measured(f"ten pages open: {f['rss_kib']} KiB more in the worker ({f['rss_all_kib']} KiB in all); one weighs {f['bytes']} bytes, "
             f"first picture after {f['first_picture_ms']} ms")


def test_a_failover_while_watching(scripts, watched, measured):
    def kill(_):
        at_ms = time.time() * 1000
        watched.kill(watched.master())
        return {"at_ms": at_ms}

    figures = scenario(scripts, "failover", watched, {"kill-master": kill, "state": lambda _: state_of(watched)})
    measured(f"kill -9 of the master until the picture turned: {figures['picture_turned_ms']:.0f} ms")


def test_a_worker_that_hangs_while_watching(scripts, watched):
    pid = watched.instance("http-1")["pid"]
    try:
        scenario(scripts, "silence", watched, {
            "hang": lambda _: os.kill(pid, signal.SIGSTOP),
            "go-on": lambda _: os.kill(pid, signal.SIGCONT),
        })
    finally:
        os.kill(pid, signal.SIGCONT)


def test_login_and_roles(scripts, make_cluster):
    cluster = make_cluster(options={"user-ann.password": "does-things", "user-ann.role": "operator", "user-vic.password": "looks-only", "user-vic.role": "viewer"}).start()
    scenario(scripts, "login", cluster, {
        "value": lambda m: value_of(cluster.proxy(), m["key"]),
        "changes": lambda _: wait_until(lambda: cluster.events("operator.changed"), "the change is in the history"),
    })
