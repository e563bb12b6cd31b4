"""Several hosts of which one lacks a module of the master: it says so, and does not become master."""
from pathlib import Path

import pytest

from harness import Cases
from hosts import Hosts
from waiting import wait_until

SEARCH = Path("/usr/lib/redis/modules/redisearch.so")
pytestmark = [pytest.mark.xdist_group("hosts_modules"),
              pytest.mark.skipif(not SEARCH.exists(), reason="no RediSearch here (Debian: redis-redisearch)")]


@pytest.fixture
def hosts(request):
    cases = Cases(request.node.name)
    hosts = Hosts(cases, options={"redis.modules": SEARCH})
    c = hosts["c"]
    del c.options["redis.modules"]
    hosts.write_file(c.ini, c.options)
    yield hosts
    faults = cases.finish(failed=False)
    if faults:
        pytest.fail("after the test:\n" + "\n".join(faults), pytrace=False)


def test_a_host_without_the_masters_module_does_not_become_master(hosts):
    a, b, c = hosts.all
    for h in (a, b):
        h.start(wait=False)
    master = hosts.wait_agreed([a, b], "degraded")
    other = a if master is b else b
    c.start(wait=False)

    def says_so():
        return any("has not loaded the module" in r for r in (c.status(check=False) or {"reasons": []})["reasons"])

    wait_until(says_so, "c says what it lacks")
    assert c.wait_event("module.missing", "redis-1")
    wait_until(lambda: c.redis().config_get("replica-priority")["replica-priority"] == "0", "c is not to be promoted")
    refused = master.cli("failover", "--to", "c", check=False)
    assert refused.returncode == 1 and "priority" in refused.stderr, refused
    # whoever leads, and whatever c would like
    hosts.kill_host(master)
    wait_until(lambda: other.redis().execute_command("ROLE")[0] == b"master", "the one that has it")
    assert hosts.wait_agreed([other, c], "degraded") is other
    wait_until(says_so, "c says so of the new master, too")
