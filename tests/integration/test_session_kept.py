"""Who a client is, and what it has asked for, is the client's, whichever connection and whichever master it comes to."""
import hashlib

import pytest

from harness import Wire, WireError, wait_until

MIB = 1 << 20


def test_whom_a_transaction_logs_in_nobody_else_becomes(shared):
    """Failed before: AUTH is carried out by EXEC, and the connection went on to the next client as that user."""
    with shared.wire() as w, shared.wire() as other:
        w("ACL", "SETUSER", "ann", "on", ">secret", "~*", "+@all")
        try:
            assert [w("MULTI"), w("AUTH", "ann", "secret"), w("CLIENT", "SETNAME", "me"), w("EXEC")] == ["OK", "QUEUED", "QUEUED", ["OK", "OK"]]
            assert [other("MULTI"), other("ACL", "WHOAMI"), other("CLIENT", "GETNAME"), other("EXEC")][3] == [b"default", None]
            assert [w("MULTI"), w("ACL", "WHOAMI"), w("CLIENT", "GETNAME"), w("EXEC")][3] == [b"ann", b"me"]
            assert w("ACL", "WHOAMI") == b"ann" and other("ACL", "WHOAMI") == b"default"
        finally:
            other("ACL", "DELUSER", "ann")


def test_a_session_is_rebuilt_on_the_next_master(cluster):
    master = cluster.master()
    sub, multi, watcher, named, blocked = (cluster.wire() for _ in range(5))
    count = named("SCRIPT", "LOAD", "return redis.call('incr', KEYS[1])")
    assert named("EVAL", "return 'once'", 0) == b"once"
    sub("SUBSCRIBE", "news")
    sub("PSUBSCRIBE", "n?ws")
    named("SELECT", 7)
    named("CLIENT", "SETNAME", "bob")
    named("SET", "here", "seven")
    multi("MULTI")
    multi("SET", "m", 1)
    multi("EVALSHA", count, 1, "counted")
    watcher("SET", "w", 1)
    watcher("WATCH", "w")
    blocked.send("BLPOP", "none", 0)
    with cluster.direct() as there:
        wait_until(lambda: b"blocked_clients:1" in there("INFO", "clients"), "the client is blocked")
    cluster.wait_replicated()
    cluster.kill(master)
    cluster.wait_master_is_not(master)
    assert named("GET", "here") == b"seven"
    assert named("CLIENT", "GETNAME") == b"bob"
    assert named("EVALSHA", hashlib.sha1(b"return 'once'").hexdigest(), 0) == b"once", "the new master lacks a script"
    assert multi("SET", "n", 2) == "QUEUED"
    assert multi("EXEC") == ["OK", 1, "OK"], "nothing of it had happened, so it is asked of the next master"
    assert multi("MGET", "m", "n") == [b"1", b"2"]
    assert watcher("GET", "w") == b"1"
    watcher("MULTI")
    watcher("SET", "w", 2)
    assert watcher("EXEC") is None, "what was watched was out of sight"
    assert watcher("SET", "w", 3) == "OK"
    answer = blocked.reply()
    assert isinstance(answer, WireError) and str(answer).startswith("UNCERTAIN")
    assert blocked("PING") == "PONG"
    wait_until(lambda: named("PUBLISH", "news", "again") == 2, "subscribed again")
    got = [sub.reply() for _ in range(2)]
    assert got == [[b"message", b"news", b"again"], [b"pmessage", b"n?ws", b"news", b"again"]] or got[0][0] == b"message"
    cluster.wait_agreed()


