"""The image: healthy, an ordinary user, a read-only root, its password, process 1, stop in order, the volume, a limit on memory."""
import json
import re
import urllib.error
import urllib.request

import pytest
import redis
from lab import BASE, Container, wait_until

READ_ONLY = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
PORTS = ("-p", "127.0.0.1::6380", "-p", "127.0.0.1::7379")


@pytest.fixture
def start(engine, image):
    made = []

    def begin(name, *options, command=(), volume=None):
        where = ("-v", f"{volume}:/var/lib/holdfast") if volume else ()
        made.append(Container.run(engine, f"hf-test-{name}", image, *where, *options, command=command))
        return made[-1]

    yield begin
    for c in made:
        c.remove()
    for volume in ("hf-test-data",):
        engine.docker("volume", "rm", "-f", volume, check=False)


def client(c, password):
    return redis.Redis(port=c.port(6380), password=password, socket_timeout=30)


def get(c, path, password=None):
    request = urllib.request.Request(f"http://127.0.0.1:{c.port(7379)}{path}")
    if password:
        import base64
        request.add_header("Authorization", "Basic " + base64.b64encode(f"default:{password}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()


def status(c):
    return json.loads(c.exec("holdfast", "status", "--json", check=False).stdout)


def wait_ready(c):
    wait_until(lambda: c.exec("holdfast", "status", check=False).returncode == 0, "ready inside", 90)


def test_size(engine, image):
    more = engine.size(image) - engine.size(BASE)
    print(f"{more / 1e6:.1f} MB over the base")
    assert more <= 100_000_000


def test_life_of_a_container(engine, start):
    c = start("life", *READ_ONLY, *PORTS, volume="hf-test-data").wait_healthy()
    said = re.findall(r"the password of the user default, for Redis and HTTP, is (\S+)", c.logs())
    assert len(said) == 1 and len(said[0]) >= 24
    password = said[0]
    assert client(c, password).set("k", "v")
    with pytest.raises(redis.AuthenticationError):
        client(c, None).get("k")
    assert get(c, "/GET/k", password) == (200, b'{"GET":"v"}')
    assert get(c, "/GET/k")[0] in (401, 403)
    assert get(c, "/readyz")[0] == 200

    # An ordinary user; process 1 is the supervisor, and nobody else has the password in its environment or arguments.
    assert c.exec("id", "-u").stdout.strip() != "0"
    assert c.exec("cat", "/proc/1/comm").stdout.strip() == "holdfast"
    everything = c.exec("sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr '\\0' '\\n'").stdout
    assert password not in everything

    # Orphans are ours to reap: a process whose parent has gone.
    c.exec("sh", "-c", "(sh -c 'exec true' & exec true) & wait; true")
    c.exec("bash", "-c", "( (exec -a orphan sleep 0.1) & ) ; exit 0")
    wait_until(lambda: "Z" not in c.exec("sh", "-c", "cut -d ' ' -f 3 /proc/[0-9]*/stat 2>/dev/null").stdout.split(), "no zombies")

    # kill -9 inside.
    master = next(i for i in status(c)["instances"] if i["role"] == "master")
    c.exec("sh", "-c", f"kill -9 {master['pid']}")
    assert client(c, password).set("after", 1)
    wait_ready(c)
    assert status(c)["master"]["name"] != master["name"]

    # A stop is in order; the same container goes on, and so does another one with the volume.
    assert c.stop() == 0
    assert "everything has stopped" in c.logs()
    engine.docker("start", c.name)
    c.wait_healthy()
    assert client(c, password).get("after") == b"1"
    assert c.logs().count("said this once") == 1
    c.exec("holdfast", "backup")
    assert c.stop() == 0
    c.remove()
    again = start("life", *READ_ONLY, *PORTS, volume="hf-test-data").wait_healthy()
    assert client(again, password).get("k") == b"v"
    assert "said this once" not in again.logs()

    # Restored by a container that runs only for that.
    client(again, password).flushall()
    assert again.stop() == 0
    name = engine.docker("run", "--rm", "-v", "hf-test-data:/var/lib/holdfast", again.inspect()["Config"]["Image"], "sh", "-c",
                         "ls /var/lib/holdfast/backup/*.rdb").stdout.strip()
    engine.docker("run", "--rm", *READ_ONLY, "-v", "hf-test-data:/var/lib/holdfast", again.inspect()["Config"]["Image"], "restore", name)
    engine.docker("start", again.name)
    again.wait_healthy()
    assert client(again, password).get("k") == b"v"


def test_names_that_container_users_know(engine, start, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("from-a-file\n")
    secret.chmod(0o444)
    c = start("names", *PORTS, "-v", f"{secret}:/run/secrets/redis:ro", "-e", "REDIS_PASSWORD_FILE=/run/secrets/redis", "-e", "REDIS_MASTER=mymaster",
              "-e", "SENTINEL_QUORUM=3", "-e", "SENTINEL_DOWN_AFTER=7000", "-e", "SENTINEL_FAILOVER=20000").wait_healthy()
    assert client(c, "from-a-file").ping()
    assert "said this once" not in c.logs()
    words = c.exec("holdfast", "cli", "sentinel-1", "sentinel", "master", "mymaster").stdout.split()
    told = dict(zip(words[::2], words[1::2]))
    assert (told["quorum"], told["down-after-milliseconds"], told["failover-timeout"]) == ("3", "7000", "20000"), told


def test_a_configuration_of_ones_own(engine, start, tmp_path):
    """A file takes the place of the container's defaults, and a listener without a password is refused with the reason."""
    ini = tmp_path / "holdfast.ini"
    ini.write_text("[proxy]\nlisten = 0.0.0.0:6380\n")
    ini.chmod(0o444)
    mount = ("-v", f"{ini}:/etc/holdfast/holdfast.ini:ro")
    c = start("own", *mount)
    wait_until(lambda: not c.state()["Running"], "its end")
    assert c.state()["ExitCode"] == 78 and "allow_open" in c.logs()
    ini.write_text("[proxy]\nlisten = 0.0.0.0:6380\n[redis]\npassword = mine\n")
    c = start("own", *PORTS, *mount)
    wait_ready(c)
    assert client(c, "mine").ping()


def test_memory_limit(engine, start):
    """A server that takes more memory than there is dies alone: another takes over."""
    c = start("memory", *PORTS, "-m", "200m", "--memory-swap", "200m", "-e", "REDIS_PASSWORD=pw").wait_healthy()
    assert client(c, "pw").set("k", "v")
    with pytest.raises(redis.RedisError):
        client(c, "pw").setrange("big", 450_000_000, "x")
    wait_until(lambda: "killed by signal 9" in c.exec("holdfast", "events", "-n", "100").stdout, "the kernel killed it", 60)
    wait_ready(c)
    assert client(c, "pw").get("k") == b"v"
    assert c.state()["Running"] and c.inspect()["RestartCount"] == 0
