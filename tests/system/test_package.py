"""The Debian package under a real systemd: built, installed, started, reloaded, watched, crashed, upgraded, removed, purged. In order."""
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from conftest import cannot
from lab import Missing, boot, install, run, wait_until

PACKAGES = ("dbus procps iproute2 redis-server redis-sentinel redis-tools redis-redisearch sqlite3 libev4 libhiredis0.14 libinih1 libsqlite3-0 libjansson4 "
            "libhttp-parser2.9 libmsgpackc2 libwslay1 man-db && systemctl disable redis-server redis-sentinel")
INI = "/etc/holdfast/holdfast.ini"


@pytest.fixture(scope="module")
def deb(build, source):
    try:
        install("dh", "dpkg-buildpackage", "fakeroot")
    except Missing as missing:
        cannot(missing)
    shutil.copytree(source / "etc" / "debian", source / "debian", dirs_exist_ok=True)
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    run("dpkg-buildpackage", "-us", "-uc", "-b", cwd=source, env={**env, "DEB_BUILD_OPTIONS": "nocheck parallel=2"})
    return next(p for p in source.parent.glob("holdfast_*.deb"))


@pytest.fixture(scope="module")
def newer(deb):
    """The same with a higher version."""
    folder = deb.parent / "newer"
    shutil.rmtree(folder, ignore_errors=True)
    run("dpkg-deb", "-R", deb, folder)
    control = folder / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 0.1.0-2", control.read_text(), flags=re.M))
    made = deb.parent / "newer.deb"
    run("dpkg-deb", "--root-owner-group", "-b", folder, made)
    return made


@pytest.fixture(scope="module")
def host(engine):
    c = boot(engine, "hf-test-systemd", PACKAGES)
    yield c
    c.remove()


def servers(c, unit=""):
    done = c.exec("holdfast", "status", "--json", *(["-d", f"/var/lib/holdfast-{unit}"] if unit else []), check=False)
    return {i["name"]: i["pid"] for i in json.loads(done.stdout)["instances"] if i["kind"] in ("redis", "sentinel")}


def shows(c, name, unit="holdfast"):
    return c.exec("systemctl", "show", "-P", name, unit).stdout.strip()


def events(c, kind):
    return [e for e in map(json.loads, c.exec("holdfast", "events", "--json", "-n", "1000").stdout.splitlines()) if e["kind"] == kind]


def wait_ready(c):
    wait_until(lambda: c.exec("holdfast", "status", check=False).returncode == 0, "ready", 60)


def journal(c):
    return c.exec("journalctl", "-u", "holdfast", "-n", "60", "--no-pager", check=False).stdout


