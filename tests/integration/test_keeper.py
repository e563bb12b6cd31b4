"""The harness itself: what it promises to notice, it must notice."""
import os
import signal

import pytest

from harness import NotYet, Ports, procs, wait_until


@pytest.fixture
def idle(make_cluster):
    """A cluster whose processes the test chooses itself."""
    return make_cluster()


def test_a_daemon_that_hides_from_its_parent_is_found_and_ended(idle):
    run = idle.spawn("sh", "-c", "setsid sh -c 'setsid tail -f /dev/null & exit 0' & exit 0")
    assert run.wait() == 0
    left = wait_until(lambda: [p for p in idle.keeper.left() if "tail -f /dev/null" in procs.cmdline(p)], "the hidden sleeper")
    pid = left[0]
    idle.keeper.close()
    assert not procs.alive(pid)


def test_how_an_orphan_ended_is_known(idle):
    run = idle.spawn("sh", "-c", "setsid tail -f /dev/null & exit 7")
    assert run.wait() == 7
    (pid,) = wait_until(lambda: [p for p in idle.keeper.left() if procs.cmdline(p) == "tail -f /dev/null"], "the orphan")
    os.kill(pid, signal.SIGTERM)
    assert wait_until(lambda: idle.keeper.exit_of(pid), "its end") == signal.SIGTERM


def test_two_blocks_of_ports_never_meet():
    held = [Ports() for _ in range(8)]
    try:
        assert len({p.base for p in held}) == 8
    finally:
        for p in held:
            p.release()


def test_a_condition_that_never_comes_says_what_was_seen():
    with pytest.raises(NotYet, match="the moon; last seen: \\[\\]"):
        wait_until(lambda: [], "the moon", 0.05)
