"""Another binary in the supervisor's place: nobody notices, or everything stays as it was."""
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from harness import binary, procs, wait_until, wrapper
from test_adopt import Clients, Knocker


@pytest.fixture
def other(make_cluster):
    """A copy of the binary that says it is another version, as a package would bring it."""
    path = make_cluster.folder("other") / "holdfast"
    version = subprocess.check_output([binary(), "version"]).split()[1]
    text, count = re.subn(rb"\b%s\0" % re.escape(version), b"9" * len(version) + b"\0", binary().read_bytes())
    assert count > 0
    path.write_bytes(text)
    path.chmod(0o755)
    return path


def only_ours_is_left(c):
    """The supervisor has the descriptors that it had, no zombie, no child too many."""
    left = [(pid, procs.state(pid), procs.cmdline(pid)) for pid in c.keeper.left()]
    assert len(left) == 9, left
    assert [p for p in left if p[1] == "Z"] == []
    wait_until(lambda: c.count_fds() <= c.fds_at_ready, "descriptors as at the start", 5)


def test_nobody_notices(cluster, other, measured):
    c = cluster
    before, pid = c.pids(), c.run.pid
    starts = {p: procs.start_time(p) for p in [pid, *before.values()]}
    clients = Clients(c)
    with Knocker(c.ports.proxy, c.ports.http) as knocker, c.load(writers=2) as load:
        for binary_of_round in (other, binary(), other):
            wait_until(lambda: load.acked > 100, "the load")
            begun = time.monotonic()
            done = c.cli("upgrade", binary_of_round)
            measured(f"returned after {(time.monotonic() - begun) * 1000:.0f} ms")
            assert f"pid {pid}" in done.stdout
            clients()
            c.wait_ready()
            clients()
            assert c.pids() == before
            assert os.readlink(f"/proc/{pid}/exe") == str(binary_of_round)
            now = time.monotonic()
            wait_until(lambda: load.acked_since(now), "writes with the new one")
            only_ours_is_left(c)
    clients.close()
    assert load.errors == []
    assert load.connections == 2
    assert load.lost(c.proxy()) == []
    assert knocker.faults == [] and knocker.count > 100
    measured(f"{load.acked} writes and {knocker.count} new connections over three upgrades, 0 errors, "
             f"longest pause of a writer {load.longest_gap_ms:.0f} ms")
    assert {p: procs.start_time(p) for p in starts} == starts
    events = c.events("supervisor.upgraded")
    assert len(events) == 3 and events[0]["detail"]["pid"] == pid
    assert events[0]["detail"]["from"] == events[1]["detail"]["to"] != events[0]["detail"]["to"]
    assert c.events("upgrade.failed") == []
    assert c.stop() == 0
    assert c.keeper.left() == []


def test_workers_of_the_old_version_are_named_until_they_are_restarted(cluster, other):
    c = cluster
    old = c.status()["version"]
    c.cli("upgrade", other)
    c.wait_ready()
    new = c.status()["version"]
    assert new != old
    for name in ("proxy-1", "http-1"):
        assert old in c.events("instance.outdated", name)[0]["text"]
        assert c.instance(name)["note"] == f"runs holdfast {old} until it is restarted"
        c.cli("restart", name)
        assert "note" not in c.instance(name)
    c.cli("upgrade", other)
    c.wait_ready()
    assert len(c.events("instance.outdated")) == 2


def test_without_a_name_it_is_the_one_now_at_the_path(make_cluster, other):
    program = make_cluster.folder("bin") / "holdfast"
    shutil.copy(binary(), program)
    c = make_cluster(program=program).start()
    old = c.status()["version"]
    os.replace(other, program)
    # A worker that dies between is still of the old one.
    c.kill("http-1")
    wait_until(lambda: c.instance("http-1")["restarts"] == 1, "another http-1")
    c.wait_ready()
    assert os.readlink(f"/proc/{c.pids()['http-1']}/exe").endswith("(deleted)")
    c.cli("upgrade")
    c.wait_ready()
    assert c.status()["version"] != old
    assert c.events("instance.outdated", "http-1")
    only_ours_is_left(c)


