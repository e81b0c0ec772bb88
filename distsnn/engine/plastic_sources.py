"""Traces of a plastic projection's sources, as they were before the spikes in flight.

Rows have the current traces of their sources. The owner of a source keeps its settled ones, which
a checkpoint holds: spikes in flight make of these the current ones again (see
`engine.source_states`).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine.history import Spikes
from distsnn.engine.plastic_delivery import PlasticDelivery
from distsnn.engine.source_states import Named, of_sources, saved_name

LAST = "last spike of sources"


class SettledTraces:
    """The settled traces of a rank's own neurons.

    Parameters
    ----------
    delivery : PlasticDelivery
        The projection whose sources they are.

    Attributes
    ----------
    delivery : PlasticDelivery
        The projection.
    neurons : ndarray of int64, shape (n,)
        Neurons of the sources' population, -1 for padding; those that are no sources have traces
        too, which never change.
    traces : ndarray, shape (n, n_traces)
        Traces after the last spike.
    last : ndarray of int32, shape (n,)
        When it was at the synapses, steps.
    """

    def __init__(self, delivery: PlasticDelivery) -> None:
        self.delivery, self._layout = delivery, delivery.layout
        self._view = delivery.projection.pre
        population = self._layout.population_index(self._view.population)
        self.neurons = self._layout.in_population(population)
        self.traces = np.zeros((self.neurons.size, delivery.traces.shape[1]), delivery.traces.dtype)
        self.last = np.zeros(self.neurons.size, np.int32)

    def settle(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Take this rank's spikes that follow those taken before, in the order of their steps."""
        slots, steps = of_sources(self._layout, self.delivery.projection, step, gid)
        new = self.delivery.arrivals(steps) > self.last[slots]
        slots, steps = slots[new], steps[new]
        self.delivery.sources_spike(self.traces, self.last, slots, steps.astype(np.int64))

    def bring_up(self, now: int, spikes: Spikes) -> None:
        """Fade the traces to a step, with the spikes that have reached the synapses by it.

        They are not taken again when they are settled.
        """
        there = self.delivery.arrivals(spikes[0]) <= now
        self.settle(spikes[0][there], spikes[1][there])
        self.delivery.bring_up(self.traces, self.last, now)

    def saved(self) -> dict[tuple[str, str], npt.NDArray[Any]]:
        """Return what is saved, neurons in the order of the rank's blocks."""
        real = self.neurons >= 0
        names = names_of_sources(self.delivery)
        return dict(zip(names, (*self.traces[real].T.copy(), self.last[real]), strict=True))

    def put(self, saved: Named) -> None:
        """Set them, and those of the delivery's rows, to saved ones of all neurons."""
        delivery, names = self.delivery, names_of_sources(self.delivery)
        first = self._layout.network.first_gid[self._view.population]
        rows = delivery.rows.row_set.sources - first
        for traces, last, of in (
            (self.traces, self.last, self.neurons),
            (delivery.traces, delivery.last, rows),
        ):
            for column, name in enumerate(names[:-1]):
                traces[:, column] = saved[name][of]
            last[:] = saved[names[-1]][of]


def names_of_sources(delivery: PlasticDelivery) -> list[tuple[str, str]]:
    """Return by which names a projection's sources are saved: their traces, then the last spike."""
    variables = [*(f"{name} of sources" for name in delivery.rule.SOURCE), LAST]
    return [saved_name(delivery.projection, one) for one in variables]
