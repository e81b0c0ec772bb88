"""What is shown of a run: a bar on a terminal, sparse lines in a log."""

import io
import os
from itertools import pairwise
from pathlib import Path

import pytest

from distsnn.comm.supervision.launch import TERMINAL_VARIABLE
from distsnn.simulation import progress
from distsnn.simulation.progress import Progress, format_duration, launcher_has_terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    monkeypatch.delenv(TERMINAL_VARIABLE, raising=False)
    made = Time()
    monkeypatch.setattr(progress, "time", made)
    return made


def lines_of_a_terminal(text: str) -> list[str]:
    """What is to be seen in the end: each line as it was last drawn."""
    return [line.split("\r")[-1].replace("\x1b[K", "") for line in text.split("\n")]


def test_bar_on_a_terminal(time: Time) -> None:
    stream = Terminal()
    shown = Progress(stream)
    shown.note("building 10 neurons on 1 rank")
    assert lines_of_a_terminal(stream.getvalue()) == ["building 10 neurons on 1 rank ..."]
    shown.start(500.0, 1500.0)
    time.now += 2.0
    shown.update(750.0)
    expected = "|██████··················| 750 of 1500 ms, RTF 8, 6 s left"
    assert lines_of_a_terminal(stream.getvalue()) == [expected]
    drawn = len(stream.getvalue())
    time.now += 0.1
    shown.update(760.0)
    assert len(stream.getvalue()) == drawn  # too soon to be drawn again
    time.now += 7.9
    shown.finish(1500.0)
    expected = f"|{'█' * 24}| 1500 of 1500 ms, RTF 10, 10 s"
    assert lines_of_a_terminal(stream.getvalue()) == [expected, ""]


def test_lines_of_a_log_grow_sparser(time: Time) -> None:
    stream = io.StringIO()
    shown = Progress(stream)
    shown.start(0.0, 1e6)
    times = []
    for second in range(1, 7201):
        before = stream.getvalue()
        time.now = 100.0 + second
        shown.update(10.0 * second)
        if stream.getvalue() != before:
            times.append(second)
    assert times[:5] == [10, 30, 70, 150, 310]
    assert max(b - a for a, b in pairwise(times)) == 600
    first = stream.getvalue().splitlines()[0]
    assert first == "distsnn: 100 of 1000000 ms, RTF 100, 27:46:30 left"
    assert all(line.startswith("distsnn: ") for line in stream.getvalue().splitlines())
    assert "\r" not in stream.getvalue()


def test_run_that_stops_ends_its_line(time: Time) -> None:
    terminal, log = Terminal(), io.StringIO()
    for stream in (terminal, log):
        shown = Progress(stream)
        shown.start(0.0, 1000.0)
        time.now += 1.0
        shown.update(200.0)
        shown.stop(210.0)
    assert lines_of_a_terminal(terminal.getvalue()) == ["stopped at 210 of 1000 ms", ""]
    assert log.getvalue() == "distsnn: stopped at 210 of 1000 ms\n"


def test_note_that_is_dropped_ends_its_line(time: Time) -> None:
    terminal, log = Terminal(), io.StringIO()
    for stream in (terminal, log):
        shown = Progress(stream)
        shown.note("building")
        shown.end_line()
    assert lines_of_a_terminal(terminal.getvalue()) == ["building ...", ""]
    assert log.getvalue() == "distsnn: building\n"


def test_run_of_no_time_has_a_full_bar(time: Time) -> None:
    stream = Terminal()
    shown = Progress(stream)
    shown.start(500.0, 500.0)
    shown.finish(500.0)
    assert lines_of_a_terminal(stream.getvalue()) == [f"|{'█' * 24}| 500 of 500 ms", ""]


@pytest.mark.parametrize(
    ("stream", "variable", "bar"),
    [(Terminal, None, True), (io.StringIO, None, False), (io.StringIO, "1", True)],
)
def test_ranks_behind_a_pipe_know_of_the_terminal(
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
    stream: type[io.StringIO],
    variable: str | None,
    bar: bool,
) -> None:
    if variable is not None:
        monkeypatch.setenv(TERMINAL_VARIABLE, variable)
    made = stream()
    shown = Progress(made)
    shown.start(0.0, 10.0)
    time.now += 1.0
    shown.finish(10.0)
    assert ("█" in made.getvalue()) == bar
    assert ("distsnn: " in made.getvalue()) != bar


def _processes(folder: Path, *chain: tuple[int, str, str]) -> Path:
    """Write what Linux tells of processes (number, name, standard error), each the next's child."""
    parents = [number for number, _, _ in chain[1:]] + [1]
    for (number, name, stream), parent in zip(chain, parents, strict=True):
        (folder / str(number) / "fd").mkdir(parents=True)
        (folder / str(number) / "stat").write_text(f"{number} ({name}) S {parent} 5 5 0 -1")
        (folder / str(number) / "fd" / "2").symlink_to(stream)
    return folder


@pytest.mark.parametrize(
    ("chain", "terminal"),
    [
        (
            [("hydra_pmi_proxy", "pipe:[1]"), ("mpiexec", "/dev/pts/3"), ("bash", "/dev/pts/3")],
            True,
        ),
        ([("mpirun", "/dev/tty1")], True),
        ([("mpiexec", "/tmp/job.err"), ("bash", "/dev/pts/3")], False),
        ([("bash", "/dev/pts/3")], False),  # no launcher: our own stream has the say
        ([("hydra_pmi_proxy", "pipe:[1]"), ("a (b) c", "/dev/pts/3")], False),
        ([("mpiexec", "pipe:[1]")], False),
    ],
)
def test_a_launcher_at_a_terminal_is_seen(
    chain: list[tuple[str, str]], terminal: bool, tmp_path: Path
) -> None:
    numbers = [os.getppid(), *range(10**8, 10**8 + 5)]
    made = [(number, *one) for number, one in zip(numbers, chain, strict=False)]
    assert launcher_has_terminal(_processes(tmp_path, *made)) == terminal
    assert not launcher_has_terminal(tmp_path / "none")


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError("closed file")])
def test_simulation_outlives_its_terminal(time: Time, error: Exception) -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise error

    shown = Progress(Gone())
    shown.start(0.0, 10.0)
    time.now += 1.0
    shown.update(5.0)
    shown.finish(10.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (185.0, "3:05"), (7800.0, "2:10:00")],
)
def test_durations_as_people_read_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
