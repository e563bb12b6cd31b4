"""A disk that is full: it is said where one looks, and over when there is room again."""
import os
import subprocess

import pytest

from waiting import wait_until


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk takes root")
def test_a_full_disk_is_a_reason(make_cluster):
    """Failed before: only the log said it, and the state was ready."""
    c = make_cluster()
    c.dir.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", c.dir], check=False).returncode != 0:
        pytest.skip("no small disk can be mounted here")
    try:
        c.start()
        fill = c.dir / "fill"
        subprocess.run(["dd", "if=/dev/zero", f"of={fill}", "bs=4k"], capture_output=True, check=False)

        def told():
            c.cli("reload", check=False)  # an event that is to be stored
            s = c.status()
            return s["state"] == "degraded" and any("not stored" in r and "no space left" in r for r in s["reasons"])

        wait_until(told, "the reason")
        fill.unlink()
        c.wait_ready()
        c.cli("reload")
        c.wait_event("config.reloaded")
        c.stop()
    finally:
        subprocess.run(["umount", "-l", c.dir], check=False)
