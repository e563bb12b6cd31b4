"""
Cold start after a power cut: whatever is stale, lost or damaged, it ends with one master that all agree on, the newest
data, and an event that says who was chosen and on whose word.

Where a docstring names a rule, the test was seen to fail with that rule taken out, or before it was there; the combinations of what may be
lost were not each seen to fail.
"""
import itertools
import shutil
import subprocess

import pytest

import faults
from harness import SERVER, wait_until

ALL = ("redis-1", "redis-2", "redis-3")
KEYS = 300


def value(client, key):
    return (client.get(key) or b"").decode()


def fill_up(c, begin, count, word):
    with c.wire() as wire:
        for n in range(begin, begin + count):
            assert wire("SET", f"key:{n}", f"{word}-{n}-{'x' * 40}") == "OK"
        assert wire("WAIT", 2, 10000) == 2


def cut_power(make_cluster, master="redis-3", **options):
    """A cluster whose master is not the first one, with data, all at once gone; nothing of it runs."""
    c = make_cluster(**options).start()
    fill_up(c, 0, KEYS, "old")
    if master != "redis-1":
        c.cli("failover", "--to", master)
    assert c.wait_agreed() == master
    fill_up(c, 100, KEYS, "new")
    c.kill_everything()
    c.allow("deaths")
    return c


def assert_all_there(c, expected=None):
    """All agree, every server has the newest of everything, the decision was told. Gives the event."""
    master = c.wait_agreed()
    assert expected is None or master == expected
    for name in ALL:
        client = c.redis(name)
        assert client.dbsize() == 100 + KEYS, name
        for n in (0, 99, 100, 250, 99 + KEYS):
            assert value(client, f"key:{n}").startswith(f"{'old' if n < 100 else 'new'}-{n}-"), (name, n)
    with c.wire() as wire:
        assert wire("INCR", "started") == 1
    decided = [e for e in c.events("master.decided") if e["id"] > c.events("supervisor.started")[-1]["id"]][-1]
    assert decided["subject"] == master
    assert decided["detail"]["on_word_of"] and decided["detail"]["on_word_of"] in decided["text"]
    return decided


STATE = ("state kept", "state lost")
SENTINELS = ("sentinels kept", "one sentinel lost", "sentinels lost")
CONFIGS = ("configs kept", "stale configs", "no configs")


@pytest.mark.parametrize("state,sentinels,configs", list(itertools.product(STATE, SENTINELS, CONFIGS)))
def test_what_is_lost_in_combination(make_cluster, state, sentinels, configs):
    """The database and the sentinels' files decide, then who has the newest data; a redis.conf never does."""
    c = cut_power(make_cluster)
    if state == "state lost":
        for path in c.dir.glob("state.db*"):
            path.unlink()
    for n in {"sentinels kept": (), "one sentinel lost": (2,), "sentinels lost": (1, 2, 3)}[sentinels]:
        shutil.rmtree(c.dir / f"sentinel-{n}")
    if configs == "stale configs":
        faults.write_stale_configs(c)
    elif configs == "no configs":
        for path in c.dir.glob("redis-*/redis.conf"):
            path.unlink()
    c.start()
    nobody_knows = state == "state lost" and sentinels == "sentinels lost"
    decided = assert_all_there(c, None if nobody_knows else "redis-3")
    word = decided["detail"]["on_word_of"]
    if nobody_knows:
        assert "newest" in word
    elif sentinels == "sentinels lost":
        assert word == "the state database"
    else:
        assert word == "the sentinels' files"


def test_a_state_db_of_before_the_failover_gives_way(make_cluster):
    """An old copy comes back with a restored folder: the sentinels' higher epoch goes before it."""
    c = make_cluster().start()
    fill_up(c, 0, KEYS, "old")
    assert c.stop() == 0
    shutil.copy(c.dir / "state.db", c.case / "state.db")
    c.start()
    c.cli("failover", "--to", "redis-2")
    assert c.wait_agreed() == "redis-2"
    fill_up(c, 100, KEYS, "new")
    c.kill_everything()
    c.allow("deaths")
    for path in c.dir.glob("state.db*"):
        path.unlink()
    shutil.copy(c.case / "state.db", c.dir / "state.db")
    faults.write_stale_configs(c)
    c.start()
    assert_all_there(c, "redis-2")


