"""The shared conftest: a skip needs a reason, validation runs on request, one thread a process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from source_rules import ROOT

HEADER = "import os\nimport pytest\n"


def session(folder: Path, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run one test file under the shared conftest in a session of its own."""
    shutil.copy(ROOT / "tests" / "conftest.py", folder / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = validation: slow\n")
    (folder / "test_it.py").write_text(HEADER + test)
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True)


@pytest.mark.parametrize(
    "test",
    [
        "@pytest.mark.skip\ndef test_it(): pass",
        "@pytest.mark.skip(reason='')\ndef test_it(): pass",
        "def test_it(): pytest.skip()",
        "def test_it(): pytest.skip(' ')",
        "pytest.skip(allow_module_level=True)",
    ],
)
def test_a_skip_without_a_reason_fails_the_session(tmp_path: Path, test: str) -> None:
    done = session(tmp_path, test)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "SKIPPED WITHOUT A REASON test_it.py" in done.stdout


def test_a_skip_with_a_reason_passes(tmp_path: Path) -> None:
    done = session(tmp_path, "def test_it(): pytest.skip('no such machine')")
    assert done.returncode == pytest.ExitCode.OK
    assert "WITHOUT A REASON" not in done.stdout


@pytest.mark.parametrize(
    ("options", "line"), [((), "1 deselected"), (("-m", "validation"), "1 failed")]
)
def test_validation_runs_only_on_request(
    tmp_path: Path, options: tuple[str, ...], line: str
) -> None:
    done = session(tmp_path, "@pytest.mark.validation\ndef test_it(): assert False", *options)
    assert line in done.stdout


def test_one_thread_a_process(tmp_path: Path) -> None:
    test = "def test_it(): assert os.environ['OPENBLAS_NUM_THREADS'] == '1'"
    assert session(tmp_path, test).returncode == pytest.ExitCode.OK
