"""The proxy: what a client of a single Redis may expect, kept across failovers, and nobody hurt by anybody else."""
import os
import random
import re
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import Wire, WireError, wait_until
from waiting import PATIENCE

MIB = 1 << 20


def proxy_pid(cluster):
    return cluster.instance("proxy-1")["pid"]


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def peak_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))


TURNS = 50


def settled(sock, beside):
    """
    What else comes, and whether it was closed: all of it is there once another client of the same port has been answered by the server so
    often that everybody on the way has had many turns.
    """
    got, turns, timeout = b"", 0, sock.gettimeout()
    sock.setblocking(False)
    try:
        while turns < TURNS:
            try:
                chunk = sock.recv(65536)
            except BlockingIOError:
                beside("ECHO", "turn")
                turns += 1
                continue
            if not chunk:
                return got, True
            got, turns = got + chunk, 0
        return got, False
    except ConnectionResetError:
        return got, True
    finally:
        sock.settimeout(timeout)


def all_bytes(port, data, closes=False):
    """Everything that comes back for `data`, and whether the connection was closed, which is waited for where it must be (`closes`)."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        try:
            s.sendall(data)
        except ConnectionError:
            pass  # closed before all of it was read
        if not closes:
            with Wire(port) as beside:
                return settled(s, beside)
        got = b""
        try:
            while chunk := s.recv(65536):
                got += chunk
        except ConnectionResetError:
            pass
        return got, True


# --- as one Redis ---


def test_a_pipeline_is_answered_in_its_order(shared):
    wires = [shared.wire() for _ in range(20)]
    for n, w in enumerate(wires):
        w.send_raw(b"".join(
            Wire.pack("SET", f"order:{n}", i) + Wire.pack("ECHO", f"{n}-{i}") + b"PING\r\n" + Wire.pack("GET", f"order:{n}")
            for i in range(200)))
    for n, w in enumerate(wires):
        for i in range(200):
            assert [w.reply() for _ in range(4)] == ["OK", f"{n}-{i}".encode(), "PONG", str(i).encode()]
        w.close()


TRANSCRIPT = """
set k 1|multi|set k 2|incr k|exec|get k|multi|foo|exec|discard|exec|watch k|multi|get k|exec|watch k|unwatch
multi|set k 9|discard|get k|watch k|set k 10|multi|get k|exec
select 3|set q 1|get q|select 99|get q|select x|select|client setname bob|client getname|client setname "a b"
hgetall nope|hello 4|hello 2 foo|auth|auth a b c d|auth x y|get
foo bar|get k|blpop nolist 0.05|lpush l a b|blpop l 1|xread block 20 streams s 0|xread streams s 0
subscribe a b|ping|ping hello|unsubscribe a|unsubscribe|get k|unsubscribe|psubscribe x*|punsubscribe x*|get k
object encoding k|object help|command count|eval "return redis.call('get', KEYS[1])" 1 k|evalsha 0 0
copy k k2|object freq|getdel k2|wait 0 10|reset|get q
lrange l 0 -1|sort l alpha|config get maxmemory|time x|echo|echo a b
"""


def transcript_of(wire, beside):
    """Each line, and all that comes back."""
    said = []
    for line in TRANSCRIPT.strip().replace("\n", "|").split("|"):
        wire.send_raw(line.encode() + b"\r\n")
        first = wire.sock.recv(65536)
        more, closed = settled(wire.sock, beside)
        assert first and not closed, f"closed after {line!r}"
        said.append((line, first + more))
    return said


def test_a_session_sounds_like_redis_itself(cluster):
    with cluster.direct() as there, cluster.wire() as here, cluster.direct() as sweeper, cluster.wire() as beside:
        want = transcript_of(there, sweeper)
        sweeper("FLUSHALL")
        got = transcript_of(here, beside)
    for (line, a), (_, b) in zip(want, got):
        if line.startswith("wait "):
            a = re.sub(rb":[012]", b":N", a)  # how many replicas have it by now is their own affair
            b = re.sub(rb":[012]", b":N", b)
        assert b == a, line


QUIET = """
client reply foo|client reply|client reply off|ping|get x|client id|client reply skip|ping|client reply on|ping
client reply skip|ping|ping|client reply skip|client reply skip|ping|ping|client reply skip|client reply on|ping
client reply skip|client reply off|ping|client reply on
client reply off|subscribe a|ping|unsubscribe|client reply on|ping
client reply skip|subscribe a|ping|unsubscribe|ping
subscribe a|client reply off|ping|client reply on|unsubscribe
hello 3|client reply off|subscribe a|publish a x|ping|get k|unsubscribe|client reply on|ping
hello 3|subscribe a|client reply off|ping|get k|client reply on|unsubscribe|ping
client reply off|reset|ping
client reply skip|reset|ping
client reply off|set quiet 1|incr quiet|multi|incr quiet|exec|client reply on|get quiet|del quiet
client reply skip|multi|incr quiet|exec|get quiet|del quiet
client reply skip|blpop q 0.01|ping|client reply skip|select 1|get k|client reply skip|auth x|ping|client reply skip|foo bar|ping
client reply off|hello 3|client reply on|hello 2|client reply skip|client list|client reply skip|client setname x|client getname
"""


def test_who_wants_no_replies_hears_none(shared):
    """CLIENT REPLY, to the byte: what the server itself sends and what comes through the proxy."""
    def said(port, line):
        with Wire(port) as w:
            # what is asked last is heard, so all that came before it has come
            w.send_raw(b"".join(part.encode() + b"\r\n" for part in line.split("|")) + b"client reply on\r\necho the-end\r\n")
            got = b""
            while b"the-end\r\n" not in got:
                got += w.sock.recv(65536) or b"closed: the-end\r\n"
        return re.sub(rb"(id\r\n):\d+", rb"\1:N", got)

    master = shared.status()["master"]["port"]
    for line in QUIET.strip().splitlines():
        assert said(shared.ports.proxy, line) == said(master, line), line


def test_resp3_is_spoken_as_redis_speaks_it(shared):
    talk = (b"hello 3\r\nhset h a 1\r\nhgetall h\r\nsadd s a\r\nsmembers s\r\nzadd z 1.5 m\r\nzscore z m\r\nget none\r\n"
            b"client getname\r\nclient id\r\nhello 2\r\nhgetall h\r\n")
    got, closed = all_bytes(shared.ports.proxy, talk)
    assert not closed
    assert b"%1\r\n$1\r\na\r\n$1\r\n1\r\n" in got and b"~1\r\n$1\r\na\r\n" in got and b",1.5\r\n" in got
    assert got.endswith(b"*2\r\n$1\r\na\r\n$1\r\n1\r\n")
    own_id = got.split(b"$2\r\nid\r\n:")[1].split(b"\r\n")[0]
    assert b"_\r\n_\r\n:" + own_id + b"\r\n" in got, "HELLO and CLIENT ID name the same id"


def test_databases_are_kept_apart(shared):
    with shared.wire() as one, shared.wire() as five:
        assert five("SELECT", 5) == "OK"
        one("SET", "where", "zero")
        five("SET", "where", "five")
        assert (one("GET", "where"), five("GET", "where")) == (b"zero", b"five")


def test_a_transaction_sees_a_changed_key(shared):
    with shared.wire() as a, shared.wire() as b:
        a("SET", "w", 1)
        a("WATCH", "w")
        b("SET", "w", 2)
        a("MULTI")
        assert a("SET", "w", 3) == "QUEUED"
        assert a("EXEC") is None
        a.send_raw(b"".join(Wire.pack(*c) for c in (("MULTI",), ("INCR", "w"), ("INCR", "w"), ("EXEC",), ("GET", "w"))))
        assert [a.reply() for _ in range(5)] == ["OK", "QUEUED", "QUEUED", [3, 4], b"4"]


def test_a_blocked_client_blocks_nobody_else(shared):
    with shared.wire() as waiting, shared.wire() as other:
        waiting.send("BLPOP", "queue", 0)
        assert other("PING") == "PONG"
        other("RPUSH", "queue", "job")
        assert waiting.reply() == [b"queue", b"job"]
        assert waiting("PING") == "PONG"


def test_who_hangs_up_while_blocked_takes_nothing(shared):
    gone = shared.wire()
    gone.send("BLPOP", "queue2", 0)
    with shared.direct() as there, shared.wire() as other:
        wait_until(lambda: b"blocked_clients:1" in there("INFO", "clients"), "the client is blocked")
        gone.close()
        wait_until(lambda: b"blocked_clients:0" in there("INFO", "clients"), "the server knows that it hung up")
        other("RPUSH", "queue2", "job")
        assert other("LRANGE", "queue2", 0, -1) == [b"job"]


def test_a_script_that_does_not_end_can_be_killed(make_cluster):
    """SCRIPT KILL comes over another connection than the script: on that one the server reads nothing until it ends."""
    cluster = make_cluster(options={"sentinel.down_after_ms": 20000}).start()
    script, other = cluster.wire(), cluster.wire()
    assert other("CONFIG", "SET", "busy-reply-threshold", "50") == "OK"
    script.send("EVAL", "while true do end", 0)
    wait_until(lambda: other("SCRIPT", "KILL") == "OK", "the script killed", ignore=(WireError,))  # NOTBUSY before it began
    assert "Script killed by user" in str(script.reply())
    assert other("SET", "after", "1") == "OK"
    assert not cluster.events("failover.done")


def test_subscriptions_and_the_way_back(shared):
    with shared.wire() as sub, shared.wire() as other:
        assert sub("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        assert other("PUBLISH", "news", "hello") == 1
        assert sub.reply() == [b"message", b"news", b"hello"]
        assert sub("UNSUBSCRIBE", "news") == [b"unsubscribe", b"news", 0]
        assert sub("SET", "after", 1) == "OK"
        assert other("PUBLISH", "news", "nobody") == 0


def test_what_is_dangerous_is_refused(shared):
    with shared.wire() as w:
        for words in (["SHUTDOWN"], ["replicaof", "no", "one"], ["DEBUG", "SLEEP", "0"], ["config", "rewrite"], ["ACL", "SAVE"],
                      ["MODULE", "LOAD", "x"], ["SLAVEOF", "a", "1"], ["FAILOVER"], ["PSYNC", "?", "-1"]):
            with pytest.raises(WireError, match="is not allowed here; proxy.allow may name it"):
                w(*words)
        assert w("CONFIG", "GET", "port")[0] == b"port"


def random_batch(rng):
    """Requests of all kinds, and how many replies each has."""
    big = b"%d" % rng.randint(0, 9) * rng.choice([100_000, 2_000_000])
    kinds = [
        lambda: [("SET", f"k{rng.randint(0, 9)}", b"v" * rng.choice([1, 10, 1000, 20000, 50000]))],
        lambda: [("GET", f"k{rng.randint(0, 9)}")],
        lambda: [("SELECT", rng.randint(0, 20))],
        lambda: [("MULTI",), ("INCR", "n"), ("GET", "k1"), (rng.choice(["EXEC", "DISCARD"]),)],
        lambda: [("WATCH", "k1"), ("GET", "k1"), ("UNWATCH",)],
        lambda: [("BLPOP", "nolist", "0.01")],
        lambda: [("SET", "big", big)],
        lambda: [("GET", "big")],
        lambda: [("CLIENT", rng.choice(["ID", "GETNAME", "INFO"]))],
        lambda: [("NOSUCH", "x")],
        lambda: [("RESET",)],
        lambda: [("SUBSCRIBE", "ch"), ("UNSUBSCRIBE", "ch")],
        lambda: [("EVAL", "return {1,2,{3}}", 0)],
        lambda: [("WAIT", 0, 1)],
        lambda: [("PUBLISH", "x", "y")],
    ]
    weights = [25, 15, 5, 5, 3, 3, 1, 2, 3, 2, 1, 3, 3, 1, 28]
    return [c for k in rng.choices(kinds, weights, k=rng.randint(1, 12)) for c in k()]


def test_any_mixture_is_answered_in_order(shared):
    """Whatever is pipelined, however it is cut: as many replies as requests, and the last is the last one's."""
    faults, finished = [], []

    def client(seed):
        rng = random.Random(seed)
        try:
            for _ in range(4):
                with shared.wire(timeout=60) as w:
                    for _ in range(10):
                        batch = random_batch(rng)
                        mark = str(rng.random()).encode()
                        data = b"".join(Wire.pack(*c) for c in [*batch, ("ECHO", mark)])
                        if rng.random() < 0.1:
                            w.send_raw(data[: rng.randint(1, len(data))])
                            break
                        step = rng.choice([1000, 30_000, 10_000_000])
                        for at in range(0, len(data), step):
                            w.send_raw(data[at : at + step])
                        for _ in batch:
                            w.reply()
                        if (answer := w.reply()) != mark:
                            faults.append((seed, [c[:2] for c in batch], str(answer)[:100]))
                            return
            finished.append(seed)
        except OSError as e:
            faults.append((seed, [c[:2] for c in batch], repr(e)))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not faults
    assert sorted(finished) == list(range(8))