def test_a_sentinel_that_slept_through_the_failover_gives_way(make_cluster):
    """One file of an older epoch, the database lost."""
    c = make_cluster().start()
    fill_up(c, 0, KEYS, "old")
    stale = (c.dir / "sentinel-1" / "sentinel.conf").read_bytes()
    c.cli("failover", "--to", "redis-2")
    assert c.wait_agreed() == "redis-2"
    fill_up(c, 100, KEYS, "new")
    c.kill_everything()
    c.allow("deaths")
    for path in c.dir.glob("state.db*"):
        path.unlink()
    (c.dir / "sentinel-1" / "sentinel.conf").write_bytes(stale)
    c.start()
    assert_all_there(c, "redis-2")


# --- data files ---


@pytest.mark.parametrize("gone", [("redis-3",), ("redis-1",), ("redis-1", "redis-2"), ("redis-1", "redis-3")])
def test_a_missing_data_folder(make_cluster, gone):
    """Incident 8 at a cold start. Fails when an empty master may begin (DECISION_EMPTY)."""
    c = cut_power(make_cluster)
    for name in gone:
        faults.empty(c, name)
    c.start()
    decided = assert_all_there(c, None if "redis-3" in gone else "redis-3")
    assert ("instead_of" in decided["detail"]) == ("redis-3" in gone)


@pytest.mark.parametrize("name", ALL)
def test_a_truncated_append_only_file(make_cluster, name):
    """
    Redis loads what is left of it, and says so in its log only. When the master has lost its end and a replica has it,
    the replica begins. Failed before DECISION_AHEAD: the last writes were gone everywhere.
    """
    c = cut_power(make_cluster)
    faults.truncate_aof(c, name, 500)
    c.start()
    decided = assert_all_there(c, None if name == "redis-3" else "redis-3")
    if name == "redis-3":
        assert decided["detail"]["instead_of"] == name and decided["detail"]["ahead_bytes"] >= 500
        assert "lost the end" in decided["text"]


@pytest.mark.parametrize("names", [("redis-3",), ("redis-1",), ("redis-3", "redis-1")])
def test_an_append_only_file_damaged_in_the_middle(make_cluster, names):
    """
    Redis refuses it and exits, again and again. Another with data begins; what is damaged is set aside, and copied anew.
    Failed before damage.c: the master was given up after ten attempts, the proxy led nowhere.
    """
    c = cut_power(make_cluster)
    for name in names:
        faults.damage_aof_middle(c, name)
        c.deaths[name] = 3
    c.start()
    decided = assert_all_there(c, None if "redis-3" in names else "redis-3")
    if "redis-3" in names:
        assert decided["detail"]["instead_of"] in names and "damaged" in decided["text"]
    for name in names:
        (event,) = c.events("data.damaged", name)
        assert "append only file" in event["detail"]["why"] and "set aside" in event["text"]
        aside = list((c.dir / name).glob("appendonlydir.damaged-*"))
        assert len(aside) == 1 and list(aside[0].iterdir()), "what was damaged is not there any more"


def test_two_damaged_ones_on_a_slow_disk(make_cluster):
    """
    While the supervisor still writes down that one cannot begin, the next has ended, too: it hears of both in one turn.
    Failed before: the second decision had the first one's epoch, one was told and another one kept, and nothing ever began.
    """
    c = cut_power(make_cluster)
    for name in ("redis-3", "redis-1"):
        faults.damage_aof_middle(c, name)
        c.deaths[name] = 3
    with faults.slow_database(c):
        c.start(wait=False)
        wait_until(lambda: c.status(check=False), "the supervisor answers")
        c.wait_event("data.damaged", "redis-1")
    assert assert_all_there(c, "redis-2")["detail"]["epoch"] == 3


@pytest.mark.parametrize("which", ["the master", "a replica"])
def test_damage_that_shows_at_a_death(make_cluster, which):
    """Not at a cold start: one dies while all the others run, and cannot load its data any more."""
    c = make_cluster().start()
    fill_up(c, 0, 100, "old")
    fill_up(c, 100, KEYS, "new")
    name = c.master() if which == "the master" else c.replicas()[0]
    faults.damage_aof_middle(c, name)
    c.kill(name)
    c.deaths[name] = 3
    c.wait_event("data.damaged", name)
    c.wait_agreed()
    assert c.redis(name).dbsize() == 100 + KEYS
    assert list((c.dir / name).glob("appendonlydir.damaged-*"))


DAMAGE = {
    "the base": lambda base, increments: base.write_bytes(base.read_bytes()[:20] + b"\xff" * 40 + base.read_bytes()[60:]),
    "no increment": lambda base, increments: increments[-1].unlink(),
    "the manifest": lambda base, increments: next(base.parent.glob("*.manifest")).write_text("file nonsense\n"),
    "no manifest": lambda base, increments: next(base.parent.glob("*.manifest")).unlink(),
}


