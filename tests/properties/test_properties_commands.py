"""Random command lines end with a documented exit code and one message, in this process."""

import shutil
import signal
from collections import Counter
from pathlib import Path
from types import FrameType

import pytest
from campaigns import campaign
from command_jobs import Ended
from hypothesis import given, settings
from hypothesis import strategies as st

from distsnn.cli import main
from distsnn.comm import EXIT_RESUMABLE

DOCUMENTED = {0, 1, 2, EXIT_RESUMABLE, 130}
LIMIT_S = 20
_MODEL = """
from distsnn.network import IafPscExp, Network, PoissonInput, Population


def build(size: int = 20, rate: float = 30000.0, name: str = "E", fail: bool = False):
    if fail:
        raise KeyError(name)
    cells = Population(name, size, IafPscExp())
    return Network([cells], [], [PoissonInput(cells, rate, 40.0)])
"""
VALUES = (
    *("", " ", "-", "--", "x", "0", "1", "2", "-1", "1.5", "nan", "inf", "1e3", "1e400", "9" * 400),
    *("10", "20ms", "1h", "5 parsecs", "auto", "push", "packed", "round_robin", "none", "é\udc80"),
    *("model.py", "bad.py", "net", "run.zarr", "new.zarr", "missing/new.zarr", "plain", "brunel"),
    *(
        "/proc/x",
        "/dev/null",
        "a\0b",
        "../x",
        "a=1",
        "=",
        "size=5",
        "size=0",
        "size=x",
        "fail=true",
    ),
    *(
        "rate=nan",
        "name=<b>",
        "name=..",
        "report",
        "1-3",
        "1-3%2",
        "3-1",
        "scaling",
        "01:00",
        "0-0",
    ),
)
OPTIONS = (
    *("--time", "--seed", "--out", "--overwrite", "--partition", "--delivery", "--storage"),
    *("--resume", "--checkpoint-every", "--checkpoint-wall-time", "--wall-limit", "--max-rate"),
    *(
        "--heartbeat-timeout",
        "--quiet",
        "--set",
        "--json",
        "--help",
        "--version",
        "--dry-run",
        "--array",
    ),
    *("--ntasks", "--nodes", "--mpi", "--sbatch", "--prologue", "--analyse", "--template", "--mem"),
    *("--checkpoint-lead", "--time-limit", "--run-option", "--strategy", "--nonsense", "-h", "-x"),
)
COMMANDS = ("run", "run", "run", "info", "report", "submit", "examples", "worker", "", "ran")


def _joined(parts: list[list[str]]) -> list[str]:
    return [word for part in parts for word in part]


def line() -> st.SearchStrategy[list[str]]:
    """Return random command lines; some of those that make sense are among them."""
    option = st.tuples(st.sampled_from(OPTIONS), st.sampled_from(VALUES)).map(list)
    joined = option.map(lambda pair: ["=".join(pair)])
    alone = st.sampled_from((*OPTIONS, *VALUES)).map(lambda word: [word])
    words = st.lists(st.one_of(option, joined, alone), max_size=5).map(_joined)
    nonsense = st.builds(lambda first, rest: [first, *rest], st.sampled_from(COMMANDS), words)
    good = {
        "--time": ("0", "0.1", "2", "2.05"),
        "--set": ("size=5", "rate=1e4", "fail=true", "name=<script>"),
        "--out": ("new.zarr", "run.zarr", "a/b/new.zarr"),
        "--overwrite": ("",),
        "--storage": ("packed", "explicit", "procedural", "no"),
        "--delivery": ("pull", "push", "no"),
        "--resume": ("auto", "run.zarr"),
        "--checkpoint-every": ("1ms", "0.05ms"),
        "--wall-limit": ("1ms", "1h"),
        "--max-rate": ("1", "1000"),
    }
    pairs = [[name, value] if value else [name] for name, many in good.items() for value in many]
    chosen = st.lists(st.sampled_from(pairs), max_size=4).map(_joined)
    models = st.sampled_from(("model.py", "model.py", "run.zarr", "net"))
    sensible = st.builds(lambda model, rest: ["run", model, *rest], models, chosen)
    reading = st.builds(
        lambda command, run: [command, run], st.sampled_from(("info", "report")), models
    )
    return st.one_of(nonsense, sensible, sensible, reading)


@pytest.fixture
def folder(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(originals, tmp_path / "made")
    (tmp_path / "made" / "model.py").write_text(_MODEL)
    (tmp_path / "made" / "bad.py").write_text("def build(:\n")
    (tmp_path / "made" / "plain").mkdir()
    monkeypatch.chdir(tmp_path / "made")
    # nothing is submitted, wherever the tests run
    monkeypatch.setenv("PATH", "")
    return tmp_path / "made"


def too_long(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("the command hangs")


@campaign(6, 300)
def test_random_command_lines(
    examples: int, folder: Path, originals: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: Counter[int] = Counter()
    previous = signal.signal(signal.SIGALRM, too_long)

    @settings(max_examples=examples)
    @given(line())
    def throw(words: list[str]) -> None:
        capfd.readouterr()
        signal.alarm(LIMIT_S)
        try:
            code = main(words)
        finally:
            signal.alarm(0)
            if words[:1] == ["run"] and any("run.zarr" in word for word in words):
                shutil.rmtree("run.zarr")
                shutil.copytree(originals / "run.zarr", "run.zarr")
            shutil.rmtree("new.zarr", ignore_errors=True)
        said = capfd.readouterr()
        seen[code] += 1
        assert code in DOCUMENTED, (code, said)
        assert "Traceback" not in said.out + said.err, said.err
        messages = Ended(code, said.out, said.err, 0.0).messages
        if code == 0 or not words:
            assert len(messages) == 0, said.err
        else:
            assert len(messages) == 1, said.err
            assert len(messages[0]) > len("distsnn: ") + 10

    try:
        throw()
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert seen[0] > examples // 20, seen
    assert seen[2] > examples // 4, seen
