"""Progress of a run on standard error of rank 0, for terminals and logs."""

import os
import sys
import time
from pathlib import Path
from typing import TextIO

from distsnn.comm.supervision.launch import TERMINAL_VARIABLE
from distsnn.errors import printable
from distsnn.public_api import public_class

_BAR = 24
_TERMINAL_EVERY = 0.2  # s of wall time between updates of the bar
_LOG_FIRST, _LOG_LONGEST = 10.0, 600.0  # s between log lines, which grow sparser
# Processes between a rank and the shell where a person started mpiexec: names as Linux cuts them.
_LAUNCHERS = {"mpiexec", "mpiexec.hydra", "hydra_pmi_proxy", "mpirun", "orterun", "prterun"}


def launcher_has_terminal(processes: Path = Path("/proc")) -> bool:
    """Return whether this rank's MPI launcher passes its standard error on to a terminal.

    Parameters
    ----------
    processes : Path
        The system's process information; without it, the result is False.
    """
    try:
        process = os.getppid()
        while True:
            name, _, fields = (processes / f"{process}/stat").read_text().rpartition(")")
            if name.partition("(")[2] not in _LAUNCHERS:
                return False
            stream = str((processes / f"{process}/fd/2").readlink())
            if stream.startswith(("/dev/pts/", "/dev/tty")):
                return True
            process = int(fields.split()[1])
    except OSError:
        return False


def format_duration(seconds: float) -> str:
    """Return a duration as people read it: ``42 s``, ``3:05``, ``2:10:00``."""
    total_s = round(seconds)
    if total_s < 60:
        return f"{total_s} s"
    minutes, remaining_s = divmod(total_s, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{remaining_s:02d}" if hours else f"{minutes}:{remaining_s:02d}"


@public_class
class Progress:
    """Shows biological time, speed and the time that is left.

    On a terminal it is a bar that is redrawn; elsewhere a log line now and then, at intervals that
    grow, so that a week's batch job has a short log.

    Parameters
    ----------
    stream : text stream, optional
        File to write to; by default standard error.
    terminal : bool, optional
        Whether a terminal shows the stream; by default from the stream, the environment
        variable DISTSNN_TERMINAL, or the standard error of the MPI launcher.
    """

    def __init__(self, stream: TextIO | None = None, terminal: bool | None = None) -> None:
        self._stream = stream or sys.stderr
        if terminal is None:
            terminal_flag = os.environ.get(TERMINAL_VARIABLE)
            terminal = self._stream.isatty() or terminal_flag == "1"
            if not terminal and terminal_flag is None and self._stream is sys.stderr:
                terminal = launcher_has_terminal()
        self._terminal = terminal
        self._shown = 0.0
        self._gone = False
        self._interval = _TERMINAL_EVERY if terminal else _LOG_FIRST

    def note(self, text: str) -> None:
        """Show a message before the run starts."""
        text = printable(text)
        self._write(f"\r{text} ...\x1b[K" if self._terminal else f"distsnn: {text}\n")

    def end_line(self) -> None:
        """End the line of the last note; an error's message may follow."""
        if self._terminal:
            self._write("\n")

    def start(self, done_ms: float, end_ms: float) -> None:
        """Begin a run from `done_ms` to `end_ms` of biological time."""
        self._begin, self._from, self._end = time.perf_counter(), done_ms, end_ms
        self._shown = self._begin

    def update(self, done_ms: float) -> None:
        """Update the biological time, and show it at intervals."""
        now = time.perf_counter()
        if now - self._shown < self._interval:
            return
        self._shown = now
        if not self._terminal:
            self._interval = min(2.0 * self._interval, _LOG_LONGEST)
        self._show(done_ms, now - self._begin)

    def finish(self, done_ms: float) -> None:
        """End the run: shows its speed."""
        self._show(done_ms, time.perf_counter() - self._begin)
        if self._terminal:
            self._write("\n")

    def stop(self, done_ms: float) -> None:
        """End a run before its time; an error's message may follow."""
        text = f"stopped at {done_ms:.0f} of {self._end:.0f} ms"
        self._write(f"\r{text}\x1b[K\n" if self._terminal else f"distsnn: {text}\n")

    def _show(self, done_ms: float, wall: float) -> None:
        simulated = done_ms - self._from
        text = f"{done_ms:.0f} of {self._end:.0f} ms"
        if simulated > 0 and wall > 0:
            text += f", RTF {wall / simulated * 1e3:.3g}"
            left = wall / simulated * (self._end - done_ms)
            text += f", {format_duration(left)} left" if left > 0 else f", {format_duration(wall)}"
        if self._terminal:
            total = self._end - self._from
            full = round(_BAR * simulated / total) if total > 0 else _BAR
            self._write(f"\r|{'█' * full}{'·' * (_BAR - full)}| {text}\x1b[K")
        else:
            self._write(f"distsnn: {text}\n")

    def _write(self, text: str) -> None:
        if self._gone:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # The terminal or pipe has gone, as after a logout; the simulation has not.
            self._gone = True


def make_progress(progress: bool | Progress) -> Progress | None:
    """Return the progress to show, if any: True stands for the usual one."""
    if isinstance(progress, Progress):
        return progress
    return Progress() if progress else None
