"""A page of another site, and a name led to our address, in a real browser: nothing of theirs reaches Redis; our own page may all."""
import http.server
import json
import threading

import pytest

from browser import prepare, run_script
from harness import wait_until

WRITES = ("image", "quiet", "script", "iframe", "form", "get", "post", "json", "put", "beacon", "socket", "navigation")
OWN = {"get", "post", "json", "put", "socket"}


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>evil</title><body>")

    def log_message(self, *_):
        pass


@pytest.fixture
def foreign(request):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def lines(path):
    """Those that are whole."""
    return [json.loads(line) for line in path.read_text().rpartition("\n")[0].splitlines()]


def reload(c, status):
    """Takes effect: what a page elsewhere asks, under a name that is not ours, is answered with `status` now."""
    c.write_options()
    c.cli("reload")

    def answer():
        with c.http() as web:
            return {web.get("/PING", headers={"Origin": "http://evil.example"}).status, served_as(web, "rebound.example")}

    wait_until(lambda: answer() == {status}, f"status {status} for others")


def served_as(web, name):
    web.send_raw(f"GET /PING HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
    return web.reply().status


def attack(c, foreign, log):
    """Empties the database, lets the browser try all, gives what the pages saw and a function that tells what is written."""
    proxy = c.proxy()
    proxy.flushall()
    proxy.set("secret", "for nobody")
    with c.http() as web:
        assert web.request("PUT", "/SET/page", "<!doctype html><title>own</title><body>").status == 200
    log.write_text("")
    seen = run_script("foreign.mjs", target=f"http://127.0.0.1:{c.ports.http}", page="/GET/page.html", foreign=foreign)
    wait_until(lambda: any(x["status"] == 101 for x in lines(log)), "the log has the last of it")
    return seen, lambda: {k.decode() for k in proxy.keys()} - {"secret", "page"}


def test_a_foreign_page_reaches_nothing(make_cluster, foreign):
    prepare()
    c = make_cluster()
    log = c.case / "access.log"
    c.options.update({"http.access_log": log, "http.access_format": "json", "holdfast.log_level": "info"})
    c.write_options()
    c.start()
    # the controls first: where every site is welcome, all of these do write, so what fails below is not the browser's doing
    c.options.update({"http.cors_origin": "*", "http.hosts": "*"})
    reload(c, 200)
    seen, written = attack(c, foreign, log)
    # a beacon is sent when the browser likes
    wait_until(lambda: written() == set(WRITES), f"all of it written; the pages saw {seen}")
    assert "for nobody" in seen["fetch_read"] and "for nobody" in seen["rebound_fetch_read"] and seen["events"] == "open"
    assert seen["rebound_socket"] == "answered" and seen["rebound_fetch_put"] == 200
    del c.options["http.cors_origin"], c.options["http.hosts"]
    reload(c, 403)
    before = sum(r["calls"] for n, r in c.proxy().info("commandstats").items() if n in ("cmdstat_set", "cmdstat_get"))
    seen, written = attack(c, foreign, log)
    # what is written is what our own page wrote, and the server was asked by nobody else
    assert written() == OWN, (written(), seen)
    after = sum(r["calls"] for n, r in c.proxy().info("commandstats").items() if n in ("cmdstat_set", "cmdstat_get"))
    assert after - before == len(OWN) + 4, "set secret, put page, get page and its secret by our own page"
    for name, result in seen.items():
        if not name.startswith("own_"):
            assert "for nobody" not in str(result) and result not in ("open", "answered", "loaded", 200), (name, result)
    assert seen["own_fetch_json"] == seen["own_fetch_put"] == 200 and "for nobody" in seen["own_fetch_read"]
    assert seen["own_events"] == "open" and seen["own_socket"] == "answered"
    # and it was the server that said no, to each of them, with a reason
    wait_until(lambda: sum(x["status"] == 403 for x in lines(log)) >= len(WRITES) + 6, "all refusals in the access log")
    assert written() == OWN, "the last of them, too"
    for words in ("another web site made this request", "under the name in the Host header"):
        wait_until(lambda words=words: words in c.cli("logs", "-n", "10000", "http-1").stdout, f"{words} in the log")
