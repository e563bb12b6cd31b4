"""redis-py: see test_client_libraries.py for what each program does and says."""
import sys
import threading
import time

import redis

port = int(sys.argv[1])


def say(word):
    print(word, flush=True)


def connect(**options):
    # no retry, and no second connection behind one's back: what breaks is an error here
    client = redis.Redis(port=port, single_connection_client=True, decode_responses=True, retry_on_timeout=False, **options)
    client.ping()
    return client


r, other = connect(client_name="py"), connect()
assert r.client_getname() == "py" and r.info("server")["redis_version"]
r.delete("py:s", "py:n", "py:l", "py:x", "py:big")
say("connect")

pipe = r.pipeline(transaction=False)
for i in range(1000):
    pipe.set(f"py:p:{i}", i)
    pipe.get(f"py:p:{i}")
assert pipe.execute() == [v for i in range(1000) for v in (True, str(i))]
say("pipeline")

r.set("py:n", 1)
with r.pipeline() as t:
    t.watch("py:n")
    seen = int(t.get("py:n"))
    t.multi()
    t.set("py:n", seen + 1).get("py:n")
    assert t.execute() == [True, "2"]
    t.watch("py:n")
    other.incr("py:n")
    t.multi()
    t.set("py:n", 99)
    try:
        t.execute()
        raise SystemExit("a changed key was not noticed")
    except redis.WatchError:
        pass
assert r.get("py:n") == "3"
say("transaction")

subscriber = connect().pubsub(ignore_subscribe_messages=False)
subscriber.subscribe("py:c")
subscriber.psubscribe("py:d*")
assert [subscriber.get_message(timeout=20)["type"] for _ in range(2)] == ["subscribe", "psubscribe"]
assert r.publish("py:c", "one") == 1 and r.publish("py:d1", "two") == 1
assert [subscriber.get_message(timeout=20)["data"] for _ in range(2)] == ["one", "two"]
say("pubsub")

popped = []
popper = threading.Thread(target=lambda: popped.append(connect().blpop(["py:l"], 20)))
popper.start()
other.rpush("py:l", "v")
popper.join()
assert popped == [("py:l", "v")]
assert r.blpop(["py:none"], 1) is None
say("blocking")

script = r.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
r.script_flush()
assert script(keys=["py:n"], args=[10]) == 13  # EVALSHA, NOSCRIPT, SCRIPT LOAD, EVALSHA
say("script")

ids = [r.xadd("py:x", {"n": i}) for i in range(3)]
r.xgroup_create("py:x", "g", id="0")
((_, entries),) = r.xreadgroup("g", "me", {"py:x": ">"}, count=2)
assert [e[0] for e in entries] == ids[:2] and r.xack("py:x", "g", ids[0]) == 1
assert r.xpending("py:x", "g")["pending"] == 1 and r.xinfo_groups("py:x")[0]["name"] == "g"
say("stream")

assert len(set(r.scan_iter("py:p:*", count=100))) == 1000
say("scan")

big = "0123456789abcdef" * (1 << 20)
assert r.set("py:big", big) and r.get("py:big") == big and r.delete("py:big") == 1
say("big")

# --- across a failover: the same connections go on ---
everyone = [r, other]
before = [c.client_id() for c in everyone]
watcher = connect().pipeline()
watcher.watch("py:n")
seen = int(watcher.get("py:n"))
say("FAILOVER")
sys.stdin.readline()
# a read first, which waits for the new master: what a write on its way to the dying one says is another test's
assert r.get("py:n") == str(seen) and r.set("py:after", "v")
assert [c.client_id() for c in everyone] == before
watcher.multi()
watcher.set("py:n", seen + 1)
try:
    watcher.execute()
    raise SystemExit("the watch went away with the master, and nobody said so")
except redis.WatchError:
    pass
assert script(keys=["py:n"], args=[1]) == seen + 1
end = time.monotonic() + 60
while r.publish("py:c", "three") == 0:  # the subscription comes to the new master on its own
    assert time.monotonic() < end, "the subscription"
assert subscriber.get_message(timeout=20)["data"] == "three"
with r.pipeline() as t:
    t.incr("py:n").get("py:n")
    assert t.execute() == [seen + 2, str(seen + 2)]
assert len(set(r.scan_iter("py:p:*", count=100))) == 1000
say("failover")
