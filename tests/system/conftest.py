import os
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab  # noqa: E402


@pytest.fixture(scope="session")
def build():
    return os.environ.get("HOLDFAST_BUILD") or os.getcwd()


def cannot(missing):
    """Skipped with the reason; under HOLDFAST_SYSTEM_STRICT=1 a failure."""
    if os.environ.get("HOLDFAST_SYSTEM_STRICT") == "1":
        pytest.fail(str(missing), pytrace=False)
    pytest.skip(str(missing))


@pytest.fixture(scope="session")
def engine(build):
    try:
        e = lab.Engine(build)
    except lab.Missing as missing:
        cannot(missing)
    yield e
    e.close()


@pytest.fixture(scope="session")
def source(build):
    return lab.release(build)


@pytest.fixture(scope="session")
def image(engine, request):
    """Built from the source as it is released; HOLDFAST_TEST_IMAGE names one that is there already."""
    if os.environ.get("HOLDFAST_TEST_IMAGE"):
        return os.environ["HOLDFAST_TEST_IMAGE"]
    source = request.getfixturevalue("source")
    engine.build("holdfast-test", source, source / "docker" / "Dockerfile")
    return "holdfast-test"


@pytest.fixture
def compose(engine, image, tmp_path):
    """compose(FILE, **variables): a project of that file of docker/, with the image that is tested and ports that are free."""
    made = []

    def make(name, override=None, **variables):
        files = [lab.SOURCE / "docker" / name]
        if override is not None:
            files.append(tmp_path / "override.yaml")
            files[-1].write_text(override)
        try:
            made.append(lab.Compose(engine, f"hf-test-{len(made)}", *files, env={"IMAGE": image, **variables}))
        except lab.Missing as missing:
            cannot(missing)
        made[-1]("down", "-v", check=False)
        return made[-1]

    yield make
    for project in made:
        project("down", "-v", "-t", "60")
