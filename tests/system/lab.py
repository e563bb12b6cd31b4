"""
A Docker engine of our own and images made from Debian's packages alone, for the tests in real surroundings. It needs root, apt, and a
kernel that lets us mount and make networks; what is missing is said, and the tests are skipped (under HOLDFAST_SYSTEM_STRICT=1 they fail).

    system-build/     in the build folder, kept from run to run: the engine's data, the base image; `make clean` removes it

HOLDFAST_TEST_DOCKER=ADDRESS uses an engine that runs already.
"""
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
sys.path.insert(0, str(SOURCE / "tests" / "integration"))

from waiting import wait_until  # noqa: E402

BASE = "debian:bookworm-slim"
PACKAGES = {"dockerd": "docker.io", "debootstrap": "debootstrap", "iptables": "iptables", "dh": "debhelper",
            "dpkg-buildpackage": "dpkg-dev", "lintian": "lintian", "fakeroot": "fakeroot", "docker-compose": "docker-compose"}


class Missing(Exception):
    """What keeps these tests from running here."""


def run(*words, check=True, timeout=1200, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=timeout, errors="replace", **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout[-6000:]}{done.stderr[-6000:]}")
    return done


def install(*commands):
    """The packages of these commands, where they are missing."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [PACKAGES[c] for c in commands if shutil.which(c) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Missing(f"{', '.join(missing)} must be installed, and only root with apt can")
    done = run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=600", *missing, check=False,
               env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Missing(f"{', '.join(missing)} cannot be installed: {done.stderr[-400:]}")


class Engine:
    def __init__(self, build):
        self.dir = Path(build) / "system-build"
        self.dir.mkdir(exist_ok=True)
        self.process = None
        self.host = os.environ.get("HOLDFAST_TEST_DOCKER")
        if self.host is None:
            self._start()
        self._base()

    def _start(self):
        if os.geteuid() != 0:
            raise Missing("a Docker engine of our own needs root")
        install("dockerd", "iptables")
        run_dir = Path("/run") / f"holdfast-test-{os.getpid()}"
        run_dir.mkdir(mode=0o700)
        self.run_dir = run_dir
        self.host = f"unix://{run_dir}/docker.sock"
        log = open(self.dir / "dockerd.log", "w")
        self.process = subprocess.Popen(
            ["dockerd", "--storage-driver=overlay2", "--bip=10.77.0.1/24", "--data-root", self.dir / "docker", "--exec-root", run_dir / "exec",
             "-H", self.host, "--pidfile", run_dir / "pid"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        deadline = time.monotonic() + 60
        while self.docker("version", check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise Missing(f"no Docker engine runs here: {(self.dir / 'dockerd.log').read_text()[-600:]}")
            time.sleep(0.1)  # until it answers: it tells nobody

    def _base(self):
        if self.docker("image", "inspect", BASE, check=False).returncode == 0:
            return
        install("debootstrap")
        tar, root = self.dir / "base.tar", self.dir / "rootfs"
        if not tar.exists():
            target = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: bookworm", "Created-By: Packages").stdout.split()
            if not target:
                raise Missing("apt knows no Debian 12 from which to make an image")
            shutil.rmtree(root, ignore_errors=True)
            done = run("debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", root, target[0], check=False)
            if done.returncode != 0:
                raise Missing(f"debootstrap failed: {done.stdout[-400:]}")
            for junk in [*root.glob("var/cache/apt/archives/*.deb"), *root.glob("var/lib/apt/lists/*_*")]:
                junk.unlink()
            run("tar", "-C", root, "-cf", f"{tar}.new", ".")
            os.rename(f"{tar}.new", tar)
            shutil.rmtree(root)
        self.docker("import", tar, BASE)

    def close(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            shutil.rmtree(self.run_dir, ignore_errors=True)

    @property
    def client(self):
        # Debian's own where it is: another one may lack what it needs to build.
        return "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"

    def docker(self, *words, **options):
        return run(self.client, *words, env={**os.environ, "DOCKER_HOST": self.host}, **options)

    def build(self, tag, context, dockerfile=None, text=None):
        if text is not None:
            return self.docker("build", "-q", "-t", tag, "-", input=text)
        return self.docker("build", "-t", tag, "-f", dockerfile, context)

    def size(self, tag):
        return json.loads(self.docker("image", "inspect", tag).stdout)[0]["Size"]


class Container:
    """One that is there, by its name or id; Container.run makes one."""

    def __init__(self, engine, name):
        self.engine, self.name = engine, name

    @classmethod
    def run(cls, engine, name, image, *options, command=()):
        engine.docker("rm", "-f", "-v", name, check=False)
        engine.docker("run", "-d", "--name", name, *options, image, *command)
        return cls(engine, name)

    def exec(self, *words, check=True, user=None, **options):
        return self.engine.docker("exec", *(["-u", user] if user else []), self.name, *words, check=check, **options)

    def inspect(self):
        return json.loads(self.engine.docker("inspect", self.name).stdout)[0]

    def state(self):
        return self.inspect()["State"]

    def port(self, inner):
        return int(self.inspect()["NetworkSettings"]["Ports"][f"{inner}/tcp"][0]["HostPort"])

    def logs(self):
        done = self.engine.docker("logs", self.name)
        return done.stdout + done.stderr

    def wait_healthy(self):
        def healthy():
            state = self.state()
            if not state["Running"]:
                raise RuntimeError(f"{self.name} ended with {state['ExitCode']}:\n{self.logs()[-4000:]}")
            return state["Health"]["Status"] == "healthy"
        wait_until(healthy, f"{self.name} healthy", 90)
        return self

    def stop(self, seconds=60):
        self.engine.docker("stop", "-t", str(seconds), self.name)
        return self.state()["ExitCode"]

    def remove(self):
        self.engine.docker("rm", "-f", self.name, check=False)


CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_NICE", "DAC_READ_SEARCH", "SYSLOG", "LINUX_IMMUTABLE", "IPC_LOCK")


def boot(engine, name, packages):
    """A container with systemd as process 1 and these packages of Debian."""
    engine.build(f"{name}-image", None, text=f"""FROM {BASE}
