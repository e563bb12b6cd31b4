"""
Debian's webdis and our HTTP front end, asked the same on the same master: status, content type, body, ETag. Left out, and
said so, where webdis is not installed.
"""
import json
import re
import shutil

import pytest

from harness import Http, wait_until

WEBDIS = shutil.which("webdis")
needs_webdis = pytest.mark.skipif(WEBDIS is None, reason="webdis is not installed (Debian: webdis): answers are not compared with it")

# In order; each goes on from the one before it. Debian builds webdis without MessagePack.
SAME = [
    "/SET/hello/world", "/GET/hello", "/get/hello", "/GET/none", "/INCR/n", "/DECRBY/n/5", "/TYPE/hello", "/EXISTS/hello",
    "/RPUSH/l/a%2fb/c+d/%2e/%3f", "/LRANGE/l/0/-1", "/LRANGE/none/0/-1", "/LLEN/l", "/LPOP/hello", "/NOSUCH/x",
    "/HSET/h/f/v", "/HGETALL/h", "/HGETALL/none", "/HKEYS/h", "/HMGET/h/f/g", "/SADD/s/x", "/SMEMBERS/s", "/ZADD/z/1.5/m",
    "/ZRANGE/z/0/-1/WITHSCORES", "/GET/hello.txt", "/GET/hello.html", "/GET/hello.xhtml", "/GET/hello.xml", "/GET/hello.png",
    "/GET/hello.jpg", "/GET/hello.jpeg", "/GET/hello.js", "/GET/hello.json", "/GET/hello.css", "/GET/hello.raw",
    "/GET/none.raw", "/LRANGE/l/0/-1.raw", "/INCR/n.raw", "/NOSUCH.raw", "/SET/hello/w.raw", "/LRANGE/l/0/-1.txt", "/INCR/n.txt",
    "/SET/hello/world.txt", "/NOSUCH.txt", "/GET/hello?type=application/pdf", "/GET/hello?jsonp=fn", "/GET/hello?callback=fn",
    "/GET/hello.js?jsonp=fn", "/7/SET/seven/x", "/7/GET/seven", "/GET/seven",
    "/SET/quoted/%22%5c%0a%c3%a4", "/GET/quoted", "/GET/quoted.txt", "/ECHO/a.b", "/ECHO/.x", "/GET/hello.unknown",
]


@pytest.fixture(scope="module")
def pair(_shared, tmp_path_factory):
    """(ours, webdis) as ports, both in front of the same master."""
    folder = tmp_path_factory.mktemp("webdis")
    master = _shared.port(_shared.master())
    port = _shared.ports.extra
    conf = folder / "webdis.json"
    conf.write_text(json.dumps({
        "redis_host": "127.0.0.1", "redis_port": master, "http_host": "127.0.0.1", "http_port": port, "threads": 1, "daemonize": False,
        "websockets": True, "database": 0, "acl": [{"disabled": ["DEBUG"]}], "verbosity": 2, "logfile": str(folder / "log")}))
    run = _shared.spawn(WEBDIS, conf, label="webdis")

    def answers():
        with Http(port) as h:
            return h.get("/PING").status == 200

    wait_until(answers, "webdis answers", ignore=(OSError,))
    yield _shared.ports.http, port
    run.signal(15)
    run.wait()


def essence(reply):
    kind = re.sub(r";.*", "", reply.headers.get("content-type", ""))
    return reply.status, kind, reply.body, reply.headers.get("etag")


@needs_webdis
def test_the_same_answers(pair, shared):
    ours, theirs = pair
    differ = []
    for port in (theirs, ours):
        shared.redis(shared.master()).flushall()
        with Http(port) as h:
            answers = [essence(h.get(path)) for path in SAME]
        if port == theirs:
            expected = answers
    for path, want, got in zip(SAME, expected, answers):
        if want != got:
            differ.append(f"{path}: webdis {want}, we {got}")
    assert not differ, "\n".join(differ)


# --- its configuration ---

CONF = {
    "redis_host": "127.0.0.1", "redis_port": 6379, "redis_auth": "pass \"word\"", "http_host": "127.0.0.1", "http_port": "$WEB_PORT",
    "threads": 5, "pool_size": 20, "daemonize": True, "websockets": True, "database": 3,
    "acl": [{"disabled": ["*"]}, {"ip": "127.0.0.0/8", "enabled": ["GET", "PING"]},
            {"http_basic_auth": "bob:se:cret", "enabled": ["*"], "disabled": ["FLUSHALL"]}],
    "verbosity": 3, "logfile": "/dev/null", "default_root": "/GET/index.html", "http_max_request_size": 1048576, "surprise": 1,
}


def test_its_configuration_becomes_ours(make_cluster):
    cluster = make_cluster()
    path = cluster.case / "webdis.json"
    path.write_text(json.dumps(CONF))
    done = cluster.cli("check", "--webdis", path, env={"WEB_PORT": str(cluster.ports.http)})
    ini = done.stdout
    assert "; surprise: not known" in ini and "cors_origin" in ini
    keep = "\n".join(f"[{k.split('.')[0]}]\n{k.split('.')[1]} = {v}" for k, v in cluster.options.items() if not k.startswith("http."))
    cluster.ini.write_text(ini + "\n" + keep + "\n")
    cluster.start()
    with cluster.http() as h:
        assert h.get("/PING").json == {"PING": [True, "PONG"]}
        assert h.get("/SET/k/v").status == 403
        bob = {"Authorization": "Basic Ym9iOnNlOmNyZXQ="}
        assert h.get("/SET/k/v", headers=bob).json == {"SET": [True, "OK"]}
        assert h.get("/FLUSHALL", headers=bob).status == 403
        assert h.get("/3/GET/k").json == {"GET": "v"}
        assert h.request("PUT", "/SET/k", b"x" * 1048577, headers=bob).status == 413
    assert cluster.proxy(password='pass "word"', db=3).get("k") == b"v"


