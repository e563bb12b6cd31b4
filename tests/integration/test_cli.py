"""The command line: exit codes, words, and what machines read."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import redis

from harness import procs, wait_until

COMMANDS = ["run", "check", "status", "events", "logs", "failover", "start", "stop", "restart", "reload", "cli", "proxy",
            "http", "version"]


@pytest.fixture
def idle(make_cluster):
    """Nothing runs here."""
    return make_cluster()


def call(c, *words, **kw):
    return subprocess.run([c.program, *words], capture_output=True, text=True, env=c.env, cwd=c.case / "cwd",
                          stdin=subprocess.DEVNULL, timeout=60, **kw)


def test_version_names_itself_and_its_libraries(idle):
    done = call(idle, "version")
    assert done.returncode == 0
    assert re.match(r"holdfast \d+\.\d+", done.stdout)
    for library in ("libev", "hiredis", "sqlite", "jansson", "openssl"):
        assert library in done.stdout.lower()
    assert call(idle, "--version").stdout == done.stdout


def test_help_names_every_command(idle):
    for words in (["help"], ["--help"], ["-h"]):
        done = call(idle, *words)
        assert done.returncode == 0
        for name in COMMANDS:
            assert re.search(rf"\b{name}\b", done.stdout), name
    for name in COMMANDS:
        done = call(idle, name, "--help")
        assert done.returncode == 0 and name in done.stdout, name


USAGE = [[], ["nonsense"], ["status", "--nonsense"], ["events", "-n", "many"], ["failover", "a", "b"], ["start"],
         ["run", "-s"], ["logs", "-n", "-1"]]


@pytest.mark.parametrize("words", USAGE, ids=lambda w: "_".join(w) or "nothing")
def test_wrong_usage_is_2_and_says_what_would_be_right(idle, words):
    done = call(idle, *words)
    assert done.returncode == 2
    assert "holdfast" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("words", [["status"], ["events"], ["logs"], ["failover"], ["start", "redis-1"], ["reload"], ["cli", "PING"]],
                         ids=lambda w: w[0])
def test_without_a_supervisor_it_is_3(idle, words):
    done = idle.cli(*words, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("holdfast: ") and str(idle.dir) in done.stderr


def test_a_bad_setting_is_78(idle):
    done = call(idle, "check", "-s", "redis.porrt=1")
    assert done.returncode == 78
    assert "redis.port" in done.stderr


def test_status_for_people_is_a_tree(shared):
    done = shared.cli("status")
    for i in shared.instances():
        assert [text for text in done.stdout.splitlines()
                if re.search(rf"\b{i['name']}\b", text) and i["state"] in text and str(i["port"]) in text], i["name"]
    assert "master" in done.stdout
    assert "\x1b" not in done.stdout, "colours into a pipe"


def test_the_folder_may_come_from_the_environment(shared):
    done = subprocess.run([shared.program, "status", "--json"], capture_output=True, text=True, timeout=60,
                          env={**shared.env, "HOLDFAST_DIR": str(shared.dir)}, cwd=shared.case / "cwd")
    assert done.returncode == 0 and json.loads(done.stdout)["state"] == "ready"


def test_status_says_3_while_not_ready(make_cluster):
    c = make_cluster().start()
    c.cli("stop", "redis-3")
    # What the operator stopped is not missing.
    assert c.cli("status", check=False).returncode == 0
    c.cli("stop", "proxy-1")
    assert c.cli("status", check=False).returncode == 0
    old = c.master()
    c.kill(old)
    wait_until(lambda: c.cli("status", check=False).returncode == 3, "not ready without a master")
    c.wait_agreed()


def test_events_are_one_object_a_line(shared):
    everything = shared.cli("events", "--json", "-n", "1000").stdout.splitlines()
    events = [json.loads(line) for line in everything]
    assert len(events) >= 17
    assert [e["id"] for e in events] == sorted(e["id"] for e in events)
    few = shared.cli("events", "--json", "-n", "3").stdout.splitlines()
    assert few == everything[-3:]
    text = shared.cli("events", "-n", "3").stdout.splitlines()
    assert len(text) == 3
    for line, e in zip(text, events[-3:]):
        assert e["kind"] in line and e["subject"] in line


def test_events_follow(cluster):
    c = cluster
    follower = c.spawn(*c.command("events", "-d", c.dir, "--json", "-n", "1", "-f"), label="follow")
    wait_until(lambda: follower.out.count("\n") == 1, "the last event")
    c.cli("stop", "sentinel-3")

    def told():
        lines = [json.loads(line) for line in follower.out.splitlines() if line.endswith("}")]
        return [e for e in lines if e["kind"] == "instance.stopped" and e["subject"] == "sentinel-3"]

    wait_until(told, "the new event")
    assert follower.exit is None
    assert c.stop() == 0
    # Its source is gone: it says so instead of waiting for ever.
    assert follower.wait() in (0, 1, 3)


def test_logs_follow(cluster):
    c = cluster
    follower = c.spawn(*c.command("logs", "-d", c.dir, "-n", "0", "-f", "redis-1"), label="follow")
    wait_until(lambda: procs.alive(follower.pid), "the follower")

    def told():
        c.redis("redis-1").execute_command("BGREWRITEAOF")
        return wait_until(lambda: "rewrite" in follower.out.lower(), "a line", 3)

    wait_until(told, "lines as they come", 30, ignore=(AssertionError, Exception))
    follower.signal(2)
    assert follower.wait() in (0, -2, 130)


def test_watch_shows_what_changes(cluster):
    c = cluster
    watcher = c.spawn(*c.command("status", "-d", c.dir, "--json", "--watch"), label="watch")
    wait_until(lambda: '"ready"' in watcher.out, "the first picture")
    c.cli("stop", "sentinel-3")
    wait_until(lambda: '"stopped"' in watcher.out, "the changed picture")
    watcher.signal(2)
    assert watcher.wait() in (0, -2, 130)


def test_cli_leads_to_the_proxy_and_to_each_instance(shared):
    c = shared
    assert c.cli("cli", "SET", "from", "the command line").stdout == "OK\n"
    assert c.cli("cli", "GET", "from").stdout == "the command line\n"
    assert c.cli("cli", "redis-2", "ROLE").stdout.startswith("slave\n")
    assert c.cli("cli", "sentinel-1", "SENTINEL", "MYID").stdout.strip()


def test_names_that_do_not_exist(shared):
    for words in (["start", "redis-9"], ["stop", "nobody"], ["restart", ""], ["failover", "--to", "nobody"]):
        done = shared.cli(*words, check=False)
        assert done.returncode in (1, 2), words
        assert done.stderr.startswith("holdfast: ")


def test_a_closed_pipe_ends_it_quietly(shared):
    done = subprocess.run(["sh", "-c", f"{shared.program} events -d {shared.dir} --json -n 1000 | head -n 1"],
                          capture_output=True, text=True, env=shared.env, cwd=shared.case / "cwd", timeout=60)
    assert done.returncode == 0 and done.stderr == ""


def test_a_worker_alone_needs_only_sentinels(cluster):
    """`holdfast proxy` on an application host."""
    c = cluster
    port = c.ports.extra
    words = ["proxy"]
    for n in (1, 2, 3):
        words += ["--sentinel", f"127.0.0.1:{c.port(f'sentinel-{n}')}"]
    words += ["-s", f"proxy.listen=127.0.0.1:{port}"]
    alone = c.spawn(*c.command(*words), label="alone")
    client = c._client(port)

    def served():
        return client.set("through", "the other door")

    wait_until(served, "the lone proxy", ignore=(redis.RedisError,))
    assert c.proxy().get("through") == b"the other door"
    c.cli("failover")
    c.wait_agreed()
    wait_until(served, "the lone proxy after the failover", ignore=(redis.RedisError,))
    alone.signal(15)
    assert alone.wait() == 0


def complete(c, shell, *words):
    """What it offers for the last of these words."""
    bash = 'source "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _holdfast; [ -z "${COMPREPLY[*]}" ] || printf "%s\\n" "${COMPREPLY[@]}"'
    here = Path(__file__).resolve().parent
    folder = Path(os.environ.get("HF_SRCDIR") or here.parents[1]) / "etc" / "completion"
    env = {**c.env, "HOLDFAST_DIR": str(c.dir), "PATH": f"{Path(c.program).parent}:{c.env['PATH']}"}
    argv = {"bash": ["bash", "-c", bash, "bash", folder / "holdfast", "holdfast", *words],
            "zsh": ["zsh", "-f", here / "completion.zsh", folder, c.case / "zcompdump", " ".join(["holdfast", *words])]}[shell]
    done = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=c.dir, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shared, shell):
    """Failed before, with zsh: it did not know of -d, nor of any other short option, and offered nothing behind it."""
    if shutil.which(shell) is None:
        (pytest.fail if os.environ.get("HF_STRICT") == "1" else pytest.skip)(f"its completion is tested with {shell} itself (Debian: {shell})")

    def offered(*words):
        return complete(shared, shell, *words)

    names = {i["name"] for i in shared.instances()}
    assert offered("fail") == {"failover"}
    assert offered("backup", "--j") == {"--json"}
    assert offered("restart", "--") == {"--dir", "--rolling", "--help"}
    for words in (["restart"], ["logs", "-f"], ["cli"], ["failover", "--to"]):
        assert offered(*words, "") == names, words
        assert offered(*words, "sentinel-2") == {"sentinel-2"}
    # where there is nothing else zsh offers the options, which bash does once the word begins like one
    assert {w for w in offered("failover", "") if w[0] != "-"} == set()
    assert offered("help", "inv") == {"invite"}
    assert "state.db" in offered("restore", "stat")
    assert {w.rstrip("/") for w in offered("status", "-d", "redis-")} == {"redis-1", "redis-2", "redis-3"}
