"""
Clients whose every request counts: a write that was lost, or carried out twice, shows in the next reply.

Each is a thread with one connection that never reconnects. `errors` has every error reply and every reply that is not
the one that must come; `done` is how much was acknowledged; `longest` the longest time without an answer, in s.
"""
import threading
import time

from wire import Closed, Http, Wire, WireError


class Client(threading.Thread):
    kind = "client"

    def __init__(self, ports, number, stop):
        super().__init__(daemon=True)
        self.ports, self.number, self.stop = ports, number, stop
        self.key = f"{self.kind}:{number}"
        self.done, self.errors, self.gaps, self.last = 0, [], [], None

    def open(self):
        return Wire(self.ports.proxy)

    def run(self):
        try:
            with self.open() as wire:
                self.prepare(wire)
                while not self.stop.is_set():
                    self.turn(wire)
                    now = time.monotonic()
                    if self.last is not None:
                        self.gaps.append((now - self.last, now))
                    self.last = now
                self.finish(wire)
        except (OSError, AssertionError, Closed) as e:
            self.fault(f"ended: {e!r}")

    def prepare(self, wire):
        pass

    def finish(self, wire):
        pass

    def fault(self, what):
        self.errors.append(f"{self.key} after {self.done}: {what}")

    def expect(self, got, want):
        if got != want:
            self.fault(f"{got!r} and not {want!r}")

    @property
    def longest(self):
        return max((g for g, _ in self.gaps), default=0.0)

    def longest_between(self, begin, end):
        return max((g for g, at in self.gaps if begin <= at - g <= end or begin <= at <= end), default=0.0)


class Incr(Client):
    """Pipelines of INCR: each reply is one more than the one before."""

    kind, depth = "incr", 8

    def turn(self, wire):
        wire.send_raw(b"".join(wire.pack("INCR", self.key) for _ in range(self.depth)))
        for _ in range(self.depth):
            got = wire.reply()
            if got == self.done + 1:
                self.done += 1
            else:
                self.fault(f"{got!r}")
                self.done = got if isinstance(got, int) else self.done


class One(Incr):
    """One INCR at a time: how long a writer waits."""

    kind, depth = "one", 1


class Transaction(Client):
    """MULTI and EXEC, command by command."""

    kind = "multi"

    def turn(self, wire):
        for words, want in ((("MULTI",), "OK"), (("INCR", self.key), "QUEUED"), (("INCR", self.key + ":b"), "QUEUED")):
            wire.send(*words)
            self.expect(wire.reply(), want)
        wire.send("EXEC")
        self.expect(wire.reply(), [self.done + 1] * 2)
        self.done += 1


class Burst(Client):
    """The same in one packet."""

    kind = "burst"

    def turn(self, wire):
        wire.send_raw(b"".join(wire.pack(*w) for w in
                               (("MULTI",), ("INCR", self.key), ("INCR", self.key + ":b"), ("EXEC",))))
        self.expect([wire.reply() for _ in range(4)], ["OK", "QUEUED", "QUEUED", [self.done + 1] * 2])
        self.done += 1


class Watching(Client):
    """Optimistic: EXEC may be refused with a null, and then nothing of it happened."""

    kind = "watch"

    def turn(self, wire):
        wire.send("WATCH", self.key)
        self.expect(wire.reply(), "OK")
        wire.send("GET", self.key)
        self.expect(wire.reply(), str(self.done).encode() if self.done else None)
        wire.send("MULTI")
        self.expect(wire.reply(), "OK")
        wire.send("SET", self.key, self.done + 1)
        self.expect(wire.reply(), "QUEUED")
        wire.send("EXEC")
        got = wire.reply()
        if got is not None:
            self.expect(got, ["OK"])
            self.done += 1


class Producer(Client):
    kind = "queue"

    def turn(self, wire):
        wire.send("RPUSH", self.key, self.done + 1)
        got = wire.reply()
        if not isinstance(got, int):
            self.fault(f"{got!r}")
        self.done += 1
        self.stop.wait(0.001)


class Consumer(Client):
    """Takes what the producer of the same number gives, each once and in order."""

    kind = "queue"

    def turn(self, wire):
        wire.send("BLPOP", self.key, 1)
        got = wire.reply()
        if got is None:
            return
        self.expect(got, [self.key.encode(), str(self.done + 1).encode()])
        self.done += 1

    def finish(self, wire):
        wire.send("DEL", self.key)
        wire.reply()


class Values(Client):
    """Values that fill several packets."""

    kind, size = "value", 100_000

    def turn(self, wire):
        wire.send("SET", self.key, b"%d" % (self.done + 1) * (self.size // 8))
        self.expect(wire.reply(), "OK")
        self.done += 1
        wire.send("STRLEN", self.key)
        self.expect(wire.reply(), len(b"%d" % self.done) * (self.size // 8))


class Streamed(Values):
    """Values so large that they pass through the proxy in pieces."""

    kind, size = "large", 3_000_000


class Subscriber(Client):
    """Comes and goes, and hears what is said while it is there or is at least not thrown out."""

    kind = "sub"

    def turn(self, wire):
        for verb, left in (("SUBSCRIBE", 1), ("UNSUBSCRIBE", 0)):
            wire.send(verb, self.key)
            self.expect(wire.reply(), [verb.lower().encode(), self.key.encode(), left])
        wire.send("INCR", self.key)
        self.done += 1
        self.expect(wire.reply(), self.done)


class Web(Client):
    """INCR over HTTP."""

    kind = "http"

    def open(self):
        return Http(self.ports.http)

    def turn(self, http):
        answer = http.get(f"/INCR/{self.key}")
        got = answer.json.get("INCR") if answer.status == 200 else answer
        self.expect(got, self.done + 1)
        self.done += 1


KINDS = (Incr, Transaction, Burst, Watching, Producer, Consumer, Values, Streamed, Subscriber, Web)


class Counters:
    def __init__(self, ports, kinds=KINDS, times=1):
        self.stop = threading.Event()
        self.clients = [kind(ports, n, self.stop) for n in range(times) for kind in kinds]

    def __enter__(self):
        for c in self.clients:
            c.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for c in self.clients:
            c.join(60)
            assert not c.is_alive(), f"{c.key} hangs: no reply and no error for a minute"

    def __getitem__(self, kind):
        return [c for c in self.clients if type(c) is kind]

    @property
    def errors(self):
        return [e for c in self.clients for e in c.errors]

    @property
    def done(self):
        return sum(c.done for c in self.clients)

    def all_since(self, t):
        """Every client that still goes on had an answer after the moment `t`."""
        return all(c.last is not None and c.last > t or not c.is_alive() for c in self.clients)
