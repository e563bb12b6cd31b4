"""
The parent of everything one test cluster starts.

It is a child subreaper: a daemon's orphans become its own children instead of init's, so a leaked
process cannot hide, and how every orphan ended is known. When the test runner dies, however it dies,
the socket to it closes and the keeper kills what it has left: no test leaves a process behind.

    runner -> keeper   {"spawn": {"argv": […], "env": {…}, "cwd": "…", "out": "…", "err": "…"}}
    keeper -> runner   {"spawned": PID} | {"error": "…"}, {"exit": PID, "status": RAW}

One JSON document a line, over the socket whose number is argv[1].
"""
import ctypes
import json
import os
import select
import signal
import socket
import sys

PR_SET_CHILD_SUBREAPER = 36


def descendants(root):
    """Pids below `root`, whatever their session or process group."""
    children = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as f:
                fields = f.read().rpartition(b")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(name))
    found, queue = [], [root]
    while queue:
        for pid in children.get(queue.pop(), []):
            found.append(pid)
            queue.append(pid)
    return found


def spawn(spec):
    out = os.open(spec["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    err = os.open(spec["err"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.chdir(spec["cwd"])
            os.dup2(null, 0)
            os.dup2(out, 1)
            os.dup2(err, 2)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
        except BaseException as e:  # the child must never run on as a second keeper
            os.write(2, f"keeper: cannot start {spec['argv'][0]}: {e}\n".encode())
        os._exit(127)
    for fd in (out, err, null):
        os.close(fd)
    return pid


def main():
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    sock = socket.socket(fileno=int(sys.argv[1]))
    woken, wakeup = os.pipe()
    for fd in (woken, wakeup):
        os.set_blocking(fd, False)
        os.set_inheritable(fd, False)
    sock.set_inheritable(False)
    signal.set_wakeup_fd(wakeup)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pending = b""

    def tell(message):
        try:
            sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass

    while True:
        ready, _, _ = select.select([sock, woken], [], [])
        if woken in ready:
            try:
                os.read(woken, 4096)
            except BlockingIOError:
                pass
        if sock in ready:
            try:
                data = sock.recv(65536)
            except ConnectionResetError:  # the runner closed with something of ours unread
                break
            if not data:
                break
            pending += data
            while b"\n" in pending:
                line, _, pending = pending.partition(b"\n")
                try:
                    tell({"spawned": spawn(json.loads(line)["spawn"])})
                except OSError as e:
                    tell({"error": str(e)})
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            tell({"exit": pid, "status": status})

    # The runner is gone. Killing a parent can bring up children, so until none is left.
    while True:
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


if __name__ == "__main__":
    main()