def test_lintian_has_no_errors(deb):
    try:
        install("lintian")
    except Missing as missing:
        cannot(missing)
    done = run("lintian", "--allow-root", "--fail-on", "error", deb, check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_install_starts_it(engine, host, deb):
    engine.docker("cp", deb, f"{host.name}:/one.deb")
    host.exec("dpkg", "-i", "/one.deb")
    assert shows(host, "ActiveState") == "active", journal(host)
    assert shows(host, "UnitFileState") == "enabled"
    wait_ready(host)
    assert host.exec("stat", "-c", "%U %a", "/var/lib/holdfast").stdout.split() == ["holdfast", "750"]
    assert host.exec("ps", "-o", "user=", "-p", shows(host, "MainPID")).stdout.strip() == "holdfast"
    assert "/etc/holdfast/holdfast.ini" in host.exec("dpkg-query", "-W", "-f", "${Conffiles}", "holdfast").stdout
    for page in ("8 holdfast", "5 holdfast.conf", "7 holdfast-api", "7 holdfast-internals"):
        assert host.exec("test", "-e", "/usr/share/man/man{0}/{1}.{0}.gz".format(*page.split())).returncode == 0


def test_the_unit_is_sound(host):
    done = host.exec("systemd-analyze", "verify", "/lib/systemd/system/holdfast.service", check=False)
    assert done.returncode == 0 and "holdfast" not in done.stderr.replace("man holdfast", ""), done.stderr
    for unit in ("holdfast.service", "holdfast@.service"):
        path = f"/lib/systemd/system/{unit}"
        done = host.exec("systemd-analyze", "security", "--offline=true", "--threshold=15", path, check=False)
        assert done.returncode == 0, done.stdout[-300:]


def test_start_blocks_until_ready(host):
    host.exec("systemctl", "stop", "holdfast")
    host.exec("systemctl", "start", "holdfast")
    assert host.exec("redis-cli", "-p", "6380", "set", "k", "v").stdout.strip() == "OK"
    wait_until(lambda: re.match(r"ready: redis-\d takes writes, 8 of 8", shows(host, "StatusText")), "the state in words")


def test_reload(host):
    host.exec("sh", "-c", f"cp {INI} /keep.ini; printf '[proxy]\\nhold_ms = 7000\\n' >{INI}")
    host.exec("systemctl", "reload", "holdfast")
    assert events(host, "config.reloaded")
    host.exec("sh", "-c", f"printf '[proxy]\\nhold_ms = soon\\n' >{INI}")
    assert host.exec("systemctl", "reload", "holdfast", check=False).returncode != 0
    assert shows(host, "ActiveState") == "active"
    host.exec("cp", "/keep.ini", INI)
    host.exec("systemctl", "reload", "holdfast")


def test_a_module_under_the_unit(host):
    """Looked at, tried in a private server and loaded by all, with what the unit forbids; and taken away again."""
    def cli(*words):
        return host.exec("redis-cli", "-p", "6380", *words).stdout.split()

    def loaded():
        instances = json.loads(host.exec("holdfast", "status", "--json").stdout)["instances"]
        return [sorted(m["name"] for m in i["modules"]) for i in instances if i["kind"] == "redis"]

    host.exec("sh", "-c", f"printf '[redis]\nmodules = search\n' >{INI}")
    host.exec("systemctl", "restart", "holdfast")
    wait_ready(host)
    assert [m for m in loaded() if "ft" in m] == loaded() and len(loaded()) == 3, journal(host)
    assert cli("ft.create", "idx", "schema", "title", "text") == ["OK"]
    assert cli("ft.add", "idx", "d1", "1.0", "fields", "title", "hello") == ["OK"]
    host.exec("holdfast", "failover")
    wait_ready(host)
    assert cli("ft.search", "idx", "hello")[:2] == ["1", "d1"]
    assert cli("ft.drop", "idx") == ["OK"]
    host.exec("cp", "/keep.ini", INI)
    host.exec("systemctl", "reload", "holdfast")
    host.exec("holdfast", "restart", "--rolling")
    wait_ready(host)
    assert not [m for m in loaded() if "ft" in m], loaded()


def test_a_crash_touches_nothing_else(host):
    before, pid = servers(host), shows(host, "MainPID")
    host.exec("kill", "-9", pid)
    wait_until(lambda: shows(host, "MainPID") not in ("0", pid) and shows(host, "ActiveState") == "active", "another supervisor", 60)
    wait_ready(host)
    assert servers(host) == before, journal(host)
    assert events(host, "supervisor.adopted")
    assert shows(host, "NRestarts") == "1"


def test_a_loop_that_hangs_is_ended(host):
    host.exec("sh", "-c", "mkdir -p /run/systemd/system/holdfast.service.d && printf '[Service]\\nWatchdogSec=2\\n' "
              ">/run/systemd/system/holdfast.service.d/w.conf && systemctl daemon-reload")
    host.exec("systemctl", "restart", "holdfast")
    wait_ready(host)
    before, pid = servers(host), shows(host, "MainPID")
    host.exec("kill", "-STOP", pid)
    wait_until(lambda: shows(host, "MainPID") not in ("0", pid) and shows(host, "ActiveState") == "active", "another supervisor", 60)
    wait_ready(host)
    assert servers(host) == before, journal(host)
    assert "watchdog" in journal(host).lower()


def test_a_server_that_dies_is_no_reason_to_stop(host):
    pid = shows(host, "MainPID")
    host.exec("kill", "-9", str(servers(host)["redis-1"]))
    wait_ready(host)
    assert shows(host, "MainPID") == pid


def all_pids(c):
    return {i["name"]: i["pid"] for i in json.loads(c.exec("holdfast", "status", "--json").stdout)["instances"]}


def put(engine, host, package, name):
    """dpkg installs it over what is there, and every process goes on. What it said."""
    pid, before = shows(host, "MainPID"), all_pids(host)
    engine.docker("cp", package, f"{host.name}:/{name}")
    done = host.exec("dpkg", "-i", f"/{name}")
    wait_ready(host)
    assert shows(host, "MainPID") == pid and shows(host, "ActiveState") == "active", journal(host)
    assert all_pids(host) == before
    assert host.exec("redis-cli", "-p", "6380", "get", "k").stdout.strip() == "v"
    return done.stdout + done.stderr


def test_upgrade_and_downgrade_of_the_package(engine, host, deb, newer):
    put(engine, host, newer, "two.deb")
    assert len(events(host, "supervisor.upgraded")) == 1, journal(host)
    put(engine, host, deb, "one.deb")
    assert len(events(host, "supervisor.upgraded")) == 2, journal(host)


def test_an_older_package_than_the_state_database(engine, host, newer):
    """It refuses, says why and what to do, and the program of before goes on."""
    def version(*words):
        return host.exec("sqlite3", "/var/lib/holdfast/state.db", "PRAGMA user_version" + "".join(words)).stdout.strip()

    known = version()
    version(" = 99")
    said = put(engine, host, newer, "two.deb")
    assert "schema version 99" in said and "goes on as it was" in said and "holdfast upgrade -d /var/lib/holdfast" in said, said
    assert events(host, "upgrade.failed")
    # A start with it is refused in the same words; its servers go on as after any crash.
    before = servers(host)
    host.exec("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "holdfast")
    wait_until(lambda: "start the newer holdfast" in journal(host), "the refusal in the journal", 60)
    running = host.exec("ps", "-e", "-o", "pid=").stdout.split()
    assert set(map(str, before.values())) <= set(running)
    version(f" = {known}")
    host.exec("systemctl", "reset-failed", "holdfast")
    host.exec("systemctl", "start", "holdfast")
    wait_ready(host)
    assert servers(host) == before, journal(host)


def test_several_clusters(host):
    host.exec("sh", "-c", "printf '[redis]\\ninstances = 1\\nport = 7381\\n[sentinel]\\ninstances = 1\\nport = 27381\\n[proxy]\\nlisten = 127.0.0.1:7380\\n"
              "[http]\\nlisten = 127.0.0.1:8379\\n' >/etc/holdfast/two.ini")
    host.exec("systemctl", "start", "holdfast@two")
    assert host.exec("redis-cli", "-p", "7380", "set", "k", "two").stdout.strip() == "OK"
    assert host.exec("redis-cli", "-p", "6380", "get", "k").stdout.strip() == "v"
    host.exec("systemctl", "stop", "holdfast@two")
    host.exec("rm", "/etc/holdfast/two.ini")


def test_restore_as_root(host):
    host.exec("redis-cli", "-p", "6380", "set", "saved", "1")
    file = host.exec("holdfast", "backup").stdout.splitlines()[0]
    host.exec("redis-cli", "-p", "6380", "flushall")
    host.exec("systemctl", "stop", "holdfast")
    host.exec("holdfast", "restore", "-c", INI, file)
    host.exec("systemctl", "start", "holdfast")
    assert host.exec("redis-cli", "-p", "6380", "get", "saved").stdout.strip() == "1"
    assert host.exec("sh", "-c", "find /var/lib/holdfast ! -user holdfast").stdout == ""


def test_stop_ends_all_in_order(host):
    before = servers(host)
    host.exec("systemctl", "stop", "holdfast")
    assert shows(host, "Result") == "success"
    running = host.exec("ps", "-e", "-o", "pid=").stdout.split()
    assert not set(map(str, before.values())) & set(running)


def test_remove_and_purge(host):
    host.exec("systemctl", "start", "holdfast")
    host.exec("apt-get", "remove", "-y", "holdfast")
    assert "redis-server 127" not in host.exec("ps", "-e", "-o", "args=").stdout
    assert host.exec("test", "-e", "/etc/holdfast/holdfast.ini").returncode == 0
    assert host.exec("test", "-e", "/var/lib/holdfast/state.db").returncode == 0
    host.exec("apt-get", "purge", "-y", "holdfast")
    for path in ("/etc/holdfast", "/var/lib/holdfast", "/lib/systemd/system/holdfast.service"):
        assert host.exec("test", "-e", path, check=False).returncode == 1, path
