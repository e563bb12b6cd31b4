"""
Several hosts behind a translation of addresses, as with containers whose ports are published: each server listens at an inner address only and is reached by
all others, and by its own host, at another address and port. Network namespaces and iptables need root; without them this is skipped, and says so.
"""
import shutil
import subprocess

import pytest

from harness import Cases
from hosts import NAMES, Hosts
from netlab import Lab, Unable
from waiting import wait_until
from wire import WireError

pytestmark = pytest.mark.xdist_group("hosts_nat")

OFFSET = 1000


def inner(number):
    return f"192.168.77.{number}"


def translate(lab, number, ports):
    """From outside, and from this host itself: ADDRESS:PORT + OFFSET leads to INNER:PORT."""
    if shutil.which("iptables") is None:
        raise Unable("translation of addresses needs iptables")
    for port in ports:
        for chain in ("PREROUTING", "OUTPUT"):
            done = subprocess.run([*lab.runner(number), "iptables", "-w", "-t", "nat", "-A", chain, "-p", "tcp", "-d", lab.address(number), "--dport",
                                   str(port + OFFSET), "-j", "DNAT", "--to-destination", f"{inner(number)}:{port}"], capture_output=True, text=True)
            if done.returncode != 0:
                raise Unable(f"iptables: {done.stderr.strip()}")
    subprocess.run([*lab.runner(number), "ip", "addr", "add", f"{inner(number)}/32", "dev", "lo"], check=True)


@pytest.fixture
def hosts(request):
    try:
        lab = Lab(3)
    except Unable as e:
        pytest.skip(str(e))
    cases = Cases(request.node.name)
    faults = []
    try:
        hosts = Hosts(cases, lab=lab, options={"proxy.durability": 1})
        p = hosts.ports
        hosts.published = OFFSET
        for h in hosts.all:
            try:
                translate(lab, h.number, (p.redis, p.sentinel))
            except Unable as e:
                pytest.skip(str(e))
            h.options.update({f"peer-{n}.redis_port": p.redis + OFFSET for n in NAMES[:3]})
            h.options.update({f"peer-{n}.sentinel_port": p.sentinel + OFFSET for n in NAMES[:3]})
            h.options.update({"redis.bind": inner(h.number), "sentinel.bind": inner(h.number)})
            hosts.write_file(h.ini, h.options)
        yield hosts.start()
        faults = cases.finish(failed=False)
    finally:
        for c in cases.clusters:
            c.close()
        lab.close()
    if faults:
        pytest.fail("after the test:\n" + "\n".join(faults), pytrace=False)


def others_know(hosts, h, master):
    """Its sentinel knows all other servers where they are reached, and each of them answers there."""
    s = h.sentinel("sentinel-1", username="holdfast", password=hosts.secret)
    p, known = hosts.ports, {}
    for kind, found in (("redis", s.sentinel_slaves("main")), ("sentinel", s.sentinel_sentinels("main"))):
        known[kind] = {(one["ip"], one["port"]) for one in found if not one["is_odown"] and not {"s_down", "disconnected"} & set(one["flags"].split(","))}
    wanted = {"redis": {(o.address, p.redis + OFFSET) for o in hosts.but(master)}, "sentinel": {(o.address, p.sentinel + OFFSET) for o in hosts.but(h)}}
    return known == wanted


def test_servers_are_reached_at_other_ports_than_they_listen_at(hosts):
    """Seen to fail without the port that a redis announces, and without that of a sentinel."""
    master = hosts.wait_agreed()
    for h in hosts.all:
        wait_until(lambda h=h: others_know(hosts, h, master), f"{h.name}'s sentinel knows where the others are")
    for h in hosts.all:  # what clients and other sentinels are told
        assert h.sentinel_masters() == {"sentinel-1": (master.address, hosts.ports.redis + OFFSET)}
        assert h.redis().config_get("port")["port"] == str(hosts.ports.redis)
        assert h.status()["master"]["port"] == hosts.ports.redis + OFFSET
    wire = hosts.but(master)[0].wire()
    assert wire("SET", "k", "1") == "OK"
    target = hosts.but(master)[1]
    master.cli("failover", "--to", target.name)
    assert hosts.wait_agreed() is target
    target.kill("redis-1")
    wait_until(lambda: wire("SET", "k", "2") == "OK", "a write", ignore=(WireError,))
    now = hosts.wait_agreed()
    assert now is not target
    for h in hosts.all:
        wait_until(lambda h=h: others_know(hosts, h, now), f"{h.name}'s sentinel knows where the others are")
