"""Hosts that join a cluster that runs, and leave it: one host becomes three and one again, while writers go on; the token that lets a host in."""
import os
import re
import signal
import socket
import time

import pytest
import redis

from hosts import PATIENT_S, Hosts
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("hosts_grow")

TOKEN = re.compile(r"holdfast-[0-9a-f]{64}")


class Invitation:
    def __init__(self, hosts, host, name, address, *more, port=None):
        self.host, self.port = host, port or hosts.ports.extra
        ca = ["--ca", hosts.tls] if hosts.tls else []
        self.run = host.spawn(host.program, "invite", "-c", host.ini, "-d", host.dir, *host.args, "--port", self.port, *ca, *more,
                              f"{name}={address}", label="invite")
        wait_until(lambda: TOKEN.search(self.run.out) or self.run.exit is not None, "the token")
        self.token = TOKEN.search(self.run.out).group() if self.run.exit is None else None

    def join(self, newcomer, ini, token=None, env=None, check=True):
        stdin = None if env else (token or self.token) + "\n"
        done = newcomer.cli("join", "-c", ini, f"{self.host.address}:{self.port}", stdin=stdin, env=env, check=False)
        assert not check or done.returncode == 0, (done, self.run.err)
        return done

    def end(self):
        self.run.signal(signal.SIGTERM)
        self.run.wait()


def set_peers(hosts, host, names):
    """What an operator edits: the sections of the hosts that there are."""
    text = re.sub(r"\[peer-\w+\]\naddress = .*\n", "", host.ini.read_text())
    host.ini.write_text(text + "".join(f"[peer-{n}]\naddress = {hosts[n].address}\n" for n in names))


def join(hosts, by, newcomer, members):
    """From the invitation until it counts everywhere."""
    newcomer.ini.unlink()
    invitation = Invitation(hosts, by, newcomer.name, newcomer.address)
    env = {"HOLDFAST_TOKEN": invitation.token} if newcomer.name == "c" else None
    invitation.join(newcomer, newcomer.ini, env=env)
    assert invitation.run.wait() == 0, invitation.run.err
    assert oct(newcomer.ini.stat().st_mode)[-3:] == "600"
    newcomer.args = []  # its file says who it is
    newcomer.start(wait=False)
    for h in members:
        set_peers(hosts, h, [m.name for m in [*members, newcomer]])
        wait_until(lambda h=h: h.cli("reload", check=False).returncode == 0, f"{newcomer.name} counts on {h.name}", 60)
        assert h.wait_event("host.added", newcomer.name)
    hosts.wait_agreed([*members, newcomer])


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_one_host_becomes_three_and_one_again(make_cluster, measured, tls):
    hosts = Hosts(make_cluster, tls=tls)
    a, b, c = hosts.all
    set_peers(hosts, a, "a")
    a.start(wait=False)
    assert hosts.wait_agreed([a]) is a
    load = hosts.history([a], prefix="grow", timeout=PATIENT_S).start()
    load.wait_progress()
    join(hosts, a, b, [a])
    load.wait_progress()
    assert a.redis().config_get("min-replicas-to-write")["min-replicas-to-write"] == "1"
    join(hosts, b, c, [a, b])
    load.wait_progress()
    assert a.status()["master"]["node"] == "a" and len(a.status()["hosts"]) == 3
    if not tls:
        # two of three are a majority: the third one counts
        b.kill_everything()
        load.wait_progress()
        b.start(wait=False)
        hosts.wait_agreed()
    # the master's host cannot be taken out, nor two at once, nor this very one
    for names, told in (("bc", "none of the peers is this host"), ("a", "one at a time")):
        set_peers(hosts, a, names)
        done = a.cli("reload", check=False)
        assert done.returncode == 78 and told in done.stderr, done
    set_peers(hosts, b, "bc")
    assert "hand over first" in b.cli("reload", check=False).stderr
    for names in ("ab", "a"):
        leaver = hosts[{"ab": "c", "a": "b"}[names]]
        for name in names:
            set_peers(hosts, hosts[name], names)
            hosts[name].cli("reload")
            assert hosts[name].wait_event("host.removed", leaver.name)
        load.wait_progress()
        leaver.stop()
        hosts.wait_agreed([hosts[n] for n in names])
        # and the sentinels forget whom they do not see any more
        wait_until(lambda names=names: all(
            hosts[n].sentinel("sentinel-1").execute_command("SENTINEL MASTER", "main")["num-other-sentinels"] == len(names) - 1 for n in names),
            "the sentinels know those who are there", 60, ignore=(Exception,))
        load.wait_progress()
    assert a.redis().config_get("min-replicas-to-write")["min-replicas-to-write"] == "0"
    load.stop()
    assert load.unknown == [[], []], load.unknown
    assert load.check(a.redis()) == ([], [], [])
    measured(f"{load.count()} acknowledged, none lost, none refused")


