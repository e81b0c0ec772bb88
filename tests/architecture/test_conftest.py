"""The shared conftest: a skip needs a reason, what is timed runs alone, in one thread."""

import os

import pytest
from source_rules import ROOT

SKIPS = """
import pytest
@pytest.mark.skip
def test_a(): pass
@pytest.mark.skip(reason='')
def test_b(): pass
def test_c(): pytest.skip()
def test_d(): pytest.skip(' ')
def test_e(): pytest.skip('no such machine')
"""


@pytest.fixture
def folder(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a folder with the shared conftest, whose tests run in this process."""
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text())
    pytester.makepyfile(quick_files=(ROOT / "tests" / "quick_files.py").read_text())
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\nmarkers =\n faults\n ci\n slurm")
    return pytester


@pytest.mark.parametrize("options", [(), ("-n2", "-mnot faults and not slurm and not validation")])
def test_a_skip_without_a_reason_fails_the_session(
    folder: pytest.Pytester, options: tuple[str, ...]
) -> None:
    folder.makepyfile(SKIPS)
    result = folder.runpytest_inprocess(*options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    for test in "abcd":
        result.stdout.fnmatch_lines(f"SKIPPED WITHOUT A REASON *::test_{test}")
    result.stdout.no_fnmatch_line("SKIPPED WITHOUT A REASON *::test_e")
    assert ("2 workers" in result.stdout.str()) == bool(options)


def test_a_module_that_skips_itself_needs_a_reason(folder: pytest.Pytester) -> None:
    folder.makepyfile("import pytest\npytest.skip(allow_module_level=True)")
    result = folder.runpytest_inprocess()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines("SKIPPED WITHOUT A REASON *.py")


def test_a_skip_with_a_reason_passes_and_a_process_has_one_thread(
    folder: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.endswith("_NUM_THREADS")]:
        monkeypatch.delenv(name)
    folder.makepyfile(
        "import os, pytest\n"
        "def test_skip(): pytest.skip('no such machine')\n"
        "def test_threads(): assert os.environ['OPENBLAS_NUM_THREADS'] == '1'"
    )
    result = folder.runpytest_inprocess()
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("expression", "workers"),
    [
        ("faults", False),
        ("slurm or faults", False),
        ("not ci", False),
        ("", False),
        # each starts two processes
        pytest.param("ci", True, marks=pytest.mark.ci),
        pytest.param("ci and not faults", True, marks=pytest.mark.ci),
        ("not faults and not slurm and not validation", True),
    ],
)
def test_faults_run_alone_when_they_are_asked_for(
    folder: pytest.Pytester, expression: str, workers: bool
) -> None:
    folder.makepyfile("def test_it(): pass")
    result = folder.runpytest_inprocess("-n2", f"-m{expression}")
    assert ("2 workers" in result.stdout.str()) == workers
