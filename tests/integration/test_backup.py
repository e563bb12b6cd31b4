"""Backups from a replica, and what they are for: restoring, into the same cluster and into a new one."""
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from harness import SERVER, Ports, procs, redis, wait_until

TOOLS = os.path.dirname(SERVER)


def fill(client, count=200):
    pipe = client.pipeline(transaction=False)
    for n in range(count):
        pipe.set(f"k{n}", f"v{n}" * 10)
    pipe.rpush("list", *range(50))
    pipe.xadd("stream", {"a": 1})
    pipe.execute()


def contents(client):
    """Every key with its serialized value."""
    return {key: client.dump(key) for key in sorted(client.scan_iter(count=1000))}


def backups(c):
    return sorted((c.dir / "backup").glob("*.rdb"))


def restore(c, *words, check=True):
    done = c.cli("restore", "-c", c.ini, *words, check=False)
    assert not check or done.returncode == 0, done.stderr
    return done


def restore_by_guess(c, *words):
    """As somebody does it who forgets -c."""
    done = c.cli("restore", *words, check=False)
    assert done.returncode == 1 and "-c FILE" in done.stderr, done.stderr
    return done.stderr


def wait_replicas_have_all(c):
    client = c.redis(c.master())
    assert client.wait(2, 20000) == 2