def test_a_transaction_changes_who_one_is(shared):
    """Failed before: what EXEC did to the connection was forgotten, and another client got that connection afterwards."""
    with shared.wire() as w, shared.wire() as other:
        w("ACL", "SETUSER", "ann", "on", ">secret", "~*", "+@all")
        assert [w("MULTI"), w("AUTH", "ann", "secret"), w("SELECT", 4), w("CLIENT", "SETNAME", "me"), w("AUTH", "ann", "wrong")][1:] == ["QUEUED"] * 4
        assert w("EXEC")[:3] == ["OK", "OK", "OK"]
        assert (w("ACL", "WHOAMI"), w("CLIENT", "GETNAME")) == (b"ann", b"me")
        w("SET", "in-four", 1)
        assert other("GET", "in-four") is None and "user=ann " in other("CLIENT", "LIST").decode()
        assert [w("MULTI"), w("ACL", "WHOAMI"), w("EXEC")][2] == [b"ann"], "on a connection of its own"
        assert [other("MULTI"), other("ACL", "WHOAMI"), other("EXEC")][2] == [b"default"]
        # the other protocol
        w("MULTI")
        w("HELLO", 3, "AUTH", "default", "x")
        w.send("EXEC")
        w.send("GET", "none")
        w.send_raw(b"HELLO 2\r\n")
        wait_until(lambda: not w.is_closed() and b"proto\r\n:2\r\n" in w.pending, "it speaks RESP2 again")
        assert b"\r\n_\r\n*14\r\n" in w.pending
        w.pending.clear()
        for one in (other, w):
            assert [one("MULTI"), one("GET", "none"), one("EXEC")][2] == [None], "nobody else gets that connection"
        with pytest.raises(WireError, match="^ERR SUBSCRIBE inside"):
            [other("MULTI"), other("SUBSCRIBE", "x")]
        with pytest.raises(WireError, match="^EXECABORT"):
            other("EXEC")
        w("ACL", "DELUSER", "ann")


def test_a_transaction_is_told_who_the_client_is(shared):
    """
    Failed before: it was told the id and name of the connection to the server, asked for the list of those, and was closed when EXEC's reply was
    longer than 1 MiB.
    """
    with shared.wire() as w, shared.wire() as other:
        mine = w("CLIENT", "ID")

        def run(*commands):
            assert w("MULTI") == "OK"
            for one in commands:
                assert w(*one) == "QUEUED", one
            return w("EXEC")

        other("SET", "mib", "x" * MIB)
        done = run(("CLIENT", "GETNAME"), ("CLIENT", "ID"), ("GET", "mib"), ("CLIENT", "SETNAME", "first"), ("GET", "mib"), ("CLIENT", "GETNAME"), ("SELECT", 3),
                   ("GET", "mib"), ("CLIENT", "INFO"), ("SELECT", "x"), ("HELLO", 2), ("MGET", "a", "b"), ("CLIENT", "ID"))
        info = done.pop(8).decode()
        assert all(f" {one} " in f" {info}" for one in (f"id={mine}", "name=first", "db=3")), info
        assert str(done.pop(8)).startswith("ERR")
        hello = done.pop(8)
        assert hello[hello.index(b"id") + 1] == mine
        assert done == [None, mine, b"x" * MIB, "OK", b"x" * MIB, b"first", "OK", None, [None, None], mine]
        assert [w("CLIENT", "GETNAME"), w("GET", "mib")] == [b"first", None], "it is in database 3"
        assert run(("CLIENT", "GETNAME"), ("CLIENT", "ID")) == [b"first", mine]
        for one in (("CLIENT", "LIST"), ("CLIENT", "KILL", "ID", mine), ("CLIENT", "UNBLOCK", mine)):
            w("MULTI")
            with pytest.raises(WireError, match="^ERR CLIENT .* inside a transaction is not possible here"):
                w(*one)
            with pytest.raises(WireError, match="^EXECABORT"):
                w("EXEC")


