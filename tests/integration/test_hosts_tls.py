"""
Several hosts with TLS between them: all that test_hosts.py does without it, in short, and that nothing goes in plain text or to strangers. Namespaces
need root; without it the test that looks at the wire is skipped, and says so.
"""
import socket
import ssl
import subprocess
import sys
import time

import pytest
import redis

from harness import Cases
from hosts import PATIENT_S, Hosts, all_back, finish_module, outlive_master_process
from netlab import Lab, Unable
from waiting import wait_until
from wire import Http, Wire, WireError

pytestmark = pytest.mark.xdist_group("hosts")


@pytest.fixture(scope="module")
def _hosts(request):
    cases = Cases(request.node.name)
    hosts = Hosts(cases, options={"proxy.durability": 1, "http.allow_open": "yes"}, tls=True)
    for h in hosts.all:
        h.options.update({"http.listen": f"{h.address}:{h.ports.http}", "proxy.read_listen": f"{h.address}:{h.ports.extra + 1}"})
        hosts.write_file(h.ini, h.options)
    yield hosts.start()
    finish_module(cases)


@pytest.fixture
def hosts(_hosts):
    return all_back(_hosts)


def plain_answer(address, port):
    with socket.create_connection((address, port), timeout=5) as s:
        s.sendall(b"PING\r\n")
        try:
            return s.recv(100)
        except ConnectionResetError:
            return b""


def test_nobody_comes_in_plain_or_without_a_certificate(hosts):
    h = hosts.all[0]
    for port in (hosts.ports.redis, hosts.ports.sentinel):
        assert b"PONG" not in plain_answer(h.address, port)
        with pytest.raises((redis.ConnectionError, OSError)):
            redis.Redis(host=h.address, port=port, ssl=True, ssl_ca_certs=str(hosts.tls / "ca.crt")).ping()
        with pytest.raises(ssl.SSLCertVerificationError):  # and what they show is theirs
            ssl.create_default_context().wrap_socket(socket.create_connection((h.address, port)), server_hostname=h.address)
    assert h.redis().config_get("port")["port"] == "0"
    assert h.redis().config_get("tls-auth-clients")["tls-auth-clients"] == "yes"


def test_reads_come_from_the_replica_of_the_same_host(hosts):
    def served_by(host):
        found = set()
        for _ in range(6):
            with Wire(host.ports.extra + 1, host=host.address) as w:
                info = dict(line.split(":", 1) for line in w("INFO").decode().splitlines() if ":" in line)
                found.add(info["run_id"])
        return found

    master = hosts.wait_agreed()
    for h in hosts.but(master):
        wait_until(lambda h=h: served_by(h) == {h.redis().info("server")["run_id"]}, f"only {h.name}'s own serves there")
    # the master's host has none: both of the others serve there
    wait_until(lambda: served_by(master) == {h.redis().info("server")["run_id"] for h in hosts.but(master)}, "both others serve there")


def test_people_and_workers_elsewhere_come_in_with_one(hosts):
    h = hosts.all[0]
    assert h.cli("cli", "redis-1", "PING").stdout == h.cli("cli", "sentinel-1", "PING").stdout == "PONG\n"
    port = h.ports.extra
    words = [w for k, v in hosts.tls_options("b").items() for w in ("-s", f"{k}={v}")]
    run = h.spawn(h.program, "proxy", "--sentinel", f"tls:{h.address}:{hosts.ports.sentinel}", *words, "-s", f"proxy.listen={h.address}:{port}",
                  label="alone")
    wait_until(lambda: Wire(port, host=h.address)("SET", "alone", "1") == "OK", "the worker alone serves", ignore=(OSError, WireError))
    run.signal(15)
    run.wait()


def test_every_door_of_every_host_leads_through(hosts):
    master = hosts.wait_agreed()
    assert master.wire()("SET", "door", "1") == "OK"
    for h in hosts.all:
        with Http(h.ports.http, host=h.address) as web:
            assert web.get("/GET/door").json == {"GET": "1"}
        read = Wire(h.ports.extra + 1, host=h.address)
        wait_until(lambda read=read: read("GET", "door") == b"1", "the read door")


def test_a_master_process_that_dies(hosts, measured):
    outlive_master_process(hosts, measured)


def test_a_switchover_and_a_host_that_dies_and_comes_back(hosts, measured):
    master = hosts.wait_agreed()
    target, third = hosts.but(master)
    load = hosts.history([third, target], prefix="switch", timeout=PATIENT_S).start()
    load.wait_progress()
    third.cli("failover", "--to", target.name)
    load.wait_progress()
    assert hosts.wait_agreed() is target
    assert load.unknown == [[], []], load.unknown
    hosts.kill_host(target)
    load.wait_progress()
    now = hosts.wait_agreed(hosts.but(target), "degraded")
    target.start(wait=False)
    assert hosts.wait_agreed() is now
    load.wait_progress()
    load.stop()
    assert load.check(now.redis()) == ([], [], [])
    assert load.check(target.redis()) == ([], [], [])
    measured(f"{load.count()} acknowledged, none lost")


