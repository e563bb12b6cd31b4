"""What a container starts (docker/entry) and how it is asked whether it is well (docker/healthy), without an engine."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import redis

from harness import binary

SOURCE = Path(os.environ.get("HF_SRCDIR") or Path(__file__).resolve().parents[2])
OWN = "/etc/holdfast/holdfast.ini"

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")


@pytest.fixture
def container(make_cluster):
    """A cluster as the image begins it, but for ports and folders; `own` is where a configuration of one's own would be mounted."""
    c = make_cluster()
    c.own = c.case / "own.ini"
    bin_dir = make_cluster.folder("bin")
    shutil.copy(binary(), bin_dir / "holdfast")
    bin_dir.chmod(0o755)
    for name in ("entry", "healthy"):
        (bin_dir / name).write_text((SOURCE / "docker" / name).read_text().replace(OWN, str(c.own)))
        (bin_dir / name).chmod(0o755)
    c.env.update({"PATH": f"{bin_dir}:{c.env['PATH']}", "HOLDFAST_DIR": str(c.dir)})
    for key, value in c.options.items():
        c.env["HOLDFAST_" + key.upper().replace(".", "_")] = str(value)

    def begin():
        c.run = c.spawn(str(bin_dir / "entry"), "run", label="run")
        c.wait_ready()

    c.begin, c.bin = begin, bin_dir
    c.is_healthy = lambda: subprocess.run([bin_dir / "healthy"], env=c.env, capture_output=True, timeout=30).returncode == 0
    return c


def ping(c, password=None):
    with redis.Redis(port=c.ports.proxy, password=password) as client:
        return client.ping()


def test_defaults_and_health(container):
    """Whatever stands beside the address that speaks plain HTTP."""
    c = container
    c.env["HOLDFAST_PROXY_LISTEN"] = f"0.0.0.0:{c.ports.proxy}"
    c.env["HOLDFAST_HTTP_LISTEN"] = f"unix:{c.case}/h.sock, 0.0.0.0:{c.ports.http}, unix:{c.case}/i.sock"
    assert not c.is_healthy()
    c.begin()
    assert c.is_healthy()
    password = (c.dir / "password").read_text().strip()
    assert f"is {password} (said this once" in c.run.out
    assert ping(c, password)
    with pytest.raises(redis.AuthenticationError):
        ping(c)
    assert c.stop() == 0
    assert not c.is_healthy()


def test_a_configuration_of_ones_own(container):
    """The password comes from the environment all the same, and its health from the supervisor, wherever HTTP is."""
    c = container
    c.own.write_text(f"[http]\nlisten = none\n[proxy]\nlisten = 0.0.0.0:{c.ports.proxy}\n")
    for key in ("HTTP", "PROXY"):
        del c.env[f"HOLDFAST_{key}_LISTEN"]
    c.env["REDIS_PASSWORD"] = "geheim"
    assert not c.is_healthy()
    c.begin()
    assert ping(c, "geheim") and c.is_healthy()
    assert not (c.dir / "password").exists()
    # It may name the variable itself.
    assert c.stop() == 0
    c.own.write_text(c.own.read_text() + "[redis]\npassword = $REDIS_PASSWORD\n")
    c.begin()
    assert ping(c, "geheim")
    assert c.stop() == 0
    assert not c.is_healthy()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_a_folder_that_is_another_users(container):
    """A folder of the host, say, that Docker has made as root."""
    c = container
    for path in (c.case, c.case.parent):  # both are the test's own
        path.chmod(0o755)
    c.dir.mkdir(mode=0o755)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", c.bin / "entry"], env=c.env, capture_output=True, text=True,
                          timeout=30)
    assert done.returncode == 1 and f"{c.dir} cannot be written by user 65534" in done.stderr and "chown 65534:65534" in done.stderr, done.stderr
