import os
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab  # noqa: E402


@pytest.fixture(scope="session")
def build():
    return os.environ.get("HOLDFAST_BUILD") or os.getcwd()


@pytest.fixture(scope="session")
def engine(build):
    try:
        e = lab.Engine(build)
    except lab.Missing as missing:
        if os.environ.get("HOLDFAST_SYSTEM_STRICT") == "1":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    yield e
    e.close()


@pytest.fixture(scope="session")
def source(build):
    return lab.release(build)
