"""
Modules, with real ones: Debian's redis-redisearch (word search, name ft), and FalkorDB (word graph) on a server of 7.2 or later.
What is broken is made here from the real file.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest
import redis

from browser import has_page, missing, prepare, scenario
from harness import SERVER, procs, wait_until, wrapper

SEARCH = Path("/usr/lib/redis/modules/redisearch.so")
NEEDS_SEARCH = pytest.mark.skipif(not SEARCH.exists(), reason="no RediSearch here (Debian: redis-redisearch)")
pytestmark = NEEDS_SEARCH

DOC = ("FT.ADD", "idx", "d1", "1", "FIELDS", "t", "hello")


EVIL = "hello <img src=x onerror=window.__xss=1>"


def make_index(client):
    assert client.execute_command("FT.CREATE", "idx", "SCHEMA", "t", "TEXT") in (b"OK", "OK")
    assert client.execute_command(*DOC) in (b"OK", "OK")


def found(client):
    return client.execute_command("FT.SEARCH", "idx", "hello")[0]


def has_doc(c, name):
    try:
        return found(c.redis(name)) == 1
    except redis.RedisError:
        return False


def conf_lines(c, name, head):
    return [line for line in (c.dir / name / "redis.conf").read_text().splitlines() if line.startswith(head)]


def arguments(c, name):
    """With which the server says that it has loaded its one module."""
    one = c.redis(name, decode_responses=True).module_list()[0]
    pairs = one if isinstance(one, dict) else dict(zip(one[::2], one[1::2], strict=True))
    return pairs["args"]


def modules(c):
    return json.loads(c.cli("modules", "--json").stdout)


def loaded(c, name):
    return {m["name"]: m for m in c.instance(name)["modules"]}


def start_unready(c):
    """Starts, and waits until the supervisor answers."""
    c.start(wait=False)

    def answers():
        done = c.cli("status", check=False)
        return done.returncode in (0, 3) and "nobody supervises" not in done.stderr

    wait_until(answers, "the supervisor's answer")


def set_modules(c, value):
    if value is None:
        c.options.pop("redis.modules", None)
    else:
        c.options["redis.modules"] = value
    c.write_options()
    return c.cli("reload")


def stripping_server(folder, name):
    """A server that does not load what its redis.conf says, in the folder of one instance; elsewhere it is the real one."""
    path = folder / "stripping-server"
    wrapper(path, f'case $PWD in */{name}) sed -i "/^loadmodule/d" redis.conf ;; esac\nexec {SERVER} "$@"')
    return path


@pytest.fixture
def searching(make_cluster):
    return make_cluster(options={"redis.modules": "search"}).start()


# ---- loaded, probed, shown ----

def test_all_servers_load_the_same(searching):
    c = searching
    for name in ("redis-1", "redis-2", "redis-3"):
        assert loaded(c, name)["ft"]["path"] == str(SEARCH)
        wait_until(lambda n=name: loaded(c, n)["ft"]["probe"] == "ok", "the answer of the probe")
    view = modules(c)
    assert [(w["word"], w["state"], w["name"], w["module"]) for w in view["wanted"]] == [("search", "good", "ft", "search-1")]
    words = {m["name"] for m in view["catalogue"]}
    assert {"bloom", "timeseries", "rejson", "search", "search-1", "graph", "falkordb", "gears", "gears-2", "ai", "rediscompat",
            "vectorset", "valkey-bloom", "valkey-json", "valkey-search", "valkey-ldap"} <= words
    aliases = {a for m in view["catalogue"] for a in m["aliases"]} | words
    assert {"redis_bloom", "redis_gears", "redis_timeseries", "redis_ai", "redis_search", "redis_graph", "rejson"} <= aliases
    assert "modules: ft 1.2" in c.cli("status").stdout
    text = c.cli("modules").stdout
    assert "search: ft 1.2" in text and "end-of-life" in text and "successor: falkordb" in text
    make_index(c.proxy())
    for name in c.replicas():
        wait_until(lambda n=name: has_doc(c, n), f"the document on {name}")
    c.cli("failover")
    assert found(c.proxy()) == 1


def test_the_page_shows_an_index_and_searches_it(searching):
    c = searching
    if not has_page(c):
        missing("this build has no page (configure --disable-ui)")
    client = c.proxy()
    client.execute_command("FT.CREATE", "books", "SCHEMA", "t", "TEXT")
    client.execute_command("FT.ADD", "books", "d1", "1", "FIELDS", "t", EVIL)
    with c.load(writers=2, pace_s=0.02):
        scenario(prepare(), "modules", c, {"modules": lambda _: {"what": "search", "evil": EVIL}})


def test_arguments_and_one_line_each_after_rewrites(make_cluster):
    c = make_cluster(options={"redis.modules": "search", "module-search.args": "MAXEXPANSIONS 333"}).start()
    for _ in range(2):
        for name in ("redis-1", "redis-2", "redis-3"):
            assert arguments(c, name) == ["MAXEXPANSIONS", "333"]
            assert c.redis(name).config_rewrite()
        c.cli("restart", "--rolling")
        for name in ("redis-1", "redis-2", "redis-3"):
            assert conf_lines(c, name, "loadmodule") == [f"loadmodule {SEARCH} MAXEXPANSIONS 333"]


def test_a_path_of_ones_own_and_arguments_behind_it(make_cluster, tmp_path):
    copy = tmp_path / "own.so"
    shutil.copy(SEARCH, copy)
    c = make_cluster(options={"redis.modules": f"{copy} MAXEXPANSIONS 111"}).start()
    assert loaded(c, "redis-2")["ft"]["path"] == str(copy)
    assert arguments(c, "redis-3") == ["MAXEXPANSIONS", "111"]


def test_manifests_and_folders_of_ones_own(make_cluster, tmp_path):
    shutil.copy(SEARCH, tmp_path / "mine.so")
    (tmp_path / "mine.ini").write_text("[module]\nname = mine\ntitle = my own\nlist_name = ft\nfiles = mine.so\nprobe = FT.SUGLEN x\n"
                                       "answer = zero\ntypes = ft_index0\n")
    (tmp_path / "faulty.ini").write_text("[module]\nname = faulty\nfile = x.so\n")
    c = make_cluster(options={"redis.modules": "mine", "redis.module_path": tmp_path}).start()
    assert modules(c)["wanted"][0]["module"] == "mine"
    assert "faulty.ini has an unknown key 'file'" in c.run.err


# ---- files that are not good ----

def machine_changed(data):
    return data[:18] + (183).to_bytes(2, "little") + data[20:]  # e_machine: arm64


BROKEN = {
    "text": (lambda data: b"404 not found\n", 0o755, "is no shared object"),
    "other processor": (machine_changed, 0o755, "is built for arm64"),
    "cut short": (lambda data: data[:len(data) // 2], 0o755, "is cut short"),
    "not executable": (lambda data: data, 0o644, "is not executable"),
    "empty": (lambda data: b"", 0o755, "is no shared object"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_said_before_the_start(make_cluster, tmp_path, case):
    change, mode, words = BROKEN[case]
    file = tmp_path / "redisearch.so"
    file.write_bytes(change(SEARCH.read_bytes()))
    file.chmod(mode)
    c = make_cluster(options={"redis.modules": "search", "redis.module_path": tmp_path})
    done = c.cli("check", "-c", c.ini, check=False)
    assert done.returncode == 78 and words in done.stderr and str(file) in done.stderr, done.stderr
    c.start(wait=False)
    assert c.run.wait() == 1
    assert words in c.run.err and c.run.err.count("\n") < 5, c.run.err
    c.options["redis.modules"] = "?search"
    c.write_options()
    c.start()
    assert loaded(c, "redis-1") == {}
    assert words in c.events("module.missing", subject="search")[0]["text"]
    c.allow("exit")


@pytest.mark.parametrize("value, words", [
    ("nothing-of-the-kind", "no module of this name is known"),
    ("serach", "is it 'search'"),
    ("bloom", "no redisbloom.so in the"),
    ("vectorset", "is part of the server"),
    ("/nowhere/x.so", "is not there"),
    ("/usr/lib", "is a directory"),
    (f"search, {SEARCH}", "is the same file as search"),
    ("search ON_TIMEOUT foo", "Invalid ON_TIMEOUT value"),
])
def test_what_cannot_be_loaded_is_said_with_a_remedy(make_cluster, value, words):
    c = make_cluster(options={"redis.modules": value})
    done = c.cli("check", "-c", c.ini, check=False)
    assert done.returncode == 78 and words in done.stderr, done.stderr
    c.allow("exit")


def test_without_a_server_nothing_is_called_good(make_cluster):
    c = make_cluster(options={"redis.modules": "search", "redis.server": "/nowhere/redis-server"})
    done = c.cli("check", "-c", c.ini, check=False)
    assert done.returncode == 78 and "search: is not tried" in done.stderr and "ok  module" not in done.stdout, done.stdout + done.stderr
    c.allow("exit")


def test_two_files_of_one_name(make_cluster, tmp_path):
    shutil.copy(SEARCH, tmp_path / "other.so")
    c = make_cluster(options={"redis.modules": f"search, ?{tmp_path}/other.so"}).start()
    assert "calls itself ft, as" in c.events("module.missing", subject="other")[0]["text"]
    assert list(loaded(c, "redis-3")) == ["ft"]


# ---- servers that differ ----

def test_a_replica_without_the_module_is_not_followed_nor_promoted(make_cluster, tmp_path):
    """
    Redis and Sentinel look at no modules: such a replica drops the writes that it does not know, with its link up, and is promoted all
    the same; then the module's data is gone everywhere. Failed before loaded.c: redis-2 was ready and took over.
    """
    c = make_cluster(options={"redis.modules": "search", "redis.server": stripping_server(tmp_path, "redis-2")})
    c.allow("deaths")
    start_unready(c)
    wait_until(lambda: c.instance("redis-2")["state"] == "failed", "redis-2 to be given up")
    assert "has not loaded the module ft" in c.events("module.missing", subject="redis-2")[0]["text"]
    assert c.instance("redis-2")["restarts"] < 5
    make_index(c.proxy())
    wait_until(lambda: has_doc(c, "redis-3"), "the document on redis-3")
    wait_until(lambda: c.instance("redis-3")["state"] == "ready", "redis-3")
    done = c.cli("failover", "--to", "redis-2", check=False)
    assert done.returncode == 1
    c.kill("redis-1")
    wait_until(lambda: c.status()["master"]["name"] == "redis-3", "redis-3 to take over")
    assert found(c.proxy()) == 1
    wait_until(lambda: c.instance("redis-1")["state"] == "ready" and has_doc(c, "redis-1"), "redis-1 to follow")


def test_a_module_that_the_master_got_by_hand(make_cluster):
    c = make_cluster(options={"redis.config.enable-module-command": "yes"}).start()
    c.allow("deaths")
    c.redis("redis-1").execute_command("MODULE", "LOAD", str(SEARCH))
    make_index(c.proxy())
    for name in ("redis-2", "redis-3"):
        c.wait_event("module.missing", subject=name)
    done = c.cli("failover", check=False)
    assert done.returncode == 1 and "ft" in done.stderr, done.stderr
    wait_until(lambda: "redis.modules does not name" in " ".join(c.status(check=False)["reasons"]), "the remedy")
    set_modules(c, "search")
    c.wait_ready()
    for name in ("redis-2", "redis-3"):
        wait_until(lambda n=name: has_doc(c, n), f"the document on {name}")
    c.cli("failover")
    assert found(c.proxy()) == 1


def test_commands_that_a_replica_cannot_carry_out(cluster):
    """The counter of Redis for it moves while link, offsets and lag look well. Failed before loaded.c asked for it."""
    c = cluster
    replica = c.redis("redis-2")
    replica.execute_command("ACL", "SETUSER", "holdfast", "on")
    replica.config_set("replica-read-only", "no")
    replica.execute_command("SET", "k", "a string here, a list there")
    c.proxy().lpush("k", "1")
    event = c.wait_event("instance.diverged", subject="redis-2")
    assert "holdfast restart redis-2" in event["text"]
    assert c.cli("failover", "--to", "redis-2", check=False).returncode == 1
    c.cli("restart", "redis-2")
    c.wait_ready()
    assert c.redis("redis-2").type("k") in (b"list", "list")
    assert c.cli("failover", "--to", "redis-2").returncode == 0


# ---- a server without the module of its data ----

def test_a_cold_start_without_the_module(searching):
    c = searching
    make_index(c.proxy())
    assert c.stop() == 0
    c.options.pop("redis.modules")
    c.write_options()
    start_unready(c)
    c.allow("deaths")
    for name in ("redis-1", "redis-2", "redis-3"):
        wait_until(lambda n=name: c.instance(n)["state"] == "failed", f"{name} to be given up")
        assert c.instance(name)["restarts"] == 0
        assert "of a module that is not loaded" in c.events("module.missing", subject=name)[0]["text"]
        assert not [f for f in (c.dir / name).iterdir() if "damaged" in f.name]
    set_modules(c, "search")
    c.wait_ready()
    assert found(c.proxy()) == 1


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_the_type_that_a_snapshot_needs_is_named(make_cluster, appendonly):
    c = make_cluster(options={"redis.modules": "search", "redis.appendonly": appendonly}).start()
    make_index(c.proxy())
    for name in ("redis-1", "redis-2", "redis-3"):
        if appendonly == "yes":
            c.redis(name).bgrewriteaof()
            wait_until(lambda n=name: c.redis(n).info("persistence")["aof_rewrite_in_progress"] == 0, "its new file")
    assert c.stop() == 0
    c.options.pop("redis.modules")
    c.write_options()
    start_unready(c)
    c.allow("deaths")
    wait_until(lambda: c.instance("redis-1")["state"] == "failed", "redis-1 to be given up")
    text = c.events("module.missing", subject="redis-1")[0]["text"]
    assert re.search(r"ft_\w+|trietype0|numericdx", text) and "search" in text, text


# ---- changing the set ----

def test_a_module_with_data_does_not_leave(searching):
    c = searching
    make_index(c.proxy())
    assert "--rolling" in set_modules(c, None).stdout
    wait_until(lambda: modules(c)["wanted"][0]["state"] == "leaving", "the module to be leaving")
    c.wait_replaced("redis-2", c.kill("redis-2"))
    assert "ft" in loaded(c, "redis-2"), "what leaves is loaded until it is proven that nothing needs it"
    done = c.cli("restart", "--rolling", check=False)
    assert done.returncode == 1 and "idx:idx" in done.stderr and "ft_index0" in done.stderr, done.stderr
    assert found(c.proxy()) == 1
    c.proxy().execute_command("FT.DROP", "idx")
    c.cli("restart", "--rolling")
    for name in ("redis-1", "redis-2", "redis-3"):
        assert loaded(c, name) == {}
        assert conf_lines(c, name, "loadmodule") == []
    assert modules(c)["wanted"] == []


class Asking:
    """One client of the proxy that searches and writes, one after the other; an error ends it."""

    def __init__(self, c):
        self.c, self.stop, self.count, self.error = c, threading.Event(), 0, None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            with self.c.wire() as wire:
                while not self.stop.is_set():
                    assert wire("FT.SEARCH", "idx", "hello")[0] == 1
                    assert wire("INCR", "count") == self.count + 1
                    self.count += 1
        except Exception as e:  # noqa: BLE001  (whatever it is, the test shows it)
            self.error = e

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.count > 0 or self.error, "the first answer")
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join(30)


def uses_deleted(c, name, file):
    return f"{file} (deleted)" in Path(f"/proc/{c.instance(name)['pid']}/maps").read_text()


def test_an_update_by_rolling_restart_shows_no_client_an_error(make_cluster, tmp_path):
    file = tmp_path / "redisearch.so"
    shutil.copy(SEARCH, file)
    c = make_cluster(options={"redis.modules": "search", "redis.module_path": tmp_path}).start()
    make_index(c.proxy())
    shutil.copy(SEARCH, tmp_path / "new")
    (tmp_path / "new").rename(file)
    assert all(uses_deleted(c, n, file) for n in ("redis-1", "redis-2", "redis-3"))
    with Asking(c) as asking:
        c.cli("restart", "--rolling")
    assert asking.error is None and asking.count > 0
    assert not any(uses_deleted(c, n, file) for n in ("redis-1", "redis-2", "redis-3"))
    # A bad one is refused while everything goes on, and does not keep a server from coming back once it is good again.
    good = file.read_bytes()
    (tmp_path / "new").write_bytes(good[:1000])
    (tmp_path / "new").chmod(0o755)
    (tmp_path / "new").rename(file)
    done = c.cli("restart", "--rolling", check=False)
    assert done.returncode == 1 and "is cut short" in done.stderr, done.stderr
    assert found(c.proxy()) == 1


def test_a_module_is_added_by_rolling_restart(cluster):
    c = cluster
    c.proxy().set("k", "v")
    set_modules(c, "search")
    c.cli("restart", "--rolling")
    assert all("ft" in loaded(c, n) for n in ("redis-1", "redis-2", "redis-3"))
    make_index(c.proxy())
    assert c.proxy().get("k") in (b"v", "v")


def test_a_reload_with_a_bad_module_changes_nothing(searching):
    c = searching
    make_index(c.proxy())
    set_modules(c, "search, bloom")
    assert "bloom" in c.wait_event("module.missing", subject=c.status(check=False)["node"])["text"]
    assert "bloom" in " ".join(c.status(check=False)["reasons"])
    c.kill("redis-3")
    wait_until(lambda: c.instance("redis-3")["state"] == "ready" and "ft" in loaded(c, "redis-3"), "redis-3")
    set_modules(c, "search")
    c.wait_ready()


def test_the_next_supervisor_goes_on_with_what_servers_have(searching):
    c = searching
    make_index(c.proxy())
    c.kill_supervisor()
    c.options["redis.modules"] = "none"
    c.write_options()
    c.start()
    assert modules(c)["wanted"][0]["state"] == "leaving"
    c.wait_replaced("redis-2", c.kill("redis-2"))
    wait_until(lambda: has_doc(c, "redis-2"), "the document on redis-2")


def test_no_trial_server_is_left_behind(make_cluster):
    c = make_cluster(options={"redis.modules": "search"})
    c.start()
    assert not list(c.dir.glob("trial-*"))
    (c.dir / "trial-old").mkdir()
    c.kill_supervisor()
    c.start()
    assert not list(c.dir.glob("trial-*"))


# ---- FalkorDB: a newer server, and data of its own in every snapshot ----

@pytest.fixture(scope="session")
def falkordb(tmp_path_factory):
    """The module's file. It comes from a package of the npm registry; $HOLDFAST_TEST_FALKORDB names one that is here already."""
    named = os.environ.get("HOLDFAST_TEST_FALKORDB")
    if named:
        return Path(named)
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no FalkorDB: npm is not installed, and HOLDFAST_TEST_FALKORDB names no file")
    folder = tmp_path_factory.mktemp("falkordb")
    done = subprocess.run([npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", folder, "@falkordblite/linux-x64"],
                          capture_output=True, text=True, timeout=300)
    file = folder / "node_modules/@falkordblite/linux-x64/bin/falkordb.so"
    if done.returncode != 0 or not file.exists():
        pytest.skip(f"no FalkorDB: npm could not install it: {done.stderr[-300:]}")
    return file


@pytest.fixture(scope="session")
def valkey():
    path = shutil.which("valkey-server")
    if path is None:
        pytest.skip("no Valkey here (Debian: valkey-server and valkey-sentinel of bookworm-backports)")
    return path


def test_a_server_that_is_too_old_is_said(make_cluster, falkordb):
    c = make_cluster(options={"redis.modules": "graph", "redis.module_path": falkordb.parent})
    version = subprocess.run([SERVER, "--version"], capture_output=True, text=True, check=True).stdout
    if not re.search(r"Redis server v=[67]\.[01]", version):
        pytest.skip("this server is new enough for it")
    done = c.cli("check", "-c", c.ini, check=False)
    assert done.returncode == 78 and "requires redis-server version 7.2.0" in done.stderr, done.stderr
    c.allow("exit")


@pytest.mark.xdist_group("falkordb")
def test_a_graph_on_valkey(make_cluster, falkordb, valkey):
    c = make_cluster(options={"redis.modules": "redis_graph", "redis.module_path": falkordb.parent, "redis.server": valkey,
                              "sentinel.server": shutil.which("valkey-sentinel")}).start(timeout=90)
    view = modules(c)
    assert [(w["name"], w["module"]) for w in view["wanted"]] == [("graph", "falkordb")]
    proxy = c.proxy()
    proxy.execute_command("GRAPH.QUERY", "g", "CREATE (:Person {name:'Ann'})-[:KNOWS]->(:Person {name:'Bob'})")

    def people(client):
        return client.execute_command("GRAPH.QUERY", "g", "MATCH (p:Person) RETURN count(p)")[1][0][0]

    assert people(proxy) == 2
    if has_page(c):
        name = "<img src=x onerror=window.__xss=1>"
        proxy.execute_command("GRAPH.QUERY", "people", f"CREATE (:Person {{name:'Ann'}})-[:KNOWS]->(:Person {{name:'{name}'}})")
        scenario(prepare(), "modules", c, {"modules": lambda _: {"what": "graph", "evil": name}, "people": lambda _: {
            "n": proxy.execute_command("GRAPH.QUERY", "people", "MATCH (p:Person) RETURN count(p)")[1][0][0]}})
        proxy.execute_command("GRAPH.DELETE", "people")
    c.kill("redis-1")
    c.wait_master_is_not("redis-1")
    assert people(proxy) == 2
    c.wait_ready(timeout=90)
    # Its snapshots hold data of its own even without a key: it cannot leave.
    proxy.execute_command("GRAPH.DELETE", "g")
    set_modules(c, None)
    done = c.cli("restart", "--rolling", check=False)
    assert done.returncode == 1 and "even without a key" in done.stderr, done.stderr
    # And a server without it does not begin with them.
    assert c.stop() == 0
    start_unready(c)
    c.allow("deaths")
    wait_until(lambda: c.instance("redis-1")["state"] == "failed", "redis-1 to be given up")
    assert "graphdata" in c.events("module.missing", subject="redis-1")[0]["text"]
    set_modules(c, "graph")
    c.wait_ready(timeout=90)
