"""Settings: what is refused and how, what applies alive, which source wins."""
import os
import re
import signal
import socket

import pytest
import redis

from harness import binary, procs, wait_until

BAD = """\
[holdfast]
name = main
log_levle = notice

[redis]
instances = 0
port = 70000
apendonly = yes

[proxy]
listn = 127.0.0.1:{proxy}
hold_ms = soon

[prxy]
workers = 1
this is no setting
"""


def run_to_its_end(c):
    run = c.spawn(*c.command(*c.run_args()), label="refused")
    run.wait()
    return run


def assert_nothing_started(c):
    assert c.keeper.left() == []
    assert not list(c.dir.glob("redis-*")), "an instance's folder was made"


@pytest.mark.parametrize("how", ["run", "check"])
def test_all_faults_of_a_file_come_in_one_run(make_cluster, how):
    c = make_cluster(ini=BAD)
    if how == "run":
        run = run_to_its_end(c)
        code, err = run.exit, run.err
    else:
        done = c.cli("check", "-c", c.ini, check=False)
        code, err = done.returncode, done.stderr + done.stdout
    assert code == 78
    lines = err.splitlines()

    def fault(line, *words):
        found = [text for text in lines if f"{c.ini}:{line}:" in text]
        assert found, f"nothing about line {line}:\n{err}"
        for word in words:
            assert any(word in text for text in found), f"line {line} does not name {word}: {found}"

    fault(3, "log_levle", "log_level")
    fault(6, "instances")
    fault(7, "port", "70000")
    fault(8, "apendonly", "appendonly")
    fault(11, "listn", "listen")
    fault(12, "hold_ms", "soon")
    fault(14, "prxy", "proxy")
    fault(16)
    assert_nothing_started(c)


def test_a_good_file_passes_the_check(make_cluster):
    c = make_cluster()
    assert c.cli("check", "-c", c.ini).returncode == 0
    assert c.keeper.left() == []


def test_a_missing_file_and_a_bad_setting_on_the_command_line(make_cluster):
    c = make_cluster()
    done = c.cli("check", "-c", c.case / "nowhere.ini", check=False)
    assert done.returncode == 78 and "nowhere.ini" in done.stderr
    done = c.cli("check", "-c", c.ini, "-s", "proxy.hold_mss=1", check=False)
    assert done.returncode == 78 and "proxy.hold_mss" in done.stderr and "proxy.hold_ms" in done.stderr
    done = c.cli("check", "-c", c.ini, check=False, env={"HOLDFAST_PROXY_HOLD_MS": "-5"})
    assert done.returncode == 78 and "HOLDFAST_PROXY_HOLD_MS" in done.stderr


@pytest.mark.parametrize("how", ["run", "check"])
def test_ports_in_use_are_named_with_their_holder(make_cluster, how):
    c = make_cluster()
    taken = [c.ports.redis + 1, c.ports.sentinel, c.ports.proxy, c.ports.http]
    held = []
    try:
        for port in taken:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", port))
            s.listen()
            held.append(s)
        if how == "run":
            run = run_to_its_end(c)
            code, err = run.exit, run.err
        else:
            done = c.cli("check", "-c", c.ini, check=False)
            code, err = done.returncode, done.stderr + done.stdout
    finally:
        for s in held:
            s.close()
    assert code in (1, 78)
    # The check names all, a start the first that it meets.
    named = [port for port in taken if str(port) in err]
    assert named == taken if how == "check" else named, err
    assert str(os.getpid()) in err, f"the holder is not named:\n{err}"
    assert_nothing_started(c)


def test_missing_binaries_are_named(make_cluster):
    c = make_cluster(options={"redis.server": "/nowhere/redis-server", "sentinel.server": "/nowhere/sentinel"})
    run = run_to_its_end(c)
    assert run.exit in (1, 78)
    assert "/nowhere/redis-server" in run.err
    done = c.cli("check", "-c", c.ini, check=False)
    assert done.returncode in (1, 78)
    assert "/nowhere/redis-server" in done.stderr + done.stdout and "/nowhere/sentinel" in done.stderr + done.stdout
    assert_nothing_started(c)


def test_no_server_on_the_path_says_what_to_install(make_cluster):
    c = make_cluster(env={"PATH": "/nowhere"}, options={"redis.server": None, "sentinel.server": None})
    run = run_to_its_end(c)
    assert run.exit in (1, 78)
    assert "redis-server" in run.err
    assert_nothing_started(c)


