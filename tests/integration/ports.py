"""
Blocks of ports for clusters that run at the same time.

A block is locked by a socket bound to its last port: the lock needs no file, holds between users and
containers that share the network, and ends with its holder. Every other port of the block is tried
before it is handed out, so a stranger's server is stepped around.
"""
import os
import random
import socket

BLOCK = 32
# Debian's own sentinel, and the ports that a Holdfast started by hand uses.
OWN = set(range(26379, 26390)) | set(range(6379, 6390)) | {7379}


def _bind(port, reuse):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if reuse:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
    except OSError:
        s.close()
        return None
    return s


class Ports:
    def __init__(self):
        low, high = (int(n) for n in os.environ.get("HOLDFAST_TEST_PORTS", "25000-27999").split("-"))
        bases = [b for b in range(low, high - BLOCK + 2, BLOCK) if not OWN & set(range(b, b + BLOCK))]
        random.shuffle(bases)
        for base in bases:
            lock = _bind(base + BLOCK - 1, reuse=False)
            if lock is None:
                continue
            tried = [_bind(port, reuse=True) for port in range(base, base + BLOCK - 1)]
            for s in tried:
                if s:
                    s.close()
            if all(tried):
                self._lock = lock
                break
            lock.close()
        else:
            raise RuntimeError(f"no free block of {BLOCK} ports in {low}-{high}: set HOLDFAST_TEST_PORTS=LOW-HIGH")
        self.base = base
        self.proxy = base
        self.http = base + 1
        self.redis = base + 2       # and up to seven more
        self.sentinel = base + 10   # and up to seven more
        self.extra = base + 18      # for the test's own servers, up to BLOCK - 1

    def release(self):
        self._lock.close()
