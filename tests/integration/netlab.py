"""
Hosts as network namespaces on one bridge, for tests that cut them off: a cut is silence, not a reset. Needs root and iproute2. The bridge has a
namespace of its own, where no firewall of this machine (Docker's, say) looks at what it forwards.

Frames from one host to another vanish without any filter in the kernel: the sender is given a neighbour's address that nobody has. A delay, where the
kernel has no netem, is a small program that carries the frames by hand.

The names are made from our pid, the subnet is one of 10.77.0.0/16 that nobody has, so that several runs live side by side; what a run that was
killed has left is taken away by the next one. The test itself stands outside of all hosts, at .254 of the bridge.
"""
import heapq
import itertools
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time


class Unable(Exception):
    """This machine cannot: with the reason."""


def _ip(*words, check=True):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    if check and done.returncode != 0:
        raise Unable(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


NOBODY = "02:00:00:00:00:77"
SOL_PACKET, PACKET_VNET_HDR = 263, 15


def carry(delay_ms, *pairs):
    """Frames from each interface of a pair to the other one, so much later: a process of its own, until it is killed."""
    def raw(name):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        # what the sender has left to the hardware (checksums, segments) comes as a header before the frame, and goes with it
        s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        s.bind((name, 3))  # ETH_P_ALL
        return s

    # A machine that has too much to do would make the network slower than it is to be.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    other, poll, due, number = {}, select.poll(), [], 0
    for pair in pairs:
        a, b = (raw(name) for name in pair.split(":"))
        other[a.fileno()], other[b.fileno()] = (a, b), (b, a)
    for fd in other:
        poll.register(fd, select.POLLIN)
    while True:
        now = time.monotonic()
        while due and due[0][0] <= now:
            _, _, to, frame = heapq.heappop(due)
            try:
                to.send(frame)
            except OSError:
                pass  # the cable is out
        for fd, _ in poll.poll(max(0, (due[0][0] - time.monotonic()) * 1000) if due else None):
            frm, to = other[fd]
            try:
                frame, address = frm.recvfrom(1 << 17)
            except OSError:
                continue
            if address[2] != socket.PACKET_OUTGOING:
                number += 1
                heapq.heappush(due, (time.monotonic() + delay_ms / 1000, number, to, frame))


class Lab:
    _numbers = itertools.count(1)

    def __init__(self, count, delay_ms=0):
        """delay_ms: from one host to another, each way."""
        if os.geteuid() != 0:
            raise Unable("network namespaces need root")
        if shutil.which("ip") is None:
            raise Unable("network namespaces need iproute2's ip")
        self._sweep()
        self.count, self.tag, self.delay_ms = count, f"hf{os.getpid()}x{next(Lab._numbers)}", delay_ms
        self.made, self.carrier, self.blocked = False, None, set()
        self.net, self.claim = self._claim_net()
        self.switch = f"{self.tag}s"
        try:
            _ip("netns", "add", self.switch)
            self.made = True
            self._in("link", "add", "sw0", "type", "bridge")
            self._in("link", "set", "sw0", "up")
            self._plug("us", f"{self.tag}b")
            _ip("addr", "add", f"{self.net}.254/24", "dev", f"{self.tag}b")
            _ip("link", "set", f"{self.tag}b", "up")
            for i in range(1, count + 1):
                self._add(i)
            if delay_ms:
                # twice half of it: out of one host, into another
                self.carrier = subprocess.Popen(
                    ["ip", "netns", "exec", self.switch, sys.executable, os.path.abspath(__file__), str(delay_ms / 2),
                     *(f"d{i}:e{i}" for i in range(1, count + 1))])
        except Unable:
            self.close()
            raise

    def _in(self, *words):
        _ip("-n", self.switch, *words)

    def _plug(self, port, end, *where):
        """A cable from a port of the bridge to `end` in our namespace, or in the one that `where` says."""
        self._in("link", "add", port, "type", "veth", "peer", "name", end, "netns", *(where or (os.getpid(),)))
        self._in("link", "set", port, "master", "sw0", "up")

    def _add(self, i):
        ns = self.namespace(i)
        _ip("netns", "add", ns)
        if self.delay_ms:
            self._in("link", "add", f"d{i}", "type", "veth", "peer", "name", "eth0", "netns", ns)
            self._in("link", "set", f"d{i}", "promisc", "on", "up")
            self._plug(f"v{i}", f"e{i}", self.switch)
            self._in("link", "set", f"e{i}", "promisc", "on", "up")
        else:
            self._plug(f"v{i}", "eth0", ns)
        _ip("-n", ns, "addr", "add", f"{self.address(i)}/24", "dev", "eth0")
        _ip("-n", ns, "link", "set", "eth0", "up")
        _ip("-n", ns, "link", "set", "lo", "up")

    def namespace(self, i):
        return f"{self.tag}n{i}"

    def address(self, i):
        return f"{self.net}.{i}"

    def runner(self, i):
        """Words before a program that is to run on host i."""
        return ["ip", "netns", "exec", self.namespace(i)]

    def cut(self, i):
        """Host i hears and says nothing any more; its own programs go on."""
        self._in("link", "set", f"v{i}", "down")

    def heal(self, i):
        self._in("link", "set", f"v{i}", "up")

    @staticmethod
    def _claim_net():
        """A subnet that nobody has, and what keeps others from it while it is open: they choose at the same time as we do."""
        taken = _ip("-4", "-o", "addr")
        for net in (f"10.77.{i}" for i in range(1, 255)):
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                claim.bind(f"\0holdfast-netlab-{net}")
            except OSError:
                claim.close()
                continue
            if f" {net}." not in taken:
                return net, claim
            claim.close()
        raise Unable("no subnet of 10.77.0.0/16 is free")

    def block(self, i, j):
        """What host i says to host j vanishes; the other way stays."""
        self.blocked.add((i, j))
        _ip("-n", self.namespace(i), "neigh", "replace", self.address(j), "lladdr", NOBODY, "dev", "eth0", "nud", "permanent")

    def unblock(self, i, j):
        self.blocked.discard((i, j))
        _ip("-n", self.namespace(i), "neigh", "del", self.address(j), "dev", "eth0")

    def heal_all(self):
        for i, j in list(self.blocked):
            self.unblock(i, j)
        for i in range(1, self.count + 1):
            self.heal(i)

    def close(self):
        if self.carrier:
            self.carrier.kill()
            self.carrier.wait()
        if self.made:
            self._remove(self.tag)
        self.claim.close()

    @staticmethod
    def _remove(tag):
        for line in _ip("netns", "list", check=False).splitlines():
            name = line.split()[0] if line.split() else ""
            if re.fullmatch(rf"{tag}(n\d+|s)", name):
                for pid in _ip("netns", "pids", name, check=False).split():
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                _ip("netns", "del", name, check=False)
        _ip("link", "del", f"{tag}b", check=False)

    @classmethod
    def _sweep(cls):
        for tag, pid in set(re.findall(r"\b(hf(\d+)x\d+)(?:n\d+|s|b)\b", _ip("netns", "list", check=False) + _ip("-o", "link"))):
            if not _alive(int(pid)):
                cls._remove(tag)


if __name__ == "__main__":
    carry(float(sys.argv[1]), *sys.argv[2:])
