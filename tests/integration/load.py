"""
Writers through the proxy, and the check that what was acknowledged is there.

Each writer counts up: SET PREFIX:WRITER:N N, one at a time on one connection. A write counts as
acknowledged when `+OK` came; anything else (an error reply, a lost connection) is recorded and the
next number is tried. So the record is exact: every number is acknowledged, refused or unknown.
"""
import threading
import time

from wire import Closed, Wire, WireError


class Writer(threading.Thread):
    def __init__(self, port, prefix, pace_s, value, stop, go_on):
        super().__init__(daemon=True)
        self.port, self.prefix, self.pace_s, self.value = port, prefix, pace_s, value
        self.stop, self.go_on = stop, go_on
        self.acked = []       # (n, monotonic s of the reply)
        self.errors = []      # (monotonic s, text)
        self.connections = 0
        self.refused = []     # connection attempts that were refused
        self.longest_gap_s = 0.0
        self.gap_end = None

    def run(self):
        wire, n, last = None, 0, None
        while not self.stop.is_set():
            try:
                if wire is None:
                    wire = Wire(self.port)
                    self.connections += 1
                n += 1
                wire("SET", f"{self.prefix}:{n}", self.value or n)
            except WireError as e:
                self.errors.append((time.monotonic(), str(e)))
            except OSError as e:
                text = "closed" if isinstance(e, Closed) else repr(e)
                self.errors.append((time.monotonic(), text))
                if isinstance(e, ConnectionRefusedError):
                    self.refused.append(time.monotonic())
                if wire:
                    wire.close()
                    wire = None
                self.stop.wait(0.02)
            else:
                now = time.monotonic()
                self.acked.append((n, now))
                if last is not None and now - last > self.longest_gap_s:
                    self.longest_gap_s, self.gap_end = now - last, now
                last = now
            if self.pace_s:
                self.stop.wait(self.pace_s)
        if wire:
            wire.close()


class Load:
    def __init__(self, port, writers=2, pace_s=0.001, value=None, prefix="load"):
        self.prefix, self.value = prefix, value
        self._stop = threading.Event()
        self.writers = [Writer(port, f"{prefix}:{i}", pace_s, value, self._stop, None) for i in range(writers)]

    def start(self):
        for w in self.writers:
            w.start()
        return self

    def stop(self):
        self._stop.set()
        for w in self.writers:
            w.join(60)
            assert not w.is_alive(), "a writer hangs: no reply and no error for a minute"
        return self

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    @property
    def acked(self):
        return sum(len(w.acked) for w in self.writers)

    @property
    def errors(self):
        return [e for w in self.writers for e in w.errors]

    @property
    def refused(self):
        return [r for w in self.writers for r in w.refused]

    @property
    def connections(self):
        return sum(w.connections for w in self.writers)

    @property
    def longest_gap_ms(self):
        return max((w.longest_gap_s for w in self.writers), default=0.0) * 1000

    def acked_since(self, t):
        """True when every writer had a write acknowledged after the moment `t`."""
        return all(w.acked and w.acked[-1][1] > t for w in self.writers)

    def lost(self, client):
        """[(key, monotonic s of its acknowledgement)] of the acknowledged writes that `client` does not see."""
        missing = []
        for w in self.writers:
            for i in range(0, len(w.acked), 1000):
                part = w.acked[i : i + 1000]
                keys = [f"{w.prefix}:{n}" for n, _ in part]
                for (n, t), key, got in zip(part, keys, client.mget(keys)):
                    want = str(self.value or n).encode()
                    if got is None:
                        missing.append((key, t))
                    else:
                        assert got == want, f"{key} holds {got!r}, not {want!r}"
        return missing
