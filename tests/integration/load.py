"""
Writers through the proxy, and the check that what was acknowledged is there.

Each writer counts up: SET PREFIX:WRITER:N N, one at a time on one connection. A write counts as
acknowledged when `+OK` came; anything else (an error reply, a lost connection) is recorded and the
next number is tried. So the record is exact: every number is acknowledged, refused or unknown.

With replicas=N each SET is followed by WAIT N on the same connection, in one packet by every other writer, and
counts as acknowledged only when WAIT says so: such a write must survive the death of any one server.
"""
import threading
import time

from wire import Closed, Wire, WireError


class Writer(threading.Thread):
    def __init__(self, port, prefix, pace_s, value, stop, go_on, replicas=0, wait_ms=1000, pipelined=False,
                 few_copies=False):
        super().__init__(daemon=True)
        self.port, self.prefix, self.pace_s, self.value = port, prefix, pace_s, value
        self.stop, self.go_on = stop, go_on
        self.replicas, self.wait_ms, self.pipelined = replicas, wait_ms, pipelined
        self.all_have_few = few_copies  # nobody says how many copies there are: perhaps one only
        self.acked = []       # (n, monotonic s of the reply)
        self.few_copies = set()  # numbers of those that WAIT confirmed with `replicas` copies and not one more
        self.dropped = 0      # how many of them were found to be there and deleted, see drop_checked()
        self.checked = 0      # how many of them lost_since_then() has looked at
        self.unconfirmed = 0  # answered by the master, but not by WAIT
        self.asked_at = None  # monotonic s since when a reply is due
        self.longest_reply_s = 0.0
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
                self.asked_at = time.monotonic()
                confirmed = self.write(wire, n)
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
                if confirmed:
                    if self.all_have_few:
                        self.few_copies.add(n)
                    self.acked.append((n, now))
                    if last is not None and now - last > self.longest_gap_s:
                        self.longest_gap_s, self.gap_end = now - last, now
                    last = now
                else:
                    self.unconfirmed += 1
            finally:
                if self.asked_at is not None:
                    self.longest_reply_s = max(self.longest_reply_s, time.monotonic() - self.asked_at)
                    self.asked_at = None
            if self.pace_s:
                self.stop.wait(self.pace_s)
        if wire:
            wire.close()

    def write(self, wire, n):
        """True when it is acknowledged in the sense of this writer."""
        words = ("SET", f"{self.prefix}:{n}", self.value or n)
        if not self.replicas:
            return wire(*words) == "OK"
        if not self.pipelined:
            wire(*words)
            return self.is_confirmed(n, wire("WAIT", self.replicas, self.wait_ms))
        wire.send_raw(wire.pack(*words) + wire.pack("WAIT", self.replicas, self.wait_ms))
        stored, copies = wire.reply(), wire.reply()
        for answer in (stored, copies):
            if isinstance(answer, WireError):
                raise answer
        return self.is_confirmed(n, copies)

    def is_confirmed(self, n, copies):
        if copies == self.replicas:
            self.few_copies.add(n)
        return copies >= self.replicas


class Load:
    def __init__(self, port, writers=2, pace_s=0.001, value=None, prefix="load", replicas=0, wait_ms=1000,
                 few_copies=False):
        self.prefix, self.value = prefix, value
        self._stop = threading.Event()
        self.writers = [Writer(port, f"{prefix}:{i}", pace_s, value, self._stop, None, replicas, wait_ms, i % 2 == 1,
                               few_copies)
                        for i in range(writers)]

    def start(self):
        for w in self.writers:
            w.start()
        return self

    def stop(self):
        self._stop.set()
        for w in self.writers:
            if w.ident is None:
                continue  # never started
            w.join(60)
            assert not w.is_alive(), "a writer hangs: no reply and no error for a minute"
        return self

    __enter__ = start

    def __exit__(self, *_):
        self.stop()

    @property
    def acked(self):
        return sum(w.dropped + len(w.acked) for w in self.writers)

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

    @property
    def unconfirmed(self):
        return sum(w.unconfirmed for w in self.writers)

    def longest_reply_s(self):
        """The longest time that a request took, or takes by now."""
        now, longest = time.monotonic(), 0.0
        for w in self.writers:
            asked_at = w.asked_at
            longest = max(longest, w.longest_reply_s, now - asked_at if asked_at is not None else 0.0)
        return longest

    def forget_longest(self):
        """longest_reply_s begins anew, with what is under way now."""
        for w in self.writers:
            w.longest_reply_s = 0.0

    def forget(self, lost):
        """Takes writes of lost() out of the record; gives how many of them had more copies than were asked for."""
        keys, more = {key for key, _ in lost}, 0
        for w in self.writers:
            mine = [item for item in w.acked[: w.checked] if f"{w.prefix}:{item[0]}" in keys]
            more += sum(n not in w.few_copies for n, _ in mine)
            for item in mine:
                w.acked.remove(item)  # its writer goes on adding
            w.checked -= len(mine)
        return more

    def drop_checked(self, client):
        """Deletes what lost() has seen to be there, so that a long run does not grow; `acked` counts it still."""
        for w in self.writers:
            part = w.acked[: w.checked]
            for i in range(0, len(part), 1000):
                client.unlink(*[f"{w.prefix}:{n}" for n, _ in part[i : i + 1000]])
            w.dropped += len(part)
            del w.acked[: len(part)]
            w.checked = 0

    def lost_since_then(self, client):
        """As lost(), of what was acknowledged since it was last asked."""
        return self.lost(client, all_of_them=False)

    def lost(self, client, all_of_them=True):
        """[(key, monotonic s of its acknowledgement)] of the acknowledged writes that `client` does not see."""
        missing = []
        for w in self.writers:
            begin, end = 0 if all_of_them else w.checked, len(w.acked)
            w.checked = end
            for i in range(begin, end, 1000):
                part = w.acked[i : min(i + 1000, end)]
                keys = [f"{w.prefix}:{n}" for n, _ in part]
                for (n, t), key, got in zip(part, keys, client.mget(keys)):
                    want = str(self.value or n).encode()
                    if got is None:
                        missing.append((key, t))
                    else:
                        assert got == want, f"{key} holds {got!r}, not {want!r}"
        return missing