def start_default(hosts, **more):
    """The first host as `holdfast run` makes it by default: three servers and three sentinels on the loopback address, a secret of its own."""
    a, p = hosts.all[0], hosts.ports
    a.args = []
    hosts.write_file(a.ini, {"holdfast.node": "a", "redis.port": p.redis, "redis.allow_open": "yes", "sentinel.port": p.sentinel,
                             "sentinel.down_after_ms": 2000, "sentinel.failover_timeout_ms": 3000, "http.listen": "none",
                             "proxy.listen": f"{a.address}:{p.proxy}", "proxy.allow_open": "yes", **more})
    a.start()
    hosts.secret = (a.dir / "secret").read_text().strip()
    return a


def servers(host):
    """Kind and address of each server that there is."""
    return sorted((i["name"], i["host"]) for i in host.status()["instances"] if i["kind"] in ("redis", "sentinel"))


ALONE = sorted((f"{kind}-{n}", "127.0.0.1") for kind in ("redis", "sentinel") for n in (1, 2, 3))


def become_several(hosts, a):
    a.ini.write_text(a.ini.read_text() + f"[holdfast]\nsecret = @{a.dir}/secret\n[peer-a]\naddress = {a.address}\n")

    def taken_up():
        done = a.cli("reload", check=False, timeout=120)
        # what is under way may be seen as ready between two of its steps
        assert done.returncode == 0 or "nothing else is under way" in done.stderr, done
        return done.returncode == 0

    wait_until(taken_up, "the reload is taken up", 60)
    assert hosts.wait_agreed([a]) is a


def become_alone(a):
    text = re.sub(r"\[peer-a\]\naddress = .*\n|secret = .*\n", "", a.ini.read_text())
    a.ini.write_text(text)
    a.cli("reload", timeout=120)
    wait_until(lambda: servers(a) == ALONE, "all servers where they were", 120, ignore=(AssertionError, KeyError))
    a.wait_ready(120)


def sentinels_know(host, replicas, others):
    """Each of them so many, dead ones included."""
    def known():
        for i in host.status()["instances"]:
            if i["kind"] == "sentinel":
                with redis.Redis(host=i["host"], port=i["port"]) as client:
                    m = client.execute_command("SENTINEL MASTER", "main")
                if (m["num-slaves"], m["num-other-sentinels"]) != (replicas, others):
                    return False
        return True

    wait_until(known, f"the sentinels know {replicas} replicas and {others} others", 120, ignore=(Exception,))


@pytest.mark.parametrize("master", ["redis-1", "redis-3"])
def test_a_host_as_it_is_by_default_becomes_three_and_one_again(make_cluster, measured, master):
    """Failed before: the reload said that a host becomes one of several with a start, so that writes stopped for it."""
    hosts = Hosts(make_cluster)
    a, b, c = hosts.all
    start_default(hosts)
    if master != "redis-1":
        a.cli("failover", "--to", master)
    pid = a.run.pid
    load = hosts.history([a], prefix="grow", timeout=PATIENT_S).start()
    load.wait_progress()
    since = time.monotonic()
    become_several(hosts, a)
    load.wait_progress()
    gap = load.longest_gap_ms(since)
    assert servers(a) == [("redis-1", a.address), ("sentinel-1", a.address)]
    join(hosts, a, b, [a])
    join(hosts, b, c, [a, b])
    load.wait_progress()
    assert a.redis().config_get("min-replicas-to-write")["min-replicas-to-write"] == "1"
    # and again: the others leave, then it is none of several
    for names in ("ab", "a"):
        leaver = hosts[{"ab": "c", "a": "b"}[names]]
        for name in names:
            set_peers(hosts, hosts[name], names)
            hosts[name].cli("reload")
        leaver.stop()
        hosts.wait_agreed([hosts[n] for n in names])
    load.wait_progress()
    since = time.monotonic()
    become_alone(a)
    load.wait_progress()
    gaps = f"longest pause {gap:.0f} ms, and {load.longest_gap_ms(since):.0f} ms back"
    sentinels_know(a, replicas=2, others=2)
    a.cli("failover")  # all three sentinels take orders again, from us alone
    a.wait_ready()
    load.stop()
    assert load.unknown == [[], []], load.unknown
    at = a.status()["master"]
    with redis.Redis(host=at["host"], port=at["port"]) as client:
        assert load.check(client) == ([], [], [])
    assert a.run.pid == pid and a.run.exit is None
    measured(f"{load.count()} acknowledged, none lost, none refused; {gaps}")


