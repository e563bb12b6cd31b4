"""
`make bench`: the figures of this build on this machine, printed and never asserted.

Throughput on a busy machine swings by a factor of two from one moment to the next, so the competitors
take turns within each round and only ratios within a round are compared; the CPU time of a request is
the steadier figure. Every part starts its own cluster on its own ports.

    bench.py [--rounds N] [--requests N] [--kills N] [--big-mib N] [--only start,rest,throughput,failover]
"""
import argparse
import csv
import io
import os
import platform
import shutil
import statistics
import subprocess
import sys
import threading
import time
from datetime import datetime

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import takeover  # noqa: E402
from harness import Cases, binary, procs, wait_until  # noqa: E402

PARTS = ["start", "rest", "throughput", "failover"]
DEFAULT_SENTINEL = {"sentinel.down_after_ms": None, "sentinel.failover_timeout_ms": None}


def figure(values, unit="", digits=0):
    values = sorted(values)
    middle = statistics.median(values)
    return f"{values[0]:.{digits}f} / {middle:.{digits}f} / {values[-1]:.{digits}f}{unit}"


def say(label, text):
    print(f"  {label:<52} {text}", flush=True)


def heading(text):
    print(f"\n{text}", flush=True)


def idle(seconds):
    threading.Event().wait(seconds)


def cpu_ns(pid):
    with open(f"/proc/{pid}/schedstat") as f:
        return int(f.read().split()[0])


def start_ms(c):
    """From exec to the event that says ready, by the event's own time: the asking costs nothing."""
    begin = time.time()
    c.start(timeout=120)
    ready = [e for e in c.events("supervisor.ready")][-1]
    return (datetime.fromisoformat(ready["time"].replace("Z", "+00:00")).timestamp() - begin) * 1000


def redis_benchmark(port, test, pipeline, requests, keys=None, size=3):
    words = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-t", test, "-c", "50", "-P", str(pipeline),
             "-n", str(requests), "-d", str(size), "--csv"]
    if keys:
        words += ["-r", str(keys)]
    out = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600).stdout
    row = next(r for r in csv.DictReader(io.StringIO(out)) if r["test"] == test.upper())
    return float(row["rps"])


def bench_start(args, cases):
    heading(f"start (min / median / max of {args.rounds})")
    cold, resumed = [], []
    for _ in range(args.rounds):
        c = cases(options=DEFAULT_SENTINEL)
        cold.append(start_ms(c))
        if len(cold) == 1:
            keys = 300000
            redis_benchmark(c.ports.proxy, "set", 64, keys, keys=keys, size=100)
            held = c.proxy().dbsize()
            for _ in range(args.rounds):
                c.stop(timeout=120)
                resumed.append(start_ms(c))
        c.stop(timeout=120)
    say("cold start: empty folder to ready", figure(cold, " ms"))
    say(f"resume with {held} keys of 100 bytes (loading included)", figure(resumed, " ms"))


def bench_rest(args, cases):
    seconds = 10
    heading(f"at rest ({seconds} s)")
    c = cases(options=DEFAULT_SENTINEL).start()
    pids = {"supervisor": c.run.pid, **c.pids()}
    before = {name: cpu_ns(pid) for name, pid in pids.items()}
    idle(seconds)
    for name in ("supervisor", "proxy-1", "http-1"):
        used = (cpu_ns(pids[name]) - before[name]) / 1e9 / seconds * 100
        say(name, f"{procs.rss_bytes(pids[name]) / 1e6:.1f} MB resident, {used:.2f} % of a CPU")
    c.stop()


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


