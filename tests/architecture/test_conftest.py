"""The shared conftest: a skip needs a reason, what is timed runs alone, in one thread."""

import os
import re
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
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(HEADER + test)
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True)


SKIPS = """
@pytest.mark.skip
def test_a(): pass
@pytest.mark.skip(reason='')
def test_b(): pass
def test_c(): pytest.skip()
def test_d(): pytest.skip(' ')
def test_e(): pytest.skip('no such machine')
"""


@pytest.mark.parametrize("options", [(), ("-n2", "-mnot timed")])
def test_a_skip_without_a_reason_fails_the_session(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = session(tmp_path, SKIPS, *options)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    unexplained = re.findall(r"SKIPPED WITHOUT A REASON test_it.py::test_(\w)", done.stdout)
    assert sorted(unexplained) == ["a", "b", "c", "d"]
    assert ("2 workers" in done.stdout) == bool(options)


def test_a_module_that_skips_itself_needs_a_reason(tmp_path: Path) -> None:
    done = session(tmp_path, "pytest.skip(allow_module_level=True)")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "SKIPPED WITHOUT A REASON test_it.py" in done.stdout


def test_a_skip_with_a_reason_passes_and_a_process_has_one_thread(tmp_path: Path) -> None:
    done = session(
        tmp_path,
        "def test_skip(): pytest.skip('no such machine')\n"
        "def test_threads(): assert os.environ['OPENBLAS_NUM_THREADS'] == '1'",
    )
    assert done.returncode == pytest.ExitCode.OK
    assert "1 passed, 1 skipped" in done.stdout


def test_what_is_asked_for_by_its_mark_runs_alone(tmp_path: Path) -> None:
    done = session(tmp_path, "@pytest.mark.timed\ndef test_it(): pass", "-n2", "-mtimed")
    assert done.returncode == pytest.ExitCode.OK
    assert "1 passed" in done.stdout
    assert "workers" not in done.stdout