def test_backup_and_restore(make_cluster):
    """A backup is of a replica, whole, checksummed, and brings back what was there, in the same cluster and in another one."""
    c = make_cluster().start()
    fill(c.proxy())
    wait_replicas_have_all(c)
    before = contents(c.proxy())
    told = json.loads(c.cli("backup", "--json").stdout)
    assert told["source"] in c.replicas()
    path = backups(c)[0]
    assert str(path) == told["file"] and path.stat().st_size == told["bytes"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == told["sha256"]
    assert re.fullmatch(r"main-\d{8}T\d{6}\.\d{3}Z\.rdb", path.name), path.name
    done = subprocess.run(["sha256sum", "-c", f"{path.name}.sha256"], cwd=path.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    event = c.wait_event("backup.done")
    assert event["detail"]["sha256"] == told["sha256"] and event["detail"]["file"] == told["file"]
    assert not list(path.parent.glob("*.tmp"))

    # Not while it runs.
    done = restore(c, path, check=False)
    assert done.returncode == 1 and "stop that one" in done.stderr, done.stderr
    # Its servers may have outlived their supervisor: they would write into what is restored.
    c.kill_supervisor()
    done = restore(c, path, check=False)
    assert done.returncode == 1 and "needs all servers stopped" in done.stderr, done.stderr
    c.start()

    # The same cluster: what came later is gone, what was lost is back; the master is another one than at first.
    c.cli("failover")
    c.proxy().flushall()
    c.proxy().set("later", 1)
    name = c.wait_agreed()
    assert c.stop() == 0
    assert "was run with port" in restore_by_guess(c, path)
    assert "redis-3 is there, and only 2" in restore_by_guess(c, "-s", f"redis.port={c.ports.redis}", "-s", "redis.instances=2", path)
    assert not list(c.dir.rglob("*.before-restore-*"))
    restore(c, path)
    assert list(c.dir.glob("redis-1/*.before-restore-*"))
    c.start()
    assert contents(c.proxy()) == before
    assert c.wait_agreed() == name
    for replica in c.replicas():
        assert contents(c.redis(replica)) == before
    # And once more after a start from its own append-only files.
    c.proxy().set("new", 1)
    assert c.stop() == 0
    c.start()
    assert contents(c.proxy()) == {**before, b"new": c.proxy().dump("new")}

    # A new cluster: an empty folder.
    other = make_cluster(options={"holdfast.name": "other"})
    copy = other.case / "copy.rdb"
    shutil.copy(path, copy)
    restore(other, copy)
    other.start()
    assert contents(other.proxy()) == before
    assert other.wait_agreed() == "redis-1"


def test_what_is_damaged_is_not_restored(make_cluster):
    """Refused before anything is touched, with the reason."""
    c = make_cluster(options={"redis.instances": 1, "sentinel.instances": 1}).start()
    fill(c.proxy())
    c.cli("backup")  # of the master: there is nobody else
    assert c.stop() == 0
    good = backups(c)[0]
    data = good.read_bytes()
    files = sorted(c.dir.glob("redis-1/**/*"))

    flipped = c.case / "flipped.rdb"
    flipped.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    shutil.copy(f"{good}.sha256", c.case / "flipped.rdb.sha256")
    done = restore(c, flipped, check=False)
    assert done.returncode == 1 and "checksum" in done.stderr, done.stderr
    (c.case / "flipped.rdb.sha256").unlink()
    wanted = ["neither a snapshot", "cannot read", "neither a dump.rdb"]
    if os.access(f"{TOOLS}/redis-check-rdb", os.X_OK) and "valkey" not in SERVER:
        (c.case / "short.rdb").write_bytes(data[:-20])
        done = restore(c, c.case / "short.rdb", check=False)
        assert done.returncode == 1 and "damaged" in done.stderr and "Unexpected EOF" in done.stderr, done.stderr
        done = restore(c, flipped, check=False)
        assert done.returncode == 1 and "damaged" in done.stderr, done.stderr
        (c.case / "newer.rdb").write_bytes(b"REDIS0999" + data[9:])
        done = restore(c, c.case / "newer.rdb", check=False)
        assert done.returncode == 1 and "RDB format version 999" in done.stderr and "redis.server" in done.stderr, done.stderr
    (c.case / "text.rdb").write_text("no snapshot")
    (c.case / "empty").mkdir()
    for name, words in zip(("text.rdb", "none.rdb", "empty"), wanted):
        done = restore(c, c.case / name, check=False)
        assert done.returncode == 1 and words in done.stderr, done.stderr
    assert sorted(c.dir.glob("redis-1/**/*")) == files
    assert not list(c.dir.glob("restore-*"))
    c.start()
    assert c.proxy().get("k1") == b"v1" * 10


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The data folder of a plain Redis, with both forms of its data, and what it held."""
    folder = tmp_path_factory.mktemp("plain")
    ports = Ports()
    conf = folder / "redis.conf"
    conf.write_text(f"port {ports.redis}\nbind 127.0.0.1\ndir {folder}\nappendonly yes\nappendfilename own.aof\nsave \"\"\n")
    server = subprocess.Popen([SERVER, conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=ports.redis)
        wait_until(client.ping, "the plain server", ignore=(redis.RedisError,))
        fill(client)
        client.bgrewriteaof()
        wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "the rewrite")
        client.set("behind the base", 1)
        held = contents(client)
        client.save()
        client.close()
    finally:
        server.terminate()
        server.wait(30)
        ports.release()
    return folder, held


@pytest.mark.parametrize("form", ["snapshot", "folder", "file"])
def test_data_of_a_plain_redis_is_adopted(make_cluster, plain, form):
    folder, held = plain
    c = make_cluster()
    if form == "snapshot":
        # its folder as a whole has two forms of the same data: a person must choose
        done = restore(c, folder, check=False)
        assert done.returncode == 1 and "name the one to restore" in done.stderr, done.stderr
        source = folder / "dump.rdb"
    elif form == "folder":
        if not (folder / "appendonlydir").is_dir():
            pytest.skip("this server has no folder of append-only files")
        source = folder / "appendonlydir"
    else:
        # As servers before 7 wrote it: one file, with what came after the snapshot behind it.
        source = c.case / "appendonly.aof"
        parts = sorted((folder / "appendonlydir").glob("own.aof.*[fb]"))
        base = [p for p in parts if ".base." in p.name]
        later = [p for p in parts if ".incr." in p.name]
        source.write_bytes(b"".join(p.read_bytes() for p in base + later))
    restore(c, source)
    c.start()
    assert contents(c.proxy()) == held
    for replica in c.replicas():
        assert contents(c.redis(replica)) == held


def test_append_only_files_need_appendonly(make_cluster, plain):
    folder, _ = plain
    c = make_cluster(options={"redis.appendonly": "no"})
    done = restore(c, folder / "appendonlydir", check=False)
    assert done.returncode == 1 and "redis.appendonly is no" in done.stderr, done.stderr
    assert not c.dir.exists() or not list(c.dir.glob("redis-1/*"))


def test_schedule_rotation_and_failure(make_cluster):
    """By schedule the first one comes at once; beyond backup.keep the oldest go; a failure is told, and hurts nothing."""
    c = make_cluster(options={"redis.instances": 2, "sentinel.instances": 1, "backup.every": "1h", "backup.keep": 2,
                              "backup.max_age_s": "30d"})
    folder = c.dir / "backup"
    folder.mkdir(parents=True)
    old = folder / "main-20200101T000000.000Z.rdb"
    others = [folder / "other-20200101T000000.000Z.rdb", folder / "notes.txt"]
    for path in (old, *others):
        path.write_text("REDIS0011")
    c.start()
    first = c.wait_event("backup.done")["detail"]["file"]
    assert [str(p) for p in backups(c)] == [first, str(others[0])], "what is not ours, or of another cluster, stays"
    assert others[1].exists() and not old.exists()
    # Not due again for an hour: a supervisor that is started again finds that in the folder.
    c.kill_supervisor()
    c.start()
    for _ in range(2):
        c.cli("backup")
    mine = [str(p) for p in backups(c) if p.name.startswith("main-")]
    assert len(mine) == 2 and first not in mine, mine
    assert len(c.events("backup.done")) == 3

    # Where it would be written is a file.
    folder.rename(c.case / "away")
    folder.write_text("in the way")
    done = c.cli("backup", check=False)
    assert done.returncode == 1 and "no backup was made" in done.stderr, done.stderr
    assert c.events("backup.failed")
    folder.unlink()
    (c.case / "away").rename(folder)
    assert c.status()["state"] == "ready"

    # A replica that dies meanwhile is no good source; and there is one backup at a time.
    replica = c.replicas()[0]
    c.redis(replica).config_set("rdb-key-save-delay", 1000000)
    c.proxy().mset({f"k{n}": n for n in range(60)})
    c.wait_replicated()
    waits = c.spawn(*c.command("backup", "-d", c.dir), label="backup")
    saver = wait_until(lambda: procs.descendants(c.instance(replica)["pid"]), "the save under way")
    done = c.cli("backup", check=False)
    assert done.returncode == 1 and "under way" in done.stderr, done.stderr
    c.kill(replica)
    for pid in saver:
        with contextlib.suppress(ProcessLookupError):  # it may have ended with its parent
            os.kill(pid, signal.SIGKILL)
    assert waits.wait() == 1 and "no backup was made" in waits.err, waits.err
    c.wait_ready()
    c.cli("backup")


@pytest.fixture
def small_disk():
    """small_disk(folder, size): a file system of that size of its own, in this folder."""
    mounted = []

    def mount(folder, size):
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", folder], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"a full disk needs one to fill, and root to mount it: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk(make_cluster, small_disk):
    """What does not fit is told, and leaves nothing half done: neither a backup nor a restored server beside others that are not."""
    c = make_cluster(options={"redis.instances": 2, "sentinel.instances": 1})
    folder = small_disk(c.dir / "backup", "1m")
    c.start()
    c.proxy().set("small", 1)
    c.cli("backup")
    good = sorted(folder.iterdir())
    c.proxy().set("big", os.urandom(1_200_000))  # does not become shorter
    c.wait_replicated()
    done = c.cli("backup", check=False)
    assert done.returncode == 1 and "No space left on device: make room" in done.stderr, done.stderr
    assert "make room" in c.wait_event("backup.failed")["text"]
    assert sorted(folder.iterdir()) == good and len(good) == 2
    assert c.status()["state"] == "ready"
    snapshot = c.case / "big.rdb"
    shutil.copy(c.dir / c.replicas()[0] / "dump.rdb", snapshot)

    # Room for the copy that is looked at, and for two of three servers.
    other = make_cluster()
    small_disk(other.dir, "4500k")
    for n in (1, 2, 3):
        (other.dir / f"redis-{n}").mkdir()
        (other.dir / f"redis-{n}" / "dump.rdb").write_text(f"before {n}")
    done = restore(other, snapshot, check=False)
    assert done.returncode == 1 and "make room" in done.stderr, done.stderr
    left = sorted(p for p in other.dir.rglob("*") if p.is_file())
    assert [(p.parent.name, p.read_text()) for p in left if p.name != "holdfast.lock"] == [(f"redis-{n}", f"before {n}") for n in (1, 2, 3)]
    other.options["redis.instances"] = 1
    other.write_options()
    restore(other, snapshot)
    assert (other.dir / "redis-1" / "dump.rdb").stat().st_size == snapshot.stat().st_size


def test_a_replica_that_could_not_save_takes_writes_as_master(make_cluster):
    """Redis refuses writes after a snapshot that failed (stop-writes-on-bgsave-error); that of a backup is no reason, the data is in the append-only file."""
    c = make_cluster(options={"redis.instances": 2, "sentinel.instances": 1}).start()
    c.proxy().set("k", "v")
    replica = c.replicas()[0]
    (c.dir / replica / "dump.rdb").unlink(missing_ok=True)
    (c.dir / replica / "dump.rdb").mkdir()  # in the way
    done = c.cli("backup", check=False)
    assert done.returncode == 1 and f"holdfast logs {replica}" in done.stderr, done.stderr
    c.cli("failover")
    assert c.wait_agreed() == replica
    assert c.proxy().set("k", "w")
    (c.dir / replica / "dump.rdb").rmdir()