def refused(c, path, words):
    """The old one goes on, says why, and nothing else has changed."""
    before, exe, after = c.pids(), os.readlink(f"/proc/{c.run.pid}/exe"), c.last_event()
    done = c.cli("upgrade", path, check=False)
    assert done.returncode == 1, done
    assert words in done.stderr and "goes on" in done.stderr, done.stderr
    c.wait_ready()
    assert words in c.wait_event("upgrade.failed", after=after)["text"]
    assert c.events("supervisor.upgraded") == []
    assert c.pids() == before
    assert os.readlink(f"/proc/{c.run.pid}/exe") == exe
    only_ours_is_left(c)
    return done.stderr


@pytest.fixture
def folder(make_cluster):
    return make_cluster.folder("bin")


def test_one_that_fails_its_trial(cluster, folder):
    wrapper(folder / "new", "echo it lacks a library >&2; exit 1")
    refused(cluster, folder / "new", "it lacks a library (exit status 1)")


def test_one_that_is_no_holdfast(cluster, folder):
    wrapper(folder / "new", "exit 0")
    refused(cluster, folder / "new", "it is no holdfast")


def test_one_that_cannot_be_executed(cluster, folder):
    path = folder / "new"
    path.write_text("no program")
    path.chmod(0o644)
    refused(cluster, path, "Permission denied")
    path.chmod(0o755)
    refused(cluster, path, "its trial failed")
    assert "there is no program" in cluster.cli("upgrade", folder / "none", check=False).stderr


def test_one_that_is_killed_in_its_trial(cluster, folder):
    wrapper(folder / "new", "kill -9 $$")
    refused(cluster, folder / "new", "killed by signal 9")


TRIAL = 'case "$*" in *--trial*) exec {0} "$@";; esac\n'.format(binary())


@pytest.mark.parametrize("breaks, words", [
    (f'PATH=/nowhere exec {binary()} "$@"', "redis-server"),
    (f'HOLDFAST_REDIS_PORT=none exec {binary()} "$@"', "HOLDFAST_REDIS_PORT"),
    (f'exec {binary()} "$@" --no-such-option', "command line"),
], ids=["begin", "configuration", "arguments"])
def test_one_that_cannot_begin_after_all(make_cluster, folder, breaks, words):
    c = make_cluster(options={"redis.server": None, "sentinel.server": None}).start()  # they are looked up on PATH
    wrapper(folder / "new", TRIAL + breaks)
    clients = Clients(c)
    with Knocker(c.ports.proxy, c.ports.http) as knocker, c.load(writers=2) as load:
        wait_until(lambda: load.acked > 100, "the load")
        refused(c, folder / "new", words)
        clients()
        now = time.monotonic()
        wait_until(lambda: load.acked_since(now), "writes after it")
    clients.close()
    assert load.errors == [] and knocker.faults == []
    # As good as before: it can be upgraded, and stopped.
    c.cli("upgrade", binary())
    c.wait_ready()
    assert c.stop() == 0
    assert c.keeper.left() == []


def test_children_that_die_after_it_are_reaped_and_started_again(cluster, other):
    c = cluster
    c.cli("upgrade", other)
    c.wait_ready()
    for name in ("proxy-1", "redis-3", "sentinel-1"):
        pid = c.kill(name)
        event = c.wait_event("instance.exited", name)
        assert "killed by signal 9" in event["text"]
        wait_until(lambda: (i := c.instance(name))["state"] == "ready" and i["pid"] != pid, f"{name} back")
        assert procs.state(pid) is None
    c.wait_agreed()
    only_ours_is_left(c)
    c.run.signal(signal.SIGINT)
    assert c.run.wait() == 0
    assert c.keeper.left() == []


