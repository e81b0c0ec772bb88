"""When a run is saved, and when it stops by itself."""

import math
import os
import time
from dataclasses import dataclass

from distsnn.comm.supervision.heartbeat import DEFAULT_TIMEOUT_S, check_timeout
from distsnn.errors import DescriptionError, UsageError
from distsnn.io.processes import process_start_time
from distsnn.public_api import public_class
from distsnn.units import to_steps

# Ending in time takes some seconds: a piece of the run, the last chunks, the interpreter.
_LEAST_MARGIN_S = 3.0
# Interval in which mean rates of populations are checked, ms.
RATE_WINDOW_MS = 100.0


@public_class
@dataclass(frozen=True)
class RunPolicy:
    """When to save and when to stop.

    Parameters
    ----------
    checkpoint_every : float or None
        Biological time between two checkpoints, ms; the run must have a store.
    checkpoint_wall_time : float or None
        Wall time between two checkpoints, s; likewise.
    wall_limit : float or None
        Wall time, since the process was started, within which it must have ended, s.
    max_rate : float or None
        Limit of the mean rate of every population, spikes/s.
    heartbeat_timeout : float
        Time without a heartbeat of a rank after which the job is aborted, s; inf: never.
    """

    checkpoint_every: float | None = None
    checkpoint_wall_time: float | None = None
    wall_limit: float | None = None
    max_rate: float | None = None
    heartbeat_timeout: float = DEFAULT_TIMEOUT_S

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is None or name == "heartbeat_timeout":
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value <= 0.0:
                raise DescriptionError(
                    "must be positive and finite", where=name, value=value, allowed="> 0, or None"
                )
        check_timeout(self.heartbeat_timeout)

    def check_has_store(self, *, recorded: bool) -> None:
        """Raise UsageError if a run without a store is to be saved."""
        for name in ("checkpoint_every", "checkpoint_wall_time"):
            value = getattr(self, name)
            if value is not None and not recorded:
                raise UsageError(
                    "checkpoints need a run store",
                    where=name,
                    value=value,
                    hint="set `out` (--out RUN)",
                )

    def checkpoint_steps(self, dt: float) -> int | None:
        """Return the steps between two checkpoints, or None.

        Raises
        ------
        DescriptionError
            If the time is off the grid.
        """
        if self.checkpoint_every is None:
            return None
        return to_steps(self.checkpoint_every, dt, where="checkpoint_every")

    def rate_window_steps(self, dt: float) -> int | None:
        """Return the number of steps between checks of rates, or None without a limit."""
        return None if self.max_rate is None else max(1, round(RATE_WINDOW_MS / dt))

    def out_of_time(self, saving_s: float) -> bool:
        """Return whether the run must end now, if saving takes this time."""
        if self.wall_limit is None:
            return False
        margin = _LEAST_MARGIN_S + 2.0 * saving_s
        return process_age_s() + min(margin, 0.5 * self.wall_limit) >= self.wall_limit


def process_age_s() -> float:
    """Return the wall time since this process was started, s."""
    since = process_start_time(os.getpid())
    # if the system has no start time: since Python's clock was first read
    return time.perf_counter() if since is None else time.time() - since
