"""Scripts of tests/browser in a real browser: Debian's chromium, led by playwright-core, which npm fetches once for each build folder."""
import fcntl
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from harness import binary

SCRIPTS = Path(__file__).resolve().parent.parent / "browser"
WORK = Path(binary()).resolve().parent / "tests" / "browser" / "run"
STRICT = os.environ.get("HF_STRICT") == "1"


def missing(what):
    """No test of a browser is passed over silently, and none at all where `./bootstrap check` was to install what it needs."""
    text = f"no test in a real browser: {what} (Debian: chromium nodejs npm)"
    if STRICT:
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def prepare():
    """The folder where scripts run, with playwright-core beside them."""
    for program in ("chromium", "node", "npm"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (SCRIPTS / "package-lock.json").read_bytes()
        if not (WORK / "installed").exists() or (WORK / "installed").read_bytes() != wanted:
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copyfile(SCRIPTS / name, WORK / name)
            done = subprocess.run(["npm", "ci"], cwd=WORK, capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                missing(f"npm could not fetch playwright-core: {done.stderr[-300:]}")
            (WORK / "installed").write_bytes(wanted)
        for script in SCRIPTS.glob("*.mjs"):
            # others may be reading it at this moment
            if not (WORK / script.name).exists() or (WORK / script.name).read_bytes() != script.read_bytes():
                shutil.copyfile(script, WORK / f"{script.name}.new")
                (WORK / f"{script.name}.new").rename(WORK / script.name)
    return WORK


def run_script(name, timeout=300, **args):
    """Runs tests/browser/NAME with its arguments as one JSON document; gives the JSON document that it prints last."""
    args["executable"] = shutil.which("chromium")
    done = subprocess.run(["node", name, json.dumps(args)], cwd=prepare(), capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def has_page(cluster):
    with cluster.http() as h:
        return h.request("GET", "/ui/").status != 404


def page_url(cluster):
    return f"http://{getattr(cluster, 'address', '127.0.0.1')}:{cluster.ports.http}/ui/"


def scenario(folder, name, cluster, answers):
    """Runs node NAME.mjs; each question it asks is answered by answers[question](message). Returns its figures."""
    p = subprocess.Popen(["node", f"{name}.mjs", page_url(cluster)], cwd=folder,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    errors = []
    reader = threading.Thread(target=lambda: errors.append(p.stderr.read()), daemon=True)
    reader.start()
    figures = None
    try:
        for line in p.stdout:
            message = json.loads(line)
            if "done" in message:
                figures = message["done"]
                break
            answer = answers[message["ask"]](message)
            p.stdin.write(json.dumps({} if answer is None else answer) + "\n")
            p.stdin.flush()
        code = p.wait(timeout=120)
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()
    reader.join(10)
    said = "".join(errors)
    assert code == 0 and figures is not None, f"{name}.mjs: {said[:3000]}\n[…]\n{said[3000:][-3000:]}"
    return figures
