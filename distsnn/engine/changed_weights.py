"""Weights of static projections that a script has set, as rows of differences.

Input is a sum of integers. Rows with the differences between new and described weights, beside the
rows of described weights, therefore give the same sums as rows with the new weights, in whatever
format these are stored, or drawn. Rows of differences are pulled: the input ring contains nothing
of them before it is due, so that spikes in flight act with the new weights.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from distsnn.engine.delivery import RowSetDelivery
from distsnn.engine.kernel_calls import invoke
from distsnn.engine.layout import LocalLayout
from distsnn.engine.local_neurons import InputRing
from distsnn.engine.row_builder import make_row_builder
from distsnn.engine.row_sets import RowSet
from distsnn.engine.spikes_in_flight import Spikes
from distsnn.engine.state_fields import CountedHolder, StateField, Values, projection_fields
from distsnn.engine.storage import plan_explicit_row_set
from distsnn.kernels.delivery import GROW
from distsnn.network import Network, PopulationView
from distsnn.network.projections import MAX_DELAY_STEPS
from distsnn.network.quanta import WeightQuanta

Ints = npt.NDArray[np.int64]

# Columns of differences: gids, index among the synapses of the pair, receptor plane, delay in
# steps, and the difference in quanta.
SOURCE, TARGET, NTH, PLANE, DELAY, DIFFERENCE = range(6)
N_COLUMNS = 6


class ChangedWeights(CountedHolder):
    """Differences between a static projection's weights and the described ones.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    index : int
        The projection.

    Attributes
    ----------
    projection : Projection
        The projection.
    is_set : bool
        Whether a script has set weights; the same on all ranks.
    """

    def __init__(self, layout: LocalLayout, quanta: WeightQuanta, index: int) -> None:
        self._layout, self._quanta = layout, quanta
        self.projection = layout.network.projections[index]
        self.forget()

    def forget(self) -> None:
        """Return to the described weights."""
        self.is_set = False
        self.differences = np.empty((0, N_COLUMNS), np.int64)

    def set(self, differences: Ints) -> None:
        """Set the differences, shape (n, N_COLUMNS), of synapses onto this rank's neurons."""
        self.is_set = True
        order = np.lexsort(differences.T[[PLANE, NTH, TARGET, SOURCE]])
        self.differences = differences[order]

    @property
    def fields(self) -> tuple[StateField, ...]:
        """The differences, once a script has set weights."""
        if not self.is_set:
            return ()
        return self._declared

    @property
    def _declared(self) -> tuple[StateField, ...]:
        variables = {"weight differences": ("int64", "quantum")}
        return projection_fields(
            self.projection, "synapse", variables, count_name="number of weight differences"
        )

    def declare(self, saved: Iterable[StateField]) -> None:
        """Declare the differences of a checkpoint."""
        keys = {field.key for field in saved}
        self.is_set = any(field.key in keys for field in self._declared)

    def _blocks(self) -> Ints:
        """Return the block of each target among the rank's blocks of the population."""
        owned = self._layout.blocks_of_rank(self.projection.post.population)
        blocks = self._layout.blocks.block_of_gid(self.differences[:, TARGET])
        return np.searchsorted(owned, blocks)

    def counts(self) -> Ints:
        """Return the number of values in each of the rank's blocks."""
        n = self._layout.blocks_of_rank(self.projection.post.population).size
        return N_COLUMNS * np.bincount(self._blocks(), minlength=n)

    def take(self, step: int) -> list[Values]:
        """Return a copy of the differences by block."""
        return [self.differences[np.argsort(self._blocks(), kind="stable")].reshape(-1)]

    def put(self, values: Sequence[Values], step: int) -> None:
        """Set the differences to the saved ones.

        Raises
        ------
        ValueError
            If they cannot belong to this rank's synapses of the projection.
        """
        columns = values[0].reshape(-1, N_COLUMNS)
        network, projection = self._layout.network, self.projection
        receptors = network.population(projection.post.population).model.receptors
        bounds = {
            SOURCE: _gids(network, projection.pre),
            TARGET: _gids(network, projection.post),
            PLANE: (0, len(receptors)),
            DELAY: (1, MAX_DELAY_STEPS + 1),
            DIFFERENCE: (-(2**31), 2**31 + 1),
        }
        for column, (start, stop) in bounds.items():
            if np.any((columns[:, column] < start) | (columns[:, column] >= stop)):
                raise ValueError(f"differences of weights of {projection.name!r} are out of range")
        if not np.all(self._layout.is_local(columns[:, TARGET].astype(np.uint32))):
            raise ValueError(f"differences of weights of {projection.name!r} are of another rank")
        self.set(columns)

    def weights(
        self, sources: Ints, targets: Ints, nth: Ints, described: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return the current weights of synapses with described weights, in the model's unit."""
        name = self.projection.post.population
        receptors = self._layout.network.population(name).model.receptors
        quantum = np.array([self._quanta.quantum(name, receptor) for receptor in receptors])
        n = self._layout.network.n_neurons
        columns = self.differences
        kind = [("pair", np.int64), ("nth", np.int64)]
        keys, changed = np.empty(sources.size, kind), np.empty(len(columns), kind)
        keys["pair"], keys["nth"] = sources * n + targets, nth
        changed["pair"] = columns[:, SOURCE] * n + columns[:, TARGET]
        changed["nth"] = columns[:, NTH]
        order = np.argsort(keys)
        position = np.minimum(np.searchsorted(keys[order], changed), max(0, keys.size - 1))
        is_there = np.zeros(len(columns), np.bool_)
        if keys.size:
            is_there = keys[order][position] == changed
        result = described.copy()
        steps = columns[:, DIFFERENCE] * quantum[columns[:, PLANE]]
        np.add.at(result, order[position[is_there]], steps[is_there])
        return result

    def row_sets(self) -> list[RowSet]:
        """Return rows of differences, which are pulled."""
        builder, columns = make_row_builder(self._layout, self._quanta, 0), self.differences
        index = self._layout.population_index(self.projection.post.population)
        first = self._layout.network.first_gid[self.projection.post.population]
        prepared = np.stack(
            [
                columns[:, SOURCE],
                self._layout.to_local(index, columns[:, TARGET] - first),
                columns[:, DIFFERENCE],
                columns[:, DELAY],
                columns[:, PLANE],
            ],
            axis=1,
        )
        for plane in np.unique(columns[:, PLANE]).tolist():
            part = prepared[prepared[:, 4] == plane]
            longest = int(part[:, 3].max())
            builder.add(plan_explicit_row_set(self._layout, plane, longest, "pull", None), part)
        return builder.row_sets


def _gids(network: Network, view: PopulationView) -> tuple[int, int]:
    first = network.first_gid[view.population]
    return first + view.start, first + view.stop


def input_growth(
    layout: LocalLayout, differences: Iterable[Ints], n_planes: int, spikes: int
) -> Ints:
    """Return a bound of what differences add to a step's input of a neuron, shape (n_planes,).

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    differences : iterable of ndarray of int64, shape (n, N_COLUMNS)
        Of all projections, onto this rank's neurons.
    n_planes : int
        Number of receptor planes.
    spikes : int
        Most spikes of a source in a step.
    """
    n = layout.network.n_neurons
    columns = np.concatenate([np.empty((0, N_COLUMNS), np.int64), *differences])
    receptors, receptor = np.unique(columns[:, PLANE] * n + columns[:, TARGET], return_inverse=True)
    sums, growth = np.zeros(receptors.size, np.int64), np.zeros(n_planes, np.int64)
    np.add.at(sums, receptor, np.abs(columns[:, DIFFERENCE]))
    np.maximum.at(growth, receptors // n, sums)
    return spikes * growth


def changed_weights(layout: LocalLayout, quanta: WeightQuanta) -> dict[str, ChangedWeights]:
    """Return the differences of all projections whose weights can be set by them, by name."""
    return {
        str(projection.name): ChangedWeights(layout, quanta, index)
        for index, projection in enumerate(layout.network.projections)
        if projection.plasticity_rule is None and projection.scaling_model is None
    }


def schedule_again(
    deliveries: Sequence[RowSetDelivery],
    ring: InputRing,
    received: tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]],
    flying: Spikes,
    step: int,
) -> None:
    """Schedule events of spikes in flight that are due at a step or later.

    Parameters
    ----------
    deliveries : sequence of RowSetDelivery
        Deliveries of pulled rows, with empty calendars.
    ring : InputRing
        Input, which stays unchanged.
    received : (ndarray of uint32, ndarray of int64)
        The list of spikes to deliver.
    flying : (ndarray of int32, ndarray of uint32)
        All ranks' spikes in flight, in the order of (step, gid).
    step : int
        Iterations done.
    """
    steps, gids = flying
    if not deliveries or not steps.size:
        return
    input_before = ring.rows.copy()
    for k in range(int(steps[0]) - 1, step):
        first, last = np.searchsorted(steps, [k + 1, k + 2]).tolist()
        for delivery in deliveries:
            assert delivery.collect is not None
            invoke(delivery.collect, k)  # delay runs of the past leave the calendar queue
            for low in range(first, last, received[0].size):
                n = min(last - low, received[0].size)
                received[0][:n], received[1][:n] = gids[low : low + n], k
                while invoke(delivery.deliver, k, 0, n) == GROW:
                    delivery.double_calendar()
    ring.rows[:] = input_before
