"""
All hosts from any of them: what `status`, `events`, `logs`, start, stop and restart, and the same in the API, say of the other hosts, also while one of
them is dead or cut off; and the operator's page over three hosts.
"""
import base64
import json
import signal

import pytest

from browser import has_page, missing, prepare, scenario
from harness import Cases
from hosts import Hosts, all_back, finish_module
from netlab import Lab, Unable
from waiting import wait_until

pytestmark = pytest.mark.xdist_group("hosts")

KINDS = [("http", "http-1"), ("proxy", "proxy-1"), ("redis", "redis-1"), ("sentinel", "sentinel-1")]


def with_http(hosts):
    for h in hosts.all:
        h.options.update({"http.listen": f"{h.address}:{h.ports.http}", "http.allow_open": "yes", "user-ann.password": "a secret of ann's",
                          "user-ann.role": "operator"})
        hosts.write_file(h.ini, h.options)
    return hosts


@pytest.fixture(scope="module", params=["plain", "tls"])
def _hosts(request):
    cases = Cases(request.node.name)
    hosts = with_http(Hosts(cases, tls=request.param == "tls"))
    yield hosts.start()
    finish_module(cases)


@pytest.fixture
def hosts(_hosts):
    all_back(_hosts)
    wait_until(lambda: all(sees_all(h) for h in _hosts.all), "each host sees what runs on all")
    return _hosts


def api(host, method, path, body=None):
    with host.http() as h:
        word = base64.b64encode(b"ann:a secret of ann's").decode()
        answer = h.request(method, path, json.dumps(body) if body is not None else None, headers={"Authorization": f"Basic {word}"})
        return answer.status, json.loads(answer.body)


def seen(host, status=None):
    """{host: its instances}, as that host shows them."""
    status = status or host.status(check=False)
    return {h["name"]: status["instances"] if h["self"] else h["instances"] for h in status["hosts"]}


def sees_all(host):
    status = host.status(check=False)
    all_of = seen(host, status)
    return len(all_of) == 3 and all(sorted((i["kind"], i["name"]) for i in some) == KINDS for some in all_of.values()) and \
        all(i["state"] == "ready" and i["pid"] for some in all_of.values() for i in some) and \
        all(h["self"] or h["supervised"] and h["state"] == "ready" for h in status["hosts"]) and \
        all({i["name"]: i["pid"] for i in some} == host.hosts[name].pids() for name, some in all_of.items())  # not as they were before


def shown_as(host, name, states):
    """The other host as this one shows it, once its instances are shown in these states."""
    other = next(x for x in host.status(check=False)["hosts"] if x["name"] == name)
    return other if {i["name"]: i["state"] for i in other["instances"]} == states else None


def all_events(host, *words, n=1000):
    done = host.cli("events", "--json", "-n", n, *words)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_each_host_shows_all_instances(hosts):
    master = hosts.wait_agreed()
    for h in hosts.all:
        status = h.status()
        for name, instances in seen(h, status).items():
            redis = next(i for i in instances if i["kind"] == "redis")
            assert redis["role"] == ("master" if name == master.name else "replica"), (h.name, name, redis)
            # who runs there says its own host: the pids are the same
            assert {i["name"]: i["pid"] for i in instances} == hosts[name].pids(), (h.name, name)
        assert all(x["state"] == "ready" and x["version"] == status["version"] for x in status["hosts"] if not x["self"]), status["hosts"]
        code, shown = api(h, "GET", "/api/v1/status")
        assert code == 200 and sorted(seen(h, shown)) == ["a", "b", "c"]
        for other in hosts.all:
            code, one = api(h, "GET", f"/api/v1/instances/{other.name}%2Fproxy-1")
            assert (code, one["pid"]) == (200, other.instance("proxy-1")["pid"])
            # where that one listens says nothing here: failed before, this host's own proxy was asked
            code, said = api(h, "POST", "/api/v1/command", {"commands": [["CLIENT", "LIST"]], "target": f"{other.name}/proxy-1"})
            assert code == 200 if other is h else code == 400 and "on another host" in said["error"], said
        text = h.cli("status").stdout
        assert all(f"{o.name}/{i}" in text for o in hosts.but(h) for _, i in KINDS), text
    # replicas lag by what the master has and they have not, and an idle master's have everything
    for h in hosts.all:
        wait_until(lambda h=h: all(i["lag_bytes"] == (None if i["role"] == "master" else 0)
                                   for some in seen(h).values() for i in some if i["kind"] == "redis"), "replicas in step")


