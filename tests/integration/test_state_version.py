"""A newer binary and an older state.db: brought up to it. An older binary and a newer state.db: refused, clearly, and nothing is touched."""
import hashlib
import sqlite3


# What each step of the schema (src/store/schema.c) made, from the newest on, to be taken away again.
STEPS_BACK = {2: "DROP TABLE samples"}


def version(path, new=None):
    with sqlite3.connect(path) as db:
        if new is not None:
            db.execute(f"PRAGMA user_version = {new}")
        known = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return known


def test_the_database_of_each_earlier_version_opens(make_cluster):
    c = make_cluster(options={"redis.instances": 2, "sentinel.instances": 1}).start()
    c.cli("failover")
    master = c.wait_agreed()
    path = c.dir / "state.db"
    newest = version(path)
    assert newest == max(STEPS_BACK), "a new step of the schema: say here how to take it back"
    for older in range(newest - 1, 0, -1):
        assert c.stop() == 0
        with sqlite3.connect(path) as db:
            for step in range(newest, older, -1):
                db.executescript(STEPS_BACK[step])
        db.close()
        assert version(path, older) == older
        c.start()
        assert version(path) == newest
        assert c.wait_agreed() == master
        assert c.events("failover.done"), "the history is kept"
        assert c.events("state.migrated")[-1]["detail"]["from"] == older


def test_a_newer_database_is_refused(make_cluster):
    c = make_cluster(options={"redis.instances": 1, "sentinel.instances": 1}).start()
    c.proxy().set("k", "v")
    assert c.stop() == 0
    path = c.dir / "state.db"
    with sqlite3.connect(path) as db:
        known = db.execute("PRAGMA user_version").fetchone()[0]
        db.execute(f"PRAGMA user_version = {known + 7}")
    db.close()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    c.start(wait=False)
    assert c.run.wait() == 1
    for words in (str(path), f"version {known + 7}", f"up to {known}", "newer"):
        assert words in c.run.err, c.run.err
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert not list(c.dir.glob("state.db.damaged*"))
    # What knows it goes on as if nothing had been.
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {known}")
    db.close()
    c.start()
    assert c.proxy().get("k") == b"v"
    assert c.events("supervisor.stopped"), "the history of before is there"


def test_a_lost_database_costs_only_the_history(make_cluster):
    """The way back where no older state.db was kept: without one, roles are learned again."""
    c = make_cluster().start()
    c.cli("failover")
    name = c.wait_agreed()
    c.proxy().set("k", "v")
    assert c.stop() == 0
    for path in c.dir.glob("state.db*"):
        path.unlink()
    c.start()
    assert c.wait_agreed() == name
    assert c.proxy().get("k") == b"v"
