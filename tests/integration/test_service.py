"""What systemd is told, by a stand-in for it; tests/system has the real one."""
import os
import socket
import struct
import threading

import pytest

from harness import procs, wait_until


class Manager:
    """Hears what a service says: (pid of the sender, {name: value}) for each message, in order."""

    def __init__(self, path):
        self.path = str(path)
        self.messages = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock.bind(self.path)
        self.thread = threading.Thread(target=self._hear, daemon=True)
        self.thread.start()

    def _hear(self):
        while True:
            data, control, _, _ = self.sock.recvmsg(8192, 256)
            if not data:
                return
            pid = struct.unpack("3i", control[0][2][:12])[0]
            self.messages.append((pid, dict(line.split("=", 1) for line in data.decode().splitlines())))

    def all(self, name):
        return [m[name] for _, m in list(self.messages) if name in m]

    def names(self):
        """What was told, in order, beats and requests for time apart."""
        return [n for _, m in list(self.messages) for n in m if n not in ("WATCHDOG", "EXTEND_TIMEOUT_USEC", "MONOTONIC_USEC")]

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"", self.path)
        self.thread.join(10)
        self.sock.close()


@pytest.fixture
def manager(make_cluster):
    c = make_cluster()
    m = Manager(c.case / "n")
    c.env.update(NOTIFY_SOCKET=m.path, WATCHDOG_USEC="600000")
    yield c, m
    c.finish()
    m.close()


def test_systemd_is_told(manager):
    c, m = manager
    c.start()
    wait_until(lambda: "READY" in m.names(), "READY")
    assert m.names()[0] == "STATUS" and m.names().count("READY") == 1
    states = m.all("STATUS")
    assert states[0].startswith("starting (master): 0 of 8 instances") and states[-1].startswith("ready: redis-1 takes writes"), states
    assert m.all("EXTEND_TIMEOUT_USEC") or len(states) < 50

    # The loop feeds the watchdog, and only the supervisor speaks.
    beats = len(m.all("WATCHDOG"))
    wait_until(lambda: len(m.all("WATCHDOG")) >= beats + 3, "three more beats")
    assert {pid for pid, _ in m.messages} == {c.run.pid}
    # The servers know nothing of the manager.
    for name in ("redis-1", "sentinel-1"):
        assert b"NOTIFY_SOCKET" not in open(f"/proc/{c.instance(name)['pid']}/environ", "rb").read()

    c.cli("stop", "redis-3")
    c.kill("redis-2")
    wait_until(lambda: any(s.startswith("degraded: redis-2 is") for s in m.all("STATUS")), "degraded, in words")
    wait_until(lambda: m.all("STATUS")[-1] == "ready: redis-1 takes writes, 7 of 7 instances are ready", "ready again")

    at = len(m.names())
    c.cli("reload")
    wait_until(lambda: len(m.names()) >= at + 2, "the reload")
    assert m.names()[at:at + 2] == ["RELOADING", "READY"]
    assert all("MONOTONIC_USEC" in told for _, told in m.messages if "RELOADING" in told)
    # A reload that is refused ends as well.
    c.options["proxy.hold_ms"] = "never"
    c.write_options()
    at = len(m.names())
    assert c.cli("reload", check=False).returncode == 78
    wait_until(lambda: m.names()[at:at + 2] == ["RELOADING", "READY"], "the refused reload")

    assert c.stop() == 0
    assert m.names()[at + 2:].count("STOPPING") == 1
    assert m.all("STATUS")[-1].startswith("stopping in order")


def test_another_binary_in_place_is_told(manager):
    c, m = manager
    c.start()
    wait_until(lambda: "READY" in m.names(), "READY")
    at = len(m.messages)
    c.cli("upgrade")
    wait_until(lambda: any("READY" in told for _, told in m.messages[at:]), "READY once more")
    wait_until(lambda: any("WATCHDOG" in told for _, told in m.messages[at:]), "its beats")
    assert {pid for pid, _ in m.messages} == {c.run.pid}


def test_no_manager_and_odd_ones(make_cluster):
    """An address that is none, a socket nobody reads, a watchdog for another process: it starts all the same."""
    c = make_cluster(options={"redis.instances": 1, "sentinel.instances": 1, "http.listen": ""})
    c.env.update(NOTIFY_SOCKET="relative", WATCHDOG_USEC="x", WATCHDOG_PID="1")
    c.start()
    assert c.stop() == 0
    c.env.update(NOTIFY_SOCKET=str(c.case / "gone"), WATCHDOG_USEC="1", WATCHDOG_PID=str(os.getpid()))
    c.start()
    # a microsecond for another process is no reason to be busy
    assert procs.state(c.run.pid) in "SR"