def test_signals_are_as_at_the_start(cluster, other):
    """Nothing blocked, nothing ignored that was not; the same in what is started after it."""
    def masks(pid):
        text = open(f"/proc/{pid}/status").read()
        return [re.search(rf"^{k}:\t(\w+)", text, re.MULTILINE).group(1) for k in ("SigBlk", "SigIgn", "SigCgt")]

    c = cluster
    before, worker = masks(c.run.pid), masks(c.pids()["http-1"])
    c.cli("upgrade", other)
    c.wait_ready()
    assert masks(c.run.pid) == before
    c.cli("restart", "http-1")
    assert masks(c.pids()["http-1"]) == worker
    env = procs.environ(c.pids()["http-1"])
    assert [v for v in env if v.startswith("HF_")] == []
    # and what waits for the supervisor's life is still held
    assert c.cli("run", check=False).returncode == 1


def test_asked_to_stop_meanwhile_it_stops(cluster, folder):
    """The signal comes while the new one is not there yet."""
    c = cluster
    wrapper(folder / "new", TRIAL + f'kill -TERM $$; exec {binary()} "$@"')
    c.cli("upgrade", folder / "new")
    assert c.run.wait() == 0
    assert c.keeper.left() == []


def test_it_is_refused_while_something_is_under_way(cluster, folder):
    c = cluster
    # One upgrade at a time; and what began while the trial ran comes first.
    fifo = folder / "go"
    os.mkfifo(fifo)
    wrapper(folder / "new", f'case "$*" in *--trial*) read line <{fifo};; esac\nexec {binary()} "$@"')
    done = []
    asked = threading.Thread(target=lambda: done.append(c.cli("upgrade", folder / "new", check=False)))
    asked.start()
    with open(fifo, "w") as go:  # opens once the trial reads
        second = c.cli("upgrade", check=False)
        assert second.returncode == 3 and "an upgrade is under way" in second.stderr
        os.kill(c.pids()["redis-2"], signal.SIGSTOP)
        stopping = threading.Thread(target=lambda: c.cli("stop", "redis-2"))
        stopping.start()
        wait_until(lambda: c.instance("redis-2")["state"] == "stopping", "the stop under way")
        go.write("\n")
    asked.join()
    assert done[0].returncode == 1 and "redis-2 is stopping" in done[0].stderr
    assert "redis-2 is stopping" in c.cli("upgrade", check=False).stderr
    os.kill(c.pids()["redis-2"], signal.SIGCONT)
    stopping.join()
    # Stopped by hand, it stays so.
    c.cli("upgrade", binary())
    wait_until(lambda: c.status()["state"] == "ready", "ready without it")
    assert c.instance("redis-2")["state"] == "stopped"


def test_it_is_refused_while_a_rolling_restart_is_under_way(cluster):
    c = cluster
    pid = c.pids()["redis-2"]
    os.kill(pid, signal.SIGSTOP)
    done = []
    rolling = threading.Thread(target=lambda: done.append(c.cli("restart", "--rolling", check=False)))
    rolling.start()
    wait_until(lambda: "a rolling restart is under way" in c.cli("upgrade", "/", check=False).stderr, "the refusal")
    os.kill(pid, signal.SIGCONT)
    rolling.join()
    c.wait_agreed()
    assert c.events("supervisor.upgraded") == []


def test_nobody_runs(make_cluster):
    c = make_cluster()
    assert c.cli("upgrade", check=False).returncode == 3


def test_a_newer_state_database_is_not_given_to_an_older_binary(cluster, folder):
    """As its trial says it: with the schema of a binary of the future."""
    c = cluster
    future = folder / "future"
    shutil.copytree(c.dir, future, ignore=shutil.ignore_patterns("*.sock"))
    with sqlite3.connect(future / "state.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    done = c.cli("run", "--trial", "-s", f"redis.port={c.ports.redis}", check=True)
    assert re.fullmatch(r"holdfast \S+ can take over\n", done.stdout)
    done = c.cli("run", "--trial", "-d", future, check=False)
    assert done.returncode == 1 and "schema version 99" in done.stderr
