"""
Random valid commands of every group, to a server itself and through the proxy: the replies must be the same, byte for
byte. What is valid comes from the server's own COMMAND DOCS, or is put together below where several commands belong together, as those of a
module; the order, the keys and the values from a seed.

HOLDFAST_TEST_SEED=N repeats a run, HOLDFAST_TEST_COMMANDS=N makes it longer.
"""
import hashlib
import os
import random
import re
import socket
from pathlib import Path

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
    "xgroup createconsumer",  # DUMP of its stream has the moment; below, with a stream that nobody dumps
    "scan", "keys",  # the order of a table that is being resized
}
SCRIPTS = ["return 1", "return redis.call('get', KEYS[1])", "return {1, 2, {'x', false}}", "return redis.error_reply('MY error')",
           "redis.call('rpush', KEYS[1], ARGV[1]) return redis.call('lrange', KEYS[1], 0, -1)", "return {double=1.5}", "error('no')",
           "return redis.call('incr', KEYS[1])", "redis.setresp(3) return redis.call('hgetall', KEYS[1])"]


LIBRARY = "#!lua name=lib\nredis.register_function('f', function(k, a) return redis.call('incrby', k[1], a[1]) end)\n" \
          "redis.register_function{function_name='g', callback=function(k) return redis.call('get', k[1]) end, flags={'no-writes'}}"
LISTEN = [["subscribe", "c1"], ["subscribe", "c1"], ["psubscribe", "c*"], ["ssubscribe", "s1"], ["ping"], ["ping", "word"], ["get", "k1"], ["set", "k1", "2"],
          ["unsubscribe", "c1"], ["punsubscribe", "c*"], ["sunsubscribe", "s1"]]
# What needs the one before: a script that is there, a group of a stream, a transaction that fails, an index.
TOGETHER = {
    b"scripting": [
        lambda r: [["script", "load", s := r.choice(SCRIPTS)], ["evalsha", hashlib.sha1(s.encode()).hexdigest(), 1, f"k{r.randint(0, 15)}", "v"],
                   ["script", "exists", hashlib.sha1(s.encode()).hexdigest(), "0" * 40]],
        lambda r: [["script", "flush"], ["evalsha", hashlib.sha1(SCRIPTS[0].encode()).hexdigest(), 0], ["eval", SCRIPTS[0], 0],
                   ["evalsha", hashlib.sha1(SCRIPTS[0].encode()).hexdigest(), 0]],
        lambda r: [["eval_ro", r.choice(SCRIPTS), 1, f"k{r.randint(0, 15)}", "v"], ["eval", r.choice(SCRIPTS)], ["eval", "return 1", "x"]],
        lambda r: [["function", "load", "replace", LIBRARY], ["fcall", "f", 1, f"k{r.randint(0, 15)}", r.choice([1, 2, "x"])],
                   ["fcall_ro", "g", 1, f"k{r.randint(0, 15)}"], ["fcall_ro", "f", 1, "k1", 1], ["function", "list", "libraryname", "lib"]],
    ],
    b"stream": [
        lambda r: [["xgroup", "create", "st", "g", "0", "mkstream"], ["xgroup", "createconsumer", "st", "g", r.choice("cn")],
                   ["xadd", "st", f"{r.randint(1, 99)}-*", "f", "v"], ["xadd", "st", "100-*", "f", "v" * 3000],
                   ["xreadgroup", "group", "g", "c", "count", r.choice([1, 2]), "streams", "st", ">"], ["xpending", "st", "g"],
                   ["xclaim", "st", "g", "d", 0, "100-0", "justid"], ["xautoclaim", "st", "g", "e", 0, "0", "justid"], ["xack", "st", "g", "100-0"],
                   ["xreadgroup", "group", "g", "c", "streams", "st", "0"], ["xinfo", "groups", "st"], ["xread", "block", 5, "streams", "st", "$"]],
    ],
    b"transactions": [
        lambda r: [["watch", "k1"], ["set", "k1", 1], ["multi"], ["incr", "k1"], ["exec"]],
        lambda r: [["multi"], ["no.such"], ["set", "k1", 1], ["exec"], ["exec"], ["discard"], ["multi"], ["multi"], ["watch", "k1"], ["discard"], ["unwatch"]],
        lambda r: [["multi"], ["blpop", "k-none", 0], ["publish", "x", "y"], ["select", 3], ["exec"], ["select", 0]],
    ],
    b"pubsub": [
        lambda r: LISTEN,
        lambda r: [["publish", "c1", "x"], ["spublish", "s1", "x"], ["pubsub", "numsub", "c1"], ["pubsub", "shardnumsub", "s1"], ["pubsub", "numpat"],
                   ["pubsub", "channels", "c*"], ["unsubscribe"], ["punsubscribe"], ["unsubscribe", "c1"]],
    ],
    b"connection": [
        lambda r: [["client", "setname", r.choice(["bob", "a b", ""])], ["client", "getname"],
                   ["client", "no-evict", r.choice(["on", "off", "x"])], ["client", "no-touch", "on"], ["client", "no-touch", "off"],
                   ["client", "kill", "id", "999999999"], ["client", "kill", "id", "x"], ["client", "list", "id", "999999999"], ["client", "list", "type", "x"],
                   ["client", "kill", "1.2.3.4:5"], ["client", "unblock", 999999999], ["client", "trackinginfo"], ["client", "getredir"], ["client", "nosuch"]],
        lambda r: [["client", "list", "id"] + [999999000 + n for n in range(r.choice([12, 14, 300]))], ["client", "list", "id", 0],
                   ["client", "kill", "user", "nosuch"], ["client", "unblock", 999999999, "x"]],
        lambda r: [["multi"], ["auth", "x", "y"], ["client", "setname", "bob"], ["hello", 9], ["select", 2], ["select", 99], ["exec"], ["client", "getname"],
                   ["set", "k1", 1], ["client", "setname", ""], ["select", 0], ["get", "k1"]],
        lambda r: [["select", r.choice([0, 1, 15, 16, "x", -1])], ["set", "k1", 5], ["get", "k1"], ["select", 0], ["echo", "x" * r.choice([1, 40000])],
                   ["ping", "x"], ["ping", "x", "y"]],
        lambda r: [["auth", "x"], ["auth", "x", "y"], ["auth"], ["hello", 9], ["hello", "x"], ["hello", 3, "auth", "x", "y"], ["hello", 3, "setname", "a b"]],
    ],
    b"server": [
        lambda r: [["command", "count"], ["command", "getkeys", "mset", "a", 1, "b", 2], ["command", "info", "get"],
                   ["acl", "whoami"], ["acl", "cat", "hash"], ["acl", "dryrun", "default", "get", "x"], ["config", "get", "maxmemory"], ["config", "get", "no*such"],
                   ["config", "set", "no-such", 1], ["latency", "help"], ["memory", "help"], ["lolwut", "version", 5, 1, 1, 1], ["info", "nosuch"],
                   ["slowlog", "help"], ["module", "help"], ["time", "x"], ["lastsave", "x"]],
    ],
}
# RediSearch 1.x, which Debian has; its indexes are keys.
SEARCH = [
    lambda r: [["ft.create", "ix", "schema", "t", "text", "n", "numeric"], ["ft.add", "ix", f"d{r.randint(0, 9)}", 1, "fields", "t", r.choice(["red", "blue sky"]), "n", 3],
               ["ft.search", "ix", r.choice(["red", "blue", "@n:[1 5]", "("]), "limit", 0, r.choice([1, 10])], ["ft.get", "ix", "d1"], ["ft.del", "ix", "d2"],
               ["ft.explain", "ix", "red blue"], ["ft.aggregate", "ix", "*", "groupby", 1, "@t", "reduce", "count", 0]],
    lambda r: [["ft.sugadd", "su", r.choice(["hello", "help", "x" * 3000]), 1], ["ft.sugget", "su", "he"], ["ft.suglen", "su"], ["ft.sugdel", "su", "hello"],
               ["ft.nosuch", "su"], ["ft.suglen"]],
    lambda r: [["multi"], ["ft.sugadd", "su", "in multi", 1], ["ft.suglen", "su"], ["exec"], ["ft.drop", "ix"]],
]
MODULE = Path("/usr/lib/redis/modules/redisearch.so")


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
    def __init__(self, rng, port, with_module):
        self.rng = rng
        self.commands = known_commands(port)
        self.groups = sorted({group for _, group, _ in self.commands})
        self.together = [*TOGETHER.values(), *[SEARCH] * with_module]

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
        if words in (["expire"], ["pexpire"]):
            out = [w for w in out if w not in (b"GT", b"LT")]  # compared with a moment
        if words == ["xadd"]:
            out = ["5-*" if w in ("*", b"*") else w for w in out]
        return out

    def batch(self):
        """A pipeline: some commands, at times as a transaction."""
        rng = self.rng
        if rng.random() < 0.15:
            return rng.choice(rng.choice(self.together))(rng)
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


