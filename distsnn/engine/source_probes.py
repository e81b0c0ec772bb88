"""Recordings of synapse models' states: samples of the states of chosen sources.

A state follows from the spikes of its source. So samples are computed from the spikes of this
rank's sources after these have been emitted, and no epoch ends for a sample.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from distsnn.engine.layout import LocalLayout
from distsnn.engine.probes import SampledProbe, max_undrained_steps
from distsnn.engine.sent_factors import is_source
from distsnn.engine.source_states import OwnStates, SourceStates
from distsnn.kernels.source_spikes import advance
from distsnn.network import RecordState


class SourceProbe(SampledProbe):
    """A recording of the states of a projection's synapse model, on this rank.

    While it is off, nothing is followed; `begin` follows when it is on again.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    recording : RecordState
        The recording, of a projection.
    sources : OwnStates
        States of the rank's neurons as sources of this projection.

    Attributes
    ----------
    recording : RecordState
        The recording.
    interval_steps : int
        Steps between samples, which are taken at its multiples.
    model : SynapseModel
        The projection's synapse model.
    gids : ndarray of uint32, shape (n,)
        This rank's recorded sources.
    on : bool
        Whether it records.
    """

    def __init__(self, layout: LocalLayout, recording: RecordState, sources: OwnStates) -> None:
        self.recording, self._step = recording, 0
        self._layout, self._sources, self.model = layout, sources, sources.parameters.model
        self._slots = np.flatnonzero(recording.target.positions(sources.neurons) >= 0)
        neurons = sources.neurons[self._slots]
        self._states = SourceStates(sources.parameters, neurons)
        self.gids = (sources.parameters.first_gid + neurons).astype(np.uint32)
        interval_steps = recording.interval_steps(layout.network.dt)
        capacity = max_undrained_steps(layout.network) // interval_steps + 1
        samples = {name: np.zeros((capacity, neurons.size)) for name in recording.variables}
        super().__init__(interval_steps, samples, str(recording.name))

    def begin(self, step: int) -> None:
        """Begin to follow spikes after a step, up to which the rank's sources have taken all."""
        if not self.on:
            return
        self._step = step
        self._states.records[:] = self._sources.records[self._slots]

    def follow(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Take this rank's next spikes, in the order of their steps, and samples between them."""
        if not self.on:
            return
        is_spike = is_source(self._layout, self._sources.projection, gid)
        records = self._states.rows_of(gid[is_spike])
        is_recorded = records >= 0
        step, records = step[is_spike][is_recorded], records[is_recorded]
        if not step.size:
            return
        first = 0
        for due in self._due(int(step[-1]) - 1):  # at its last step, more spikes may follow
            last = int(step.searchsorted(due, side="right"))
            self._advance(step[first:last], records[first:last])
            self.add(self._states.now(due))
            first = last
        self._advance(step[first:], records[first:])
        self._step = int(step[-1]) - 1

    def finish(self, step: int) -> None:
        """Take the samples that are due up to a step, up to which all spikes have been taken."""
        for due in self._due(step):
            self.add(self._states.now(due))
        self._step = step

    def _due(self, step: int) -> range:
        """Return the steps of the samples that have not been taken, up to a step."""
        interval = self.interval_steps
        if not self.on:
            return range(0)
        return range((self._step // interval + 1) * interval, step + 1, interval)

    def _advance(self, step: npt.NDArray[np.int32], records: npt.NDArray[np.int64]) -> None:
        if step.size:
            advance(self._states.kernel.spike.address, self._states.records, records, step)


def make_source_probes(layout: LocalLayout, sources: Mapping[int, OwnStates]) -> list[SourceProbe]:
    """Return this rank's part of all recordings of synapse models' states.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    sources : mapping of int to OwnStates
        States of the rank's sources, by projection.
    """
    by_name = {states.projection.name: states for states in sources.values()}
    return [
        SourceProbe(layout, recording, by_name[recording.projection])
        for recording in layout.network.recordings
        if isinstance(recording, RecordState) and recording.projection is not None
    ]