def test_tracking_goes_on_at_the_next_master(cluster):
    """Failed before: the next connection did not track, and what the client had kept stayed as it was for ever."""
    with cluster.wire() as w, cluster.wire() as other:
        def told(what):
            wait_until(lambda: not w.is_closed() and what in w.pending, f"{what}", ignore=())
            w.pending.clear()

        forget_all, forget_one = b">2\r\n$10\r\ninvalidate\r\n_\r\n", b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
        w.send("HELLO", 3)
        told(b"proto")
        w.send("CLIENT", "TRACKING", "ON", "REDIRECT", 1)
        told(b"-ERR CLIENT TRACKING cannot REDIRECT")
        w.send_raw(Wire.pack("CLIENT", "TRACKING", "ON") + Wire.pack("CLIENT", "NO-TOUCH", "ON") if b"NO-TOUCH" in other("CLIENT", "HELP")
                   else Wire.pack("CLIENT", "TRACKING", "ON"))
        told(b"+OK\r\n")
        for n, leave in enumerate((lambda m: cluster.cli("failover"), cluster.kill)):
            w.send("GET", "k")
            told(b"\r\n")
            other("SET", "k", n)
            told(forget_one)
            master = cluster.master()
            leave(master)
            cluster.wait_master_is_not(master)
            told(forget_all)
            w.send("GET", "k")
            told(b"$1\r\n%d\r\n" % n)
            other("SET", "k", n + 1)
            told(forget_one)
            cluster.wait_agreed()
            w.send("CLIENT", "TRACKINGINFO")
            told(b"$2\r\non\r\n")
        w.send("CLIENT", "TRACKING", "OFF")
        told(b"+OK\r\n")


def test_every_way_of_tracking_goes_on_at_the_next_master(cluster):
    """Failed before: what was asked for inside MULTI, or beside subscriptions, ended with its connection; of several prefixes the last was left."""
    asked = {"optin": (("CLIENT", "TRACKING", "ON", "OPTIN"),), "prefix": tuple(("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", one) for one in ("k", "other")),
             "multi": (("MULTI",), ("SELECT", 0), ("CLIENT", "TRACKING", "ON"), ("GET", "x"), ("EXEC",)),
             "before": (("CLIENT", "TRACKING", "ON"), ("SUBSCRIBE", "news")), "behind": (("SUBSCRIBE", "news"), ("CLIENT", "TRACKING", "ON"))}
    wires = {way: cluster.wire() for way in asked}

    def told(what, of=None):
        for way in of or wires:
            w = wires[way]
            wait_until(lambda w=w: not w.is_closed() and what in w.pending, f"{what} {way}", ignore=())
            w.pending.clear()

    def look():
        for way, w in wires.items():
            w.pending.clear()
            if way == "optin":
                w.send("CLIENT", "CACHING", "YES")
                told(b"+OK\r\n", [way])
            if way != "prefix":
                w.send("GET", "k")
                told(b"\r\n", [way])

    with cluster.wire() as other:
        for way, w in wires.items():
            w.send("HELLO", 3)
            told(b"proto", [way])
            for one in asked[way]:
                w.send(*one)
                told(b"\r\n", [way])
        forget_one = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
        look()
        other("SET", "k", 1)
        told(forget_one)
        master = cluster.master()
        cluster.kill(master)
        cluster.wait_master_is_not(master)
        told(b">2\r\n$10\r\ninvalidate\r\n_\r\n")
        wait_until(lambda: other("PUBLISH", "news", "x") == 2, "both to be subscribed again")
        told(b"news", ["before", "behind"])
        cluster.wait_agreed()
        look()
        other("SET", "k", 2)
        told(forget_one)
        wires["multi"].send_raw(b"MULTI\r\nCLIENT TRACKING OFF\r\nEXEC\r\nCLIENT TRACKINGINFO\r\n")
        told(b"$3\r\noff\r\n", ["multi"])
        wires["multi"].send_raw(Wire.pack("MULTI") + Wire.pack("CLIENT", "TRACKING", "ON", "REDIRECT", 1))
        told(b"-ERR CLIENT TRACKING inside a transaction is not possible", ["multi"])
        look_again = {way: w for way, w in wires.items() if way != "multi"}
        for way, w in look_again.items():
            w.send("CLIENT", "TRACKING", "OFF")
            told(b"+OK\r\n", [way])


