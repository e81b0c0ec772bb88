"""What comes out of a rank's engine: spikes are counted, recorded and kept for the script."""

import time

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import RecordingError
from distsnn.network import Network
from distsnn.simulation.last_spikes import LastSpikes
from distsnn.simulation.recorder import Recorder
from distsnn.simulation.spike_counts import Recorded, SpikeCounts


class Output:
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
    recorded : Recorded
        Whose spikes are recorded.
    last : LastSpikes
        The spikes of the last run.
    recorder : Recorder or None
        The store, where there is one.
    spent_s : float
        Wall time that all this took, s.
    """

    def __init__(self, network: Network, communicator: Communicator) -> None:
        self.counts, self.recorded = SpikeCounts(network), Recorded(network)
        self.last = LastSpikes(network, communicator)
        self.recorder: Recorder | None = None
        self.spent_s = 0.0

    def begin(self, end: int, dt: float) -> None:
        """Take note that a run begins, and at which step it is to end."""
        self.last.begin()
        if self.recorder is not None:
            self.recorder.tell(time_ms=end * dt, n_steps=end)

    def advance(self, engine: RankEngine, n_steps: int) -> RecordingError | None:
        """Run some loops and take what comes out of them; return why it cannot be recorded."""
        engine.run(n_steps, self._take)
        begin = time.perf_counter()
        if self.recorder is not None:
            self.recorder.drain()
        else:
            for probes in engine.samplers().values():
                for probe in probes:
                    probe.drain()
        self.spent_s += time.perf_counter() - begin
        return None if self.recorder is None else self.recorder.failure

    def _take(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        begin = time.perf_counter()
        self.last.append(step, gid)
        chosen = self.recorded.of(gid)
        recorded = gid[chosen]
        self.counts.add(gid, recorded)
        if self.recorder is not None:
            self.recorder.spikes(step[chosen], recorded)
        self.spent_s += time.perf_counter() - begin
