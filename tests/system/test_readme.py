"""What README says to type where the surroundings matter: on a Debian 12 that has nothing, as a service of systemd, and to docker."""
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from lab import SOURCE, boot, release, run, wait_until
from test_documented import shown


@pytest.fixture(scope="module")
def checkout(build, source):
    """A fresh checkout; from a tarball, what is in that."""
    if not (SOURCE / ".git").exists():
        return source
    folder = source.parent.parent / "checkout"
    shutil.rmtree(folder, ignore_errors=True)
    run("git", "-C", SOURCE, "checkout-index", "-a", f"--prefix={folder}/")
    (folder / ".git").mkdir()
    return folder


@pytest.fixture(scope="module")
def fresh(engine, checkout):
    """Debian 12 as it comes, with an init; what it has is not what we need."""
    c = boot(engine, "hf-test-fresh", "dbus")
    engine.docker("cp", checkout, f"{c.name}:/holdfast")
    # A network may have an authority of its own: what this machine trusts, beyond Debian's.
    for authority in Path("/usr/local/share/ca-certificates").glob("*.crt"):
        engine.docker("cp", authority, f"{c.name}:/usr/local/share/ca-certificates/")
    c.exec("update-ca-certificates")
    yield c
    c.remove()


def packages(c):
    words = c.exec("dpkg-query", "-W", "-f", "${Package} ${Installed-Size}\\n").stdout.split()
    return dict(zip(words[::2], map(int, words[1::2])))


def status(c):
    return c.exec("/holdfast/build/holdfast", "status", check=False).returncode


def run_and_stop(c):
    """./bootstrap run, until it is ready: how many seconds that took."""
    begun = time.monotonic()
    c.exec("sh", "-c", "cd /holdfast && ./bootstrap run >/run.log 2>&1 & echo $! >/run.pid")

    def ready():
        assert c.exec("sh", "-c", "test -d /proc/$(cat /run.pid)", check=False).returncode == 0, c.exec("cat", "/run.log").stdout
        return status(c) == 0

    wait_until(ready, "ready", 900)
    took = time.monotonic() - begun
    assert c.exec("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:7379/ui/").stdout == "200"
    c.exec("sh", "-c", "kill $(cat /run.pid)")
    wait_until(lambda: status(c) == 3 and c.exec("sh", "-c", "test -d /proc/$(cat /run.pid)", check=False).returncode != 0, "its end", 60)
    return took


def test_two_commands(fresh):
    before = packages(fresh)
    took = run_and_stop(fresh)
    after = packages(fresh)
    new = set(after) - set(before)
    fetched = int(fresh.exec("sh", "-c", "cat /var/cache/apt/archives/*.deb | wc -c").stdout)
    print(f"./bootstrap run on a fresh Debian 12: {len(new)} packages, {fetched / 1e6:.0f} MB to fetch, {sum(after[p] for p in new) / 1e3:.0f} MB on disk, "
          f"ready after {took:.0f} s")
    print(f"the second time ready after {run_and_stop(fresh):.1f} s")
    # Debian's own redis is kept off.
    for unit in ("redis-server", "redis-sentinel"):
        assert fresh.exec("systemctl", "is-active", unit, check=False).stdout.strip() == "inactive"
        assert fresh.exec("systemctl", "is-enabled", unit, check=False).stdout.strip() == "disabled"


def test_install_as_a_service(fresh):
    lines = [line for line in shown("README.md") if re.match(r"HOLDFAST_CONFIGURE=|sudo |systemctl ", line)]
    assert len(lines) >= 4, lines
    for line in lines:
        done = fresh.exec("sh", "-ec", "cd /holdfast; " + line.replace("sudo ", ""))
    assert 'Status: "ready: redis-1 takes writes, 8 of 8 instances are ready"' in done.stdout
    assert fresh.exec("redis-cli", "-p", "6380", "set", "k", "v").stdout.strip() == "OK"
    assert fresh.exec("stat", "-c", "%U", "/var/lib/holdfast").stdout.strip() == "holdfast"
    fresh.exec("systemctl", "disable", "--now", "holdfast")
    fresh.exec("make", "-C", "/holdfast/build", "uninstall")
    assert fresh.exec("sh", "-c", "find / -xdev -iname '*holdfast*' ! -path '/holdfast*' ! -path '/var/lib/*' ! -path '/sys/*' ! -path '/var/log/*'").stdout.split() == []


def test_docker(engine, build):
    """In order, as they stand there, but for ports that are free; those of compose are in test_compose.py."""
    lines = [line for line in shown("README.md") if line.startswith("docker ") and not line.startswith("docker compose ")]
    assert len(lines) >= 4, lines
    source = release(build, "source-for-readme")
    env = {**os.environ, "DOCKER_HOST": engine.host, "PATH": f"/usr/bin:{os.environ['PATH']}"}
    try:
        for line in lines:
            line = re.sub(r"-p \d+:(\d+)", r"-p 127.0.0.1::\1", line)
            if line.startswith("docker exec"):
                wait_until(lambda: engine.docker("exec", "redis", "holdfast", "status", check=False).returncode == 0, "ready", 90)
            run("sh", "-ec", line, cwd=source, env=env)
    finally:
        engine.docker("rm", "-f", "redis", check=False)
        engine.docker("volume", "rm", "-f", "redis", check=False)
