"""Servers and sentinels as instances: what a switchover leaves behind in them, the second way through
Sentinel itself, half-dead servers in the middle of it, and files that Redis and Sentinel rewrite."""
import os
import shutil
import signal
import time

import pytest
import redis

from harness import wait_until


def field(reply, name):
    """SENTINEL MASTER and its kind: a dict with newer clients, a flat list with raw ones."""
    if isinstance(reply, dict):
        return str(reply[name])
    flat = [x.decode() if isinstance(x, bytes) else str(x) for x in reply]
    return dict(zip(flat[::2], flat[1::2]))[name]


def sentinel_view(c, name):
    r = c.sentinel(name)
    id_ = r.execute_command("SENTINEL MYID")
    master = r.sentinel_master("main")
    return {
        "id": id_.decode() if isinstance(id_, bytes) else id_,
        "epoch": int(field(master, "config-epoch")),
        "others": int(field(master, "num-other-sentinels")),
    }


def views(c):
    return {i["name"]: sentinel_view(c, i["name"]) for i in c.instances("sentinel")}


class Stopped:
    """SIGSTOP to an instance for the time of a block."""

    def __init__(self, c, *names):
        self.pids = [c.instance(n)["pid"] for n in names]

    def __enter__(self):
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)

    def __exit__(self, *_):
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass


def test_switchovers_in_a_row_lose_nothing_and_make_no_phantom(cluster, measured):
    c = cluster
    before = views(c)
    with c.load(writers=2) as load:
        wait_until(lambda: load.acked > 50, "the load")
        for _ in range(5):
            c.cli("failover")
            c.wait_agreed()
        now = time.monotonic()
        wait_until(lambda: load.acked_since(now), "writes at the last master")
    after = views(c)
    lost = load.lost(c.proxy())
    measured(f"5 switchovers: {len(lost)} of {load.acked} acknowledged lost, {len(load.errors)} errors, "
             f"longest pause {load.longest_gap_ms:.1f} ms")
    assert lost == []
    assert load.errors == []
    assert load.connections == 2
    for name, view in after.items():
        assert view["id"] == before[name]["id"]
        assert view["others"] == 2, "a sentinel that does not exist is counted"
        assert view["epoch"] >= before[name]["epoch"] + 5
    assert len({v["epoch"] for v in after.values()}) == 1
    assert c.status()["master"]["epoch"] == after["sentinel-1"]["epoch"]


def test_with_a_lone_sentinel_the_switchover_goes_sentinels_own_way(make_cluster, measured):
    """Nobody can vouch for us at a sentinel that knows no other: it has to fail over itself."""
    c = make_cluster(options={"sentinel.instances": 1}).start()
    old = c.master()
    with c.load(writers=2) as load:
        wait_until(lambda: load.acked > 50, "the load")
        c.cli("failover", "--to", "redis-3", timeout=90)
        new = c.wait_agreed()
        now = time.monotonic()
        wait_until(lambda: load.acked_since(now), "writes at the new master")
    assert (old, new) == ("redis-1", "redis-3")
    lost = load.lost(c.proxy())
    measured(f"Sentinel's own way: {len(lost)} of {load.acked} acknowledged lost, longest pause {load.longest_gap_ms:.0f} ms")
    assert lost == []
    # What it was steered with is put back, in the server and in its file.
    for name in ("redis-1", "redis-2", "redis-3"):
        assert c.redis(name).config_get("replica-priority")["replica-priority"] == "100"
        conf = (c.dir / name / "redis.conf").read_text()
        assert "replica-priority 0" not in conf


def assert_writes_go_on(c, within_s):
    began = time.monotonic()
    c.proxy().set("goes", "on")
    assert time.monotonic() - began < within_s


def test_a_hung_target_is_refused_and_writes_go_on(cluster):
    c = cluster
    with Stopped(c, "redis-3"):
        done = c.cli("failover", "--to", "redis-3", check=False, timeout=60)
        assert done.returncode == 1
        assert "redis-3" in done.stderr
        assert_writes_go_on(c, within_s=8)
        assert c.master() == "redis-1"
    assert c.wait_agreed() == "redis-1"
    # No pause is left behind that would hold writes up.
    assert_writes_go_on(c, within_s=2)


def test_one_hung_sentinel_does_not_prevent_a_switchover(cluster):
    c = cluster
    with Stopped(c, "sentinel-2"):
        c.cli("failover", timeout=60)
        assert c.master() != "redis-1"
        assert_writes_go_on(c, within_s=5)
    c.wait_agreed()


