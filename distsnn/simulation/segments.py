"""Segments of a run: their ends, and the decision after each segment, the same on all ranks."""

import time

import numpy as np

from distsnn.comm import Communicator
from distsnn.engine.faults import Fault
from distsnn.errors import StateError, UsageError
from distsnn.simulation.policy import RunPolicy
from distsnn.units import to_steps

_LAST_STEP = 2**31 - 1

# Wall-clock time between two returns to Python for recordings, progress, signals and errors: short
# enough for a person, long enough to cost nothing (a return takes some 0.1 ms).
_MIN_SEGMENT_S, _MAX_SEGMENT_S = 0.02, 0.1
_FIRST_SEGMENT_STEPS = 50
# Assumed duration of the first save, which also computes the digests of the synapses.
_FIRST_SAVING_S = 2.0

# Outcomes of a rank after a segment; the worst outcome of all ranks is used.
RUNNING, SAVE, OUT_OF_TIME, SIGNALLED, FAILED = range(5)


def end_step(step: int, time_ms: float, dt: float) -> int:
    """Return the step at which a run of `time_ms` ends that begins at `step`.

    Raises
    ------
    UsageError
        If the time is negative or off the grid, or more steps than there can be.
    """
    n_steps = to_steps(time_ms, dt, where="run, time", error=UsageError)
    if n_steps < 0:
        raise UsageError("time must not be negative", where="run", value=time_ms)
    if step + n_steps > _LAST_STEP:
        raise UsageError(
            "steps are counted in 31 bits",
            where="run, time",
            value=time_ms,
            allowed=f"up to {_LAST_STEP * dt:g} ms in all",
        )
    return step + n_steps


def first_fault(communicator: Communicator, local_fault: Fault | None) -> StateError | None:
    """Return the first fault of a neuron of any rank, the same on all ranks. Collective."""
    faults = [fault for fault in communicator.allgather(local_fault) if fault is not None]
    return StateError(min(faults).problem) if faults else None


class SegmentScheduler:
    """Chooses the length of the segments of a run, and agrees on what follows each of them.

    Parameters
    ----------
    policy : RunPolicy
        Rules for saving and stopping.
    dt : float
        Time step, ms.
    max_steps : int
        Maximum length of a segment.
    communicator : Communicator
        The ranks.
    epoch_steps : int
        Steps of an epoch, with rank groups of a global epoch: segments of whole epochs cause no
        further exchanges.

    Attributes
    ----------
    rate_window : int or None
        Steps between two checks of rates.
    """

    def __init__(
        self,
        policy: RunPolicy,
        dt: float,
        max_steps: int,
        communicator: Communicator,
        epoch_steps: int = 1,
    ) -> None:
        self._policy, self._communicator, self._max_steps = policy, communicator, max_steps
        self._epoch_steps = epoch_steps
        self._save_every = policy.checkpoint_steps(dt)
        self._save_wall = policy.checkpoint_wall_time
        self.rate_window = policy.rate_window_steps(dt)
        self._segment_steps = self._whole_epochs(_FIRST_SEGMENT_STEPS)
        self._saved_at, self._saving_s = time.monotonic(), _FIRST_SAVING_S

    def _whole_epochs(self, n_steps: int) -> int:
        """Return a number of steps rounded down to whole epochs, at least one."""
        n_steps = max(n_steps - n_steps % self._epoch_steps, self._epoch_steps)
        return min(n_steps, self._max_steps)

    def segment_end(self, step: int, end: int) -> int:
        """Return the step at which the segment that begins at `step` ends."""
        end = min(end, step + self._segment_steps)
        for every in (self._save_every, self.rate_window):
            if every is not None:
                end = min(end, (step // every + 1) * every)
        return end

    def agree_after_segment(
        self, n_steps: int, step: int, spent_s: float, *, failed: bool, signal: int
    ) -> tuple[int, int]:
        """Agree on what follows a segment. Collective.

        Parameters
        ----------
        n_steps, step : int
            The segment's length, and the step at its end.
        spent_s : float
            Wall-clock time that this rank spent on it, s.
        failed : bool
            Whether this rank cannot continue.
        signal : int
            The signal that this rank got, or 0.

        Returns
        -------
        (int, int)
            The worst outcome of all ranks, and a signal.
        """
        outcome = [self._local_outcome(step, failed, signal), signal, round(spent_s * 1e6)]
        worst, signal_of_any_rank, slowest_us = self._communicator.allreduce_max(
            np.array(outcome)
        ).tolist()
        # the same on all ranks, because it follows from values that all ranks have
        if n_steps == self._segment_steps and slowest_us < _MIN_SEGMENT_S * 1e6:
            self._segment_steps = self._whole_epochs(2 * self._segment_steps)
        elif slowest_us > _MAX_SEGMENT_S * 1e6:
            self._segment_steps = self._whole_epochs(self._segment_steps // 2)
        return worst, signal_of_any_rank

    def _local_outcome(self, step: int, failed: bool, signal: int) -> int:
        if failed:
            return FAILED
        if signal:
            return SIGNALLED
        if self._communicator.rank == 0:  # one clock decides
            if self._policy.out_of_time(self._saving_s):
                return OUT_OF_TIME
            wall = self._save_wall
            if wall is not None and time.monotonic() - self._saved_at >= wall:
                return SAVE
        due = self._save_every is not None and step % self._save_every == 0
        return SAVE if due else RUNNING

    def note_save(self, spent_s: float) -> None:
        """Note that the run was just saved, and how long that took."""
        self._saved_at, self._saving_s = time.monotonic(), max(self._saving_s, spent_s)
