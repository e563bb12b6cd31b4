"""
`make bench`: the figures of this build on this machine, printed and never asserted.

Throughput on a busy machine swings by a factor of two from one moment to the next, so the competitors
take turns within each round and only ratios within a round are compared; the CPU time of a request is
the steadier figure. Every part starts its own cluster on its own ports.

    bench.py [--rounds N] [--requests N] [--kills N] [--big-mib N] [--seconds N] [--only start,rest,throughput,proxy,web,failover]
"""
import argparse
import os
import platform
import subprocess
import sys
import time
from datetime import datetime

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

import takeover  # noqa: E402
import throughput  # noqa: E402
import web  # noqa: E402
from harness import Cases, binary, procs  # noqa: E402
from measure import cpu_ns, figure, heading, idle, redis_benchmark, say  # noqa: E402

PARTS = ["start", "rest", "throughput", "proxy", "web", "subscribers", "failover"]
DEFAULT_SENTINEL = {"sentinel.down_after_ms": None, "sentinel.failover_timeout_ms": None}


def start_ms(c):
    """From exec to the event that says ready, by the event's own time: the asking costs nothing."""
    begin = time.time()
    c.start(timeout=120)
    ready = [e for e in c.events("supervisor.ready")][-1]
    return (datetime.fromisoformat(ready["time"].replace("Z", "+00:00")).timestamp() - begin) * 1000


def bench_start(args, cases):
    heading(f"start (min / median / max of {args.rounds})")
    cold, resumed = [], []
    for _ in range(args.rounds):
        c = cases(options=DEFAULT_SENTINEL)
        cold.append(start_ms(c))
        if len(cold) == 1:
            keys = 300000
            redis_benchmark(c.ports.proxy, "set", keys, pipeline=64, keys=keys, size=100)
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


def bench_throughput(args, cases):
    throughput.compare(args, cases, DEFAULT_SENTINEL)


def bench_proxy(args, cases):
    throughput.idle_clients(cases, DEFAULT_SENTINEL)
    throughput.durability(args, cases, DEFAULT_SENTINEL)
    throughput.big_value(cases, DEFAULT_SENTINEL)


def bench_web(args, cases):
    web.run(args, cases, say, figure, heading, DEFAULT_SENTINEL)


def bench_subscribers(args, cases):
    web.run_subscribers(args, cases, say, figure, heading, DEFAULT_SENTINEL)


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
    parser.add_argument("--seconds", type=int, default=int(os.environ.get("BENCH_SECONDS", "2")), help="of one measurement over HTTP")
    parser.add_argument("--subscribers", type=int, default=int(os.environ.get("BENCH_SUBSCRIBERS", "1000")))
    parser.add_argument("--messages", type=int, default=int(os.environ.get("BENCH_MESSAGES", "1000")), help="to each subscriber")
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
