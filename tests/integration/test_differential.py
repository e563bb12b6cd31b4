"""
Random valid commands of every group, to a server itself and through the proxy: the replies must be the same, byte for
byte. What is valid comes from the server's own COMMAND DOCS; the order, the keys and the values from a seed.

HOLDFAST_TEST_SEED=N repeats a run, HOLDFAST_TEST_COMMANDS=N makes it longer.
"""
import os
import random
import socket

import pytest

from harness import Wire

# Refused by the proxy, about the server or the connection as such, or different at each call by their nature.
GROUPS_LEFT_OUT = {b"cluster", b"sentinel"}
LEFT_OUT = {
    "acl", "asking", "auth", "bgrewriteaof", "bgsave", "client", "command", "config", "debug", "failover", "hello", "info", "lastsave",
    "latency", "lolwut", "memory", "migrate", "module", "monitor", "pfdebug", "pfselftest", "psync", "quit", "readonly", "readwrite", "replconf",
    "replicaof", "reset", "restore-asking", "role", "save", "shutdown", "slaveof", "slowlog", "sync", "time", "wait", "waitaof",
    "pubsub", "subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe",  # see test_proxy
    "multi", "exec", "discard", "watch", "unwatch",  # put in around the others
    "function stats", "function kill", "script kill", "script debug", "script load", "eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro",
    "randomkey", "srandmember", "spop", "hrandfield", "zrandmember", "ttl", "pttl", "expiretime", "pexpiretime", "object idletime", "object freq",
    "xautoclaim", "xpending", "xinfo consumers", "xinfo stream", "xclaim", "xreadgroup",  # idle times
    "scan", "keys",  # the order of a table that is being resized
}
SCRIPTS = ["return 1", "return redis.call('get', KEYS[1])", "return {1, 2, {'x', false}}", "return redis.error_reply('MY error')",
           "redis.call('rpush', KEYS[1], ARGV[1]) return redis.call('lrange', KEYS[1], 0, -1)", "return {double=1.5}", "error('no')",
           "return redis.call('incr', KEYS[1])", "redis.setresp(3) return redis.call('hgetall', KEYS[1])"]


