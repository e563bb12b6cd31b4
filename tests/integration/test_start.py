"""From an empty folder to ready, and back to nothing."""
import os
import re
import shutil
import signal
import stat
import subprocess
from datetime import datetime, timezone

import pytest

from harness import binary, procs, wait_until

EIGHT = ["redis-1", "redis-2", "redis-3", "sentinel-1", "sentinel-2", "sentinel-3", "proxy-1", "http-1"]


def only_ports(make_cluster, **more):
    """As a user starts it who has never seen a config file; the ports keep it apart from other tests."""
    return make_cluster(
        use_file=False,
        options={"sentinel.down_after_ms": None, "sentinel.failover_timeout_ms": None}, **more)


def test_an_empty_folder_becomes_ready_without_a_config_file(make_cluster):
    c = only_ports(make_cluster)
    status = c.start().status()

    assert set(status) >= {"name", "node", "version", "state", "master", "instances", "uptime_ms"}
    assert status["name"] == "main"
    assert status["node"] == os.uname().nodename
    assert status["state"] == "ready"
    assert status["master"] == {"name": "redis-1", "host": "127.0.0.1", "port": c.ports.redis,
                                "epoch": status["master"]["epoch"]}
    assert isinstance(status["master"]["epoch"], int)
    assert isinstance(status["uptime_ms"], int) and status["uptime_ms"] > 0
    assert sorted(i["name"] for i in status["instances"]) == sorted(EIGHT)
    for i in status["instances"]:
        assert set(i) >= {"name", "kind", "state", "wanted", "pid", "port", "role", "restarts", "uptime_ms",
                          "lag_bytes", "modules"}, i
        assert i["name"].startswith(i["kind"] + "-")
        assert (i["state"], i["wanted"], i["restarts"]) == ("ready", "up", 0), i
        assert procs.alive(i["pid"])
        assert isinstance(i["uptime_ms"], int)
        assert i["modules"] == []
        if i["kind"] == "redis":
            assert i["role"] == ("master" if i["name"] == "redis-1" else "replica")
            if i["role"] == "replica":
                assert isinstance(i["lag_bytes"], int)
        else:
            assert i["role"] is None
    ports = {i["name"]: i["port"] for i in status["instances"]}
    assert [ports[f"redis-{n}"] for n in (1, 2, 3)] == [c.ports.redis + n for n in (0, 1, 2)]
    assert [ports[f"sentinel-{n}"] for n in (1, 2, 3)] == [c.ports.sentinel + n for n in (0, 1, 2)]
    assert (ports["proxy-1"], ports["http-1"]) == (c.ports.proxy, c.ports.http)
    assert c.assert_one_master() == "redis-1"


def test_the_first_commands_of_the_readme(make_cluster):
    c = only_ports(make_cluster).start()
    said = subprocess.run(["redis-cli", "-p", str(c.ports.proxy), "set", "hello", "world"],
                          capture_output=True, text=True, timeout=30)
    assert said.stdout == "OK\n"
    with c.http() as http:
        answer = http.get("/GET/hello")
        assert (answer.status, answer.json) == (200, {"GET": "world"})
        assert http.get("/healthz").status == 200
        assert http.get("/readyz").status == 200

    out = c.run.out.splitlines()
    assert 0 < len(out) <= 24 and max(map(len, out)) <= 100, "more than a screenful"
    text = c.run.out
    assert re.search(rf"redis-cli .*-p {c.ports.proxy}\b", text)
    assert f"http://127.0.0.1:{c.ports.http}/" in text


