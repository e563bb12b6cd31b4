"""
Every command that README and the man pages show is run, as it stands there but for ports and folder, or stands in ELSEWHERE with where
it is run instead. A command that is new in a document is in neither, and is run.
"""
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness import binary, wait_until

SOURCE = Path(os.environ.get("HF_SRCDIR") or Path(__file__).resolve().parents[2])
DOCUMENTS = ["README.md", "etc/man/holdfast.8", "etc/man/holdfast-api.7", "etc/man/holdfast-internals.7"]
COMMAND = re.compile(r"^(sudo )?(holdfast|curl|redis-cli|kill|docker|make|\./bootstrap|HOLDFAST_CONFIGURE=\S+|systemctl|mkdir|cd) ")
# What is run elsewhere: the beginning of the command, and where.
ELSEWHERE = {
    "./bootstrap": "by CI, and by whoever reads this",
    "HOLDFAST_CONFIGURE=": "tests/system/test_package.py builds with these",
    "sudo ": "tests/system/test_package.py, the package does it",
    "systemctl ": "tests/system/test_package.py",
    "docker ": "tests/system/test_docker.py",
    "make ": "by CI and developers",
    "mkdir ": "by developers",
    "cd ": "by developers",
    "kill ": "test_takeover.py, test_adopt.py",
    "holdfast 0.1.0 is ready": "output of `holdfast run`",
    "holdfast upgrade": "test_upgrade.py",
    "holdfast restore": "test_backup.py",
    "holdfast check --webdis": "test_webdis_parity.py, test_cli.py",
    "redis-cli -p 6390": "test_tls.py",
    "curl --cacert": "test_tls.py",
    "holdfast proxy": "test_proxy.py",
    "holdfast http": "test_http.py",
    "holdfast run": "every test",
    "holdfast debug": "tests/lint/check_docs.sh",
}
STREAM = re.compile(r" -N | -f( |$)|--watch")


def plain(roff):
    return re.sub(r"\\f[BIRP]", "", roff).replace("\\-", "-").replace("\\(aq", "'").replace("\\e", "\\").replace("\\&", "")


def shown(path):
    text = (SOURCE / path).read_text()
    if path.endswith(".md"):
        lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    else:
        text = text.partition(".SH DESCRIPTION")[2] or text
        lines = [plain(line) for block in re.findall(r"^\.nf\n(.*?)^\.fi", text, re.S | re.M) for line in block.splitlines()]
    lines = [re.sub(r"\s{2,}# .*$| +# .*$", "", line.removeprefix("$ ")).strip() for line in lines]
    return [line for line in lines if COMMAND.match(line + " ")]


def is_elsewhere(line):
    return next((where for begin, where in ELSEWHERE.items() if line.startswith(begin)), None)


COMMANDS = sorted({line for path in DOCUMENTS for line in shown(path)})


def test_there_are_commands():
    assert len([c for c in COMMANDS if not is_elsewhere(c)]) >= 20


@pytest.fixture(scope="module")
def documented(_shared_cases):
    c = _shared_cases(options={"http.redis_users": "yes", "backup.keep": 2})
    tools = c.case / "tools"
    tools.mkdir()
    # `holdfast` as a reader types it, in this cluster's folder with its configuration
    (tools / "holdfast").write_text(f'#!/bin/sh\nexport HOLDFAST_DIR="{c.dir}"\nw=$1; shift\ncase $w in check) set -- -c "{c.ini}" "$@";; esac\n'
                                    f'exec "{binary()}" "$w" "$@"\n')
    (tools / "holdfast").chmod(0o755)
    c.start()
    c.cli("failover")  # there is something to find in the history
    c.wait_agreed()
    (tools / "cat.png").write_bytes(b"\x89PNG")
    (tools / "file").write_text("text")
    c.proxy().execute_command("ACL", "SETUSER", "ann", "on", ">secret", "~*", "+@all")
    for name in ("redis-1", "redis-2", "redis-3"):
        c.redis(name).execute_command("ACL", "SETUSER", "ann", "on", ">secret", "~*", "+@all")
    c.tools = tools
    return c


@pytest.mark.parametrize("line", [c for c in COMMANDS if not is_elsewhere(c)])
def test_command(documented, line):
    c = documented
    if "curl" in line and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    text = line.replace("7379", str(c.ports.http)).replace("-p 6380", f"-p {c.ports.proxy}").replace("127.0.0.1:6380", f"127.0.0.1:{c.ports.proxy}")
    text = re.sub(r"\[.*?\]$", "", text) if text.startswith("holdfast") else text
    if text.startswith("curl"):
        text = text.replace("curl", "curl -sS", 1)
    env = {**c.env, "PATH": f"{c.tools}:{c.env['PATH']}"}
    process = subprocess.Popen(["bash", "-c", text], cwd=c.tools, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
    if STREAM.search(text):
        # It goes on until it is ended; it has said something by then.
        os.set_blocking(process.stdout.fileno(), False)

        def heard():
            c.proxy().publish("news", "hello")
            c.proxy().xadd("log", {"a": 1})
            return process.stdout.read()

        try:
            wait_until(heard, f"a word from {line}")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        return
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, f"{line}: exit {process.returncode}\n{out.decode()}{err.decode()}"
    assert b"404 Not Found" not in out
    c.wait_ready()
