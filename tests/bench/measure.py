"""What the parts of the bench share: how a figure is written, what a process spent, redis-benchmark."""
import csv
import io
import statistics
import subprocess
import threading


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
    """Of a process with one thread that matters, its first."""
    with open(f"/proc/{pid}/schedstat") as f:
        return int(f.read().split()[0])


def redis_benchmark(port, test, requests, pipeline=1, clients=50, keys=None, size=3):
    """Its row: rps, p50_latency_ms, p99_latency_ms …, as numbers."""
    words = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-t", test, "-c", str(clients), "-P", str(pipeline),
             "-n", str(requests), "-d", str(size), "--csv"]
    if keys:
        words += ["-r", str(keys)]
    out = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600).stdout
    row = next(r for r in csv.DictReader(io.StringIO(out)) if r["test"] == test.upper())
    return {name: float(value) for name, value in row.items() if name != "test"}
