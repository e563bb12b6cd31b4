"""Several hosts whose configurations contradict each other, or what a host knows from its last run: each says what is wrong, and nothing is decided by mistake."""
import re
import secrets

import pytest

from hosts import Hosts
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("hosts_differ")


def reason(host, *words):
    """A reason with all these words, once it is there."""
    return wait_until(lambda: next((r for r in (host.status(check=False) or {"reasons": []})["reasons"] if all(w in r for w in words)), None),
                      f"the reason {words} on {host.name}")


def test_another_secret_is_named_on_both_sides(make_cluster):
    """Failed before: both said that the other cannot be reached."""
    hosts = Hosts(make_cluster)
    a, b, c = hosts.all
    other = make_cluster.folder("other") / "secret"
    other.write_text(secrets.token_hex(32))
    other.chmod(0o600)
    c.ini.write_text(re.sub("secret = .*", f"secret = @{other}", c.ini.read_text()))
    c.start(wait=False)
    a.start(wait=False)
    b.start(wait=False)
    hosts.wait_agreed([a, b], "degraded")
    reason(c, "waits for a majority", "holdfast.secret has to be the same on all hosts")
    reason(a, "host c cannot be reached", "holdfast.secret has to be the same on all hosts")
    for h in (a, c):
        assert "it does not take this host's secret" in h.run.err
        assert hosts.secret not in h.run.err and other.read_text() not in h.run.err


def test_a_host_with_tls_among_hosts_without(make_cluster):
    """Failed before: each said that the other cannot be reached, or that it did not answer in time."""
    hosts = Hosts(make_cluster)
    a, b, c = hosts.all
    folder = make_cluster.folder("tls")
    a.cli("cert", folder / "made", *[f"{h.name}={h.address}" for h in hosts.all])
    made = folder / "made"
    c.ini.write_text(c.ini.read_text() + f"[redis]\ntls_ca = {made}/ca.crt\ntls_cert = {made}/c.crt\ntls_key = {made}/c.key\n")
    for h in (a, b, c):
        h.start(wait=False)
    hosts.wait_agreed([a, b], "degraded")
    reason(c, "host a cannot be reached", "does it listen without TLS?")
    assert "does it listen without TLS?" in c.wait_event("host.lost", "a")["text"]
    reason(a, "host c cannot be reached", "does it listen for TLS only?")


def test_a_supervisor_that_is_gone_is_named(make_cluster):
    """Failed before: its servers went on, so that all was called ready, and a rolling restart waited a minute for it."""
    hosts = Hosts(make_cluster)
    hosts.start()
    master = hosts.wait_agreed()
    gone, asked = hosts.but(master)
    gone.kill_supervisor()
    for h in (master, asked):
        reason(h, f"the supervisor of host {gone.name} is not heard")
    wait_until(lambda: asked.status()["state"] == "degraded", "degraded")
    done = asked.cli("restart", "--rolling", check=False)
    assert done.returncode == 3 and f"the supervisor of host {gone.name} is not heard" in done.stderr, done
    gone.start(wait=False)
    assert hosts.wait_agreed() is master


def test_the_check_says_that_this_is_another_host(make_cluster):
    """The file with another host's name. Failed before: to choose 127.0.0.1 was what it proposed."""
    hosts = Hosts(make_cluster)
    c = hosts["c"]
    c.ini.write_text(c.ini.read_text().replace(f"[peer-c]\naddress = {c.address}", "[peer-c]\naddress = 192.0.2.77"))
    done = c.cli("check", "-c", c.ini, "-s", "holdfast.node=c", check=False)
    assert done.returncode == 78 and "192.0.2.77 is no address of this host: is it the host c (holdfast.node)?" in done.stderr, done


def test_a_host_does_not_go_on_alone_by_mistake(make_cluster):
    """Failed before: with the sections of the others gone it was a majority by itself, and took writes as a second master."""
    hosts = Hosts(make_cluster)
    hosts.start()
    master = hosts.wait_agreed()
    rest = hosts.but(master)
    lone = rest[0]
    text = lone.ini.read_text()
    lone.stop()
    for wanted in ([lone.name], []):
        names = [h.name for h in hosts.all if h.name not in wanted]
        lone.ini.write_text(re.sub(rf"\[peer-[{''.join(names)}]\]\naddress = .*\n", "", text))
        lone.start(wait=False)
        assert lone.run.wait() == 1
        assert all(f"{w}" in lone.run.err for w in (f"{master.name}, {rest[1].name}", "state.db")), lone.run.err
    lone.ini.write_text(text)
    lone.start(wait=False)
    assert hosts.wait_agreed() is master
    # those that are gone for good are given up in the words of that message
    for h in hosts.all:
        h.stop() if h is lone else hosts.kill_host(h)
    lone.ini.write_text(re.sub(rf"\[peer-[{master.name}{rest[1].name}]\]\naddress = .*\n", "", text))
    for name in ("state.db", "sentinel-1"):
        (lone.dir / name).rename(lone.dir / f"{name}.old")
    lone.start(wait=False)
    assert hosts.wait_agreed([lone]) is lone