def test_each_host_shows_the_events_of_all(hosts):
    for h in hosts.all:
        h.cli("events", "-n", 1)
    everything = {h.name: h.events() for h in hosts.all}
    for h in hosts.all:
        events, said = all_events(h, n=10000)
        assert said == "", said
        assert {e["host"] for e in events} == {"a", "b", "c"}
        for name, own in everything.items():
            theirs = [e for e in events if e["host"] == name]
            assert theirs[:len(own)] == own, f"{h.name} shows other events of {name} than it has"
        assert all(a["time"] <= b["time"] for a, b in zip(events, events[1:]) if a["host"] != b["host"])
        # the last few of all
        few, _ = all_events(h, n=5)
        assert len(few) == 5 and max(e["time"] for e in events) <= max(e["time"] for e in few)
        only, _ = all_events(h, "--host", "b", n=3)
        assert [e["host"] for e in only] == ["b"] * 3
        assert "there is no host 'z'" in h.cli("events", "--host", "z", check=False).stderr
    text = hosts["a"].cli("events", "-n", 50).stdout.splitlines()
    assert {line.split()[1] for line in text} == {"a", "b", "c"}, "each line says its host"


def test_pages_of_events_are_all_events_once(hosts):
    a = hosts["a"]
    want = {(e["host"], e["id"]) for e in all_events(a, n=10000)[0]}
    got, place = [], None
    while True:
        code, page = api(a, "GET", "/api/v1/events?n=7" + (f"&older={place}" if place else ""))
        assert code == 200 and page["missing"] == [] and len(page["events"]) <= 7
        got = [(e["host"], e["id"]) for e in page["events"]] + got
        place = page["older"]
        if not page["more"]:
            break
    assert len(got) == len(set(got)) and want <= set(got)
    # from a place on: nothing, until something happens on another host
    code, page = api(a, "GET", "/api/v1/events?n=7")
    assert api(a, "GET", f"/api/v1/events?newer={page['newer']}")[1]["events"] == []
    hosts["b"].kill("proxy-1")
    wait_until(lambda: [e for e in api(a, "GET", f"/api/v1/events?newer={page['newer']}&kind=instance.exited")[1]["events"] if e["host"] == "b"],
               "the event of b")
    for query in ("older=x", "newer=a:", "host=z", "nonsense=1"):
        assert api(a, "GET", f"/api/v1/events?{query}")[0] == 400, query


def test_who_follows_hears_of_all_hosts(hosts):
    """Failed before: an event that was had from the host itself before its supervisor had told of it was told twice."""
    a, b = hosts["a"], hosts["b"]
    follower = a.spawn(*a.command("events", "-d", a.dir, "--json", "-n", "1", "-f"), label="follow")
    lines = lambda: [json.loads(x) for x in follower.out.splitlines()]
    wait_until(lines, "the first event")
    b.kill("proxy-1")
    wait_until(lambda: [e for e in lines() if e["host"] == "b" and e["kind"] == "instance.exited"], "the event of b, at a")
    wait_until(lambda: [e for e in lines() if e["host"] == "b" and e["kind"] == "instance.ready"], "the next one")
    ids = [(e["host"], e["id"]) for e in lines()]
    assert len(ids) == len(set(ids)), "no event twice"
    follower.signal(signal.SIGINT)
    follower.wait()


def test_who_would_take_over_is_known_on_each_host(hosts):
    """Failed before: where the master was another host's, nobody could hand over."""
    master = hosts.wait_agreed()
    for h in hosts.all:
        code, plan = api(h, "GET", "/api/v1/failover")
        assert code == 200 and plan["master"] == ("redis-1" if h is master else f"{master.name}/redis-1"), plan
        assert plan["to"] in ["redis-1" if o is h else f"{o.name}/redis-1" for o in hosts.but(master)], plan
        other = hosts.but(master)[0]
        code, plan = api(h, "GET", f"/api/v1/failover?to={other.name}")
        assert code == 200 and plan["to"] == ("redis-1" if other is h else f"{other.name}/redis-1"), plan