RUN apt-get update && apt-get install -y --no-install-recommends systemd systemd-sysv {packages}
ENV container=docker
STOPSIGNAL SIGRTMIN+3
CMD ["/lib/systemd/systemd"]
""")
    options = [w for c in CAPABILITIES for w in ("--cap-add", c)]
    options += ["--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined", "--cgroupns=private", "-t"]
    options += [w for t in ("/sys/fs/cgroup", "/run", "/run/lock", "/tmp") for w in ("--tmpfs", t)]
    c = Container.run(engine, name, f"{name}-image", *options)
    wait_until(lambda: c.exec("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded"), "systemd", 60)
    return c


class Compose:
    """A project of docker compose: its plugin where the client has it, else Debian's docker-compose. `files` are used as they are."""

    def __init__(self, engine, project, *files, env):
        self.engine, self.project = engine, project
        self.env = {**os.environ, "DOCKER_HOST": engine.host, **env}
        if run(engine.client, "compose", "version", check=False).returncode == 0:
            program = [engine.client, "compose"]
        else:
            install("docker-compose")
            program = ["docker-compose"]
        self.words = [*program, "-p", project, *(w for f in files for w in ("-f", f))]

    def __call__(self, *words, **options):
        return run(*self.words, *words, env=self.env, **options)

    def up(self):
        self("up", "-d", "--no-build")
        return self

    def container(self, service):
        ids = self("ps", "-q", service).stdout.split()
        assert len(ids) == 1, f"{service}: {ids}"
        return Container(self.engine, ids[0])


def release(build, name="source"):
    """The source as it is released, unpacked in a folder of this name."""
    run("make", "-s", "dist", cwd=build, env={k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")})
    folder = Path(build) / "system-build" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = max(Path(build).glob("holdfast-*.tar.xz"), key=lambda p: p.stat().st_mtime)
    run("tar", "-C", folder, "-xf", archive)
    return next(folder.iterdir())
