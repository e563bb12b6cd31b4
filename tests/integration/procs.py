"""What /proc says about processes: state, tree, descriptors, memory, CPU."""
import os

from keeper import descendants  # noqa: F401  (part of this module's offer)

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """The fields of /proc/PID/stat after the name, from field 3 (state) on; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rpartition(b")")[2].split()
    except OSError:
        return None


def alive(pid):
    fields = _stat(pid)
    return fields is not None and fields[0] not in (b"Z", b"X")


def parent(pid):
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def state(pid):
    fields = _stat(pid)
    return fields[0].decode() if fields else None


def start_time(pid):
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def cpu_s(pid):
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) * TICK_S if fields else None


def rss_bytes(pid):
    fields = _stat(pid)
    return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") if fields else None


def rss_peak_bytes(pid):
    """The highest that rss_bytes was since the process began."""
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmHWM")).split()[1]) * 1024


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def environ(pid):
    with open(f"/proc/{pid}/environ", "rb") as f:
        return f.read().decode(errors="replace").split("\0")


def fds(pid):
    """{number: target} of the open descriptors."""
    found = {}
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return found
    for name in names:
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            pass
    return found
