"""The loop of a run call: it simulates segment by segment, and ranks agree after each of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from distsnn.comm import Communicator, mark_collective, raise_if_any_failed
from distsnn.comm.supervision.heartbeat import Heartbeat
from distsnn.engine.rank_engine import RankEngine
from distsnn.simulation.phase_timer import PhaseTimer
from distsnn.simulation.progress import Progress
from distsnn.simulation.segments import (
    FAILED,
    OUT_OF_TIME,
    SAVE,
    SIGNALLED,
    SegmentScheduler,
    first_fault,
)
from distsnn.simulation.signal_handling import SignalHandler
from distsnn.simulation.spike_counts import RateLimit
from distsnn.simulation.spike_output import SpikeOutput


class RunLoop:
    """Runs the engine of a rank, and saves and stops when all ranks agree to.

    Parameters
    ----------
    engine : RankEngine
        This rank's engine, connected.
    communicator : Communicator
        The ranks.
    scheduler : SegmentScheduler
        Ends of segments, and the agreement after each of them.
    rate_limit : RateLimit
        Ends a run whose rates are too high.
    output : SpikeOutput
        Receives the recordings.
    times : PhaseTimer
        Receives the wall-clock times.
    interrupts : SignalHandler
        Signals that this process has received.
    heartbeat : Heartbeat
        Receives the current step.
    progress : Progress or None
        Receives the biological time, on rank 0.
    """

    def __init__(
        self,
        engine: RankEngine,
        communicator: Communicator,
        *,
        scheduler: SegmentScheduler,
        rate_limit: RateLimit,
        output: SpikeOutput,
        times: PhaseTimer,
        interrupts: SignalHandler,
        heartbeat: Heartbeat,
        progress: Progress | None,
    ) -> None:
        self._engine, self._communicator, self.scheduler = engine, communicator, scheduler
        self._rate_limit, self._output, self._times = rate_limit, output, times
        self._interrupts, self._heartbeat, self._progress = interrupts, heartbeat, progress
        self._dt = engine.layout.network.dt

    @property
    def _time_ms(self) -> float:
        return self._engine.step * self._dt

    def run_until(self, end: int, save: Callable[[], None]) -> None:
        """Run up to a step. Collective; raises what `Simulation.run` raises.

        Parameters
        ----------
        end : int
            The step.
        save : callable
            Saves the state into the run's store. Collective.
        """
        self._times.start()
        self._output.begin(end, self._dt)
        with self._showing_progress(end), self._interrupts.deferred():
            while self._engine.step < end:
                step = self._engine.step
                self._run_segment(self.scheduler.segment_end(step, end) - step, save)
                if self._progress is not None:
                    self._progress.update(self._time_ms)
                self._times.lap()

    @contextmanager
    def _showing_progress(self, end: int) -> Iterator[None]:
        """Show the progress of the body, and count its time as running also if it fails."""
        if self._progress is not None:
            self._progress.start(self._time_ms, end * self._dt)
        try:
            yield
        except BaseException:
            self._times.lap()
            if self._progress is not None:
                self._progress.stop(self._time_ms)
            raise
        if self._progress is not None:
            self._progress.finish(self._time_ms)
        self._times.lap()

    def _run_segment(self, n_steps: int, save: Callable[[], None]) -> None:
        """Run a segment on all ranks; then save, or stop all ranks, if any rank asks for it.

        What `engine.run` itself raises (as when memory runs out) passes through: the other ranks
        wait in the middle of an exchange, where only the end of the job reaches them.
        """
        begin = time.perf_counter()
        failure = self._output.advance(self._engine, n_steps)
        self._times.recording_s = self._output.spent_s
        self._heartbeat.step = self._engine.step
        fault = self._engine.fault()
        outcome, signal = self.scheduler.agree_after_segment(
            n_steps,
            self._engine.step,
            time.perf_counter() - begin,
            failed=fault is not None or failure is not None,
            signal=self._interrupts.number,
        )
        if outcome == FAILED:
            first = first_fault(self._communicator, fault)
            raise_if_any_failed(self._communicator, failure or first, "running")
        window = self.scheduler.rate_window
        if window is not None and self._engine.step % window == 0:
            self._rate_limit.check(self._output.counts.all, window, step=self._engine.step)
        store = self._output.recorder.path if self._output.recorder is not None else None
        if store is not None and outcome >= SAVE:
            save()
        if outcome in (SIGNALLED, OUT_OF_TIME):
            number = signal if outcome == SIGNALLED else 0
            raise mark_collective(self._interrupts.stopping(number, self._time_ms, store))
