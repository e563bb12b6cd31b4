"""
Faults that the scenarios and the runner cause, none of which needs root.

A full disk is a limit on the size of files (RLIMIT_FSIZE) of one process: each write to a file fails with EFBIG
where a full disk says ENOSPC, and servers take the same path for both. The signal that comes with it is ignored
by the wrapper that SERVER_OPTIONS names, and by what Python starts.

A replica is cut from its master by taking its password away and breaking the connection: it stays cut until it
is mended, while everybody else still reaches both.
"""
import os
import re
import resource
import shutil
import signal
import sqlite3
import threading
from contextlib import closing, contextmanager

import redis

from harness import SERVER, procs, wait_until, wrapper

__all__ = ["break_connections", "cut", "damage_aof_middle", "data_files", "empty", "fill", "freeze", "make_room", "mend",
           "server_options", "slow_database", "thaw", "truncate_aof", "write_stale_configs"]


def server_options(folder, server=SERVER):
    """Options with which redis-server survives fill(); the wrapper goes into `folder`."""
    path = folder / "server"
    wrapper(path, f"trap '' XFSZ\nexec {server} \"$@\"")
    return {"redis.server": path}


def fill(pid):
    """From now on the process can write to no file."""
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))


def make_room(pid):
    try:
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    except ProcessLookupError:
        pass


def freeze(pid):
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: procs.state(pid) in ("T", None), f"pid {pid} to stand still")


def thaw(pid):
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


def cut(c, name):
    """The replica loses its master until mend()."""
    client = c.redis(name)
    client.config_set("masterauth", "cut-off")
    client.execute_command("CLIENT", "KILL", "TYPE", "master")
    wait_until(lambda: client.info("replication").get("master_link_status") != "up", f"{name} cut from its master")


def mend(c, name):
    try:
        c.redis(name).config_set("masterauth", c.secret())
    except redis.RedisError:
        pass  # it was started anew meanwhile, with its file


def break_connections(c, name, kind):
    """All present connections of a kind (normal, replica, pubsub) to one server."""
    c.redis(name).execute_command("CLIENT", "KILL", "TYPE", kind)


def data_files(c, name):
    """The append-only files of an instance: (base, [increments]), the newest increment last."""
    folder = c.dir / name / "appendonlydir"
    base = [p for p in folder.iterdir() if ".base." in p.name]
    more = sorted((p for p in folder.iterdir() if ".incr." in p.name),
                  key=lambda p: int(re.search(r"\.(\d+)\.incr\.", p.name).group(1)))
    return (base[0] if base else None), more


def damage_aof_middle(c, name):
    """Bytes in the middle of the newest increment that are no command: redis refuses to load it."""
    path = data_files(c, name)[1][-1]
    data = bytearray(path.read_bytes())
    assert len(data) > 200, f"{path} is too short to have a middle"
    begin = len(data) // 2
    data[begin : begin + 32] = b"\xff" * 32
    keep_time(path, lambda: path.write_bytes(data))


def truncate_aof(c, name, size):
    """The end of the newest increment is missing, as after a power cut: redis loads what is left."""
    path = data_files(c, name)[1][-1]
    assert path.stat().st_size > size, f"{path} has only {path.stat().st_size} bytes"
    keep_time(path, lambda: os.truncate(path, path.stat().st_size - size))


def keep_time(path, change):
    """A lost tail or a bad block does not make a file look newer."""
    stat = path.stat()
    change()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def empty(c, name):
    """All data of an instance; its configuration stays."""
    for path in (c.dir / name).iterdir():
        if path.suffix != ".conf":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_stale_configs(c, master="redis-1"):
    """What a copy of old files would bring back: `master` stands alone, the others follow it."""
    for folder in c.dir.glob("redis-*"):
        conf = folder / "redis.conf"
        lines = [line for line in conf.read_text().splitlines() if not re.match(r"\s*(replicaof|slaveof)\b", line, re.I)]
        if folder.name != master:
            lines.append(f"replicaof 127.0.0.1 {c.port(master)}")
        conf.write_text("\n".join(lines) + "\n")


SLOW_S, REST_S = 0.04, 0.03  # the longest wait between two tries of SQLite's is 25 ms: it gets its turn in each rest


@contextmanager
def slow_database(c):
    """What a slow disk does: nearly each write to state.db takes some 40 ms, since another holds the lock that long, again and again."""
    over = threading.Event()

    def hold():
        with closing(sqlite3.connect(c.dir / "state.db", isolation_level=None)) as db:
            while not over.is_set():
                try:
                    db.execute("BEGIN IMMEDIATE")
                    over.wait(SLOW_S)
                    db.execute("ROLLBACK")
                except sqlite3.OperationalError:
                    pass  # the supervisor has it just now
                over.wait(REST_S)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        yield
    finally:
        over.set()
        holder.join()
