"""What is served under which name and at which address: sections site-NAME, http.serves."""
import pytest

from harness import Http, WebSocket, wait_until


@pytest.fixture(scope="module")
def sites(_shared_cases):
    c = _shared_cases()
    c.admin, c.socket = c.ports.extra, c.case / "web.sock"
    c.options.update({
        "http.listen": f"127.0.0.1:{c.ports.http}, 127.0.0.1:{c.admin}, unix:{c.socket}",
        "http.serves": "commands", "http.default_root": "/GET/everybody.txt",
        "site-shop.hosts": "shop.example, www.shop.example", "site-shop.default_root": "/GET/shop.html",
        "site-admin.listen": f"127.0.0.1:{c.admin}", "site-admin.serves": "ui, api, metrics", "site-admin.default_root": "/ui/",
        "site-figures.hosts": "figures.example", "site-figures.serves": "metrics"})
    c.write_options()
    c.start()
    with c.http() as web:
        for key, value in (("shop", "<p>shop"), ("everybody", "all")):
            assert web.request("PUT", f"/SET/{key}", value).status == 200
    return c


def served(port, path, host=None, **headers):
    with Http(port, host="127.0.0.1") as web:
        name = host or f"127.0.0.1:{port}"
        web.send_raw("\r\n".join([f"GET {path} HTTP/1.1", f"Host: {name}", *(f"{k}: {v}" for k, v in headers.items())]).encode() + b"\r\n\r\n")
        return web.reply()


def test_a_default_for_each_name(sites):
    port = sites.ports.http
    for host, kind, body in (("shop.example", "text/html", b"<p>shop"), ("WWW.shop.example.:80", "text/html", b"<p>shop"),
                             ("localhost", "text/plain", b"all"), (None, "text/plain", b"all")):
        reply = served(port, "/", host)
        assert (reply.status, reply.headers["content-type"], reply.body) == (200, kind, body), host
    # a name that no section has is foreign still
    assert served(port, "/", "shop.example.evil").status == 403
    assert served(port, "/", "figures.example").status == 404


def here(reply):
    """Whether something is there at all, be it that one has to log in first."""
    return not (reply.status == 404 and b"not served under this name" in reply.body)


def test_page_interface_and_figures_at_one_address_only(sites):
    for path in ("/ui/", "/api/v1/status", "/metrics"):
        assert here(served(sites.admin, path)) and not here(served(sites.ports.http, path)), path
        assert not here(served(sites.ports.http, path, "shop.example")), path
    assert here(served(sites.ports.http, "/metrics", "figures.example"))
    assert not here(served(sites.ports.http, "/ui/", "figures.example"))
    # and no commands there, in whatever way
    assert not here(served(sites.admin, "/SET/everybody/x"))
    with Http(sites.admin) as web:
        for method, path, body, headers in (("PUT", "/SET/everybody", "x", {}), ("POST", "/", "SET/everybody/x", {}),
                                            ("POST", "/", '["SET","everybody","x"]', {"Content-Type": "application/json"})):
            assert not here(web.request(method, path, body, headers=headers)), (method, path)
    assert WebSocket(sites.admin).reply.status == 404
    assert served(sites.ports.http, "/").body == b"all"
    reply = served(sites.admin, "/")
    assert (reply.status, reply.headers["location"]) == (302, "/ui/")
    for port in (sites.admin, sites.ports.http):
        assert served(port, "/healthz").status == 200 and served(port, "/readyz", "figures.example").status == 200


def test_a_reload_changes_it_for_connections_that_stand(sites):
    with Http(sites.ports.http) as web:
        assert not here(web.get("/metrics"))
        sites.options["http.serves"] = "commands, metrics"
        sites.write_options()
        sites.cli("reload")
        wait_until(lambda: here(web.get("/metrics")), "the figures are served")
        assert web.get("/").body == b"all"


@pytest.mark.parametrize("options, said", [
    ({"site-x.serves": "ui"}, "neither hosts nor listen"), ({"site-x.listen": "127.0.0.1:1"}, "http.listen does not have 127.0.0.1:1"),
    ({"site-x.hosts": "a", "site-x.serves": "ui, pages"}, "commands ui api metrics"), ({"http.serves": ""}, "http.serves")])
def test_sections_that_mean_nothing_are_refused(make_cluster, options, said):
    c = make_cluster(options=options)
    done = c.cli("check", "-c", c.ini, check=False)
    assert done.returncode == 78 and said in done.stdout + done.stderr
