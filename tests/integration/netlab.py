"""
Hosts as network namespaces on one bridge, for tests that cut them off: a cut is silence, not a reset. Needs root and iproute2. The bridge has a
namespace of its own, where no firewall of this machine (Docker's, say) looks at what it forwards.

The names are made from our pid, the subnet is one of 10.77.0.0/16 that nobody has, so that several runs live side by side; what a run that was
killed has left is taken away by the next one. The test itself stands outside of all hosts, at .254 of the bridge.
"""
import os
import re
import shutil
import signal
import subprocess


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


class Lab:
    def __init__(self, count):
        if os.geteuid() != 0:
            raise Unable("network namespaces need root")
        if shutil.which("ip") is None:
            raise Unable("network namespaces need iproute2's ip")
        self._sweep()
        self.count, self.tag = count, f"hf{os.getpid()}"
        self.made = False
        taken = _ip("-4", "-o", "addr")
        self.net = next(n for n in (f"10.77.{i}" for i in range(1, 255)) if f" {n}." not in taken)
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

    def close(self):
        if self.made:
            self._remove(self.tag)

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
        for tag, pid in set(re.findall(r"\b(hf(\d+))(?:n\d+|s|b)\b", _ip("netns", "list", check=False) + _ip("-o", "link"))):
            if not _alive(int(pid)):
                cls._remove(tag)