def test_instances_of_another_host_are_told(hosts):
    a, b = hosts["a"], hosts["b"]
    pid = b.instance("proxy-1")["pid"]
    assert a.cli("restart", "b/proxy-1").stdout == "b/proxy-1 was restarted and is ready\n"
    wait_until(lambda: b.instance("proxy-1")["state"] == "ready" and b.instance("proxy-1")["pid"] != pid, "another process")
    code, done = api(a, "POST", "/api/v1/instances/b%2Fsentinel-1/stop")
    assert (code, done["ok"]) == (200, True)
    assert b.instance("sentinel-1")["state"] == "stopped"
    wait_until(lambda: [i for i in seen(a)["b"] if i["name"] == "sentinel-1"][0]["wanted"] == "down", "a sees it stopped")
    # who did it stands in the history of the host where it was done
    event = b.wait_event("operator.asked", subject="sentinel-1")
    assert event["detail"]["by"] == "ann on a" and "stop" in event["text"]
    assert a.cli("start", "b/sentinel-1").stdout == "b/sentinel-1 is ready\n"
    # by its own host's name, too
    assert a.cli("restart", "a/proxy-1").returncode == 0
    for words in (["restart", "b/nothing-1"], ["restart", "z/proxy-1"], ["logs", "b/nothing-1"], ["logs", "-f", "b/redis-1"]):
        done = a.cli(*words, check=False)
        assert done.returncode == 1 and done.stderr.startswith("holdfast: "), (words, done)
    assert api(a, "POST", "/api/v1/instances/b%2Fnothing-1/stop")[0] == 409


def test_a_replica_of_another_host_is_stopped_and_started(hosts):
    """What runs on the other host goes over its redis first; a redis that is down is started all the same."""
    master = hosts.wait_agreed()
    other = hosts.but(master)[0]
    asks = hosts.but(master, other)[0]
    asks.cli("stop", f"{other.name}/redis-1")
    wait_until(lambda: [i for i in seen(asks)[other.name] if i["name"] == "redis-1"][0]["state"] == "stopped", "it is seen stopped")
    assert other.instance("redis-1")["pid"] is None
    asks.cli("start", f"{other.name}/redis-1")
    hosts.wait_agreed()


def test_logs_of_another_host(hosts):
    a, b = hosts["a"], hosts["b"]
    here = b.cli("logs", "-n", 20, "redis-1").stdout
    assert here and here.splitlines()[-1] in a.cli("logs", "-n", 100, "b/redis-1").stdout
    code, answer = api(a, "GET", "/api/v1/logs?name=b/redis-1&n=5")
    assert code == 200 and len(answer["lines"]) == 5
    assert api(a, "GET", "/api/v1/logs?name=b/none-1")[0] == 404


def test_what_one_hears_cannot_be_repeated(hosts):
    """Who reads the channel hears what one host asks of another, sealed; said again, it is not done again."""
    a, b = hosts["a"], hosts["b"]
    ears = [h.redis().pubsub() for h in hosts.all]
    for ear in ears:
        ear.subscribe("__holdfast__:talk")
    a.cli("restart", "b/proxy-1")
    heard = set()

    def listen():
        for ear in ears:
            while (m := ear.get_message(timeout=0.5)) is not None:
                if m["type"] == "message":
                    heard.add(m["data"])
        return len(heard) >= 3

    wait_until(listen, "what is asked and answered")
    for ear in ears:
        ear.close()
    assert not any(w in m for m in heard for w in (b"proxy-1", b"restart", hosts.secret.encode()))
    wait_until(lambda: b.instance("proxy-1")["state"] == "ready", "ready again")
    pid, after = b.instance("proxy-1")["pid"], b.last_event()
    for data in [*heard, b"", b"x" * 27, b"x" * 1000, b"x" * 200000]:
        for h in hosts.all:
            h.redis().publish("__holdfast__:talk", data)
    # a question of today is done after all those
    a.cli("restart", "b/sentinel-1")
    assert b.instance("proxy-1")["pid"] == pid
    assert not b.events("instance.exited", "proxy-1", after)


def test_a_host_that_is_dead_is_named(hosts):
    a, b, c = hosts.all
    last = c.last_event()
    assert last
    hosts.kill_host(c)
    for h in (a, b):  # at once when nothing is heard, long before a sentinel's or a server's silence is told by themselves
        dead = wait_until(lambda h=h: shown_as(h, "c", {"redis-1": "failed", "sentinel-1": "failed", "proxy-1": "unknown", "http-1": "unknown"}),
                          "c is silent, and each of its instances shown so")
        assert not dead["reachable"] and dead["state"] is None
        assert all(i["pid"] is None for i in dead["instances"])
        events, said = all_events(h)
        assert {e["host"] for e in events} == {"a", "b"} and "events of host c are missing" in said and said.count("\n") == 1, said
        code, page = api(h, "GET", "/api/v1/events?n=20")
        assert code == 200 and [m["host"] for m in page["missing"]] == ["c"] and page["missing"][0]["why"]
        for words in (["restart", "c/proxy-1"], ["logs", "c/redis-1"]):
            done = h.cli(*words, check=False)
            assert done.returncode == 3 and "host c cannot be reached" in done.stderr, done
        assert api(h, "POST", "/api/v1/instances/c%2Fproxy-1/restart")[0] == 503
    c.start(wait=False)
    hosts.wait_agreed()
    wait_until(lambda: all(sees_all(h) for h in hosts.all), "each host sees what runs on all")
    # its events of before are there again
    wait_until(lambda: all_events(a, n=10000)[1] == "", "c answers for its events")
    events, _ = all_events(a, n=10000)
    assert any(e["host"] == "c" and e["id"] <= last for e in events)


