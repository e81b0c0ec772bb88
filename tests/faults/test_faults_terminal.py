"""At a terminal: the bar is shown through mpiexec too, and Ctrl-C stops all ranks in good order."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_jobs import ROOT, SOON, command

from distsnn.io.summary import read_run_info

CTRL_C = b"\x03"
LIMIT = 600.0  # s; beside other work two ranks that spin take tens of times as long


# A session's first terminal becomes the one whose Ctrl-C it hears.
ATTACH = "import os, sys; os.open(os.ttyname(0), os.O_RDWR); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal:
    """A command whose standard streams are a terminal, as of a person who types."""

    def __init__(self, words: list[str]) -> None:
        self.descriptor, terminal_side = pty.openpty()
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-c", ATTACH, *words],
            stdin=terminal_side,
            stdout=terminal_side,
            stderr=terminal_side,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": path},
        )
        os.close(terminal_side)
        self.shown = ""

    def read(self, until: str | None = None) -> None:
        """Read what is shown until it holds a pattern, or to the end."""
        limit = time.monotonic() + LIMIT
        while until is None or not re.search(until, self.shown):
            assert time.monotonic() < limit, self.shown
            if not select.select([self.descriptor], [], [], 1.0)[0]:
                continue
            try:
                text = os.read(self.descriptor, 65536)
            except OSError:  # so a terminal tells that the other side has left
                text = b""
            if not text:
                assert until is None, self.shown
                return
            self.shown += text.decode(errors="replace")

    def type(self, text: bytes) -> None:
        """Press keys."""
        os.write(self.descriptor, text)

    def code(self) -> int:
        """Return the exit code of the command, which has come to its end."""
        return self.process.wait(timeout=LIMIT)

    def kill(self) -> None:
        """End what is left."""
        self.process.kill()
        self.process.wait()
        os.close(self.descriptor)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.kill()


@pytest.mark.parametrize(
    ("options", "ranks"),
    [(("--ranks", "1"), None), (("--ranks", "2"), None), ((), 2)],
    ids=["one rank", "own ranks", "mpiexec"],
)
def test_bar_on_a_terminal(
    small: Path, terminals: list[Terminal], options: tuple[str, ...], ranks: int | None
) -> None:
    # 20 s of biological time, about a second of wall time
    terminal = Terminal(command("run", small, "--time", "20000", *options, ranks=ranks))
    terminals.append(terminal)
    terminal.read()
    assert terminal.code() == 0
    assert "building 400 neurons on" in terminal.shown
    assert "20000 of 20000 ms, RTF" in terminal.shown
    bar = re.search(
        r"\r\|█+·+\| \d+ of 20000 ms, RTF [\d.]+, [\d:]+( s)? left\x1b\[K", terminal.shown
    )
    assert bar, terminal.shown
    assert "distsnn: " not in terminal.shown


@pytest.mark.parametrize(
    ("options", "ranks"), [(("--ranks", "2"), None), ((), 2)], ids=["own ranks", "mpiexec"]
)
def test_ctrl_c_stops_all_ranks_in_good_order(
    small: Path,
    tmp_path: Path,
    terminals: list[Terminal],
    options: tuple[str, ...],
    ranks: int | None,
) -> None:
    out = tmp_path / "run.zarr"
    words = command("run", small, "--time", "1e7", "--out", str(out), *options, ranks=ranks)
    terminal = Terminal(words)
    terminals.append(terminal)
    # the bar's second look, or what a log would not show for ten seconds
    terminal.read("of 10000000 ms.*left")
    while not out.exists():
        time.sleep(0.1)
    time.sleep(1.0)
    terminal.type(CTRL_C)
    typed = time.monotonic()
    terminal.read()
    assert terminal.code() == 130
    assert time.monotonic() - typed < SOON
    assert terminal.shown.count("distsnn: interrupted") == 1
    assert "Traceback" not in terminal.shown
    stopped = re.search(r"stopped at (\d+) of 10000000 ms", terminal.shown)
    assert stopped
    numbers = read_run_info(out)
    assert set(numbers.status) == {"stopped: interrupted"}
    assert numbers.recorded_ms == pytest.approx(float(stopped[1]), abs=1.0)