def test_a_folder_that_cannot_be_written(make_cluster):
    c = make_cluster()
    if os.geteuid() == 0:
        program = make_cluster.folder("bin") / "holdfast"
        program.write_bytes(binary().read_bytes())
        program.chmod(0o755)
        c.program = str(program)
        c.runner = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        for path in [c.case, c.case / "cwd"]:
            path.chmod(0o755)
        c.ini.chmod(0o644)
    c.dir.mkdir()
    c.dir.chmod(0o555)
    run = run_to_its_end(c)
    assert run.exit == 1
    assert run.err.startswith("holdfast: ") and str(c.dir) in run.err
    assert list(c.dir.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be mistaken for the user of a service")
def test_root_looks_as_the_user_of_the_folder_and_does_not_run_there(make_cluster):
    """What only root may read would not start as a service, and what root makes there would keep the service from starting."""
    c = make_cluster()
    for path in (c.case, c.case.parent):  # both are the test's own
        path.chmod(0o755)
    c.ini.chmod(0o644)
    c.dir.mkdir()
    os.chown(c.dir, 65534, 65534)
    secret = c.case / "password"
    secret.write_text("geheim")
    secret.chmod(0o600)
    c.env["ASAN_OPTIONS"] += ":detect_leaks=0"  # which does not work for who was root
    done = c.cli("check", "-c", c.ini, "-s", f"redis.password=@{secret}", check=False)
    assert done.returncode == 78 and "Permission denied: give it" in done.stderr and "nobody" in done.stdout, done.stdout + done.stderr
    os.chown(secret, 65534, 65534)
    done = c.cli("check", "-c", c.ini, "-s", f"redis.password=@{secret}")
    assert "to whom the data folder belongs" in done.stdout
    # Who holds a port, root can see all the same.
    with socket.create_server(("127.0.0.1", c.ports.proxy)):
        done = c.cli("check", "-c", c.ini, check=False)
        assert done.returncode == 78 and f"(pid {os.getpid()})" in done.stderr, done.stderr

    run = run_to_its_end(c)
    assert run.exit == 1 and "belongs to nobody" in run.err and "systemctl start" in run.err, run.err
    assert list(c.dir.iterdir()) == []
    # Where root has been running it before, it goes on.
    (c.dir / "holdfast.lock").touch()
    c.start()


def test_the_data_folder_is_a_file(make_cluster):
    c = make_cluster()
    c.dir.write_text("no folder")
    run = run_to_its_end(c)
    assert run.exit in (1, 78)
    assert str(c.dir) in run.err
    assert c.dir.read_text() == "no folder"


@pytest.mark.parametrize("how", ["sighup", "reload"])
def test_reload_applies_what_can_change_alive(make_cluster, how):
    c = make_cluster().start()
    before, pids = c.last_event(), c.pids()
    c.options["proxy.hold_ms"] = 1234
    c.options["redis.maxmemory"] = "64mb"
    c.options["sentinel.down_after_ms"] = 3000
    c.options["redis.databases"] = 4  # needs a restart
    c.write_options()
    if how == "sighup":
        c.run.signal(signal.SIGHUP)
    else:
        said = c.cli("reload").stdout
        assert "proxy.hold_ms" in said
        (line,) = [text for text in said.splitlines() if "redis.databases" in text]
        assert "restart" in line
    event = c.wait_event("config.reloaded", after=before)
    assert "hold_ms" in str(event)
    wait_until(lambda: all(c.redis(f"redis-{n}").config_get("maxmemory")["maxmemory"] == str(64 << 20) for n in (1, 2, 3)),
               "maxmemory in force")

    def down_after(n):
        fields = c.sentinel(f"sentinel-{n}").sentinel_master("main")
        return int(fields["down-after-milliseconds"])

    wait_until(lambda: {down_after(n) for n in (1, 2, 3)} == {3000}, "down-after in force")
    assert c.pids() == pids, "something was restarted"
    c.wait_ready()
    c.cli("restart", "redis-3")
    c.wait_ready()
    assert c.redis("redis-3").config_get("databases")["databases"] == "4"


def test_a_bad_reload_keeps_the_old_settings(make_cluster):
    c = make_cluster(options={"redis.maxmemory": "100mb"}).start()
    before, pids = c.last_event(), c.pids()
    c.options["redis.maxmemory"] = "50mb"
    c.options["proxy.hold_mss"] = 5
    c.write_options()
    done = c.cli("reload", check=False)
    assert done.returncode == 78
    assert "hold_mss" in done.stderr and "hold_ms" in done.stderr
    assert c.wait_event("config.rejected", after=before)
    c.run.signal(signal.SIGHUP)
    wait_until(lambda: len(c.events("config.rejected", after=before)) == 2, "the second refusal")
    assert c.redis("redis-1").config_get("maxmemory")["maxmemory"] == str(100 << 20)
    assert c.pids() == pids
    c.wait_ready()


def test_workers_follow_a_reload(make_cluster):
    c = make_cluster().start()
    c.options["proxy.workers"] = 2
    c.write_options()
    c.cli("reload")
    wait_until(lambda: len(c.instances("proxy")) == 2, "the second worker")
    c.wait_ready()
    assert c.proxy().ping()
    c.options["proxy.workers"] = 1
    c.write_options()
    c.cli("reload")
    wait_until(lambda: len([i for i in c.instances("proxy") if i["state"] == "ready"]) == 1, "one worker")
    c.wait_ready()
    assert c.proxy().ping()


def test_the_stronger_source_wins(make_cluster):
    """defaults < file < environment < -s"""
    c = make_cluster(options={"redis.maxmemory": "10mb", "redis.databases": "5", "redis.appendfsync": "no"})
    c.env["HOLDFAST_REDIS_DATABASES"] = "6"
    c.env["HOLDFAST_REDIS_APPENDFSYNC"] = "always"
    c.args = ["-s", "redis.appendfsync=everysec"]
    c.start()
    get = c.redis("redis-2").config_get
    assert get("maxmemory")["maxmemory"] == str(10 << 20)
    assert get("databases")["databases"] == "6"
    assert get("appendfsync")["appendfsync"] == "everysec"
    assert get("appendonly")["appendonly"] == "yes"


def test_names_that_container_users_know(make_cluster):
    c = make_cluster(options={"sentinel.down_after_ms": None, "sentinel.failover_timeout_ms": None, "holdfast.name": None})
    c.env.update({"REDIS_MASTER": "shop", "SENTINEL_QUORUM": "3", "SENTINEL_DOWN_AFTER": "4000", "SENTINEL_FAILOVER": "8000"})
    c.options["holdfast.name"] = "shop"  # for the harness; the file stays without it
    c.start()
    assert c.status()["name"] == "shop"
    fields = c.sentinel("sentinel-1").sentinel_master("shop")
    assert (int(fields["quorum"]), int(fields["down-after-milliseconds"]), int(fields["failover-timeout"])) == (3, 4000, 8000)


def test_directives_of_redis_are_passed_through(make_cluster):
    c = make_cluster(options={"redis.config.maxclients": 321, "redis.config.client-output-buffer-limit": "pubsub 16mb 4mb 30",
                              "redis-2.maxmemory": "77mb", "redis-2.config.maxclients": 123}).start()
    assert c.redis("redis-1").config_get("maxclients")["maxclients"] == "321"
    assert c.redis("redis-2").config_get("maxclients")["maxclients"] == "123"
    assert c.redis("redis-1").config_get("maxmemory")["maxmemory"] == "0"
    assert c.redis("redis-2").config_get("maxmemory")["maxmemory"] == str(77 << 20)
    assert "pubsub 16777216 4194304 30" in c.redis("redis-3").config_get("client-output-buffer-limit")["client-output-buffer-limit"]


def test_a_directive_that_redis_does_not_know_is_named(make_cluster):
    """What a server says before it ends without having served stands in events and status, but no value of its configuration."""
    c = make_cluster(options={"redis.config.no-such-thing": "geheim"})
    c.tolerant.add("deaths")
    c.start(wait=False)
    reasons = wait_until(lambda: next((r for r in (c.status(check=False) or {}).get("reasons", []) if "redis-1" in r and "no-such-thing" in r), None),
                         "the reason in the status")
    assert "exited with status 1 and said" in reasons
    event = c.wait_event("instance.exited")
    assert "of its directive no-such-thing" in event["text"] and "Bad directive" in event["text"], event
    assert not any("geheim" in str(e) for e in c.events())
    del c.options["redis.config.no-such-thing"]
    assert c.stop() == 0
    c.write_options()
    c.start()
    assert c.status()["reasons"] == []
    # One that comes by a reload would show at the next start only.
    c.options["redis.config.no-such-thing"] = "geheim"
    c.write_options()
    c.cli("reload")
    event = c.wait_event("config.rejected")
    assert "does not know" in event["text"] and "geheim" not in str(event), event


def test_a_password_is_asked_for_and_shown_nowhere(make_cluster):
    secret = "correct horse 7 battery"
    c = make_cluster(options={"redis.password": "$SHOP_SECRET"})
    c.env["SHOP_SECRET"] = secret
    c.start()
    with pytest.raises(redis.AuthenticationError):
        c.proxy().get("k")
    with pytest.raises(redis.AuthenticationError):
        c._client(c.ports.redis).get("k")
    assert c.proxy(password=secret).set("k", "v")
    assert c._client(c.ports.redis, password=secret).get("k") == b"v"
    c.cli("failover")
    c.wait_agreed()
    assert c.proxy(password=secret).get("k") == b"v"
    # Only the supervisor was given it in its environment.
    for name, pid in c.pids().items():
        assert secret not in procs.cmdline(pid), name
        assert not any(secret in line for line in procs.environ(pid)), name
    shown = c.cli("status", "--json").stdout + c.cli("events", "--json").stdout + c.cli("logs", "-n", "1000").stdout
    assert secret not in shown + c.run.out + c.run.err
    for path in c.dir.glob("log/*"):
        assert secret not in path.read_text(errors="replace"), path


def test_a_password_from_a_file(make_cluster):
    path = make_cluster.folder("secrets") / "password"
    path.write_text("from-a-file\n")
    c = make_cluster(options={"redis.password": f"@{path}"}).start()
    assert c.proxy(password="from-a-file").ping()


def test_an_open_door_is_refused_unless_it_is_said_twice(make_cluster):
    c = make_cluster()
    c.options["proxy.listen"] = f"0.0.0.0:{c.ports.proxy}"
    c.write_options()
    done = c.cli("check", "-c", c.ini, check=False)
    assert done.returncode == 78
    assert re.search(r"proxy\.(listen|allow_open)", done.stderr + done.stdout)
    assert "allow_open" in done.stderr + done.stdout
    c.options["proxy.allow_open"] = "yes"
    c.write_options()
    assert c.cli("check", "-c", c.ini).returncode == 0


def test_what_comes_later_is_refused_by_name(make_cluster):
    c = make_cluster(options={"redis.modules": "bloom"})
    done = c.cli("check", "-c", c.ini, check=False)
    assert done.returncode == 78
    assert "redis.modules" in done.stderr + done.stdout


def test_other_numbers_of_instances(make_cluster):
    c = make_cluster(options={"redis.instances": 2, "sentinel.instances": 1, "http.listen": "none", "proxy.workers": 2}).start()
    assert sorted(i["name"] for i in c.instances()) == ["proxy-1", "proxy-2", "redis-1", "redis-2", "sentinel-1"]
    assert c.proxy().set("k", "v")
    old = c.master()
    c.kill(old)
    c.wait_master_is_not(old)
    c.wait_agreed()
    assert c.proxy().get("k") == b"v"


def test_a_unix_socket_for_the_proxy(make_cluster):
    c = make_cluster()
    path = c.case / "p.sock"
    c.options["proxy.listen"] = f"127.0.0.1:{c.ports.proxy}, unix:{path}"
    c.write_options()
    c.start()
    client = redis.Redis(unix_socket_path=str(path))
    assert client.set("k", "v") and c.proxy().get("k") == b"v"
    client.close()
    # Not what the umask leaves: its user and group, until it is said otherwise.
    assert path.stat().st_mode & 0o777 == 0o660
    c.options["proxy.unix_mode"] = "666"
    c.write_options()
    c.cli("reload")
    assert path.stat().st_mode & 0o777 == 0o666
    c.kill_supervisor()
    c.options["proxy.unix_mode"] = "600"
    c.write_options()
    c.start()
    assert path.stat().st_mode & 0o777 == 0o600
    assert c.stop() == 0
    assert not path.exists()


def test_what_is_announced_to_clients_is_shown_and_checked(make_cluster):
    c = make_cluster(options={"proxy.announce": "redis.example.org:16380", "http.announce": "tls:shop.example.org:443"})
    c.start()
    assert {k: [d["at"] for d in v] for k, v in c.status()["doors"].items()} == {
        "proxy.listen": ["redis.example.org:16380"], "http.listen": ["tls:shop.example.org:443"]}
    assert "redis.example.org:16380 on " in c.cli("status").stdout
    for name, answer in ((b"shop.example.org", b"HTTP/1.1 200 "), (b"other.example.org", b"HTTP/1.1 403 ")):
        with socket.create_connection(("127.0.0.1", c.ports.http)) as s:
            s.sendall(b"GET /PING HTTP/1.1\r\nHost: " + name + b"\r\nConnection: close\r\n\r\n")
            assert s.makefile("rb").readline().startswith(answer)
    del c.options["http.announce"]
    announced = ["[2001:db8::1]:6380", *(f"a-long-name-of-door-{n}.of-a-long-domain.example.org:6380" for n in range(15))]  # as many as there may be
    c.options["proxy.announce"] = ", ".join(announced)
    c.write_options()
    c.cli("reload")
    doors = c.status()["doors"]
    assert [d["at"] for d in doors["proxy.listen"]] == announced
    assert [d["at"] for d in doors["http.listen"]] == [f"127.0.0.1:{c.ports.http}"]  # where it listens
    for wrong, told in (({"proxy.announce": "unix:/run/x"}, "clients elsewhere need HOST:PORT"), ({"http.announce": "0.0.0.0:80"}, "no address to connect to"),
                        ({"proxy.read_announce": "203.0.113.1:6390"}, "without proxy.read_listen"), ({"proxy.announce": "203.0.113.1"}, "proxy.announce")):
        bad = make_cluster(options=wrong)
        done = bad.cli("check", "-c", bad.ini, check=False)
        assert done.returncode == 78 and told in done.stderr + done.stdout, done