@pytest.mark.parametrize("name", ["redis-3", "redis-1"])
@pytest.mark.parametrize("what", DAMAGE)
def test_other_damage_to_the_append_only_files(make_cluster, what, name):
    """Whatever of it is damaged or missing, on the master or a replica: the others have the data."""
    c = cut_power(make_cluster)
    DAMAGE[what](*faults.data_files(c, name))
    c.deaths[name] = 3
    c.start()
    assert_all_there(c)


def test_all_append_only_files_are_damaged(make_cluster):
    """Then nothing is thrown away: all stays in its place, is said, and can be repaired."""
    c = cut_power(make_cluster, options={"holdfast.restart_max": 2})
    for name in ALL:
        faults.damage_aof_middle(c, name)
        c.deaths[name] = 20
    c.start(wait=False)
    wait_until(lambda: (c.status(check=False) or {}).get("state"), "a supervisor that answers")
    said = wait_until(lambda: [e for e in c.events("data.damaged") if "redis-check-aof" in e["text"]], "the advice")
    master = said[0]["subject"]
    c.wait_event("instance.failed", master)
    assert not list(c.dir.glob("redis-*/*.damaged-*")), "set aside although nobody has a copy"
    manifest = next((c.dir / master / "appendonlydir").glob("*.manifest"))
    subprocess.run([SERVER.replace("-server", "-check-aof"), "--fix", manifest], input="y\n", text=True, check=True, capture_output=True)
    c.cli("start", master, check=False)
    assert c.wait_agreed() == master
    assert 0 < c.redis(master).dbsize() < 100 + KEYS
    for name in ALL:
        assert c.redis(name).dbsize() == c.redis(master).dbsize()


# --- addresses ---


@pytest.mark.parametrize("what", ["redis.port", "sentinel.port", "both", "shifted by one"])
@pytest.mark.parametrize("state", STATE)
def test_other_ports(make_cluster, what, state):
    """The sentinels' files name the old addresses: they are led to the new ones."""
    c = cut_power(make_cluster)
    step = 1 if what == "shifted by one" else 4
    if what != "sentinel.port":
        c.options["redis.port"] = c.ports.redis = c.ports.redis + step
    if what in ("sentinel.port", "both"):
        c.options["sentinel.port"] = c.ports.sentinel = c.ports.sentinel + 4
    if state == "state lost":
        for path in c.dir.glob("state.db*"):
            path.unlink()
    c.write_options()
    c.start()
    assert_all_there(c, "redis-3" if state == "state kept" or what == "sentinel.port" else None)


def test_another_address(make_cluster):
    c = cut_power(make_cluster)
    c.options.update({"holdfast.address": "127.0.0.2", "redis.bind": "127.0.0.1, 127.0.0.2",
                      "sentinel.bind": "127.0.0.1, 127.0.0.2"})
    c.write_options()
    c.start()
    status = c.wait_ready()
    assert status["master"]["name"] == "redis-3" and status["master"]["host"] == "127.0.0.2"
    assert set(c.sentinel_masters().values()) == {("127.0.0.2", c.port("redis-3"))}
    assert c.proxy().dbsize() == 100 + KEYS
    assert c.events("master.decided")[-1]["subject"] == "redis-3"


# --- the configuration ---


def test_append_only_file_switched_on_later(make_cluster):
    """Redis with appendonly reads no dump.rdb: all would begin empty. Failed before the dump was read in first."""
    c = make_cluster(options={"redis.appendonly": "no"}).start()
    fill_up(c, 0, KEYS, "new")
    assert c.stop() == 0
    c.options["redis.appendonly"] = "yes"
    c.write_options()
    c.start()
    master = c.wait_agreed()
    for name in ALL:
        assert c.redis(name).dbsize() == KEYS, name
        wait_until(lambda: c.redis(name).config_get("appendonly")["appendonly"] == "yes", f"{name} to write it")
    wait_until(lambda: all((c.dir / n / "appendonlydir").exists() for n in ALL), "the files")
    assert c.proxy().set("k", "v")
    wait_until(lambda: all(not c.redis(n).info("persistence")["aof_rewrite_in_progress"] for n in ALL), "the first files")
    c.kill_everything()
    c.allow("deaths")
    c.start()
    assert c.wait_agreed() == master
    assert c.proxy().dbsize() == KEYS + 1
