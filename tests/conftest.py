"""Fixtures of the tests against real servers: tests/integration and tests/chaos."""
import os
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "integration"))

from harness import Cases  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than about 20 s (deselect with -m 'not slow')")
    config.addinivalue_line("markers", "long: too long for every run: only with HOLDFAST_TEST_LONG=1 (make check-long)")
    config.addinivalue_line("markers", "xdist_group(name): tests that go on from one another, in order, in one process")


def pytest_collection_modifyitems(config, items):
    if os.environ.get("HOLDFAST_TEST_LONG"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        item.failed = True
        cases = [v for v in getattr(item, "funcargs", {}).values() if isinstance(v, Cases)]
        for c in cases:
            report.sections.append(("the clusters of the test", c.dump()))


def pytest_terminal_summary(terminalreporter):
    """Figures that tests measured with `measured`, and the reasons of skips: nothing is skipped silently."""
    lines = []
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "measured":
                    lines.append(f"{report.nodeid.split('::')[-1]}: {value}")
    if lines:
        terminalreporter.section("measured")
        for line in sorted(set(lines)):
            terminalreporter.line(line)


@pytest.fixture
def measured(record_property):
    """Notes a figure for the summary; no test may pass or fail by it."""
    return lambda text: record_property("measured", text)


def _cases(request):
    cases = Cases(request.node.name)
    yield cases
    faults = cases.finish(failed=getattr(request.node, "failed", False))
    if faults:
        pytest.fail("after the test:\n" + "\n".join(faults), pytrace=False)


@pytest.fixture
def make_cluster(request):
    """make_cluster(options={…}, …) gives a Cluster that is not started."""
    yield from _cases(request)


@pytest.fixture
def cluster(make_cluster):
    """A cluster with the default options, ready."""
    return make_cluster().start()


@pytest.fixture(scope="module")
def _shared_cases(request):
    yield from _cases(request)


@pytest.fixture(scope="module")
def _shared(_shared_cases):
    # large values keep a server busy for seconds on a busy machine: it is not to be replaced for that
    return _shared_cases(options={"sentinel.down_after_ms": 20000}).start()


@pytest.fixture
def shared(_shared, _shared_cases):
    """One cluster for all tests of the file that leave it as they found it: ready, nobody restarted."""
    _shared.wait_ready()
    return _shared
