"""
The HTTP front end beside nginx, which answers a fixed body of the same size (the practical limit), and Debian's webdis with 1, 2 and 4
threads. All take turns within a round; the ratios are within a round, and webdis' column is that of its best number of threads.
"""
import json
import os
import re
import select
import shutil
import socket
import statistics
import subprocess
import time

from harness import Http, wait_until

THREADS = (1, 2, 4)
SMALL, LARGE = "hello", "x" * 10240

NGINX = """\
worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log;
events {{ worker_connections 2000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    default_type application/json;
    open_file_cache max=10 inactive=1h;
    open_file_cache_valid 1h;
    client_body_temp_path {dir}/nginx.body; proxy_temp_path {dir}/nginx.proxy; fastcgi_temp_path {dir}/nginx.fastcgi;
    uwsgi_temp_path {dir}/nginx.uwsgi; scgi_temp_path {dir}/nginx.scgi;
    server {{
        listen 127.0.0.1:{port};
        location /GET/ {{ return 200 '{{"GET":"hello"}}'; }}
        location /SET/ {{ return 200 '{{"SET":[true,"OK"]}}'; }}
        location = / {{ return 200 '{{"SET":[true,"OK"]}}'; }}
        location = /GET/large {{ alias {dir}/large.json; }}
    }}
}}
"""

# wrk's own language; the last one sends 16 requests at a time, wrk counts each answer
KINDS = {
    "GET of a small value, 50 connections": ("GET", "/GET/small", ""),
    "PUT SET": ("PUT", "/SET/small", 'wrk.method = "PUT"; wrk.body = "hello"'),
    "POST SET": ("POST", "/", 'wrk.method = "POST"; wrk.body = "SET/small/hello"'),
    "GET of 10 KB, JSON with ETag": ("GET", "/GET/large", ""),
    "GET, 16 pipelined": ("GET", "/GET/small", 'local r; init = function() local t = {} for i = 1, 16 do t[i] = wrk.format("GET", "/GET/small") end '
                          'r = table.concat(t) end; request = function() return r end'),
}


def cpu_ns(pid):
    """Of all threads."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total


def wrk(port, path, script, seconds):
    """Requests a second, and how many there were."""
    out = subprocess.run(["wrk", "-t1", "-c50", f"-d{seconds}s", *(["-s", script] if script else []), f"http://127.0.0.1:{port}{path}"],
                         capture_output=True, text=True, check=True, timeout=600).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    assert not bad, out
    return float(re.search(r"Requests/sec:\s*([\d.]+)", out).group(1)), int(re.search(r"(\d+) requests in", out).group(1))


class Door:
    def __init__(self, name, port, pid, redis):
        self.name, self.port, self.pid, self.redis = name, port, pid, redis

    def spent(self):
        return cpu_ns(self.pid), cpu_ns(self.redis) if self.redis else 0


def nginx(c, port):
    folder = c.case
    (folder / "nginx.conf").write_text(NGINX.format(dir=folder, port=port))
    (folder / "large.json").write_text(json.dumps({"GET": LARGE}, separators=(",", ":")))
    os.chmod(folder, 0o755)
    run = c.spawn("nginx", "-e", folder / "nginx.log", "-c", folder / "nginx.conf", "-g", f"user {os.environ.get('USER') or 'root'};", label="nginx")
    wait_until(lambda: Http(port).get("/GET/x").status == 200, "nginx", ignore=(OSError,))
    workers = subprocess.run(["ps", "--ppid", str(run.pid), "-o", "pid="], capture_output=True, text=True).stdout.split()
    return Door("nginx", port, int(workers[0]), None)


def webdis(c, port, threads, redis_pid):
    path = c.case / f"webdis-{threads}.json"
    path.write_text(json.dumps({
        "redis_host": "127.0.0.1", "redis_port": c.ports.redis, "http_host": "127.0.0.1", "http_port": port, "threads": threads,
        "pool_size": 20, "daemonize": False, "websockets": False, "database": 0, "verbosity": 0, "logfile": str(c.case / "webdis.log"),
        "acl": [{"disabled": ["DEBUG"]}]}))
    run = c.spawn("webdis", path, label=f"webdis-{threads}")
    wait_until(lambda: Http(port).get("/PING").status == 200, "webdis", ignore=(OSError,))
    return Door(f"webdis {threads}", port, run.pid, redis_pid)


def deliveries(c, door, subscribers, messages):
    """Messages a second that arrive at all subscribers, and the server's µs for each."""
    poll, socks = select.epoll(), {}
    for _ in range(subscribers):
        s = socket.create_connection(("127.0.0.1", door.port), timeout=10)
        s.sendall(b"GET /SUBSCRIBE/bench HTTP/1.1\r\nHost: localhost\r\n\r\n")
        socks[s.fileno()] = s
    redis = c._client(c.ports.redis)
    wait_until(lambda: any(b"bench" == k and n >= (1 if door.name == "ours" else subscribers) for k, n in redis.pubsub_numsub("bench")), "subscribers")
    first = next(iter(socks.values()))
    for s in socks.values():
        head = s.recv(65536)
        while b'"subscribe"' not in head:
            head += s.recv(65536)
    # how long a message is in this server's words
    redis.publish("bench", "m" * 32)
    size = len(first.recv(65536))
    for s in socks.values():
        got = size if s is first else 0
        while got < size:
            got += len(s.recv(size - got))
        s.setblocking(False)
        poll.register(s, select.EPOLLIN)
    left = subscribers * messages * size
    spent, begin = cpu_ns(door.pid), time.perf_counter()
    with redis.pipeline(transaction=False) as pipe:
        for _ in range(messages):
            pipe.publish("bench", "m" * 32)
        pipe.execute()
    while left > 0:
        for fd, _ in poll.poll(30):
            data = socks[fd].recv(1 << 18)
            assert data, "a subscriber was closed"
            left -= len(data)
    took, spent = time.perf_counter() - begin, cpu_ns(door.pid) - spent
    for s in socks.values():
        s.close()
    return subscribers * messages / took, spent / 1000 / (subscribers * messages)


