"""A signal that comes while the program still loads stops a run in good order."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from campaigns import sampled

import distsnn
from distsnn.cli import run_command
from distsnn.comm import EXIT_RESUMABLE, JobResult
from distsnn.simulation import Simulation

Command = Callable[..., Any]

PROGRAM = """
import os, runpy, signal, sys


class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == LIBRARY:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGTERM)


sys.meta_path.insert(0, Watch())
runpy.run_module("distsnn", run_name="__main__")
"""


# the process that starts ranks loads no compiler
@pytest.mark.parametrize(("ranks", "library"), [("1", "numba"), ("2", "zarr")])
def test_signal_while_libraries_load_is_noted(
    model: Path, tmp_path: Path, ranks: str, library: str
) -> None:
    words = ["run", model, "--time", "10", "--ranks", ranks, "--out", tmp_path / "run.zarr"]
    done = subprocess.run(
        [sys.executable, "-c", f"LIBRARY = {library!r}\n{PROGRAM}", *words],
        env=os.environ | {"PYTHONPATH": str(Path(distsnn.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == EXIT_RESUMABLE, done.stderr
    assert done.stderr.splitlines()[-1] == "distsnn: stopped by SIGTERM at 0 ms"
    assert not (tmp_path / "run.zarr").exists()


# An object that the interpreter deletes last, after it has given signals their default action back.
LATE = """
import os, runpy, signal, sys


class Late:
    def __del__(self, kill=os.kill, own=os.getpid(), numbers=(signal.SIGTERM, signal.SIGUSR1)):
        for number in (*numbers, signal.SIGINT):
            kill(own, number)


sys.late = Late()
runpy.run_module("distsnn", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("words", "code"),
    sampled(
        [
            (("--time", "10"), 0),
            (("--time", "10", "--set", "none=1"), 2),
            (("--time", "1e8", "--wall-limit", "1s"), EXIT_RESUMABLE),
        ],
        3,
    ),
)
def test_signal_while_the_interpreter_ends_changes_nothing(
    model: Path, tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LATE, "run", model, *words, "--out", tmp_path / "run.zarr"],
        env=os.environ | {"PYTHONPATH": str(Path(distsnn.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr


SCRIPT = """
import os, signal, sys
from distsnn.errors import Stopped
from distsnn.network import IafPscExp, Network, Population
from distsnn.simulation import Simulation
{late}
def again():
    for number in (signal.SIGTERM, signal.SIGUSR1):
        os.kill(os.getpid(), number)

sys.late = Late()
simulation = Simulation(Network([Population("E", 10, IafPscExp())]), out=sys.argv[1])
try:
    with simulation:
        again()
        simulation.run(1e6)
except Stopped:
    again()
    sys.exit(85)
"""


def test_signal_to_a_script_that_has_stopped_changes_nothing(tmp_path: Path) -> None:
    late = LATE[LATE.index("class Late") : LATE.index("sys.late")]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{late}", late), tmp_path / "run.zarr"],
        env=os.environ | {"PYTHONPATH": str(Path(distsnn.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == EXIT_RESUMABLE, done.stderr


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--resume", "none.zarr"), "none.zarr: the path does not exist"),
        (("--resume", "taken"), "taken"),
        (("--out", "taken"), "exists already"),
        (("--resume", "auto"), "the run to look for is missing; hint: set `out` (--out RUN)"),
    ],
)
def test_path_that_cannot_be_is_refused_before_ranks_start(
    distsnn: Command,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    problem: str,
) -> None:
    def started(*_: Any, **__: Any) -> int:
        raise AssertionError("ranks were started")

    monkeypatch.setattr(run_command, "launch", started)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    done = distsnn("run", model, "--time", "1", *words, "--ranks", "2")
    assert done.code == 2
    assert problem in done.message


@pytest.mark.parametrize(
    ("before", "during", "code", "result"),
    [
        ((), (), 1, "nothing was recorded"),
        ((), ("--time", "20"), 0, "run.zarr is complete: 20 ms"),
        (("--time", "20"), (), 1, "run.zarr is unchanged"),
        ((), ("stop", "--checkpoint-every", "10ms"), 1, "not complete; saved, continue with: "),
        ((), ("stop",), 1, "not complete; it was never saved, and must be started again"),
    ],
)
def test_lost_job_reports_the_state_of_its_results(
    distsnn: Command,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[str, ...],
    during: tuple[str, ...],
    code: int,
    result: str,
) -> None:
    out = tmp_path / "run.zarr"
    verdicts = []

    def ranks(*_: Any, complete_result: Callable[[JobResult], JobResult], **__: Any) -> int:
        if during[:1] == ("stop",):
            simulate_in_part(*during[1:])
        elif during:
            assert distsnn("run", model, "--out", out, *during).code == 0
        verdicts.append(complete_result(JobResult(1, "a rank died")))
        return verdicts[0].code

    def simulate_in_part(*more: str) -> None:
        words = ("run", model, "--out", out, "--time", "20")
        assert distsnn(*words, "--checkpoint-every", "10ms").code == 0
        simulation = Simulation.restore(out, out=out)
        simulation._stop(RuntimeError("given up"))
        if not more:
            shutil.rmtree(out / "checkpoint")

    if before:
        assert distsnn("run", model, "--out", out, *before).code == 0
    monkeypatch.setattr(run_command, "launch", ranks)
    words = ("--time", "20", "--out", out, "--overwrite", "--ranks", "2")
    assert distsnn("run", model, *words).code == code
    assert verdicts[0].code == code
    assert str(verdicts[0].message).startswith("a rank died; ")
    assert result in str(verdicts[0].message)
    if "continue with" in result:
        command = f"distsnn run {model} --time 20 --out {out} --ranks 2 --resume {out}"
        assert str(verdicts[0].message).endswith(command)