def bench_throughput(args, cases):
    c = cases(options=DEFAULT_SENTINEL).start()
    doors = {"direct": (c.ports.redis, None), "proxy": (c.ports.proxy, c.instance("proxy-1")["pid"])}
    if shutil.which("haproxy"):
        config = c.case / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=c.ports.extra, master=c.ports.redis))
        run = c.spawn("haproxy", "-db", "-f", config, label="haproxy")
        port = c.ports.extra
        wait_until(lambda: c._client(port).ping(), "haproxy", ignore=(Exception,))
        doors["haproxy"] = (port, run.pid)
    else:
        say("haproxy", "not installed (apt-get install haproxy): left out")
    redis_pid = c.instance("redis-1")["pid"]
    heading(f"redis-benchmark -c 50, {args.rounds} alternating rounds of {args.requests} requests "
            "(min / median / max of the ratios within a round)")
    names = list(doors)
    for pipeline in (1, 16):
        requests = args.requests * (1 if pipeline == 1 else 4)
        for test in ("get", "set"):
            rates = {name: [] for name in names}
            own = {name: [] for name in names}
            behind = {name: [] for name in names}
            for n in range(args.rounds):
                for name in names[n % len(names):] + names[: n % len(names)]:
                    port, pid = doors[name]
                    spent = cpu_ns(pid) if pid else 0
                    redis_spent = cpu_ns(redis_pid)
                    rates[name].append(redis_benchmark(port, test, pipeline, requests))
                    own[name].append(((cpu_ns(pid) if pid else 0) - spent) / 1000 / requests)
                    behind[name].append((cpu_ns(redis_pid) - redis_spent) / 1000 / requests)
            title = f"{test.upper()} -P {pipeline}"
            say(f"{title}: direct", figure(rates["direct"], " requests/s"))
            for name in names[1:]:
                ratios = [a / b for a, b in zip(rates[name], rates["direct"])]
                say(f"{title}: {name} / direct", f"{figure(ratios, digits=2)}   CPU µs a request, median: "
                    f"{statistics.median(own[name]):.2f} + redis {statistics.median(behind[name]):.2f}")
            if "haproxy" in doors:
                say(f"{title}: proxy / haproxy", figure([a / b for a, b in zip(rates["proxy"], rates["haproxy"])], digits=2))
    c.stop()


def bench_failover(args, cases):
    heading(f"kill -9 of the master to the next acknowledged write through the proxy (min / median / max of {args.kills}, taking turns)")
    gaps, agreed = takeover.compare(cases, args.kills)
    for name, values in gaps.items():
        say(name, figure(values, " ms", 1))
    say("Holdfast: until all sentinels name the new master", figure(agreed, " ms", 1))
    if args.big_mib:
        kills = max(5, args.kills // 4)
        say(f"Holdfast, master with {args.big_mib} MiB of data ({kills} kills)", figure(takeover.big(cases, kills, args.big_mib), " ms", 1))
    pauses, errors, lost = takeover.switchovers(cases, args.kills)
    say("planned switchover: longest pause of a writer", f"{figure(pauses, ' ms', 1)}   errors {errors}, acknowledged writes lost {lost}")


def main():
    parser = argparse.ArgumentParser(description="figures of this build; nothing is asserted")
    parser.add_argument("--rounds", type=int, default=int(os.environ.get("BENCH_ROUNDS", "5")))
    parser.add_argument("--requests", type=int, default=int(os.environ.get("BENCH_REQUESTS", "50000")))
    parser.add_argument("--kills", type=int, default=int(os.environ.get("BENCH_KILLS", "20")))
    parser.add_argument("--big-mib", type=int, default=int(os.environ.get("BENCH_BIG_MIB", "1024")), help="0: leave it out")
    parser.add_argument("--only", default=os.environ.get("BENCH_ONLY", ",".join(PARTS)))
    args = parser.parse_args()
    wanted = args.only.split(",")
    if set(wanted) - set(PARTS):
        parser.error(f"--only takes some of {','.join(PARTS)}")
    said = subprocess.run([binary(), "version"], capture_output=True, text=True).stdout.strip().splitlines()
    print(f"{said[0] if said else binary()} on {os.cpu_count()} CPUs, {platform.machine()}, "
          f"load {os.getloadavg()[0]:.1f} at the start")
    if b"__asan_init" in binary().read_bytes():
        print("THIS BUILD HAS SANITIZERS: its figures say nothing")
    failed = False
    for part in wanted:
        cases = Cases(part)
        try:
            globals()[f"bench_{part}"](args, cases)
        except BaseException:
            print(cases.dump(), file=sys.stderr)
            raise
        finally:
            faults = cases.finish(failed=False)
            if faults:
                failed = True
                print(f"{part}: " + "\n".join(faults)[:4000], file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