class Raw:
    """Replies as bytes, in RESP2 and RESP3."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")

    def send(self, commands):
        self.sock.sendall(b"".join(Wire.pack(*c) for c in commands))

    def reply(self):
        line = self.file.readline()
        assert line.endswith(b"\r\n"), f"closed: {line!r}"
        kind, rest = line[:1], line[1:-2]
        if kind in b"$=!" and rest != b"-1":
            return line + self.file.read(int(rest) + 2)
        if kind in b"*~>%|":
            count = max(int(rest), 0) * (2 if kind in b"%|" else 1)
            out = line + b"".join(self.reply() for _ in range(count))
            return out + self.reply() if kind == b"|" else out
        return line

    def __call__(self, *command):
        self.send([command])
        return self.reply()

    def close(self):
        self.file.close()
        self.sock.close()


def as_dict(flat):
    return {flat[i]: flat[i + 1] for i in range(0, len(flat), 2)}


def known_commands(port):
    """[(words, group, arguments)] of all that the server knows, subcommands included."""
    with Wire(port) as wire:
        docs = as_dict(wire("COMMAND", "DOCS"))
    found = []
    for name, doc in sorted(docs.items()):
        doc, name = as_dict(doc), name.decode()
        if doc.get(b"group") in GROUPS_LEFT_OUT or name in LEFT_OUT:
            continue
        subs = as_dict(doc.get(b"subcommands", []))
        for sub, sub_doc in sorted(subs.items()):
            words = sub.decode().replace("|", " ")
            if words not in LEFT_OUT:
                found.append((words.split(" "), doc[b"group"], as_dict(sub_doc).get(b"arguments", [])))
        if not subs:
            found.append(([name], doc[b"group"], doc.get(b"arguments", [])))
    return found


class Maker:
    def __init__(self, rng, port):
        self.rng = rng
        self.commands = known_commands(port)
        self.groups = sorted({group for _, group, _ in self.commands})

    def value(self, kind, name):
        rng = self.rng
        if kind == b"key":
            return f"k{rng.randint(0, 15)}"
        if kind == b"integer":
            if b"second" in name or b"timeout" in name:
                return rng.choice([100000, 200000])
            return rng.choice([0, 1, 1, 2, 3, 5, 10, -1, -2, 7, 100])
        if kind == b"double":
            return "0.01" if b"timeout" in name else rng.choice(["0", "1.5", "-2", "3.25", "45", "inf"])
        if kind == b"unix-time":
            return 4102444800 if b"milli" not in name else 4102444800000
        if kind == b"pattern":
            return rng.choice(["*", "k*", "f?", "[a-b]1"])
        return rng.choice(["a", "b", "f1", "f2", "m1", "1", "2", "3.5", "1-1", "2-0", "(1", "[a", "-", "+", "x" * rng.choice([1, 50, 5000]), ""])

    def argument(self, arg):
        """The words of one argument; [] when an optional one is left out."""
        arg, rng = as_dict(arg), self.rng
        flags = arg.get(b"flags", [])
        if b"optional" in flags and rng.random() < 0.6:
            return []
        kind, token, out = arg[b"type"], arg.get(b"token"), []
        for i in range(rng.choice([1, 1, 2, 3]) if b"multiple" in flags else 1):
            if token is not None and (i == 0 or b"multiple_token" in flags) and token != b"":
                out.append(token)
            if kind == b"pure-token":
                continue
            if kind == b"oneof":
                out += self.argument(rng.choice(arg[b"arguments"]))
            elif kind == b"block":
                for one in arg[b"arguments"]:
                    out += self.argument(one)
            elif arg[b"name"] == b"numkeys":
                out.append(1)
            else:
                out.append(self.value(kind, arg[b"name"]))
        return out

    def command(self):
        rng = self.rng
        if rng.random() < 0.05:
            script = rng.choice(SCRIPTS)
            return ["eval", script, 1, f"k{rng.randint(0, 15)}", "v"]
        group = rng.choice(self.groups)  # each as often, however many commands it has
        words, _, arguments = rng.choice([c for c in self.commands if c[1] == group])
        out = list(words)
        for arg in arguments:
            out += self.argument(arg)
        if words == ["xread"] and b"BLOCK" in out:
            out[out.index(b"BLOCK") + 1] = 5
        if words == ["xadd"]:
            out = ["5-*" if w in ("*", b"*") else w for w in out]
        return out

    def batch(self):
        """A pipeline: some commands, at times as a transaction."""
        rng = self.rng
        commands = [self.command() for _ in range(rng.choice([1, 1, 2, 5, 20]))]
        if rng.random() < 0.15:
            head = [["watch", f"k{rng.randint(0, 15)}"]] if rng.random() < 0.3 else []
            commands = [*head, ["multi"], *commands, [rng.choice(["exec", "exec", "exec", "discard"])]]
        if rng.random() < 0.02:
            commands.append(["no.such.command", "x"])
        return commands


def replies_to(port, protocol, batches):
    raw = Raw(port)
    try:
        if protocol == 3:
            assert raw("HELLO", 3).startswith(b"%")
        for words in (("FLUSHALL",), ("SCRIPT", "FLUSH"), ("FUNCTION", "FLUSH")):
            assert raw(*words) == b"+OK\r\n"
        said = []
        for batch in batches:
            raw.send(batch)
            said += [(command, raw.reply()) for command in batch]
        return said
    finally:
        raw.close()


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_same_as_without_the_proxy(cluster, protocol, measured):
    seed = int(os.environ.get("HOLDFAST_TEST_SEED", random.SystemRandom().randrange(1, 10**6)))
    wanted = int(os.environ.get("HOLDFAST_TEST_COMMANDS", 4000))
    master = cluster.status()["master"]["port"]
    maker, batches = Maker(random.Random(seed), master), []
    while sum(map(len, batches)) < wanted:
        batches.append(maker.batch())
    there = replies_to(master, protocol, batches)
    here = replies_to(cluster.ports.proxy, protocol, batches)
    names = {" ".join(map(str, c[:1])) for b in batches for c in b}
    good = sum(not r.startswith(b"-") for _, r in there)
    measured(f"RESP{protocol}, seed {seed}: {len(there)} commands, {len(names)} different, {good} of them without an error")
    for i, ((command, want), (_, got)) in enumerate(zip(there, here)):
        assert got == want, f"seed {seed}, the {i}. command {command}: {got[:300]!r} and not {want[:300]!r}"
    assert good > wanted / 4, "hardly anything was valid"
