"""Traces of a plastic projection's sources.

Rows have the current traces of their sources. The owner of a source keeps its settled ones, as they
were before the spikes in flight. A checkpoint holds these, and spikes in flight make of them the
current ones again (see `engine.source_states`).
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from distsnn.engine.plasticity.calls import RuleCalls
from distsnn.engine.plasticity.rule_constants import trace_fields
from distsnn.engine.source_states import select_source_spikes
from distsnn.engine.spikes_in_flight import Spikes
from distsnn.engine.state_fields import Ints, NeuronHolder, StateField, Values


class SourceTraces(NeuronHolder):
    """Traces of some neurons as sources of a plastic projection.

    Parameters
    ----------
    calls : RuleCalls
        The projection's calls.
    neurons : ndarray of int64, shape (n,)
        Neurons of the sources' population, -1 for padding; those that are no sources have traces
        too, which never change.

    Attributes
    ----------
    traces : ndarray, shape (n, n_traces)
        Traces after the last spike.
    last : ndarray of int32, shape (n,)
        When it was at the synapses, steps.
    """

    fields: tuple[StateField, ...] = ()

    def __init__(self, calls: RuleCalls, neurons: Ints) -> None:
        self.neurons, self._calls = neurons, calls
        self.fields = trace_fields(calls.projection, "source")
        self.traces = np.zeros((neurons.size, len(calls.rule.SOURCE)), calls.precision)
        self.last = np.zeros(neurons.size, np.int32)

    def arrays(self) -> Iterable[Values]:
        """Return the traces, and the steps of the last spikes."""
        return *self.traces.T, self.last

    def bring_up(self, now: int) -> None:
        """Fade the traces to a step, and keep them as of this step."""
        since = (now - self.last).astype(np.float64)
        for column, name in enumerate(self._calls.rule.SOURCE):
            self.traces[:, column] = self._calls.faded(name, self.traces[:, column], since)
        self.last[:] = now

    def spike(self, rows: Ints, steps: Ints) -> None:
        """Let neurons in some rows spike, in the order of their steps.

        Traces that were brought up to a step have taken the spikes that arrived by then.
        """
        calls = self._calls
        new = calls.arrivals(steps) > self.last[rows]
        rows, steps = rows[new], steps[new]
        calls.entries.sources_spike(calls.table, calls.scalars, self.traces, self.last, rows, steps)


class DeliveredTraces(SourceTraces):
    """The settled traces of a rank's own neurons.

    Parameters
    ----------
    calls : RuleCalls
        The projection's calls.
    """

    def __init__(self, calls: RuleCalls) -> None:
        population = calls.layout.population_index(calls.projection.pre.population)
        super().__init__(calls, calls.layout.population_neurons(population))

    def advance(self, step: npt.NDArray[np.int32], gid: npt.NDArray[np.uint32]) -> None:
        """Take this rank's spikes that follow those taken before, in the order of their steps."""
        slots, steps = select_source_spikes(self._calls.layout, self._calls.projection, step, gid)
        self.spike(slots, steps.astype(np.int64))

    def now(self, step: int, spikes: Spikes) -> dict[str, Values]:
        """Return the traces at a step, with the spikes that have reached the synapses by it.

        Parameters
        ----------
        step : int
            The step.
        spikes : (ndarray of int32, ndarray of uint32)
            This rank's spikes in flight, stamps and gids.
        """
        before = self.traces.copy(), self.last.copy()
        self.settle_and_bring_up(step, spikes)
        values = dict(zip(self._calls.rule.SOURCE, self.traces.T.copy(), strict=True))
        self.traces[:], self.last[:] = before
        return values

    def settle_and_bring_up(self, now: int, spikes: Spikes) -> None:
        """Fade the traces to a step, with the spikes that have reached the synapses by it."""
        has_arrived = self._calls.arrivals(spikes[0]) <= now
        self.advance(spikes[0][has_arrived], spikes[1][has_arrived])
        self.bring_up(now)
