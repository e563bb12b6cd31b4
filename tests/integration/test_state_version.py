"""An older binary and a newer state.db: refused, clearly, and nothing is touched."""
import hashlib
import sqlite3


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