def test_the_data_folder_holds_what_the_contract_names(cluster):
    c = cluster
    for name in ("state.db", "control.sock", "holdfast.lock", "secret", "log", *EIGHT[:6]):
        assert (c.dir / name).exists(), name
    assert stat.S_IMODE((c.dir / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((c.dir / "control.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE(c.dir.stat().st_mode) & 0o022 == 0

    secret = c.secret()
    assert len(secret) >= 32
    for pid in [c.run.pid, *c.pids().values()]:
        assert secret not in procs.cmdline(pid)
        assert not any(secret in line for line in procs.environ(pid))
    for path in c.dir.rglob("*"):
        if path.is_file() and secret.encode() in path.read_bytes():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, f"{path} shows the secret"
    assert secret not in c.cli("events", "--json").stdout + c.cli("status", "--json").stdout + c.run.err + c.run.out


def test_every_step_is_an_event_in_the_order_of_the_plan(cluster):
    c = cluster
    events = c.events()
    kinds = [e["kind"] for e in events]
    assert kinds[0] == "supervisor.started"
    ready = [e["subject"] for e in events if e["kind"] == "instance.ready"]
    assert sorted(ready) == sorted(EIGHT)
    place = {name: ready.index(name) for name in EIGHT}
    starting = [e["subject"] for e in events if e["kind"] == "instance.starting"]
    # Master first and ready before a replica is started; sentinels after them; then the doors.
    order = [(e["kind"], e["subject"]) for e in events]
    assert order.index(("instance.ready", "redis-1")) < order.index(("instance.starting", "redis-2"))
    assert max(starting.index(f"redis-{n}") for n in (1, 2, 3)) < min(starting.index(f"sentinel-{n}") for n in (1, 2, 3))
    assert place["redis-1"] == 0
    for e in events:
        assert set(e) == {"id", "time", "kind", "subject", "text", "detail", "host"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", e["time"])
        age = datetime.now(timezone.utc) - datetime.fromisoformat(e["time"].replace("Z", "+00:00"))
        assert -5 < age.total_seconds() < 600, "not UTC"
        assert isinstance(e["detail"], dict)
    ids = [e["id"] for e in events]
    assert ids == sorted(set(ids))


def test_a_folder_that_is_held_is_refused(cluster):
    c = cluster
    before = c.pids()
    second = c.spawn(*c.command(*c.run_args()), label="second")
    assert second.wait() == 1
    assert second.err.startswith("holdfast: ")
    assert str(c.dir) in second.err and str(c.run.pid) in second.err
    assert c.wait_ready() and c.pids() == before


STOPS = {"sigterm": (signal.SIGTERM, False), "ctrl_c": (signal.SIGINT, True)}


@pytest.mark.parametrize("how", STOPS)
def test_stop_goes_from_the_doors_to_the_master_and_the_next_start_resumes(make_cluster, how):
    c = make_cluster().start()
    c.proxy().set("kept", "1")
    first = c.last_event()
    pids = c.pids().values()
    number, group = STOPS[how]
    c.run.signal(number, group=group)
    assert c.run.wait() == 0
    assert [p for p in pids if procs.alive(p)] == []
    assert not (c.dir / "control.sock").exists()
    assert c.cli("status", check=False).returncode == 3

    c.start()
    assert c.proxy().get("kept") == b"1"
    events = c.events(after=first)
    stopped = [e["subject"] for e in events if e["kind"] == "instance.stopped"]
    assert sorted(stopped) == sorted(EIGHT)
    place = stopped.index
    doors = [place("http-1"), place("proxy-1")]
    sentinels = [place(f"sentinel-{n}") for n in (1, 2, 3)]
    replicas = [place("redis-2"), place("redis-3")]
    assert max(doors) < min(sentinels) and max(sentinels) < min(replicas) and max(replicas) < place("redis-1")
    # Nothing was killed and nothing was thought dead.
    assert not [e for e in events if e["kind"] in ("instance.killed", "instance.exited", "instance.failed")]


def test_sigterm_in_the_middle_of_the_start_leaves_nothing(make_cluster):
    c = make_cluster().start(wait=False)
    wait_until(lambda: len(c.keeper.left()) >= 3, "the first children")
    assert c.stop() == 0
    wait_until(lambda: not c.keeper.left(), "no process left")
    c.start()
    assert c.assert_one_master() == "redis-1"


def test_a_second_signal_hurries_and_loses_nothing(cluster):
    c = cluster
    with c.load(writers=2) as load:
        wait_until(lambda: load.acked > 100, "the load")
    c.run.signal(signal.SIGTERM)
    c.run.signal(signal.SIGTERM)
    c.run.signal(signal.SIGINT)
    assert c.run.wait() == 0
    c.allow("deaths")
    c.start()
    assert load.lost(c.proxy()) == []


def readable_binary(folder):
    """A copy that any user may run, wherever the build folder is."""
    copy = folder / "holdfast"
    shutil.copy(binary(), copy)
    copy.chmod(0o755)
    return copy


def test_an_ordinary_user_in_an_ordinary_folder(make_cluster):
    if os.geteuid() != 0:
        make_cluster().start()  # the whole suite is that test
        return
    runner = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
    c = make_cluster(runner=runner, program=readable_binary(make_cluster.folder("bin")))
    for path in [c.case, *c.case.rglob("*")]:
        os.chown(path, 65534, 65534)
    c.start()
    for pid in [c.run.pid, *c.pids().values()]:
        assert os.stat(f"/proc/{pid}").st_uid == 65534
    c.proxy().set("who", "nobody")
    assert c.proxy().get("who") == b"nobody"


@pytest.mark.skipif(os.geteuid() != 0, reason="a process becomes PID 1 of a namespace only by root's hand")
def test_as_pid_1_it_reaps_strangers_and_stops_in_order(make_cluster):
    c = make_cluster(runner=["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"])
    c.start(wait=False)
    # The commands run outside: they find the supervisor by its socket.
    c.runner = []
    c.wait_ready()
    (init,) = [p for p in procs.descendants(c.run.pid) if procs.parent(p) == c.run.pid]

    fifo = c.case / "fifo"
    os.mkfifo(fifo)
    subprocess.run(["nsenter", "-t", str(init), "-p", "-m", "sh", "-c", f"cat {fifo} & exit 0"], check=True, timeout=30)
    (stranger,) = wait_until(
        lambda: [p for p in procs.descendants(init) if procs.cmdline(p) == f"cat {fifo}"], "the stranger below PID 1")
    assert procs.parent(stranger) == init
    with open(fifo, "w"):
        pass
    wait_until(lambda: procs.state(stranger) is None, "the stranger to be reaped")

    children = [p for p in procs.descendants(init)]
    os.kill(init, signal.SIGTERM)
    assert c.run.wait(40) == 0
    assert [p for p in children if procs.alive(p)] == []
