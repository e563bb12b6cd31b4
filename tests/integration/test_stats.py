"""What the workers count, as `holdfast status --json` shows it."""
import json

from harness import WebSocket, WireError, wait_until


def stats(cluster, worker="proxy-1"):
    return cluster.instance(worker).get("stats")


def counted(cluster, name, calls, worker="proxy-1"):
    """The record of a command once it has so many calls."""
    def there():
        record = (stats(cluster, worker) or {"commands": {}})["commands"].get(name)
        return record if record and record["calls"] >= calls else None
    return wait_until(there, f"{calls} calls of {name}")


def test_commands_clients_and_bytes(make_cluster):
    c = make_cluster().start()
    with c.wire() as w:
        for i in range(50):
            assert w("SET", "k", "x" * 100) == "OK"
            assert w("GET", "k") == b"x" * 100
        for _ in range(3):
            try:
                w("LPUSH", "k", "v")
            except WireError:
                pass
        w("CLIENT", "ID")
        lpush = counted(c, "LPUSH", 3)
        assert (lpush["calls"], lpush["errors"]) == (3, 3)
        seen = stats(c)
        get = seen["commands"]["GET"]
        assert (get["calls"], get["errors"]) == (50, 0)
        assert sum(get["latency"]) == 50 and get["us"] > 0
        assert len(get["latency"]) <= len(seen["latency_le_us"]) + 1
        assert seen["commands"]["CLIENT ID"]["calls"] == 1
        assert seen["clients"]["now"] == 1 and seen["clients"]["accepted"] >= 1
        assert seen["clients"]["in_bytes"] > 50 * 100 and seen["clients"]["out_bytes"] > 50 * 100
        assert seen["backend"]["in_bytes"] > 50 * 100 and seen["backend"]["out_bytes"] > 50 * 100
        # requests wait while there is no master: that is counted apart
        old = c.master()
        c.kill(old)
        wait_until(lambda: (w("EXISTS", "k"), c.master())[1] not in (None, old), "the next master")
        c.wait_ready()
        for name in ("EXISTS", "SET", "GET"):
            assert counted(c, name, 1)["held"] <= counted(c, name, 1)["calls"]
        # a supervisor that takes the worker over asks for all of it
        c.kill_supervisor()
        c.start()
        assert counted(c, "GET", 50)["calls"] >= 50


def test_confirmed_writes(make_cluster):
    c = make_cluster(options={"proxy.durability": 1}).start()
    with c.wire() as w:
        for i in range(20):
            assert w("SET", "k", i) == "OK"
    confirm = wait_until(lambda: (s := stats(c)) and s["confirm"]["kept"] >= 20 and s["confirm"], "20 confirmed writes")
    assert (confirm["kept"], confirm["few"], confirm["lost"]) == (20, 0, 0)
    assert sum(confirm["latency"]) <= 20


def test_http(shared):
    """Commands as the proxy counts them; statuses; routes with their times; clients."""
    before = stats(shared, "http-1") or {}
    routes, statuses = (before.get("requests", {}).get(k, {}) for k in ("routes", "statuses"))
    # each as often as no other, so that none is taken for another
    batch = json.dumps([["HSET", "h", "f", 1], ["LPUSH", "h", 1]])
    with shared.http() as web, WebSocket(shared.ports.http) as ws, shared.http() as stream:
        for _ in range(5):
            assert web.get("/SET/k/v").status == 200
        for _ in range(7):
            assert web.get("/LPUSH/k/v?status=1").status == 409
        for _ in range(3):
            assert web.request("POST", "/MULTI", batch, headers={"Content-Type": "application/json"}).status == 200
        for _ in range(2):
            assert web.get("/healthz").status == 200
        assert web.get("/SHUTDOWN").status == 403
        assert web.get("/SET/k/v", headers={"Origin": "https://evil.example"}).status == 403
        for _ in range(4):
            assert ws("STRLEN", "k") == {"STRLEN": 1}
        assert ws("SUBSCRIBE", "c")["SUBSCRIBE"][0] == "subscribe"
        assert stream.open_stream("/PSUBSCRIBE/c*").status == 200
        stream.next_chunk()
        for name, calls, errors in (("SET", 5, 0), ("LPUSH", 10, 7), ("HSET", 3, 0), ("MULTI", 3, 0), ("EXEC", 3, 0),
                                    ("STRLEN", 4, 0), ("SUBSCRIBE", 1, 0), ("SHUTDOWN", 1, 1)):
            record = counted(shared, name, calls, "http-1")
            # in a transaction they are queued, which is no error
            assert (record["calls"], record["errors"]) == (calls, errors), name
        now = stats(shared, "http-1")
        assert sum(now["commands"]["SET"]["latency"]) == 5 and now["commands"]["SET"]["us"] > 0
        assert (now["clients"]["now"], now["clients"]["websockets"], now["clients"]["streams"]) == (3, 1, 1)
        assert now["clients"]["in_bytes"] > 500 and now["clients"]["out_bytes"] > 1000
    wait_until(lambda: stats(shared, "http-1")["clients"]["now"] == 0, "the clients are gone")
    now = wait_until(lambda: (s := stats(shared, "http-1")) and "(stream)" in s["requests"]["routes"] and s, "the stream ended")

    def more(kind, name):
        was = (routes if kind == "routes" else statuses).get(name, {"calls": 0, "errors": 0} if kind == "routes" else 0)
        is_now = now["requests"][kind][name]
        return is_now - was if kind == "statuses" else (is_now["calls"] - was["calls"], is_now["errors"] - was["errors"])

    assert more("routes", "(command)") == (13, 8)
    assert more("routes", "(batch)") == (3, 0)
    assert more("routes", "/healthz") == (2, 0)
    assert more("routes", "(websocket)") == (5, 0)
    assert more("routes", "(stream)") == (1, 0)
    assert more("routes", "(refused)") == (1, 1)
    assert [more("statuses", s) for s in ("101", "403", "409")] == [1, 2, 7]
    for name in ("(command)", "(batch)", "/healthz"):
        r = now["requests"]["routes"][name]
        assert sum(r["latency"]) == r["calls"] and (r["us"] > 0 or name == "/healthz")
        assert len(r["latency"]) <= len(now["latency_le_us"]) + 1
    assert now["requests"]["total"] == sum(now["requests"]["statuses"].values())
