"""
A cluster for one test: own folder, own locked ports, and no trace left behind.

    CASE/            removed afterwards; kept with HOLDFAST_TEST_KEEP=1
      holdfast.ini   written from `options` ({"redis.port": 7000, …}) or taken from `ini`
      data/          -d
      home/ cwd/ tmp/   HOME, working directory and TMPDIR of all processes: must stay empty
      out err        what `holdfast run` printed
      san.*          reports of the sanitizers

A test takes the fixture `cluster` (or `make_cluster` for several, or for a special start) and
asserts on status(), events() and the servers themselves. After the test the fixture stops the
cluster with SIGTERM and checks what no test should have to ask for: exit status 0, no process left,
no unexpected death, no descriptor leaked, no sanitizer report, no file outside. See finish().

Every process is below a keeper (keeper.py), which is below this one. Nothing here needs root.
"""
import json
import os
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import redis

import procs
from load import Load
from ports import Ports
from waiting import NotYet, wait_until
from wire import Closed, Http, WebSocket, Wire, WireError

__all__ = ["SERVER", "Cluster", "Closed", "Http", "Load", "NotYet", "Ports", "WebSocket", "Wire", "WireError", "binary", "procs",
           "wait_until", "wrapper"]

HERE = Path(__file__).resolve().parent
USER = "holdfast"
# HOLDFAST_TEST_SERVER=valkey-server runs all of it on that server, with the sentinel of the same kind.
OTHER_SERVER = os.environ.get("HOLDFAST_TEST_SERVER")
SERVER = shutil.which(OTHER_SERVER or "redis-server") or shutil.which("valkey-server")
SANITIZER = re.compile(
    r"ERROR: (Address|Leak|Thread)Sanitizer|runtime error: |SUMMARY: \w+Sanitizer|Assertion .* failed"
)


def binary():
    """The binary under test: $HOLDFAST, else ./holdfast of the build folder we run in."""
    path = Path(os.environ.get("HOLDFAST") or "holdfast").resolve()
    assert os.access(path, os.X_OK), f"{path} cannot be run: build first, or set HOLDFAST to the binary"
    return path


def tail(path, lines=60, size=12000):
    try:
        with open(path, "rb") as f:
            f.seek(0, os.SEEK_END)
            f.seek(max(0, f.tell() - size))
            text = f.read().decode(errors="replace")
    except OSError as e:
        return f"({e.strerror})"
    return "\n".join(text.splitlines()[-lines:])


def wrapper(path, text):
    """A program that stands in for redis-server; replaced at once, also while the old one runs."""
    new = path.with_suffix(".new")
    new.write_text("#!/bin/sh\n" + text + "\n")
    new.chmod(0o755)
    new.rename(path)


class Keeper:
    """Our side of keeper.py: spawns, and knows how everything below it ended."""

    def __init__(self):
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c",
             f"import sys; sys.path.insert(0, {str(HERE)!r}); sys.dont_write_bytecode = True; import keeper; keeper.main()",
             str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, start_new_session=True)
        theirs.close()
        self.sock = ours
        self.pending = b""
        self.answers = []
        self.exits = {}  # pid -> raw wait status

    def _read(self, block):
        while b"\n" not in self.pending:
            if not select.select([self.sock], [], [], 30 if block else 0)[0]:
                assert not block, "the keeper does not answer"
                return False
            data = self.sock.recv(65536)
            assert data, "the keeper died"
            self.pending += data
        while b"\n" in self.pending:
            line, _, self.pending = self.pending.partition(b"\n")
            message = json.loads(line)
            if "exit" in message:
                self.exits[message["exit"]] = message["status"]
            else:
                self.answers.append(message)
        return True

    def spawn(self, argv, env, cwd, out, err):
        spec = {"argv": [str(a) for a in argv], "env": env, "cwd": str(cwd), "out": str(out), "err": str(err)}
        self.sock.sendall(json.dumps({"spawn": spec}).encode() + b"\n")
        while not self.answers:
            self._read(block=True)
        answer = self.answers.pop(0)
        assert "spawned" in answer, f"cannot spawn {argv[0]}: {answer}"
        return answer["spawned"]

    def exit_of(self, pid):
        """The raw wait status of a process below the keeper, or None while it runs."""
        while self.sock is not None and self._read(block=False):
            pass
        return self.exits.get(pid)

    def left(self):
        if self.process.poll() is not None:
            return []
        return procs.descendants(self.process.pid)

    def close(self):
        """Kills whatever is left and waits for it."""
        if self.sock is not None:
            self.sock.close()
            self.sock = None
        self.process.wait(60)


