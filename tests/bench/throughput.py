"""
The proxy beside direct Redis and the proxies that people use, and what it costs in memory.

The doors take turns within each round; ratios are of one round. CPU is of one request, from /proc: the proxy's own and the server's behind it.
"""
import shutil
import socket
import statistics

from harness import Wire, procs, wait_until
from measure import cpu_ns, figure, heading, redis_benchmark, say

HAPROXY = """\
global
    nbthread 1
    maxconn 2000
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen redis
    bind 127.0.0.1:{port}
    server master 127.0.0.1:{master}
"""
NUTCRACKER = """\
redis:
  listen: 127.0.0.1:{port}
  redis: true
  servers:
    - 127.0.0.1:{master}:1 master
"""

# what redis-benchmark is asked, and how many requests of args.requests
ROWS = [
    ("GET -c 50", {"test": "get"}, 1),
    ("SET -c 50", {"test": "set"}, 1),
    ("GET -c 500", {"test": "get", "clients": 500}, 1),
    ("SET -c 500", {"test": "set", "clients": 500}, 1),
    ("GET -c 50 -P 16", {"test": "get", "pipeline": 16}, 4),
    ("SET -c 50 -P 16", {"test": "set", "pipeline": 16}, 4),
    ("GET of 10 KB -c 50", {"test": "get", "size": 10000}, 1),
]


def _peers(c):
    """Those that are installed: name, port, pid."""
    known = [("haproxy", HAPROXY, ["-db", "-f"], c.ports.extra), ("nutcracker", NUTCRACKER, ["-v", "0", "-c"], c.ports.extra + 1)]
    for name, text, words, port in known:
        if not shutil.which(name):
            say(name, f"not installed (apt-get install {name}): left out")
            continue
        config = c.case / f"{name}.conf"
        config.write_text(text.format(port=port, master=c.ports.redis))
        words = words[:-1] + ["-o", "/dev/null", "-s", str(port + 1)] + words[-1:] if name == "nutcracker" else words
        run = c.spawn(name, *words, config, label=name)
        wait_until(lambda port=port: c._client(port).get("none") is None, name, ignore=(Exception,))
        yield name, port, run.pid


def _round(door, redis_pid, words, requests):
    port, pid = door
    spent, behind = cpu_ns(pid) if pid else 0, cpu_ns(redis_pid)
    row = redis_benchmark(port, requests=requests, **words)
    behind = (cpu_ns(redis_pid) - behind) / 1000 / requests
    own = (cpu_ns(pid) - spent) / 1000 / requests if pid else 0
    return {"rps": row["rps"], "p99": row["p99_latency_ms"], "redis": behind, "all": own + behind}


def _ratio(of, to, what):
    return figure([a[what] / b[what] for a, b in zip(of, to)], digits=2)


def compare(args, cases, options):
    c = cases(options=options).start()
    doors = {"direct": (c.ports.redis, None), "proxy": (c.ports.proxy, c.instance("proxy-1")["pid"])}
    doors.update({name: (port, pid) for name, port, pid in _peers(c)})
    redis_pid = c.instance("redis-1")["pid"]
    heading(f"redis-benchmark, {args.rounds} alternating rounds of {args.requests} requests, 4 times that with -P 16 "
            "(min / median / max of the ratios to direct within a round)")
    for title, words, times in ROWS:
        requests = args.requests * times
        if "size" in words:
            redis_benchmark(c.ports.redis, "set", 1, size=words["size"])
            wait_until(lambda: c.proxy().strlen("key:__rand_int__") == words["size"], "the value")
        taken = {name: [] for name in doors}
        for n in range(args.rounds):
            names = list(doors)
            for name in names[n % len(names):] + names[: n % len(names)]:
                taken[name].append(_round(doors[name], redis_pid, words, requests))
        direct = taken.pop("direct")
        say(title, f"direct: {figure([r['rps'] for r in direct])} requests/s, {statistics.median(r['all'] for r in direct):.2f} µs of CPU each")
        for name, rounds in taken.items():
            say(f"  {name}", f"throughput {_ratio(rounds, direct, 'rps')}   p99 {_ratio(rounds, direct, 'p99')}   "
                f"CPU {_ratio(rounds, direct, 'all')}, of it redis {_ratio(rounds, direct, 'redis')}")
    c.stop()


def idle_clients(cases, options, count=10000):
    c = cases(options={**options, "proxy.max_clients": count + 100}).start()
    pid = c.instance("proxy-1")["pid"]
    heading(f"memory of the proxy, {count} clients at rest")
    before = procs.rss_bytes(pid)
    clients = []
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", c.ports.proxy))
        s.sendall(Wire.pack("PING"))
        assert s.recv(64) == b"+PONG\r\n"
        clients.append(s)
    say("each, after one command", f"{(procs.rss_bytes(pid) - before) / count / 1024:.2f} KiB")
    for s in clients:
        s.close()
    c.stop()


def durability(args, cases, options):
    c = cases(options=options)
    c.options.update({"proxy.durable_listen": f"127.0.0.1:{c.ports.extra}", "proxy.durable_replicas": 1})
    c.write_options()
    c.start()
    heading(f"SET -c 50 acknowledged by one replica, over none ({args.rounds} alternating rounds)")
    doors, taken = {"none": c.ports.proxy, "one": c.ports.extra}, {"none": [], "one": []}
    for n in range(args.rounds):
        for name in sorted(doors, reverse=n % 2 == 0):
            taken[name].append(redis_benchmark(doors[name], "set", args.requests))
    say("throughput", figure([a["rps"] / b["rps"] for a, b in zip(taken["one"], taken["none"])], digits=2))
    say("added to p50", figure([a["p50_latency_ms"] - b["p50_latency_ms"] for a, b in zip(taken["one"], taken["none"])], " ms", 2))
    c.stop()


def big_value(cases, options, mib=256):
    c = cases(options={**options, "sentinel.down_after_ms": 60000, "redis.probe_ms": 60000}).start()
    pid = c.instance("proxy-1")["pid"]
    heading(f"SET of {mib} MiB")
    with c.wire() as w:
        w("PING")
        before = procs.rss_bytes(pid)
        assert w("SET", "big", bytes(mib << 20)) == "OK"
    say("growth of the proxy's memory, at most", f"{(procs.rss_peak_bytes(pid) - before) / (1 << 20):.2f} MiB")
    c.stop()