def test_a_supervisor_that_is_dead_is_named(hosts):
    """Its redis and its sentinel go on, and are seen from the other hosts; nobody says how its workers are."""
    a, c = hosts["a"], hosts["c"]
    c.kill_supervisor()
    dead = wait_until(lambda: shown_as(a, "c", {"redis-1": "ready", "sentinel-1": "ready", "proxy-1": "unknown", "http-1": "unknown"}), "it is not heard")
    assert dead["reachable"] and not dead["supervised"]
    assert "its supervisor is not heard" in a.cli("restart", "c/proxy-1", check=False).stderr
    c.start(wait=False)
    hosts.wait_agreed()
    wait_until(lambda: all(sees_all(h) for h in hosts.all), "each host sees what runs on all")


def test_the_page_over_three_hosts(make_cluster, request):
    """In a real browser, at the page of one host: all hosts and their events, an action on another one, one that dies and comes back."""
    cases = Cases(request.node.name)
    hosts = Hosts(cases)
    for h in hosts.all:
        h.options["http.listen"] = f"{h.address}:{h.ports.http}"
        hosts.write_file(h.ini, h.options)
    try:
        hosts.start()
        a = hosts["a"]
        if not has_page(a):
            missing("this build has no page (configure --disable-ui)")
        wait_until(lambda: all(sees_all(h) for h in hosts.all), "each host sees what runs on all")
        scenario(prepare(), "hosts", a, {
            "state": lambda _: {"master": hosts.wait_agreed().name},
            "pid": lambda m: {"pid": hosts[m["host"]].instance(m["name"])["pid"]},
            "kill": lambda m: hosts.kill_host(hosts[m["host"]]),
            "start": lambda m: hosts[m["host"]].start(wait=False) and None,
        })
    finally:
        faults = cases.finish(failed=False)
    assert not faults, faults


@pytest.fixture
def cut_hosts(request):
    try:
        lab = Lab(3)
    except Unable as e:
        pytest.skip(str(e))
    cases = Cases(request.node.name)
    try:
        yield Hosts(cases, lab=lab).start()
        faults = cases.finish(failed=False)
        if faults:
            pytest.fail("after the test:\n" + "\n".join(faults), pytrace=False)
    finally:
        lab.close()


def test_a_host_that_is_cut_off(cut_hosts):
    """Both sides of a cut show what they know and name whom they do not hear, without waiting for them; healed, everybody shows all again."""
    hosts = cut_hosts
    master = hosts.wait_agreed()
    cut, (a, b) = hosts.but(master)[0], [h for h in hosts.all if h is not hosts.but(master)[0]]
    hosts.lab.cut(cut.number)
    # the question is under way when nobody knows yet that it is cut off, or soon after: it is answered all the same
    assert {e["host"] for e in all_events(a)[0]} >= {a.name}
    for h, hears in ((a, {a.name, b.name}), (b, {a.name, b.name}), (cut, {cut.name})):
        wait_until(lambda h=h, hears=hears: {x["name"] for x in h.status(check=False)["hosts"] if x["reachable"]} == hears, "who is heard")
        events, said = all_events(h)
        assert {e["host"] for e in events} == hears
        for name in {x.name for x in hosts.all} - hears:
            assert f"events of host {name} are missing: host {name} cannot be reached" in said, said
    for name in {a.name, b.name}:
        cut.wait_event("host.lost", name)
    before = cut.last_event()
    hosts.lab.heal_all()
    hosts.wait_agreed()
    for h in hosts.all:
        events, said = wait_until(lambda h=h: (lambda r: r if r[1] == "" else None)(all_events(h, n=10000)), "events of all")
        # what happened on the other side of the cut is there, too
        assert {e["host"] for e in events} == {"a", "b", "c"}
        assert any(e["host"] == cut.name and e["kind"] == "host.lost" and e["id"] <= before for e in events)
