"""Where the time and memory of a run go."""

import resource
import time
from pathlib import Path

import numpy as np

from distsnn.comm import Communicator
from distsnn.engine.rank_engine import RankEngine
from distsnn.jit import kernel, ticks


@kernel
def _ticks():  # type: ignore[no-untyped-def]
    return ticks()


class TickClock:
    """Turns the epoch loop's ticks into seconds by comparing them with a clock."""

    def __init__(self) -> None:
        self._ticks, self._time = int(_ticks()), time.perf_counter()

    def seconds(self, ticks: int) -> float:
        """Return ticks in seconds."""
        elapsed = int(_ticks()) - self._ticks
        return ticks * (time.perf_counter() - self._time) / max(1, elapsed)


class PhaseTimer:
    """Wall time of a rank by phase.

    Parameters
    ----------
    engine : RankEngine
        The rank's engine.
    communicator : Communicator
        The ranks.

    Attributes
    ----------
    build_s, run_s, recording_s : float
        Of building, of running, and of recording outside the engine, s.
    """

    def __init__(self, engine: RankEngine, communicator: Communicator) -> None:
        self._engine, self._communicator = engine, communicator
        self._clock = TickClock()
        self.build_s = self.run_s = self.recording_s = 0.0
        self._since = 0.0

    def start(self) -> None:
        """Take note that a run begins."""
        self._since = time.perf_counter()

    def lap(self) -> None:
        """Count the time since the last lap, or the start, as running."""
        now = time.perf_counter()
        self.run_s += now - self._since
        self._since = now

    def wall(self, time_ms: float) -> dict[str, float]:
        """Return build_s, run_s, and real_time_factor: wall by biological time while running."""
        factor = self.run_s / (time_ms * 1e-3) if time_ms else 0.0
        return {"build_s": self.build_s, "run_s": self.run_s, "real_time_factor": factor}

    def local_phases(self) -> dict[str, float]:
        """Return seconds by phase; "exchange" includes the time of waiting for other ranks."""
        spent = {
            phase: self._clock.seconds(ticks) for phase, ticks in self._engine.phase_ticks().items()
        }
        spent["record"] += self.recording_s
        return {"build": self.build_s, **spent, "wait": 0.0, "total": self.run_s}

    def global_phases(self) -> dict[str, float]:
        """Return seconds by phase, with waiting separate from exchange. Collective."""
        local = self.local_phases()
        waits = waiting_times(self._communicator.allgather(local["exchange"]))
        wait = waits[self._communicator.rank]
        return local | {"wait": wait, "exchange": local["exchange"] - wait}


def peak_rss_bytes() -> int:
    """Return the largest resident memory of this process so far, bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # unlike getrusage, it starts at 0 with the program
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def available_bytes() -> float:
    """Return the memory of this machine that is free for use, bytes; infinite if unknown."""
    memory = Path("/proc/meminfo")
    if memory.exists():
        for line in memory.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024.0
    return float("inf")


def waiting_times(exchange_s: list[float]) -> list[float]:
    """Return how long each rank waited: its time in exchanges above the shortest of all ranks.

    The rank that waits least is the one the others wait for; what it spends is the exchange
    itself.
    """
    shortest = float(np.min(exchange_s))
    return [spent - shortest for spent in exchange_s]