def test_what_stands_against_becoming_one_of_several_is_said_before(make_cluster):
    hosts = Hosts(make_cluster)
    a = start_default(hosts)
    before = a.ini.read_text()
    load = hosts.history([a], writers=1, timeout=PATIENT_S).start()
    peer, secret = f"[peer-a]\naddress = {a.address}\n", f"[holdfast]\nsecret = @{a.dir}/secret\n"
    taken = socket.create_server((a.address, hosts.ports.sentinel))  # whoever begins anew could not
    a.ini.write_text(before + secret + peer)
    done = a.cli("reload", check=False)
    assert done.returncode == 78 and "sentinel-1 is to be there" in done.stderr, done
    taken.close()
    for more, told in ((secret + peer + f"[peer-b]\naddress = {hosts.all[1].address}\n", "of its own"),
                       (f"[holdfast]\nsecret = {'x' * 64}\n" + peer, "holdfast.secret"),
                       (secret + "[peer-a]\naddress = 192.0.2.1\n", "redis-1 is to be there")):
        a.ini.write_text(before + more)
        done = a.cli("reload", check=False)
        assert done.returncode == 78 and told in done.stderr, done
    load.wait_progress()
    load.stop()
    assert load.unknown == [[]] and servers(a) == ALONE


def test_a_stopped_host_does_not_become_one_of_several_without_its_last_master(make_cluster):
    """Failed before: it began without redis-2, and with the older data of redis-1."""
    hosts = Hosts(make_cluster)
    a = start_default(hosts)
    a.cli("failover", "--to", "redis-2")
    a.stop()
    before = a.ini.read_text()
    a.ini.write_text(before + f"[holdfast]\nsecret = @{a.dir}/secret\n[peer-a]\naddress = {a.address}\n")
    a.start(wait=False)
    assert a.run.wait() == 1 and "redis-2 was the last master" in a.run.err
    a.ini.write_text(before)
    a.start()
    become_several(hosts, a)


def test_a_supervisor_that_dies_while_its_host_becomes_one_of_several(make_cluster):
    """Its servers and workers go on; it begins with the configuration of before, and then again."""
    hosts = Hosts(make_cluster)
    a = start_default(hosts)
    load = hosts.history([a], timeout=PATIENT_S).start()
    load.wait_progress()
    before = a.ini.read_text()
    a.ini.write_text(before + f"[holdfast]\nsecret = @{a.dir}/secret\n[peer-a]\naddress = {a.address}\n")
    a.spawn(a.program, "reload", "-d", a.dir, label="reload")
    a.wait_event("instance.moved", "redis-1")
    a.kill_supervisor()
    a.start(wait=False)
    assert a.run.wait() == 1 and "was the last master" in a.run.err  # with redis-1 alone it would lose what that has
    a.ini.write_text(before)
    a.start(timeout=120)
    assert servers(a) == ALONE
    become_several(hosts, a)
    load.wait_progress()
    load.stop()
    assert load.check(a.redis()) == ([], [], [])
    assert load.unknown == [[], []], load.unknown


def first_of_two(make_cluster):
    """Two hosts, of which the first is a cluster of one and the second does not run."""
    hosts = Hosts(make_cluster, count=2)
    a, b = hosts.all
    set_peers(hosts, a, "a")
    a.start(wait=False)
    hosts.wait_agreed([a])
    return hosts, a, b


def test_a_host_that_is_not_there_does_not_count(make_cluster):
    hosts, a, b = first_of_two(make_cluster)
    load = hosts.history([a], writers=1, timeout=PATIENT_S).start()
    set_peers(hosts, a, "ab")
    done = a.cli("reload", check=False)
    assert done.returncode == 3 and "b does not count" in done.stderr, done
    load.wait_progress()
    load.stop()
    assert load.unknown == [[]] and len(a.status()["hosts"]) == 1