class Run:
    """One `holdfast run` (or any other long-running command of the test)."""

    def __init__(self, keeper, pid, out, err):
        self.keeper, self.pid, self.out_path, self.err_path = keeper, pid, out, err

    @property
    def exit(self):
        """None while it runs; its exit code; the negative signal number when a signal ended it."""
        raw = self.keeper.exit_of(self.pid)
        return None if raw is None else os.waitstatus_to_exitcode(raw)

    @property
    def out(self):
        return self.out_path.read_text(errors="replace")

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    def wait(self, timeout=30.0):
        wait_until(lambda: self.exit is not None, f"the exit of pid {self.pid}", timeout)
        return self.exit

    def signal(self, number, group=False):
        (os.killpg if group else os.kill)(self.pid, number)


class Cluster:
    """
    options   {"section.key": value}, over the defaults that keep a test apart from others; a value None
              removes a default
    ini       the whole text instead of options; {proxy} {http} {redis} {sentinel} {extra} are the ports
    args      further arguments of `holdfast run`; with use_file=False the options go there as -s
    runner    words before the binary (`setpriv …`, `prlimit …`)
    env       added to the environment of all
    """

    def __init__(self, case, options=None, ini=None, args=(), use_file=True, runner=(), env=None, program=None):
        self.case = Path(case)
        self.case.mkdir(parents=True, exist_ok=True)
        self.dir = self.case / "data"
        for name in ("home", "cwd", "tmp"):
            (self.case / name).mkdir()
        self.ports = Ports()
        self.keeper = Keeper()
        self.program = str(program or binary())
        self.runner, self.args, self.use_file = list(runner), list(args), use_file
        self.env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"),
            "HOME": str(self.case / "home"),
            "XDG_STATE_HOME": str(self.case / "home" / "state"),
            "TMPDIR": str(self.case / "tmp"),
            "LANG": "C.UTF-8",
            "TZ": "Asia/Kathmandu",  # an offset of 5:45, so that local time taken for UTC shows
            "ASAN_OPTIONS": f"log_path={self.case}/san:detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": f"log_path={self.case}/san:print_stacktrace=1",
        }
        self.env.update(env or {})
        p = self.ports
        self.options = {
            "proxy.listen": f"127.0.0.1:{p.proxy}",
            "http.listen": f"127.0.0.1:{p.http}",
            "redis.port": p.redis,
            "sentinel.port": p.sentinel,
            "sentinel.down_after_ms": 2000,
            "sentinel.failover_timeout_ms": 6000,
        }
        if OTHER_SERVER:
            self.options["redis.server"] = SERVER
            self.options["sentinel.server"] = SERVER.replace("-server", "-sentinel")
        self.options.update(options or {})
        self.options = {k: v for k, v in self.options.items() if v is not None}
        self.ini = self.case / "holdfast.ini"
        if ini is not None:
            self.ini.write_text(ini.format(**{k: v for k, v in vars(p).items() if isinstance(v, int)}))
        else:
            self.write_options()
        self.run = None
        self.runs = []
        self.deaths = {}        # NAME -> how often the test itself ended it
        self.tolerant = set()   # what finish() must not check, with allow()
        self.fds_at_ready = None
        self.clients = []
        self.closed = False

    # --- configuration ---

    def write_options(self, **_):
        """Writes self.options as the config file; for reload tests: change options, call this."""
        sections = {}
        for key, value in self.options.items():
            section, _, name = key.partition(".")
            sections.setdefault(section, []).append(f"{name} = {value}")
        self.ini.write_text("\n".join(f"[{s}]\n" + "\n".join(lines) + "\n" for s, lines in sections.items()))

    def allow(self, *checks):
        """Names checks of finish() that this test breaks on purpose: exit, deaths, fds, outside."""
        self.tolerant.update(checks)

    # --- running ---

    def command(self, *words):
        return [*self.runner, self.program, *map(str, words)]

    def run_args(self):
        if self.use_file:
            where = ["-c", self.ini]
        else:
            where = [w for k, v in self.options.items() for w in ("-s", f"{k}={v}")]
        return ["run", "-d", self.dir, *where, *self.args]

    def spawn(self, *argv, label="other"):
        """Any long-running command beside the supervisor, checked and ended like the rest."""
        n = len(self.runs)
        out, err = self.case / f"{label}{n}.out", self.case / f"{label}{n}.err"
        pid = self.keeper.spawn(argv, self.env, self.case / "cwd", out, err)
        run = Run(self.keeper, pid, out, err)
        self.runs.append(run)
        return run

    def start(self, wait=True, timeout=30.0):
        assert self.run is None or self.run.exit is not None, "already running"
        self.run = self.spawn(*self.command(*self.run_args()), label="run")
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=30.0):
        """Ready by its own word: `state` of the status."""

        def ready():
            if self.run.exit is not None:
                raise RuntimeError(f"`holdfast run` ended with {self.run.exit}: {self.run.err[-2000:]}")
            status = self.status(check=False)
            return status if status and status.get("state") == "ready" else None

        try:
            status = wait_until(ready, "state ready", timeout)
        except NotYet as e:
            raise NotYet(f"{e}\nstatus: {json.dumps(self.status(check=False))}") from None
        if self.fds_at_ready is None:
            self.fds_at_ready = self.count_fds()
        return status

    def stop(self, sig=signal.SIGTERM, timeout=40.0):
        """Asks the supervisor to end and gives its exit code."""
        if self.run.exit is None:
            self.run.signal(sig)
        code = self.run.wait(timeout)
        self.fds_at_ready = None
        return code

    def kill(self, name, sig=signal.SIGKILL):
        """Sends a signal to one instance, by the pid that status names; gives that pid."""
        pid = self.instance(name)["pid"]
        assert pid, f"{name} has no pid"
        if sig in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGABRT):
            self.deaths[name] = self.deaths.get(name, 0) + 1
        os.kill(pid, sig)
        return pid

    def kill_supervisor(self):
        self.run.signal(signal.SIGKILL)
        code = self.run.wait()
        assert code == -signal.SIGKILL, code
        self.fds_at_ready = None

    def kill_everything(self):
        """A power cut: the supervisor first, so that nothing reacts, then all that is left."""
        self.kill_supervisor()
        for pid in self.keeper.left():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until(lambda: not self.keeper.left(), "the end of all processes")

    # --- asking ---

    def cli(self, *words, check=True, timeout=60.0, stdin=None, env=None):
        """One command against this cluster's folder; check: it must exit 0."""
        done = subprocess.run(
            self.command(words[0], "-d", self.dir, *words[1:]), capture_output=True, text=True, errors="replace",
            env={**self.env, **(env or {})}, cwd=self.case / "cwd", timeout=timeout, input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None)
        if check:
            assert done.returncode == 0, f"holdfast {' '.join(map(str, words))}: exit {done.returncode}\n{done.stderr}{done.stdout}"
        return done

    def status(self, check=True):
        """The status document; None when nobody answers and check is off (exit 3 with a document is an answer)."""
        done = self.cli("status", "--json", check=False)
        if done.returncode not in (0, 3) or not done.stdout.strip():
            assert not check, f"holdfast status: exit {done.returncode}: {done.stderr}"
            return None
        return json.loads(done.stdout)

    def instance(self, name, status=None):
        for i in (status or self.status())["instances"]:
            if i["name"] == name:
                return i
        raise KeyError(name)

    def instances(self, kind=None):
        return [i for i in self.status()["instances"] if kind in (None, i["kind"])]

    def pids(self):
        return {i["name"]: i["pid"] for i in self.status()["instances"]}

    def master(self):
        return self.status()["master"]["name"]

    def replicas(self):
        return [i["name"] for i in self.instances("redis") if i["role"] == "replica"]

    own_events = ()  # the words with which `events` shows those of this host only

    def events(self, kind=None, subject=None, after=0):
        """The history of this host, oldest first."""
        lines = self.cli("events", "--json", *self.own_events, "-n", "100000").stdout.splitlines()
        events = sorted((json.loads(line) for line in lines), key=lambda e: e["id"])
        return [e for e in events if kind in (None, e["kind"]) and subject in (None, e["subject"]) and e["id"] > after]

    def last_event(self):
        events = self.events()
        return events[-1]["id"] if events else 0

    def wait_event(self, kind, subject=None, after=0, timeout=30.0):
        what = f"event {kind}" + (f" of {subject}" if subject else "")
        return wait_until(lambda: self.events(kind, subject, after), what, timeout)[0]

    def log(self, name):
        """All that log/NAME.log holds, rotated parts included, oldest first."""
        parts = sorted(self.dir.glob(f"log/{name}.log*"), key=lambda p: p.stat().st_mtime)
        return "".join(p.read_text(errors="replace") for p in parts)

    def wait_said(self, name, *words, doing=lambda: None):
        """A line with all of `words` is in log/NAME.log. `doing` leads to it, and is done again: of lines about peers, many in one second are left out."""
        def is_said():
            doing()
            return any(all(w in line for w in words) for line in self.log(name).splitlines())
        wait_until(is_said, f"in {name}'s log: {' … '.join(words)}", timeout=60)

    def secret(self):
        return (self.dir / "secret").read_text().strip()

    # --- clients ---

    def _client(self, port, **options):
        options.setdefault("socket_timeout", 30)
        client = redis.Redis(host="127.0.0.1", port=port, **options)
        self.clients.append(client)
        return client

    def port(self, name):
        """By the layout that the options ask for, so that it is known even when nobody answers."""
        kind, _, number = name.partition("-")
        return {"redis": self.ports.redis, "sentinel": self.ports.sentinel}[kind] + int(number) - 1

    def redis(self, name, **options):
        """One redis-server, as the supervisor's own user."""
        return self._client(self.port(name), username=USER, password=self.secret(), **options)

    def sentinel(self, name, **options):
        return self._client(self.port(name), **options)

    def proxy(self, **options):
        """Through the proxy, as any client would come: without credentials."""
        return self._client(self.ports.proxy, **options)

    def wire(self, **options):
        return Wire(self.ports.proxy, **options)

    def direct(self):
        """To the master itself, as the user that clients are."""
        return Wire(self.status()["master"]["port"])

    def http(self):
        return Http(self.ports.http)

    def load(self, **options):
        return Load(self.ports.proxy, **options)

    # --- facts that several tests need ---

    def role(self, name):
        """What the server itself says: (role, further)."""
        return self.redis(name).execute_command("ROLE")

    def sentinel_masters(self):
        """{sentinel: (host, port)} of those that answer."""
        found = {}
        name = self.options.get("holdfast.name", "main")
        for i in self.instances("sentinel"):
            try:
                host, port = self.sentinel(i["name"]).execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", name)
                found[i["name"]] = (host.decode() if isinstance(host, bytes) else host, int(port))
            except (redis.RedisError, TypeError):
                pass
        return found

    def assert_one_master(self):
        """ROLE of every server, every sentinel and the status name the same master; gives its name."""
        status = self.status()
        name = status["master"]["name"]
        port = self.port(name)
        assert status["master"]["port"] == port, status["master"]
        for i in status["instances"]:
            if i["kind"] == "redis" and i["wanted"] == "up":
                role = self.role(i["name"])
                kind = role[0].decode() if isinstance(role[0], bytes) else role[0]
                assert kind == ("master" if i["name"] == name else "slave"), f"{i['name']} is {role}"
                if i["name"] != name:
                    assert int(role[2]) == port, f"{i['name']} follows {role}, master is on {port}"
        told = self.sentinel_masters()
        wanted = [i["name"] for i in status["instances"] if i["kind"] == "sentinel" and i["wanted"] == "up"]
        assert sorted(told) == sorted(wanted), told
        assert set(told.values()) == {("127.0.0.1", port)}, told
        return name

    def wait_agreed(self, timeout=40.0):
        """Ready, and everybody names the same master."""

        def agreed():
            status = self.status(check=False)
            if not status or status["state"] != "ready":
                return None
            return self.assert_one_master()

        return wait_until(agreed, "ready with one master that all agree on", timeout,
                          ignore=(AssertionError, redis.RedisError, KeyError))

    def wait_master_is_not(self, name, timeout=40.0):
        return wait_until(lambda: (m := (self.status(check=False) or {}).get("master")) and m["name"] not in (None, name)
                          and m["name"], f"another master than {name}", timeout)

    def wait_replaced(self, name, pid, timeout=40.0):
        """The supervisor has seen that process `pid` of the instance is gone, another one is there, and all is ready with it."""
        def replaced():
            status = self.status(check=False)
            one = status and status["state"] == "ready" and self.instance(name, status)
            return one and one["state"] == "ready" and one["pid"] not in (None, pid) and one
        return wait_until(replaced, f"another process as {name}", timeout)

    def wait_replicated(self, timeout=40.0):
        """Every replica has what the master has answered so far. (WAIT is about the writes of its own connection only.)"""
        status = self.status()
        replicas = [i for i in status["instances"] if i["kind"] == "redis" and i["wanted"] == "up" and i["name"] != status["master"]["name"]]
        one = self.redis(status["master"]["name"], single_connection_client=True)
        one.publish("wait_replicated", "")  # goes to the replicas, and leaves no key
        wait_until(lambda: one.wait(len(replicas), 1000) == len(replicas), "everything is on every replica", timeout)
        one.close()

    def count_fds(self, name=None):
        """
        Of an instance or of the supervisor. Its log files are opened when there is something to write, and a master is watched for its
        end once it has become big.
        """
        pid = self.instance(name)["pid"] if name else self.run.pid
        return sum(1 for path in procs.fds(pid).values()
                   if not path.startswith(f"{self.dir}/log/") and not path.endswith("/statm"))

    # --- the end ---

    def unexpected_deaths(self, events):
        """What ended, or had to be killed, without the test or the operator asking for it."""
        seen = {}
        for e in events:
            if e["kind"] in ("instance.exited", "instance.killed"):
                seen.setdefault(e["subject"], []).append(f"{e['kind']}: {e['text']}")
        return [f"{name}: {text}" for name, texts in seen.items() for text in texts[self.deaths.get(name, 0):]]

    def finish(self):
        """Stops the cluster and gives the list of faults that no test may cause."""
        faults = []
        for c in self.clients:
            c.close()
        running = self.run is not None and self.run.exit is None
        if running and "fds" not in self.tolerant and self.fds_at_ready is not None:
            try:
                wait_until(lambda: self.count_fds() <= self.fds_at_ready, "descriptors as at the start", 5)
            except NotYet:
                now = sorted(procs.fds(self.run.pid).values())
                faults.append(f"the supervisor has {self.count_fds()} descriptors, had {self.fds_at_ready}: {now}")
        if running and "deaths" not in self.tolerant:
            try:
                faults += [f"unexpected death of {d}" for d in self.unexpected_deaths(self.events())]
            except (AssertionError, ValueError, subprocess.TimeoutExpired) as e:
                faults.append(f"no events before the stop: {e}")
        if running:
            try:
                code = self.stop()
                if code != 0 and "exit" not in self.tolerant:
                    faults.append(f"SIGTERM ended the supervisor with {code}")
            except NotYet as e:
                faults.append(str(e))
        for run in self.runs:
            if run is not self.run and run.exit is None:
                run.signal(signal.SIGTERM)
        try:
            wait_until(lambda: not self.keeper.left(), "no process left", 5)
        except NotYet:
            faults += [f"left running: {pid} {procs.state(pid)} {procs.cmdline(pid)}" for pid in self.keeper.left()]
        for path in sorted(self.case.glob("san*")):
            faults.append(f"sanitizer report:\n{tail(path, 80, 16000)}")
        for path in [*self.case.glob("*.err"), *self.case.glob("*.out"), *self.dir.glob("log/*")]:
            if path.is_file() and (hit := SANITIZER.search(path.read_text(errors="replace"))):
                text = path.read_text(errors="replace")
                faults.append(f"sanitizer report in {path.name}:\n{text[hit.start():hit.start() + 8000]}")
        if "outside" not in self.tolerant:
            for name in ("home", "cwd", "tmp"):
                left = [str(p) for p in (self.case / name).rglob("*")]
                if left:
                    faults.append(f"left outside the data folder: {left}")
        if (secret := self.dir / "secret").exists() and stat.S_IMODE(secret.stat().st_mode) != 0o600:
            faults.append(f"mode of secret is {stat.S_IMODE(secret.stat().st_mode):o}")
        return faults

    def close(self):
        if not self.closed:
            self.closed = True
            self.keeper.close()
            self.ports.release()

    def dump(self):
        """Everything a reader of a failed test wants, bounded."""
        parts = []
        if self.run is not None and self.run.exit is None:
            for words in (("status", "--json"), ("events", "-n", "60")):
                try:
                    done = self.cli(*words, check=False, timeout=10)
                    parts.append((" ".join(words), (done.stdout + done.stderr)[-12000:]))
                except subprocess.TimeoutExpired:
                    parts.append((" ".join(words), "no answer within 10 s"))
        if self.ini.exists():
            parts.append(("holdfast.ini", tail(self.ini)))
        for run in self.runs:
            parts.append((f"{run.out_path.name} (exit {run.exit})", tail(run.out_path)))
            parts.append((run.err_path.name, tail(run.err_path)))
        parts += [(f"log/{p.name}", tail(p, 25, 6000)) for p in sorted(self.dir.glob("log/*.log"))]
        left = [f"{pid} {procs.state(pid)} {procs.cmdline(pid)}" for pid in self.keeper.left()] if not self.closed else []
        parts.append(("processes", "\n".join(left)))
        return "".join(f"--- {name}\n{text}\n" for name, text in parts)


class Cases:
    """Makes the clusters of one test, and ends and checks them all."""

    def __init__(self, label):
        base = os.environ.get("HOLDFAST_TEST_TMP") or tempfile.gettempdir()
        # Short: control.sock must fit into a socket address. Open: some tests run as another user.
        self.root = Path(tempfile.mkdtemp(prefix="hft-", dir=base))
        self.root.chmod(0o755)
        self.label, self.clusters = label, []

    def __call__(self, **options):
        c = Cluster(self.root / f"c{len(self.clusters) + 1}", **options)
        self.clusters.append(c)
        return c

    def folder(self, name):
        path = self.root / name
        path.mkdir()
        return path

    def dump(self):
        return "\n".join(f"=== {c.case.name} of {self.label}\n{c.dump()}" for c in self.clusters)

    def finish(self, failed):
        faults = []
        for c in self.clusters:
            try:
                found = c.finish()
                if found:
                    faults += found
                    print(c.dump())
            finally:
                c.close()
        if os.environ.get("HOLDFAST_TEST_KEEP"):
            print(f"kept: {self.root}")
        else:
            shutil.rmtree(self.root, ignore_errors=True)
        return faults
