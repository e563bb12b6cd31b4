"""
A master that takes no more, and then dies: the connection to it, which many share, is lost in the middle of a request. What the
kernel had not taken whole goes to the next master, once; what it had taken may have been carried out. To the byte this is shown by
tests/unit/test_half_sent.c; here it is a server and a kernel, over each kind of connection. (Seen to fail when what was sent was sent again.)
"""
import signal
import threading

import pytest

from certs import Certs
from harness import Wire, WireError, wait_until
from test_tls_backend import Elsewhere

VALUE = b"v" * 30000  # the larger part of what still goes over a shared connection
CLIENTS = 160  # more than kernel and proxy take in


class Writer(threading.Thread):
    """A pipeline of writes and a read; each reply says how many of the writes there were."""

    def __init__(self, port, number):
        super().__init__(daemon=True)
        self.key, self.wire = f"half:{number}", Wire(port, timeout=120)
        assert self.wire("DEL", self.key) == 0
        self.done, self.uncertain, self.wrong = 0, 0, []

    def run(self):
        try:
            write = Wire.pack("RPUSH", self.key, VALUE)
            self.wire.send_raw(write + Wire.pack("GET", VALUE) + write)
            self.look_at(self.wire.reply())
            if (answer := self.wire.reply()) is not None:
                self.wrong.append(answer)
            self.look_at(self.wire.reply())
        except OSError as e:
            self.wrong.append(e)

    def look_at(self, answer):
        if answer == self.done + 1:
            self.done += 1
        elif isinstance(answer, WireError) and str(answer).startswith("UNCERTAIN "):
            self.uncertain += 1
        else:
            self.wrong.append(answer)


def read_bytes(pid):
    with open(f"/proc/{pid}/io") as f:
        return int(f.readline().split()[1])


def until_stuck(pid, before):
    """The proxy reads no more, for the master takes no more."""
    seen = [before] * 15

    def look():
        seen.append(read_bytes(pid))
        return seen[-15] == seen[-1] > before + 4 * len(VALUE)

    wait_until(look, "the connection is full")


def lose_in_the_middle(port, proxy_pid, kill, measured, way):
    writers = [Writer(port, n) for n in range(CLIENTS)]
    before = read_bytes(proxy_pid)
    kill(signal.SIGSTOP)
    for w in writers:
        w.start()
    until_stuck(proxy_pid, before)
    kill(signal.SIGKILL)
    for w in writers:
        w.join(120)
    assert [w.wrong for w in writers if w.wrong or w.is_alive()] == []
    done, uncertain = sum(w.done for w in writers), sum(w.uncertain for w in writers)
    assert done + uncertain == 2 * CLIENTS
    assert done > 0 and uncertain > 0
    # it stood still: nothing of what is uncertain has happened, and nothing of the rest twice
    with Wire(port) as wire:
        assert [wire("LLEN", w.key) for w in writers] == [w.done for w in writers]
    measured(f"a master that takes no more, over {way}: {uncertain} of {2 * CLIENTS} writes of {len(VALUE)} bytes uncertain, {done} held")


PATIENT = {"sentinel.down_after_ms": 600000, "redis.probe_ms": 600000, "proxy.hold_ms": 60000}


@pytest.mark.parametrize("way", ["its socket", "TCP"])
def test_half_of_a_request_is_sent(make_cluster, measured, way):
    c = make_cluster(options=PATIENT).start()
    port, proxy = c.ports.proxy, c.instance("proxy-1")["pid"]
    if way == "TCP":
        port = c.ports.extra
        sentinels = [w for n in (1, 2, 3) for w in ("--sentinel", f"127.0.0.1:{c.port(f'sentinel-{n}')}")]
        proxy = c.spawn(*c.command("proxy", *sentinels, "-s", f"proxy.listen=127.0.0.1:{port}", "-s", "proxy.hold_ms=60000"), label="proxy").pid
        wait_until(lambda: Wire(port)("PING") == "PONG", "it serves", ignore=(OSError, WireError))
    master = c.master()
    lose_in_the_middle(port, proxy, lambda number: c.kill(master, number), measured, way)
    c.wait_agreed()


def test_half_of_a_record_is_sent(make_cluster, measured):
    """Over TLS, where what the kernel has taken of a record is of no use to the server before it has all of it."""
    e = Elsewhere(make_cluster(), Certs(make_cluster.folder("certs")))
    e.says(e.sentinel, "SENTINEL", "SET", "main", "down-after-milliseconds", "600000")
    proxy = e.alone("proxy", "-s", f"proxy.listen=127.0.0.1:{e.door}", "-s", "proxy.hold_ms=60000")
    wait_until(lambda: Wire(e.door)("PING") == "PONG", "it serves", ignore=(OSError, WireError))
    takeover = threading.Thread(target=lambda: (e.runs[e.master].wait(), e.says(e.sentinel, "SENTINEL", "FAILOVER", "main")))
    takeover.start()
    lose_in_the_middle(e.door, proxy.pid, e.runs[e.master].signal, measured, "TLS")
    takeover.join()