def test_who_one_is_beside_subscriptions_or_after_exec_is_so_at_the_next_master(cluster):
    """Failed before beside subscriptions: the next connection was the first user's, in database 0, and CLIENT ID the server's."""
    for n in (1, 2, 3):
        with Wire(cluster.port(f"redis-{n}")) as there:
            there("ACL", "SETUSER", "ann", "on", ">secret", "~*", "&*", "+@all")
    multi, sub, mine, other = (cluster.wire() for _ in range(4))

    def told(what):
        wait_until(lambda: not sub.is_closed() and what in sub.pending, f"{what}", ignore=())
        sub.pending.clear()

    assert [multi("MULTI"), multi("AUTH", "ann", "secret"), multi("SELECT", 5), multi("EXEC")][3] == ["OK", "OK"]
    number = sub("CLIENT", "ID")
    sub.send("HELLO", 3)
    told(b"proto")
    sub.send("SUBSCRIBE", "news")
    told(b":1\r\n")
    for ask, answer in ((("AUTH", "ann", "wrong"), b"-WRONGPASS"), (("SELECT", "x"), b"-ERR"), (("HELLO", 4), b"-NOPROTO"), (("AUTH", "ann", "secret"), b"+OK"),
                        (("SELECT", 4), b"+OK"), (("CLIENT", "SETNAME", "me"), b"+OK"), (("CLIENT", "ID"), b":%d\r\n" % number),
                        (("CLIENT", "GETNAME"), b"$2\r\nme\r\n"), (("HELLO", 3, "SETNAME", "you"), b"id\r\n:%d\r\n" % number), (("CLIENT", "INFO"), b" name=you "),
                        (("CLIENT", "KILL", "ID", number), b"-ERR CLIENT KILL beside subscriptions"), (("SET", "where", 4), b"+OK")):
        sub.send(*ask)
        told(answer)
    mine("SELECT", 4)
    assert mine("GET", "where") == b"4"
    cluster.wait_replicated()
    for _ in range(2):
        master = cluster.master()
        cluster.kill(master)
        cluster.wait_master_is_not(master)
        assert multi("ACL", "WHOAMI") == b"ann" and b"db=5 " in multi("CLIENT", "INFO")
        wait_until(lambda: other("PUBLISH", "news", "x") == 1, "subscribed again")
        told(b"news")
        sub.send("ACL", "WHOAMI")
        told(b"$3\r\nann\r\n")
        sub.send("GET", "where")
        told(b"$1\r\n4\r\n")
        cluster.wait_agreed()
        with Wire(cluster.port(master)) as there:
            there("ACL", "SETUSER", "ann", "on", ">secret", "~*", "&*", "+@all")


def test_who_watches_all_or_hears_nothing_goes_on(cluster):
    """Failed before: CLIENT REPLY was the server's to keep, and its client was closed when the server died."""
    master = cluster.master()
    watcher, quiet, other = (cluster.wire() for _ in range(3))
    assert watcher("MONITOR") == "OK"
    quiet.send_raw(Wire.pack("CLIENT", "REPLY", "OFF") + Wire.pack("SET", "quiet", 1) + Wire.pack("CLIENT", "ID"))
    wait_until(lambda: other("GET", "quiet") == b"1", "it was written")
    cluster.wait_replicated()
    cluster.kill(master)
    cluster.wait_master_is_not(master)
    quiet.send_raw(Wire.pack("INCR", "quiet") + Wire.pack("CLIENT", "REPLY", "ON") + Wire.pack("GET", "quiet"))
    assert [quiet.reply(), quiet.reply()] == ["OK", b"2"]
    wait_until(lambda: b"cmd=monitor" in cluster.direct()("CLIENT", "LIST"), "the next master is watched")
    other("SET", "seen", "by-the-watcher")
    while "by-the-watcher" not in watcher.reply():
        pass