def test_a_token_is_good_once_and_for_nobody_without_it(make_cluster):
    hosts = Hosts(make_cluster, count=2, options={"proxy.announce": "203.0.113.1:6380"})
    a, b = hosts.all
    set_peers(hosts, a, "a")
    a.start(wait=False)
    hosts.wait_agreed([a])
    b.ini.unlink()
    invitation = Invitation(hosts, a, "b", b.address)
    done = invitation.join(b, b.ini, token="holdfast-" + "0" * 64, check=False)
    assert done.returncode == 1 and "token" in done.stderr and not b.ini.exists(), done
    assert invitation.join(b, b.ini, token="nonsense", check=False).returncode == 2
    invitation.join(b, b.ini)
    assert invitation.run.wait() == 0 and "without the token" in invitation.run.err
    assert invitation.token not in (b.ini.read_text() + a.log("redis-1"))
    assert hosts.secret in b.ini.read_text() and "@" not in b.ini.read_text()
    # where clients reach the one that invites is not where they reach the other
    assert "announce" not in b.ini.read_text() and "proxy.announce" in invitation.run.err
    again = invitation.join(b, b.case / "again.ini", check=False)  # nobody waits any more
    assert again.returncode == 1 and "does `holdfast invite` run there?" in again.stderr, again
    # it is over with its time, and nothing that is there is written over
    late = Invitation(hosts, a, "b", b.address, "--seconds", "1")
    assert late.run.wait() == 1 and "in time" in late.run.err
    other = Invitation(hosts, a, "b", b.address)
    done = other.join(b, b.ini, check=False)
    assert done.returncode == 1 and "is there already" in done.stderr, done
    # nor is the token where others on the host could see it
    for pid in (other.run.pid, os.getpid()):
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            assert other.token.encode() not in f.read()
    other.end()


def test_a_join_that_fails_leaves_nothing_and_can_be_made_again(make_cluster):
    hosts = Hosts(make_cluster, count=2, tls=True)
    a, b = hosts.all
    set_peers(hosts, a, "a")
    a.start(wait=False)
    hosts.wait_agreed([a])
    b.ini.unlink()
    before = sorted(b.dir.rglob("*")) if b.dir.exists() else []
    invitation = Invitation(hosts, a, "b", b.address)
    done = invitation.join(b, b.case / "no-such-folder" / "holdfast.ini", check=False)
    assert done.returncode == 1 and "no-such-folder" in done.stderr, done
    assert invitation.run.wait() == 1, invitation.run.err
    assert (sorted(b.dir.rglob("*")) if b.dir.exists() else []) == before
    again = Invitation(hosts, a, "b", b.address)
    again.join(b, b.ini)
    assert again.run.wait() == 0 and (b.dir / "tls" / "host.key").exists()


def test_who_cannot_invite_says_why(make_cluster):
    alone = make_cluster()
    done = alone.cli("invite", "-c", alone.ini, "b=10.0.0.2", check=False)
    assert done.returncode == 1 and "[peer-" in done.stderr, done
    assert alone.cli("invite", "b=10.0.0.2", check=False).returncode == 2


def test_an_invitation_for_an_address_that_cannot_be_is_refused(make_cluster):
    """Failed before: a token was printed, and the host that came with it could not be told what was wrong."""
    hosts, a, b = first_of_two(make_cluster)
    set_peers(hosts, a, "ab")
    for address, told in ((b.address, f"a host at {b.address} already, b"), (f"{b.address}:26380", "without a port"), ("0.0.0.0", "write an IPv4"),
                          ("[::1]", "write an IPv4"), ("10.0.0.256", "write an IPv4"), ("a b", "write an IPv4")):
        refused = Invitation(hosts, a, "d", address)
        assert refused.token is None and refused.run.wait() == 1 and told in refused.run.err, refused.run.err


def test_a_host_that_is_given_nothing_is_told_why(make_cluster):
    """Failed before: the new host only said that the other end had closed the connection."""
    hosts, a, b = first_of_two(make_cluster)
    b.ini.unlink()
    invitation = Invitation(hosts, a, "b", b.address)
    hosts.secret_file.unlink()  # what its file names is written out for the other
    done = invitation.join(b, b.ini, check=False)
    assert done.returncode == 1 and "the other host says: " in done.stderr and str(hosts.secret_file) in done.stderr, done
    assert invitation.run.wait() == 1 and not b.ini.exists()