def test_every_key_of_its_configuration_is_known(make_cluster):
    """As in Webdis' own documentation: what has no meaning here is said with what stands for it."""
    cluster = make_cluster()
    path = cluster.case / "webdis.json"
    path.write_text(json.dumps({**{k: v for k, v in CONF.items() if k != "surprise"}, "redis_auth": ["default", "$SECRET"], "http_port": 7379,
                                "pidfile": "x", "log_fsync": "auto", "user": "www-data", "group": "www-data", "hiredis": {"keep_alive_sec": 15},
                                "ssl": {"enabled": True, "ca_cert_bundle": "/c", "path_to_certs": "/p", "client_cert": "/a", "client_key": "/k",
                                        "redis_sni": "n"}}))
    ini = cluster.cli("check", "--webdis", path, env={"SECRET": "x"}).stdout
    assert "not known" not in ini and "password = $SECRET" in ini
    for key in ("threads", "pool_size", "daemonize", "pidfile", "logfile", "log_fsync", "user", "group", "hiredis", "ssl"):
        assert f"; {key}: " in ini, key


def test_values_of_the_environment_wherever_webdis_reads_them(make_cluster):
    """Failed before: some were taken for nothing without a word, and a password that begins with $ for a variable."""
    cluster = make_cluster()
    path = cluster.case / "webdis.json"
    path.write_text(json.dumps({"http_host": "127.0.0.1", "http_port": 7379, "http_max_request_size": "$WEB_SIZE", "websockets": "$WEB_SOCKETS",
                                "redis_auth": "$mall", "verbosity": "$LEVEL", "acl": [
                                    {"disabled": ["$WEB_COMMAND"], "ip": "$WEB_NET"}, {"http_basic_auth": "$WEB_BASIC", "enabled": ["*"]},
                                    {"http_basic_auth": "eve:$ECRET", "enabled": ["GET"]}]}))
    env = {"WEB_SIZE": "1048576", "WEB_SOCKETS": "true", "WEB_COMMAND": "SET", "WEB_NET": "10.0.0.0/8", "WEB_BASIC": "bob:secret", "ECRET": "wrong"}
    ini = cluster.cli("check", "--webdis", path, env=env).stdout
    for line in ("max_request_bytes = 1048576", "websockets = yes", 'password = "$mall"', "disabled = SET", "cidr = 10.0.0.0/8", "user = bob",
                 "password = secret", "user = eve", 'password = "$ECRET"'):
        assert f"\n{line}\n" in ini, f"{line} is missing in\n{ini}"
    assert "log_level" not in ini
    done = cluster.cli("check", "--webdis", path, env={k: v for k, v in env.items() if k != "WEB_NET"}, check=False)
    assert done.returncode == 78 and "acl: ip: the variable WEB_NET is not set" in done.stderr


@pytest.mark.parametrize("text, said", [("{", "webdis.json:1"), ("[]", "no JSON object"), ('{"http_port": "$NO_SUCH_VARIABLE"}', "http_port"),
                                        ('{"acl": [{"http_basic_auth": "x"}]}', "user:password"), ('{"acl": [{"enabled": [1]}]}', "list of commands")])
def test_a_configuration_that_is_none(make_cluster, text, said):
    cluster = make_cluster()
    path = cluster.case / "webdis.json"
    path.write_text(text)
    done = cluster.cli("check", "--webdis", path, check=False)
    assert done.returncode == 78 and said in done.stderr and done.stdout == ""


def test_debians_own_configuration(make_cluster):
    cluster = make_cluster()
    path = cluster.case / "webdis.json"
    path.write_text('{"redis_host": "127.0.0.1", "redis_auth": null, "http_host": "127.0.0.1", "http_port": 7379, "threads": 2, "database": 0,'
                    '"acl": [{"disabled": ["DEBUG"]}, {"http_basic_auth": "user:password", "enabled": ["DEBUG"]}], "verbosity": 3}')
    ini = cluster.cli("check", "--webdis", path).stdout
    assert "allow = DEBUG" in ini and "allow_open" not in ini and "websockets = no" in ini
    # its password is for one command only: on an open address everybody may all others
    path.write_text(path.read_text().replace('"http_host": "127.0.0.1"', '"http_host": "0.0.0.0"'))
    assert "allow_open = yes" in cluster.cli("check", "--webdis", path).stdout
    path.write_text(path.read_text().replace('["DEBUG"]}, ', '["*"]}, '))
    assert "allow_open" not in cluster.cli("check", "--webdis", path).stdout
    cluster.ini.write_text(ini)
    assert cluster.cli("check", "-c", cluster.ini, "-s", f"http.listen=127.0.0.1:{cluster.ports.http}", "-s", f"redis.port={cluster.ports.redis}",
                       "-s", f"sentinel.port={cluster.ports.sentinel}", "-s", f"proxy.listen=127.0.0.1:{cluster.ports.proxy}").returncode == 0
