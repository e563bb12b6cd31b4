"""What an earlier supervisor left running, and what only looks like it."""
import os
import signal
import subprocess

from harness import SERVER, wrapper
from waiting import wait_until


def test_a_shell_in_an_instances_folder_is_no_instance(make_cluster):
    c = make_cluster()
    c.start()
    c.stop()
    shell = subprocess.Popen(["/bin/sh", "-c", "tail -f /dev/null & wait"], cwd=c.dir / "redis-2", start_new_session=True)
    try:
        c.start()
        assert c.instance("redis-2")["pid"] != shell.pid
        assert c.events("supervisor.adopted") == []
        c.stop()
        assert shell.poll() is None
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()


def test_workers_are_found_when_the_state_is_lost(make_cluster):
    c = make_cluster()
    c.start()
    c.proxy().set("k", "v")
    before = c.pids()
    c.kill_supervisor()
    for path in c.dir.glob("state.db*"):
        path.unlink()
    c.start()
    after = c.pids()
    assert after == before
    assert c.proxy().get("k") in ("v", b"v")


def test_what_the_configuration_no_longer_has_is_ended(make_cluster):
    c = make_cluster()
    c.start()
    gone = c.instance("redis-3")["pid"]
    c.kill_supervisor()
    c.options["redis.instances"] = 2
    c.write_options()
    c.start()
    assert gone not in c.keeper.left()
    assert [i["name"] for i in c.instances("redis")] == ["redis-1", "redis-2"]


def test_one_that_refuses_to_stop_at_first_is_asked_again(make_cluster):
    """As redis-server does while it writes its first append-only file; those that stay are not blamed for the wait."""
    server = make_cluster.folder("bin") / "server"
    wrapper(server, f"""trap '[ -z "$told" ] || kill "$server"; told=yes' TERM
{SERVER} "$@" &
server=$!
while kill -0 "$server" 2>/dev/null; do wait "$server"; done""")
    c = make_cluster(options={"redis-3.server": server, "holdfast.stop_timeout_s": 20})
    c.start()
    before = c.pids()
    c.kill_supervisor()
    c.options["redis.instances"] = 2
    del c.options["redis-3.server"]
    c.write_options()
    c.start()
    assert before["redis-3"] not in c.keeper.left()
    assert "does not end" not in c.run.err
    assert c.pids()["redis-1"] == before["redis-1"]


def test_a_last_master_that_left_the_configuration_is_not_passed_over(make_cluster):
    c = make_cluster()
    c.allow("exit")
    c.start()
    c.cli("failover", "--to", "redis-3")
    c.stop()
    c.options["redis.instances"] = 2
    c.write_options()
    c.start(wait=False)
    assert c.run.wait() == 1
    assert "redis-3 was the last master" in c.run.err


def test_ports_that_shifted_by_one(make_cluster):
    """The hardest change: each address is another instance's now. A sentinel that starts a second time must not shift again."""
    c = make_cluster()
    c.start()
    c.proxy().set("k", "v")
    c.kill_supervisor()
    c.options["redis.port"] += 1
    c.write_options()
    c.start()
    port = c.options["redis.port"]
    assert c.status()["master"]["port"] == port
    c.kill("sentinel-2")
    wait_until(lambda: c.instance("sentinel-2")["restarts"] > 0, "another sentinel-2")
    c.wait_ready()
    assert f"monitor main 127.0.0.1 {port} " in (c.dir / "sentinel-2" / "sentinel.conf").read_text()
    assert c.proxy().get("k") in ("v", b"v")