# --- bad input ---

LONG = 70000
VIOLATIONS = [
    # how many arguments
    b"*2147483648\r\n", b"*-2147483649\r\n", b"*9223372036854775808\r\n", b"*01\r\n", b"*+1\r\n", b"*-0\r\n", b"* 1\r\n", b"*1 \r\n",
    b"*a\r\n", b"*1a\r\n", b"*\r\n", b"*1.0\r\n", b"*0x1\r\n", b"*" + b"1" * LONG, b"\r\n*0\r\n*-1\r\n*-5\r\nPING\r\n",
    # how long one is
    b"*1\r\n$-1\r\n", b"*1\r\n$-5\r\n", b"*1\r\n$04\r\nPING\r\n", b"*1\r\n$+4\r\nPING\r\n", b"*1\r\n$ 4\r\nPING\r\n", b"*1\r\n$-0\r\n\r\n",
    b"*1\r\n$536870913\r\n", b"*1\r\n$9223372036854775808\r\n", b"*1\r\n$\r\n", b"*1\r\n$x\r\n", b"*1\r\n$4x\r\nPING\r\n",
    b"*1\r\n$" + b"1" * LONG, b"*2\r\n$4\r\nECHO\r\n$00\r\n\r\n",
    # something else where a length belongs: another request, other types, nested ones, those of RESP3
    b"*1\r\nPING\r\n", b"*1\r\n:4\r\n", b"*1\r\n\r\n", b"*1\r\n*1\r\n$4\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\n*1\r\n$1\r\na\r\n", b"*1\r\n%1\r\n",
    b"*1\r\n=8\r\ntxt:PING\r\n", b"*" * LONG, b"*1\r\n" * 9,
    # RESP3 where commands belong; with HELLO 3 and without
    b"%1\r\n$4\r\nPING\r\n", b"_\r\n", b">1\r\n", b"~1\r\n", b"#t\r\n", b"(1\r\n", b"|1\r\n", b"+PING\r\n", b"-PING\r\n", b":1\r\n", b"$4\r\nPING\r\n",
    b"HELLO 3\r\n%1\r\n", b"HELLO 3\r\n*1\r\n$x\r\n", b"HELLO 3\r\n*1\r\n_\r\n", b"HELLO 4\r\nPING\r\n", b"HELLO x\r\nPING\r\n", b"HELLO 3 x\r\nPING\r\n",
    # inline
    b"a" * LONG, b"PING\n", b"  PING  \r\n", b"\n\n\nPING\n", b"PING\r", b"\r\r\nPING\r\n", b'set "a\r\n', b"set 'a\r\n", b'get "a"b\r\n', b"get 'a'b\r\n",
    b'echo "\\x41\\n\\q"\r\n', b"echo 'a\\'b\\n'\r\n", b'echo ""\r\n', b'echo "\\x4"\r\n', b"echo " + b"a" * 60000 + b"\r\n", b"PI\x00NG\r\n", b"\x00\r\n",
    # behind something that is right
    b"PING\r\n*1\r\n$x\r\n", b"*1\r\n$4\r\nPING\r\n\r\n*x\r\n", b"MULTI\r\nPING\r\n*1\r\n$x\r\n", b"SUBSCRIBE a\r\n*1\r\n$x\r\n",
    b"PING\r\nget k\r\n*2\r\n$4\r\nECHO\r\n$2\r\nab\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n\"x\r\n",
    # halves, which wait
    b"*", b"*1", b"*1\r", b"*1048577\r\n$4\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\n", b"*1\r\n$4\r\nPIN", b"*1\r\n$4\r\nPING", b"*1\r\n$4\r\nPING\r", b"*1\n$4\nPING\n", b"PIN",
]