def shown(hosts, h, port):
    """The serial number of the certificate that is shown there."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"{h.address}:{port}", "-CAfile", hosts.tls / "ca.crt"], input="", capture_output=True,
                          text=True, timeout=20)
    return subprocess.run(["openssl", "x509", "-noout", "-serial"], input=done.stdout, capture_output=True, text=True, check=True).stdout


def test_a_renewed_certificate_is_taken_up_at_a_reload(hosts):
    h = hosts.all[0]
    ports = hosts.ports.redis, hosts.ports.sentinel
    before = [shown(hosts, h, p) for p in ports]
    wire = h.wire()
    assert wire("SET", "renewed", "1") == "OK"
    h.cli("cert", "--renew", hosts.tls, f"{h.name}={h.address}")
    assert "redis.tls_cert" in h.cli("reload").stdout
    for port, old in zip(ports, before):
        wait_until(lambda port=port, old=old: shown(hosts, h, port) != old, "the new certificate", ignore=(subprocess.CalledProcessError,))
    assert wire("GET", "renewed") == b"1"
    hosts.wait_agreed()


def test_half_of_the_files_is_refused(hosts):
    h = hosts.all[0]
    done = h.cli("check", "-c", h.ini, "-s", "redis.tls_key=none", *h.args, check=False)
    assert done.returncode == 78 and "redis.tls_key" in done.stderr, done


def start_plain(make_cluster, **options):
    """Hosts without TLS that have the files for it; gives them and where those are."""
    hosts = Hosts(make_cluster, tls=True, **options)
    files, hosts.tls = hosts.tls, None
    for h in hosts.all:
        h.options = {k: v for k, v in h.options.items() if not k.startswith("redis.tls")}
        hosts.write_file(h.ini, h.options)
    return hosts.start(), files


@pytest.mark.parametrize("durability", ["none", "1"])
def test_tls_begins_and_ends_while_all_runs(make_cluster, measured, durability):
    """Failed before: a reload with other redis.tls_* was refused, and all hosts had to be stopped for it."""
    hosts, files = start_plain(make_cluster, options={"proxy.durability": durability})
    pids = {h.name: h.run.pid for h in hosts.all}
    load = hosts.history(prefix="tls", timeout=PATIENT_S).start()
    load.wait_progress()
    master = hosts.wait_agreed()
    for to in (files, None):
        begun = time.monotonic()
        for h in hosts.all:
            hosts.tls = files
            hosts.write_file(h.ini, {**h.options, **(hosts.tls_options(h.name) if to else {})})
            h.cli("reload")
        hosts.tls = to
        for h in hosts.all:
            h.by_port.clear()
        assert hosts.wait_agreed() is master
        load.wait_progress()
        assert (b"PONG" in plain_answer(master.address, hosts.ports.sentinel)) == (to is None)
        measured(f"TLS {'begins' if to else 'ends'}: longest pause of the writers {load.longest_gap_ms(begun):.0f} ms")
    load.stop()
    assert load.unknown == [[], []], load.unknown
    assert load.check(master.redis()) == ([], [], [])
    assert {h.name: h.run.pid for h in hosts.all} == pids and all(h.run.exit is None for h in hosts.all)


def test_tls_waits_for_all_hosts_with_the_same_authority(make_cluster):
    hosts, files = start_plain(make_cluster, count=2)
    a, b = hosts.all
    hosts.tls = files
    hosts.write_file(a.ini, {**a.options, **hosts.tls_options("a")})
    assert a.cli("reload").stdout.endswith("on: b\n")
    other = b.case / "other"
    b.cli("cert", other, f"b={b.address}")
    hosts.write_file(b.ini, {**b.options, "redis.tls_ca": other / "ca.crt", "redis.tls_cert": other / "b.crt", "redis.tls_key": other / "b.key"})
    assert b.cli("reload").stdout.endswith("on: a\n")
    for h in hosts.all:  # and is taken back
        hosts.write_file(h.ini, h.options)
        assert "nothing has changed" in h.cli("reload").stdout
    hosts.tls = None
    hosts.wait_agreed()
    assert not [e for h in hosts.all for e in h.events() if e["kind"] == "supervisor.upgraded"]


CAPTURE = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind((sys.argv[1], 0))
print("ready", flush=True)
marker, total, seen = sys.argv[2].encode(), 0, False
while True:
    frame = s.recv(70000)
    total += len(frame)
    if marker in frame:
        print("seen", flush=True)
    if b"the-end-of-it" in frame:
        print("bytes", total, flush=True)
"""


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_nothing_is_to_be_read_on_the_wire(request, tls):
    """A value written on the master's host is nowhere on the network, and that of a cluster without TLS is."""
    try:
        lab = Lab(3)
    except Unable as e:
        pytest.skip(str(e))
    cases = Cases(request.node.name)
    try:
        hosts = Hosts(cases, lab=lab, tls=tls, options={"proxy.durability": 1}).start()
        master = hosts.wait_agreed()
        run = master.spawn("ip", "netns", "exec", lab.switch, sys.executable, "-I", "-S", "-c", CAPTURE, f"v{master.number}", "a-marker-of-ours",
                           label="capture")
        wait_until(lambda: "ready" in run.out, "the capture")
        for value in ("a-marker-of-ours", "x"):
            done = subprocess.run([*lab.runner(master.number), "redis-cli", "-h", master.address, "-p", str(hosts.ports.proxy), "SET", "k", value],
                                  capture_output=True, text=True, timeout=20)
            assert done.stdout == "OK\n", done  # a replica has it: proxy.durability
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            wait_until(lambda: s.sendto(b"the-end-of-it", (master.address, 9)) and "bytes" in run.out, "the end of the capture")
        assert ("seen" in run.out) == (not tls), run.out
        for h in hosts.but(master) if tls else []:  # from another host, too: no plain port
            asked = subprocess.run([*lab.runner(h.number), "redis-cli", "-h", master.address, "-p", str(hosts.ports.redis), "PING"],
                                   capture_output=True, text=True, timeout=20)
            assert "PONG" not in asked.stdout, asked
        run.signal(9)
    finally:
        faults = cases.finish(failed=False)
        lab.close()
    assert faults == []
