"""Output of a rank's engine: counts spikes, records them and keeps them for the script."""

import os
import time
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, collective_phase
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import RecordingError, Stopped
from distsnn.io.run_lock import RunLock
from distsnn.io.run_writer import check_output_path
from distsnn.network import Network
from distsnn.simulation.build import BuildResult
from distsnn.simulation.last_spikes import LastRunSpikes
from distsnn.simulation.phase_timer import PhaseTimer, peak_rss_bytes
from distsnn.simulation.recorder import Recorder
from distsnn.simulation.spike_counts import RecordedNeurons, SpikeCounts


def end_status(error: BaseException) -> str:
    """Return the status of a rank whose run ended with an error."""
    if isinstance(error, KeyboardInterrupt):
        return "stopped: interrupted"
    return f"stopped: {error.reason}" if isinstance(error, Stopped) else f"failed: {error}"


class SpikeOutput:
    """Takes a rank's spikes and samples of states.

    Parameters
    ----------
    network : Network
        The network.
    communicator : Communicator
        The ranks.

    Attributes
    ----------
    counts : SpikeCounts
        This rank's spikes by population.
    recorded : RecordedNeurons
        Whose spikes are recorded.
    last_run : LastRunSpikes
        The spikes of the last run.
    recorder : Recorder or None
        The store, where there is one.
    spent_s : float
        Wall time that all this took, s.
    closed : bool
        Whether the recordings are closed.
    """

    def __init__(self, network: Network, communicator: Communicator) -> None:
        self.counts, self.recorded = SpikeCounts(network), RecordedNeurons(network)
        self.last_run = LastRunSpikes(network, communicator)
        self.recorder: Recorder | None = None
        self.spent_s = 0.0
        self.closed = False
        self._communicator, self._locks = communicator, ExitStack()

    def lock(
        self,
        out: str | os.PathLike[str],
        *,
        overwrite: bool,
        resume: bool = False,
        held: RunLock | None = None,
    ) -> None:
        """Check where a run is to be recorded, and lock it. Collective.

        Parameters
        ----------
        out : str or PathLike
            The store.
        overwrite, resume : bool
            Whether it may replace a run, or continues one.
        held : RunLock, optional
            The lock, if rank 0 has it already.

        Raises
        ------
        StoreError
            If it exists, cannot be written, or is locked.
        """
        first = self._communicator.rank == 0
        with collective_phase(self._communicator, "checking the settings"):
            if first:
                # An error in the path is raised before the synapses are built.
                check_output_path(out, overwrite=overwrite, resume=resume)
        with collective_phase(self._communicator, "locking the store"):
            if first:
                self._locks.callback((held or RunLock(out)).release)

    def unlock(self) -> None:
        """Give the store back; not collective."""
        self._locks.close()

    def update(self, **attributes: Any) -> None:
        """Set attributes of the run, if one is recorded."""
        if self.recorder is not None:
            self.recorder.update(**attributes)

    def close(
        self, status: str, built: BuildResult, times: PhaseTimer, timing: dict[str, float]
    ) -> None:
        """Commit and close the recordings; not collective.

        Parameters
        ----------
        status : str
            How the run has ended.
        built : BuildResult
            The engine and what goes with it.
        times : PhaseTimer
            Its wall times.
        timing : dict of str to float
            Of this rank by phase, s.

        Raises
        ------
        RecordingError
            If something recorded could not be written.
        """
        self.closed = True
        if self.recorder is None:
            return
        memory = {"peak_rss_bytes": peak_rss_bytes(), "synapse_bytes": built.engine.synapses.nbytes}
        attributes: dict[str, Any] = {"timing": timing, "memory": memory}
        if not status.startswith("failed"):  # for example, without memory
            spikes = int(self.counts.all.sum())
            attributes["counters"] = built.rank_counters(self.recorder.start_step, spikes)
        self.recorder.close(status, **attributes)
        self.update(wall_clock=times.wall(built.engine.step * built.engine.layout.network.dt))

    def begin(self, end: int, dt: float) -> None:
        """Take note that a run begins, and at which step it is to end."""
        self.last_run.begin()
        if self.recorder is not None:
            self.recorder.queue_attributes(target_time_ms=end * dt, target_steps=end)

    def advance(self, engine: RankEngine, n_steps: int) -> RecordingError | None:
        """Run a segment and record what it brings; return why that cannot be recorded."""
        engine.run(n_steps, self._take)
        begin = time.perf_counter()
        if self.recorder is not None:
            self.recorder.drain()
        else:
            for probes in engine.probes_by_folder().values():
                for probe in probes:
                    probe.drain()
        self.spent_s += time.perf_counter() - begin
        return None if self.recorder is None else self.recorder.failure

    def _take(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        begin = time.perf_counter()
        self.last_run.append(step, gid)
        chosen = self.recorded.of(gid)
        recorded = gid[chosen]
        self.counts.add(gid, recorded)
        if self.recorder is not None:
            self.recorder.spikes(step[chosen], recorded)
        self.spent_s += time.perf_counter() - begin
