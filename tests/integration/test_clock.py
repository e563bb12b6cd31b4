"""
The wall clock of a host jumps: set by hand, by ntpd after a start, by a virtual machine that was moved. Redis and Sentinel go by it; what they are told
here is the real time and an offset that the test changes while they run. We go by it for people and files only.
"""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

from harness import Cases
from hosts import Hosts
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("clock")

HOUR = 3600

# In front of libc, for programs that have no namespace of wall clocks to live in. The offset is mapped, so that it changes for all of a host at once.
SHIFT = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *offset_s;

static int64_t
offset(void)
{
	if (offset_s == NULL) {
		int fd = open(getenv("CLOCK_OFFSET"), O_RDONLY | O_CLOEXEC);
		void *at = fd == -1 ? MAP_FAILED : mmap(NULL, sizeof(*offset_s), PROT_READ, MAP_SHARED, fd, 0);

		if (at == MAP_FAILED) {
			abort();
		}
		(void)close(fd);
		offset_s = at;
	}
	return *offset_s;
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, ts);

	if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
		ts->tv_sec += offset();
	}
	return rc;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *t)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	if (t != NULL) {
		*t = ts.tv_sec;
	}
	return ts.tv_sec;
}
"""


class Offset:
    def __init__(self, file):
        self.file = file
        self.set(0)

    def set(self, offset_s):
        """In one write: nobody sees half of it."""
        fd = os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(fd, struct.pack("q", offset_s))
        os.close(fd)

    def variables(self, library):
        """With which a program goes by it."""
        return [f"LD_PRELOAD={library}", f"CLOCK_OFFSET={self.file}"]


class Clock(Offset):
    """Of a host's supervisor, redis and sentinel, which are not started yet; its configuration is to be written after this."""

    def __init__(self, host, library):
        super().__init__(host.case / "clock")
        self.host, variables = host, self.variables(library)
        host.runner = ["env", *variables]
        host.env["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
        for option, usual in (("redis.server", "redis-server"), ("sentinel.server", "redis-sentinel")):
            # servers are given an environment of their own
            wrapper = host.case / usual
            wrapper.write_text(f"#!/bin/sh\nexec env {' '.join(variables)} {shutil.which(host.options.get(option, usual))} \"$@\"\n")
            wrapper.chmod(0o755)
            host.options[option] = wrapper

    def is_ahead_by(self, offset_s):
        """By the time of its redis and of its supervisor."""
        now = time.time()
        return all(abs(t - now - offset_s) < HOUR / 2 for t in (self.host.redis("redis-1").time()[0], self.host.status()["time"]))


@pytest.fixture
def library(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here, by which the wall clock of a single host could be made to jump")
    (tmp_path / "shift.c").write_text(SHIFT)
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", tmp_path / "shift.so", tmp_path / "shift.c"], check=True, timeout=60)
    return tmp_path / "shift.so"


@pytest.fixture
def hosts(request, library):
    cases = Cases(request.node.name)
    hosts = Hosts(cases, options={"proxy.durability": 1, "proxy.hold_ms": 3000})
    for h in hosts.all:
        h.clock = Clock(h, library)
        hosts.write_file(h.ini, h.options)
    hosts.start()
    yield hosts
    faults = cases.finish(failed=False)
    if faults:
        pytest.fail("after the test:\n" + "\n".join(faults), pytrace=False)


def jump(hosts, host, offset_s, load):
    host.clock.set(offset_s)
    wait_until(lambda: host.clock.is_ahead_by(offset_s), f"a clock that differs by {offset_s} s")
    load.wait_progress()
    return hosts.wait_agreed()


@pytest.mark.parametrize("whose", ["master", "replica"])
def test_a_clock_that_jumps(hosts, whose):
    """An hour ahead and back, an hour behind and back: nobody is replaced for it, nothing is lost; and one that dies then is replaced all the same."""
    master = hosts.wait_agreed()
    host = master if whose == "master" else hosts.but(master)[0]
    uptime = host.status()["uptime_ms"]
    since = {h: h.last_event() for h in hosts.all}
    load = hosts.history(prefix=f"jump {whose}").start()
    load.wait_progress()
    for offset_s in (HOUR, 0, -HOUR, 0, HOUR):
        assert jump(hosts, host, offset_s, load) is master, offset_s
        assert load.check(master.redis()) == ([], [], [])
    assert [e for h in hosts.all for e in h.events("failover.started", after=since[h])] == []
    status = host.status()
    assert uptime < status["uptime_ms"] < HOUR * 1000 and not status["reasons"], status
    # Its clock is ahead, its sentinel does not look at anything for a while (TILT); it votes nevertheless.
    master.kill("redis-1")
    now = wait_until(lambda: (m := hosts.wait_agreed()) is not master and m, "another master")
    load.wait_progress()
    host.clock.set(0)
    hosts.kill_host(now)
    load.wait_progress()
    now.start(wait=False)
    last = hosts.wait_agreed()
    assert last is not now
    load.wait_progress()
    load.stop()
    assert hosts.check(load) == ([], [], [])
    # Events stay in the order in which they came, whatever their times say.
    ids = [json.loads(line)["id"] for line in host.cli("events", "--json", "--host", host.name, "-n", "100000").stdout.splitlines()]
    assert len(ids) > 10 and ids in (sorted(ids), sorted(ids, reverse=True))


def test_time_limits_of_http_do_not_go_by_it(cluster, library, tmp_path):
    """A client that has nothing more to say is closed in its time. Failed before: an hour later, when the clock was set back by that."""
    offset, port = Offset(tmp_path / "clock"), cluster.ports.extra
    worker = cluster.spawn("env", *offset.variables(library), cluster.program, "http", "--sentinel", f"127.0.0.1:{cluster.ports.sentinel}",
                           "-s", f"http.listen=127.0.0.1:{port}", "-s", "http.client_timeout_s=2", label="http alone")
    request = b"GET /PING HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def answers():
        with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
            s.sendall(request)
            return s.recv(4096).startswith(b"HTTP/1.1 200")

    wait_until(answers, "the worker", ignore=(OSError,))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        s.sendall(request)
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
        offset.set(-HOUR)
        assert s.recv(4096) == b""  # or the time of the socket is over
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