def best(rates, doors):
    """The number of webdis' threads with the best median."""
    return max((d.name for d in doors if d.name.startswith("webdis")), key=lambda n: statistics.median(rates[n]), default=None)


def turns(doors, rounds):
    for n in range(rounds):
        for k in range(len(doors)):
            yield doors[(n + k) % len(doors)]


def run(args, cases, say, figure, heading, options):
    c = cases(options=options).start()
    redis_pid, p = c.instance("redis-1")["pid"], c.ports
    for program in ("wrk", "nginx", "webdis"):
        if shutil.which(program) is None:
            say(program, f"not installed (apt-get install {program}): {'nothing is measured' if program == 'wrk' else 'left out'}")
    if shutil.which("wrk") is None:
        return
    doors = [Door("ours", p.http, c.instance("http-1")["pid"], redis_pid)]
    if shutil.which("nginx"):
        doors.append(nginx(c, p.extra))
    if shutil.which("webdis"):
        doors += [webdis(c, p.extra + 1 + i, n, redis_pid) for i, n in enumerate(THREADS)]
    with c.http() as web:
        for key, value in (("small", SMALL), ("large", LARGE)):
            assert web.request("PUT", f"/SET/{key}", value).status == 200
    heading(f"HTTP, wrk -t1 -c50, {args.rounds} alternating rounds of {args.seconds} s (min / median / max of the ratios within a round)")
    for title, (_, path, lua) in KINDS.items():
        script = None
        if lua:
            script = c.case / "wrk.lua"
            script.write_text(lua + "\n")
        rates, used = {d.name: [] for d in doors}, {d.name: [] for d in doors}
        for door in turns(doors, args.rounds):
            before = door.spent()
            rate, count = wrk(door.port, path, script, args.seconds)
            rates[door.name].append(rate)
            used[door.name].append(sum(a - b for a, b in zip(door.spent(), before)) / 1000 / count)
        say(f"{title}: ours", figure(rates["ours"], " requests/s"))
        top = best(rates, doors)
        if "nginx" in rates:
            say(f"{title}: ours / nginx", figure([a / b for a, b in zip(rates["ours"], rates["nginx"])], digits=2))
            if top:
                say(f"{title}: {top} threads / nginx", figure([a / b for a, b in zip(rates[top], rates["nginx"])], digits=2))
            say(f"{title}: CPU with redis, ours / nginx", figure([a / b for a, b in zip(used["ours"], used["nginx"])], digits=2)
                + f"   µs, median: {statistics.median(used['ours']):.1f} / {statistics.median(used['nginx']):.1f}"
                + (f", {top}: {statistics.median(used[top]):.1f}" if top else ""))
    c.stop()


def run_subscribers(args, cases, say, figure, heading, options):
    c = cases(options=options).start()
    redis_pid, p = c.instance("redis-1")["pid"], c.ports
    doors = [Door("ours", p.http, c.instance("http-1")["pid"], redis_pid)]
    if shutil.which("webdis"):
        doors += [webdis(c, p.extra + 1 + i, n, redis_pid) for i, n in enumerate(THREADS)]
    else:
        say("webdis", "not installed (apt-get install webdis): left out")
    title = f"{args.subscribers} subscribers, one publisher"
    heading(f"{title} of {args.messages} messages, {args.rounds} alternating rounds (min / median / max)")
    rates, used = {d.name: [] for d in doors}, {d.name: [] for d in doors}
    for door in turns(doors, args.rounds):
        try:
            rate, us = deliveries(c, door, args.subscribers, args.messages)
        except (OSError, AssertionError) as e:
            if door.name == "ours":
                raise
            say(f"{title}: {door.name} threads", f"does not deliver: {e!r}")
            rate, us = 0.0, float("inf")
        rates[door.name].append(rate)
        used[door.name].append(us)
    top = best(rates, doors)
    say(f"{title}: ours", figure(rates["ours"], " messages/s") + f"   µs of the server for each: {statistics.median(used['ours']):.2f}")
    if top:
        say(f"{title}: ours / {top} threads", figure([a / b for a, b in zip(rates["ours"], rates[top]) if b], digits=2)
            + f"   CPU of the server: {statistics.median(used['ours']) / statistics.median(used[top]):.2f}")
    c.stop()
