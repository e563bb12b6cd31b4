"""What the workers count, as `holdfast status --json` shows it."""
from harness import WireError, wait_until


def stats(cluster):
    return cluster.instance("proxy-1").get("stats")


def counted(cluster, name, calls):
    """The record of a command once it has so many calls."""
    def there():
        record = (stats(cluster) or {"commands": {}})["commands"].get(name)
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
