"""What the tests of faults share: the model that fails on request, its kernels compiled."""

from pathlib import Path

import pytest
from command_jobs import run

SMALL = Path(__file__).parent / "models" / "small.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder: they take minutes, and run when asked for (`-m faults`)."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.faults)
            # CI runs them beside other work
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def small() -> Path:
    """Return the model's file once all that it needs is compiled: what follows is timed."""
    for words in ((), ("--set", "state=true", "--ranks", "2")):
        ended = run("run", SMALL, "--time", "1", *words)
        assert ended.code == 0, ended.err
    return SMALL


@pytest.fixture(scope="module")
def uninterrupted(
    small: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Path:
    """Return the run that the module's `words` ask for and that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run.zarr"
    ended = run(*request.module.words(small, out, "--quiet"))
    assert ended.code == 0, ended.err
    return out