def test_without_a_majority_of_sentinels_there_is_no_switchover(cluster):
    c = cluster
    with Stopped(c, "sentinel-2", "sentinel-3"):
        done = c.cli("failover", check=False, timeout=60)
        assert done.returncode == 1
        assert "sentinel" in done.stderr.lower()
        assert c.role("redis-1")[0] in ("master", b"master")
        assert_writes_go_on(c, within_s=8)
    assert c.wait_agreed() == "redis-1"


def test_a_replica_that_must_not_be_master_is_not_chosen(cluster):
    c = cluster
    c.redis("redis-2").config_set("replica-priority", 0)
    done = c.cli("failover", "--to", "redis-2", check=False)
    assert done.returncode == 1 and "replica-priority" in done.stderr
    c.cli("failover")
    assert c.wait_agreed() == "redis-3"


@pytest.mark.slow
def test_what_redis_and_sentinel_wrote_survives_our_edits(make_cluster):
    c = make_cluster(options={"redis.config.maxclients": 5000, "redis.config.slowlog-max-len": 77}).start()
    before = views(c)
    for name in ("redis-1", "redis-2", "redis-3"):
        r = c.redis(name)
        r.execute_command("ACL SETUSER reader on >geheim ~r:* +get")
        r.config_set("lfu-decay-time", 7)
        r.config_rewrite()
    c.cli("failover", "--to", "redis-2")
    assert c.wait_agreed() == "redis-2"
    assert c.stop() == 0
    # One directive leaves the configuration, one changes.
    del c.options["redis.config.slowlog-max-len"]
    c.options["redis.config.maxclients"] = 4000
    c.write_options()
    c.start()
    assert c.wait_agreed() == "redis-2"
    for name in ("redis-1", "redis-2", "redis-3"):
        r = c.redis(name)
        users = [u.decode() if isinstance(u, bytes) else u for u in r.execute_command("ACL LIST")]
        assert any(u.startswith("user reader on ") for u in users), users
        got = {**r.config_get("lfu-decay-time"), **r.config_get("maxclients"), **r.config_get("slowlog-max-len")}
        assert got == {"lfu-decay-time": "7", "maxclients": "4000", "slowlog-max-len": "128"}, name
        path = c.dir / name / "redis.conf"
        assert path.stat().st_mode & 0o777 == 0o600
        text = path.read_text()
        assert text.count("\nport ") + text.startswith("port ") == 1
        # A user of the operator's with a password of his own works after all that.
        reader = redis.Redis(port=c.port(name), username="reader", password="geheim")
        assert reader.get("r:1") is None
        reader.close()
    after = views(c)
    assert {n: v["id"] for n, v in after.items()} == {n: v["id"] for n, v in before.items()}
    assert all(v["others"] == 2 for v in after.values())


def test_a_stop_right_after_the_start_needs_no_kill(make_cluster):
    """Redis refuses SIGTERM while it writes its first AOF, and forgets it."""
    c = make_cluster()
    c.start(wait=False)
    wait_until(lambda: "redis-3: ready" in c.run.err + c.run.out, "the last replica")
    assert c.stop(timeout=20) == 0
    text = c.run.err + c.run.out
    assert "was killed" not in text


def test_ready_waits_until_a_replicas_copy_is_on_its_disk(make_cluster):
    """
    After a full copy a replica's files are those of before until its new append-only file is whole. Killed until then it
    comes back with the old data, and confirmed writes are gone if the others die too. Failed before ondisk.c.
    """
    c = make_cluster(options={"redis-2.config.rdb-key-save-delay": 3000}).start()
    pipe = c.proxy().pipeline(transaction=False)
    for n in range(1000):
        pipe.set(f"key:{n}", n)
    pipe.execute()
    c.cli("stop", "redis-2")
    for name in ("appendonlydir", "dump.rdb"):
        path = c.dir / "redis-2" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    c.cli("start", "redis-2")
    said = "redis-2 still writes its copy of the data to disk"
    wait_until(lambda: said in c.status(check=False)["reasons"], "the reason")
    assert c.redis("redis-2").dbsize() == 1000, "it serves while it writes"

    def written():
        rewriting = c.redis("redis-2").info("persistence")["aof_rewrite_in_progress"]
        state = c.status(check=False)["state"]
        assert state == "degraded" or not c.redis("redis-2").info("persistence")["aof_rewrite_in_progress"]
        return state == "ready" and not rewriting

    wait_until(written, "the cluster to be ready")
    manifest = (c.dir / "redis-2" / "appendonlydir" / "appendonly.aof.manifest").read_text()
    assert " type b" in manifest
