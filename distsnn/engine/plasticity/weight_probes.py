"""Weight recordings: samples of chosen synapses' weights and states, drained like states'."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.engine.plasticity.delivery import PlasticDelivery
from distsnn.engine.probes import MOST_BYTES, MOST_STEPS, SampledProbe
from distsnn.network import RecordWeights

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SynapseSelection:
    """The recorded synapses of a rank.

    Attributes
    ----------
    recording : RecordWeights
        The recording.
    synapses : ndarray of int64, shape (n,), or None
        Their numbers on this rank, ascending; None: all.
    total : int
        How many are recorded on all ranks.
    """

    recording: RecordWeights
    synapses: Ints | None
    total: int


class WeightProbe(SampledProbe):
    """One weight recording on this rank.

    Parameters
    ----------
    delivery : PlasticDelivery
        The projection.
    choice : SynapseSelection
        The selection.

    Attributes
    ----------
    recording : RecordWeights
        The selection.
    interval_steps : int
        Steps between samples, which are taken at its multiples.
    total : int
        Synapses recorded on all ranks.
    sources, targets : ndarray of uint32, shape (n,)
        Gids of this rank's recorded synapses.
    delays : ndarray of int32, shape (n,)
        Their delays, steps.
    most_steps : int
        Most steps between two drains, the same on all ranks.
    on : bool
        Whether it records.
    """

    def __init__(self, delivery: PlasticDelivery, choice: SynapseSelection) -> None:
        self.recording, self._delivery = choice.recording, delivery
        interval_steps = choice.recording.interval_steps(delivery.layout.network.dt)
        self.total = choice.total
        self._synapses = part = choice.synapses
        self._rows: Ints | None = None
        rows, starts = delivery.rows, delivery.rows.row_set.row_starts
        if part is None:
            row = np.repeat(np.arange(starts.size - 1), np.diff(starts))
        else:
            row = np.searchsorted(starts, part, side="right") - 1
            self._rows = np.unique(row)
        which = slice(None) if part is None else part
        self.sources = rows.row_set.sources[row].astype(np.uint32)
        self.targets = delivery.layout.to_gids(rows.targets(which)).astype(np.uint32)
        self.delays = rows.delays(which).astype(np.int32)
        names = choice.recording.variables
        fitting = max(1, MOST_BYTES // max(1, 8 * len(names) * self.total))
        capacity = min(fitting, -(-MOST_STEPS // interval_steps))
        self.most_steps = capacity * interval_steps
        kind = delivery.rows.weights.dtype
        samples = {name: np.zeros((capacity, self.sources.size), kind) for name in names}
        super().__init__(interval_steps, samples, str(choice.recording.name))

    def sample(self, step: int) -> None:
        """Take a sample at a step up to which all ranks' spikes were delivered."""
        values = self._delivery.read(step, self._rows, self._synapses)
        values["weight"] *= self._delivery.sign
        self.add(values)