def all_groups(port):
    with Wire(port) as wire:
        return {as_dict(doc)[b"group"] for doc in as_dict(wire("COMMAND", "DOCS")).values()}


def what_may_differ(reply):
    """The number of a client, in the reply to HELLO."""
    return re.sub(rb"(\r\n\$2\r\nid\r\n):\d+", rb"\1:N", reply)


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_same_as_without_the_proxy(make_cluster, protocol, measured):
    with_module = MODULE.exists()  # from Debian's redis-redisearch; without it the other groups are left
    # alone: replicas of RediSearch 1.x end on what their master has answered with an error
    cluster = make_cluster(options={"redis.instances": 1, "sentinel.instances": 1, **({"redis.modules": "search"} if with_module else {})}).start()
    seed = int(os.environ.get("HOLDFAST_TEST_SEED", random.SystemRandom().randrange(1, 10**6)))
    wanted = int(os.environ.get("HOLDFAST_TEST_COMMANDS", 4000))
    master = cluster.status()["master"]["port"]
    maker, batches = Maker(random.Random(seed), master, with_module), []
    assert all_groups(master) - GROUPS_LEFT_OUT == {*maker.groups, *TOGETHER}, "a group of commands is not tried"
    while sum(map(len, batches)) < wanted:
        batches.append(maker.batch())
    there = replies_to(master, protocol, batches)
    here = replies_to(cluster.ports.proxy, protocol, batches)
    names = {" ".join(map(str, c[:1])) for b in batches for c in b}
    good = sum(not r.startswith(b"-") for _, r in there)
    measured(f"RESP{protocol}, seed {seed}: {len(there)} commands, {len(names)} different, {good} of them without an error"
             f"{'' if with_module else '; no module is installed here'}")
    other = {str(command): f"seed {seed}, the {i}. command {command}: {got[:300]!r} and not {want[:300]!r}"
             for i, ((command, want), (_, got)) in enumerate(zip(there, here)) if what_may_differ(got) != what_may_differ(want)}
    assert not other, "\n".join(list(other.values())[:10])
    assert good > wanted / 4, "hardly anything was valid"
