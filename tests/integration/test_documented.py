"""
Every command that README and the man pages show is run, as it stands there but for ports and folder, or stands in ELSEWHERE with where
it is run instead. A command that is new in a document is in neither, and is run.
"""
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from harness import binary, wait_until

SOURCE = Path(os.environ.get("HF_SRCDIR") or Path(__file__).resolve().parents[2])
DOCUMENTS = ["README.md", "etc/man/holdfast.8", "etc/man/holdfast-api.7", "etc/man/holdfast-internals.7"]
COMMAND = re.compile(r"^(sudo )?(holdfast|curl|redis-cli|kill|docker|make|\./bootstrap|HOLDFAST_CONFIGURE=\S+|systemctl|systemd-sysusers|mkdir|cd|until) ")
# What is run elsewhere: the beginning of the command, and where.
ELSEWHERE = {
    "./bootstrap run": "tests/system/test_readme.py, on a Debian that has nothing",
    "./bootstrap check": "by CI",
    "HOLDFAST_CONFIGURE=": "tests/system/test_readme.py",
    "sudo ": "tests/system/test_readme.py",
    "systemctl ": "tests/system/test_readme.py",
    "docker compose ": "tests/system/test_compose.py",
    "docker ": "tests/system/test_readme.py",
    "make ": "test_targets_are_there, below; what they do is hours of work",
    "mkdir ": "by developers: the whole check once more",
    "cd ": "this is how these tests run",
    "kill ": "test_takeover.py, test_adopt.py: the process is another each time",
    "holdfast 0.1.0 is ready": "output of `holdfast run`",
    "holdfast upgrade": "test_upgrade.py",
    "holdfast restore": "test_backup.py",
    "holdfast check --webdis": "test_webdis_parity.py, test_cli.py",
    "redis-cli -p 6390": "test_tls.py",
    "curl --cacert": "test_tls.py",
    "holdfast invite": "test_hosts_grow.py",
    "holdfast join": "test_hosts_grow.py",
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


def test_targets_are_there():
    """make knows each target and each variable that is set for it; what they do is not done (nor by -n, which begins every $(MAKE))."""
    build = os.environ.get("HF_BUILDDIR") or binary().parent
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    known = subprocess.run(["make", "-p", "-q", "-C", build, "no-such-target"], env=env, capture_output=True, text=True).stdout
    lines = [c for c in COMMANDS if c.startswith("make ")]
    assert len(lines) >= 5
    for line in lines:
        for word in shlex.split(line.replace("-C build", ""))[1:]:
            name, is_variable, _ = word.partition("=")
            assert re.search(rf"\$[({{]{name}\b" if is_variable else rf"^{re.escape(name)}:", known, re.M), f"{line}: {word}"


def test_what_the_text_names_is_there():
    """A `holdfast …` amid the text is a subcommand that exists, with options that it has."""
    for path in DOCUMENTS[:1]:
        for words in re.findall(r"`holdfast ([a-z][^`]*)`", (SOURCE / path).read_text()):
            subcommand, *rest = words.split()
            done = subprocess.run([binary(), "help", subcommand], capture_output=True, text=True)
            assert done.returncode == 0, f"{path}: `holdfast {words}`: {done.stderr}"
            if subcommand == "cli":
                continue  # what follows is redis-cli's
            for option in [w for w in rest if re.match(r"--?[a-z]", w)]:
                assert re.search(rf"(^|[\s,]){re.escape(option.split('=')[0])}\b", done.stdout), f"{path}: `holdfast {words}`: {option}"


@pytest.fixture(scope="module")
def documented(_shared_cases):
    c = _shared_cases(options={"sentinel.down_after_ms": 20000, "http.redis_users": "yes", "backup.keep": 2})
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


def test_the_history_that_is_shown_looks_like_one(documented):
    shown_lines = (SOURCE / "README.md").read_text().partition("    $ holdfast events -n 9\n")[2].split("\n\n")[0].splitlines()
    form = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z  [a-z.]+ +\S+: ")
    said = documented.cli("events", "-n", "9").stdout.splitlines()
    assert len(shown_lines) == len(said) == 9
    for line in [line.removeprefix("    ") for line in shown_lines] + said:
        assert form.match(line), line


def test_what_lies_in_the_data_folder_is_told(documented):
    """Each file there stands in the manual's FILES and in README's table."""
    c = documented
    c.cli("backup")
    manual = plain((SOURCE / "etc/man/holdfast.8").read_text().partition("\n.SH FILES\n")[2].partition("\n.SH ")[0])
    table = (SOURCE / "README.md").read_text().partition("\n## The data folder\n")[2].partition("\n## ")[0]
    # what comes only at times: several hosts, join, a container
    names = {path.name + "/" * path.is_dir() for path in c.dir.iterdir()} | {"diverged/", "tls/", "password"}
    for name in sorted(names):
        assert re.search(rf"(^|[ \"]){re.escape(re.sub('-[0-9]+', '-1', name))}", manual, re.M), f"{name} is not in FILES"
        assert re.search(rf"[| ]{re.escape(re.sub('-[0-9]+/', '-N/', re.sub('-[0-9]+.sock', '-1.sock', name)))}[ ,]", table), f"{name} is not in the table"


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