def test_a_violation_ends_as_with_redis(shared):
    """The same bytes to the server itself and through the proxy: the same comes back, and it is closed where Redis closes."""
    def both(data):
        return [re.sub(rb"(id\r\n):\d+", rb"\1:N", got) + b" closed" * closed
                for got, closed in (all_bytes(port, data) for port in (shared.ports.proxy, master))]

    master = shared.status()["master"]["port"]
    with shared.wire() as other, ThreadPoolExecutor(16) as pool:
        for data, (here, there) in zip(VIOLATIONS, pool.map(both, VIOLATIONS)):
            assert here == there, data[:60]
        assert other("PING") == "PONG"


def test_a_million_commands_in_one_pipeline(shared):
    count = 1000000
    with shared.wire(timeout=120) as w, shared.wire() as other:
        sender = threading.Thread(target=w.send_raw, args=(b"*1\r\n$4\r\nPING\r\n" * count,))
        sender.start()
        got = 0
        while got < count * 7:
            part = w.sock.recv(1 << 20)
            at = got % 7
            assert part == (b"+PONG\r\n" * (len(part) // 7 + 2))[at:at + len(part)]
            got += len(part)
        sender.join()
        assert other("PING") == "PONG"


def test_what_would_be_ambiguous_on_a_shared_connection_is_refused(shared):
    got, closed = all_bytes(shared.ports.proxy, b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n", closes=True)
    assert closed and got == b"-ERR Protocol error: expected CRLF behind a bulk string\r\n"


def test_a_browser_is_hung_up_on(shared):
    got, closed = all_bytes(shared.ports.proxy, b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", closes=True)
    assert closed and got == b""


def test_half_a_request_disturbs_nobody(shared):
    halves = [shared.wire() for _ in range(5)]
    for w, data in zip(halves, (b"*", b"*2\r\n$3\r\nGE", b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$100000\r\nxyz", b"GET", b"*1000000\r\n")):
        w.send_raw(data)
    with shared.wire() as other:
        for i in range(50):
            assert other("SET", "half", i) == "OK"
    for w in halves:
        w.close()


# --- large and slow ---


def test_large_values_pass_without_being_held(shared, measured):
    size = 64 * MIB
    pid = proxy_pid(shared)
    with shared.wire(timeout=120) as w, shared.wire() as other:
        w("SET", "warm", "x" * MIB)
        w("GET", "warm")
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")  # the peak begins anew (proc(5)): an earlier test's is not ours
        before = rss_kib(pid)
        value = os.urandom(MIB) * 64
        assert w("SET", "large", value) == "OK"
        assert other("STRLEN", "large") == size
        set_growth = peak_kib(pid) - before
        assert w("GET", "large") == value
        measured(f"proxy memory for a value of 64 MiB: SET {set_growth} KiB, GET {peak_kib(pid) - before} KiB")
        if PATIENCE == 1:  # sanitizers keep what was freed
            assert peak_kib(pid) - before < 16 * 1024
        assert w("DEL", "large") == 1


def test_a_large_value_in_a_pipeline_keeps_its_place(shared):
    with shared.wire(timeout=60) as w:
        value = b"v" * (3 * MIB)
        w.send_raw(b"".join([Wire.pack("SET", "p", 1), Wire.pack("SET", "p", value), Wire.pack("STRLEN", "p"),
                             Wire.pack("MULTI"), Wire.pack("SET", "p2", value), Wire.pack("STRLEN", "p2"), Wire.pack("EXEC"),
                             Wire.pack("GET", "p"), Wire.pack("DEL", "p", "p2")]))
        assert [w.reply() for _ in range(9)] == ["OK", "OK", 3 * MIB, "OK", "QUEUED", "QUEUED", ["OK", 3 * MIB], value, 2]


def test_a_client_that_never_reads_is_stopped(shared):
    pid = proxy_pid(shared)
    with shared.wire() as w:
        w("SET", "kb", "x" * 1000)
        before = rss_kib(pid)
        w.sock.settimeout(1.0)
        asked = Wire.pack("GET", "kb") * 1000
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 500 * MIB:
                sent += w.sock.send(asked)
        with shared.wire() as other:
            assert other("PING") == "PONG"
        if PATIENCE == 1:
            assert rss_kib(pid) - before < 48 * 1024


def test_a_slow_reader_of_a_large_value_slows_only_itself(shared):
    with shared.wire() as slow, shared.wire() as other:
        other("SET", "big", b"x" * (20 * MIB))
        slow.send("GET", "big")
        # it reads nothing until the other has had all its answers
        for i in range(200):
            assert other("SET", "small", i) == "OK"
        assert len(slow.reply()) == 20 * MIB
        other("DEL", "big")


# --- limits and access ---


def test_limits(make_cluster):
    c = make_cluster(options={"proxy.max_clients": 3, "proxy.max_request_bytes": 100000, "proxy.allow": "DEBUG"}).start()
    wires = [c.wire() for _ in range(3)]
    for w in wires:
        w("PING")
    assert all_bytes(c.ports.proxy, b"", closes=True) == (b"-ERR max number of clients reached\r\n", True)
    sub = wires[0]
    with pytest.raises(WireError, match="DEBUG command not allowed|no such key"):
        sub("DEBUG", "OBJECT", "k")
    sub("SUBSCRIBE", "x")
    # from now on: whoever were idle before would not have been there to be counted on a busy machine
    c.options["proxy.client_timeout_s"] = 1
    c.write_options()
    c.cli("reload")
    wait_until(lambda: wires[1].is_closed() and wires[2].is_closed(), "idle clients are closed")
    assert not sub.is_closed(), "a subscriber is not idle"
    sub.close()
    del c.options["proxy.client_timeout_s"]
    c.write_options()
    c.cli("reload")
    wait_until(lambda: all_bytes(c.ports.proxy, b"PING\r\n")[0] == b"+PONG\r\n", "room again", ignore=(OSError, WireError))
    too_long = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100001\r\n"
    wait_until(lambda: all_bytes(c.ports.proxy, too_long, closes=True) == (b"-ERR Protocol error: invalid bulk length\r\n", True), "it is refused")


def test_a_password_is_checked_by_the_server(make_cluster):
    c = make_cluster(options={"redis.password": "hunter2"}).start()
    with c.wire() as w:
        with pytest.raises(WireError, match="^NOAUTH"):
            w("GET", "x")
        with pytest.raises(WireError, match="^WRONGPASS"):
            w("AUTH", "nonsense")
        with pytest.raises(WireError, match="^NOAUTH"):
            w("GET", "x")
        assert w("AUTH", "hunter2") == "OK"
        assert w("SET", "x", 1) == "OK"
        w("ACL", "SETUSER", "ann", "on", ">secret", "~a:*", "+get", "+set")
        with c.wire() as ann:
            assert ann("AUTH", "ann", "secret") == "OK"
            assert ann("SET", "a:1", 1) == "OK"
            with pytest.raises(WireError, match="^NOPERM"):
                ann("GET", "x")
            with c.wire() as stranger, pytest.raises(WireError, match="^NOAUTH"):
                stranger("GET", "x")
            assert ann("RESET") == "RESET"
            with pytest.raises(WireError, match="^NOAUTH"):
                ann("GET", "a:1")


# --- failover ---


class Pipelines(threading.Thread):
    """One connection that must last: batches of SET and ECHO; who answers out of order is found out."""

    def __init__(self, cluster, number, stop):
        super().__init__(daemon=True)
        self.number, self.halt = number, stop
        self.wire = cluster.wire()
        self.acked, self.errors, self.wrong, self.longest = [], [], [], 0.0

    def run(self):
        n = 0
        try:
            while not self.halt.is_set():
                batch = range(n + 1, n + 17)
                n += 16
                start = time.monotonic()
                self.wire.send_raw(b"".join(
                    Wire.pack("SET", f"fo:{self.number}:{i}", i) + Wire.pack("ECHO", i) for i in batch))
                for i in batch:
                    answer, echo = self.wire.reply(), self.wire.reply()
                    if answer == "OK":
                        self.acked.append(i)
                    else:
                        self.errors.append(str(answer))
                    if echo != str(i).encode():
                        self.wrong.append((i, echo))
                self.longest = max(self.longest, time.monotonic() - start)
                self.halt.wait(0.002)
        except OSError as e:
            self.wrong.append(e)


def run_pipelines(cluster, during):
    stop = threading.Event()
    threads = [Pipelines(cluster, n, stop) for n in range(8)]
    for t in threads:
        t.start()
    try:
        wait_until(lambda: all(len(t.acked) > 100 for t in threads), "writes are acknowledged")
        during(threads)
        seen = [len(t.acked) for t in threads]
        wait_until(lambda: all(len(t.acked) > n + 100 for t, n in zip(threads, seen)), "writes go on on the same connections")
    finally:
        stop.set()
        for t in threads:
            t.join(60)
    assert [t.wrong for t in threads] == [[]] * len(threads)
    client = cluster.proxy()
    for t in threads:
        t.lost = []  # which of the acknowledged ones
        for i in range(0, len(t.acked), 500):
            part = t.acked[i : i + 500]
            t.lost += [i + at for at, v in enumerate(client.mget([f"fo:{t.number}:{n}" for n in part])) if v is None]
    return threads, sum(len(t.lost) for t in threads)


def test_the_master_is_killed_under_pipelined_load(cluster, measured):
    master = cluster.master()

    def kill(threads):
        for t in threads:
            t.copied = len(t.acked)
        cluster.wait_replicated()
        cluster.kill(master)
        cluster.wait_master_is_not(master)

    threads, lost = run_pipelines(cluster, kill)
    errors = [e for t in threads for e in t.errors]
    assert set(errors) <= {"UNCERTAIN master lost before it answered; the write may or may not have happened"}
    acked = sum(len(t.acked) for t in threads)
    measured(f"kill -9 under load: {acked} acknowledged, {lost} lost, {len(errors)} uncertain, "
             f"longest wait {max(t.longest for t in threads) * 1000:.0f} ms")
    # asynchronous replication: of each what the dead master acknowledged in its last moments, in one piece, and nothing that replicas had
    for t in threads:
        assert t.lost == list(range(t.lost[0], t.lost[0] + len(t.lost))) if t.lost else True, t.lost
        assert not t.lost or t.lost[0] >= t.copied, (t.lost, t.copied)
    cluster.wait_agreed()


def test_a_planned_switchover_shows_no_error(cluster, measured):
    threads, lost = run_pipelines(cluster, lambda _: cluster.cli("failover"))
    assert [e for t in threads for e in t.errors] == []
    measured(f"planned switchover under load: {lost} lost, longest wait {max(t.longest for t in threads) * 1000:.0f} ms")
    assert lost == 0


def test_a_frozen_master_keeps_nobody_for_ever(make_cluster):
    """It answers nobody, but its connections stand; supervisor and Sentinel are told to be patient."""
    c = make_cluster(options={"proxy.hold_ms": 1000, "sentinel.down_after_ms": 600000, "redis.probe_ms": 600000}).start()
    pid = c.kill(c.master(), signal.SIGSTOP)
    try:
        with c.wire() as writer, c.wire() as reader, c.wire() as late:
            writer.send("SET", "x", 1)
            reader.send("GET", "x")
            assert str(writer.reply()).startswith("UNCERTAIN")
            assert str(reader.reply()).startswith("MASTERDOWN no master within 1000 ms")
            with pytest.raises(WireError, match="^MASTERDOWN"):
                late("GET", "x")
            os.kill(pid, signal.SIGCONT)
            wait_until(lambda: late("SET", "x", 2) == "OK", "it goes on", ignore=(WireError,))
            assert writer("GET", "x") == b"2"
    finally:
        os.kill(pid, signal.SIGCONT)


def test_alone_against_sentinels_elsewhere(cluster):
    alone = cluster.spawn(
        *cluster.command("proxy", *[w for n in (1, 2, 3) for w in ("--sentinel", f"127.0.0.1:{cluster.port(f'sentinel-{n}')}")],
                         "-s", f"proxy.listen=127.0.0.1:{cluster.ports.extra}"), label="proxy")

    def answers():
        with Wire(cluster.ports.extra) as w:
            return w("SET", "alone", 1) == "OK"

    wait_until(answers, "it serves", ignore=(OSError, WireError))
    master = cluster.master()
    with Wire(cluster.ports.extra) as w:
        cluster.kill(master)
        cluster.wait_master_is_not(master)
        assert w("SET", "alone", 2) == "OK"
    alone.signal(15)
    assert alone.wait() == 0


def links_of_the_proxy(cluster):
    """Where the master sees the proxy's requests come from."""
    return [line for line in cluster.direct()("CLIENT", "LIST").decode().splitlines() if "cmd=set " in line]


def test_a_master_of_this_host_is_reached_over_its_socket(cluster):
    """One that does not listen there, as one that was started by an older version, over TCP."""
    c = cluster
    (c.dir / "redis-2" / "redis.sock").unlink()
    with c.wire() as w:
        w("SET", "near", 1)
        assert "redis-1/redis.sock" in links_of_the_proxy(c)[0]
        c.cli("failover", "--to", "redis-2")
        w("SET", "near", 2)
        assert " addr=127.0.0.1:" in links_of_the_proxy(c)[0]
        c.cli("failover", "--to", "redis-3")
        w("SET", "near", 3)
        assert "redis-3/redis.sock" in links_of_the_proxy(c)[0]


def test_a_stop_answers_what_was_asked(cluster):
    value = b"v" * (8 * MIB)
    upload = Wire.pack("SET", "large", value)
    with cluster.wire() as idle, cluster.wire() as open_, cluster.wire() as blocked, cluster.wire() as half, cluster.direct() as there:
        assert idle("PING") == "PONG"
        assert open_("MULTI") == "OK"
        blocked.send_raw(Wire.pack("SET", "asked", 1) + Wire.pack("BLPOP", "queue", 0))
        assert blocked.reply() == "OK"
        half.send_raw(upload[:MIB])
        assert idle("PING") == "PONG", "by now the proxy has read some of the half"
        wait_until(lambda: b"blocked_clients:1" in there("INFO", "clients"), "the client is blocked")
        stop = cluster.spawn(*cluster.command("stop", "-d", cluster.dir, "proxy-1"), label="stop")
        wait_until(idle.is_closed, "who asks nothing goes first")
        wait_until(open_.is_closed, "nor does an open transaction wait")
        with cluster.wire() as next_one:  # the socket stays open: it waits for the next proxy
            next_one.send("PING")
            half.send_raw(upload[MIB:])
            assert half.reply() == "OK"
            wait_until(half.is_closed, "this was its last")
            there("RPUSH", "queue", "job")
            assert blocked.reply() == [b"queue", b"job"]
            wait_until(blocked.is_closed, "all is answered")
            assert stop.wait() == 0
            cluster.cli("start", "proxy-1")
            assert next_one.reply() == "PONG"
    with cluster.wire() as w:
        assert w("GET", "large") == value


def test_a_dying_proxy_refuses_no_connection(cluster):
    with cluster.load(writers=2) as load:
        wait_until(lambda: load.acked > 50, "writes")
        cluster.kill("proxy-1")
        since = time.monotonic()
        wait_until(lambda: load.acked_since(since + 0.5), "writes go on")
    assert load.refused == []
    assert load.connections == 4
