"""Weights of static projections that a script has set, as rows of differences.

Input is a sum of integers. Rows with the differences between new and described weights, beside the
rows of described weights, therefore give the same sums as rows with the new weights, in whatever
format these are stored, or drawn. Rows of differences are pulled: the input ring contains nothing
of them before it is due, so that spikes in flight act with the new weights.

If a synapse model scales the weights, each product of weight and factor is rounded. A synapse then
has two entries, the new weight and the described weight with the opposite sign. Rounding is
symmetric, so the second entry cancels the input of the described row exactly.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from distsnn.engine.layout import LocalLayout
from distsnn.engine.row_builder import make_row_builder
from distsnn.engine.row_sets import RowSet
from distsnn.engine.source_states import occurrences
from distsnn.engine.state_fields import CountedHolder, StateField, Values, projection_fields
from distsnn.engine.storage import plan_explicit_row_set, receptor_planes, scaled_by
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
    differences : ndarray of int64, shape (n, N_COLUMNS)
        The differences, by block of the target, then by source.
    sum_changes : ndarray of int64, shape (n_planes, n_local), or None
        Changes of the sums of \\|weights\\| onto the rank's neurons, quanta; None if no script has
        set weights, or if they were restored and the changes were not yet computed.
    """

    def __init__(self, layout: LocalLayout, quanta: WeightQuanta, index: int) -> None:
        self._layout, self._quanta, self._index = layout, quanta, index
        self.projection = layout.network.projections[index]
        self.forget()

    def forget(self) -> None:
        """Return to the described weights."""
        self.is_set = False
        self.differences = np.empty((0, N_COLUMNS), np.int64)
        self.sum_changes: Ints | None = None

    def set(self, differences: Ints, sum_changes: Ints | None = None) -> None:
        """Set the attributes of these names; the differences may be in any order."""
        self.is_set, self.sum_changes = True, sum_changes
        keys = differences.T[[DIFFERENCE, PLANE, NTH, TARGET, SOURCE]]
        self.differences = differences[np.lexsort([*keys, self._blocks(differences)])]

    def differences_of(
        self, sources: Ints, targets: Ints, delays: Ints, described: Ints, weights: Ints
    ) -> Ints:
        """Return the differences of synapses with new weights, shape (n, N_COLUMNS).

        Parameters
        ----------
        sources, targets : ndarray of int64, shape (n_synapses,)
            Gids of all synapses onto this rank's neurons, in their order.
        delays : ndarray of int64, shape (n_synapses,)
            Delays, steps.
        described, weights : ndarray of int64, shape (n_synapses,)
            Described and new weights, quanta.
        """
        nth = occurrences(sources * self._layout.network.n_neurons + targets)
        plane_before, plane_after = self._planes(described), self._planes(weights)
        is_replaced = plane_before != plane_after
        if self.projection.scaling_model is not None:
            is_replaced = described != weights
        added = np.where(is_replaced, weights, weights - described)
        removed = np.where(is_replaced, -described, 0)
        synapses = sources, targets, nth
        joined = np.concatenate(
            [
                np.stack([*synapses, plane_after, delays, added], axis=1),
                np.stack([*synapses, plane_before, delays, removed], axis=1),
            ]
        ).astype(np.int64)
        differences: Ints = joined[joined[:, DIFFERENCE] != 0]
        return differences

    def changes_of_sums(self, targets: Ints, described: Ints, weights: Ints) -> Ints:
        """Return the change of the sum of \\|weights\\| onto each local neuron by new weights.

        Parameters
        ----------
        targets : ndarray of int64, shape (n_synapses,)
            Gids of the targets of synapses onto this rank's neurons.
        described, weights : ndarray of int64, shape (n_synapses,)
            Described and new weights, quanta.

        Returns
        -------
        ndarray of int64, shape (n_planes, n_local), quanta
        """
        changes = np.zeros((self._layout.n_planes, self._layout.n_local), np.int64)
        local = self._local(targets)
        np.add.at(changes, (self._planes(weights), local), np.abs(weights))
        np.subtract.at(changes, (self._planes(described), local), np.abs(described))
        return changes

    def _planes(self, weights: Ints) -> Ints:
        positive, negative = receptor_planes(self._layout, self.projection)
        return np.where(weights >= 0, positive, negative)

    def _local(self, targets: Ints) -> Ints:
        name = self.projection.post.population
        index, first = self._layout.population_index(name), self._layout.network.first_gid[name]
        return self._layout.to_local(index, targets - first)

    @property
    def fields(self) -> tuple[StateField, ...]:
        """The differences, once a script has set weights."""
        if not self.is_set:
            return ()
        return self._declared

    @property
    def _declared(self) -> tuple[StateField, ...]:
        group, variables = "weight_differences", {"difference": ("int64", "quantum")}
        return projection_fields(self.projection, "synapse", group, variables, count_group=group)

    def declare(self, saved: Iterable[StateField]) -> None:
        """Declare the differences of a checkpoint."""
        keys = {field.key for field in saved}
        self.is_set = any(field.key in keys for field in self._declared)

    def _blocks(self, differences: Ints) -> Ints:
        """Return the block of each target among the rank's blocks of the population."""
        owned = self._layout.blocks_of_rank(self.projection.post.population)
        blocks = self._layout.blocks.block_of_gid(differences[:, TARGET])
        return np.searchsorted(owned, blocks)

    def counts(self) -> Ints:
        """Return the number of values in each of the rank's blocks."""
        n = self._layout.blocks_of_rank(self.projection.post.population).size
        return N_COLUMNS * np.bincount(self._blocks(self.differences), minlength=n)

    def take(self, step: int) -> list[Values]:
        """Return a copy of the differences by block."""
        return [self.differences.reshape(-1).copy()]

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
            PLANE: (0, len(receptors)),
            DELAY: (1, MAX_DELAY_STEPS + 1),
            DIFFERENCE: (-(2**31), 2**31 + 1),
        }
        is_outside = [
            (columns[:, column] < start) | (columns[:, column] >= stop)
            for column, (start, stop) in bounds.items()
        ]
        is_outside += [
            network.positions(view, columns[:, column]) < 0
            for column, view in ((SOURCE, projection.pre), (TARGET, projection.post))
        ]
        if np.any(is_outside):
            raise ValueError(f"differences of weights of {projection.name!r} are out of range")
        if not np.all(self._layout.is_local(columns[:, TARGET].astype(np.uint32))):
            raise ValueError(f"differences of weights of {projection.name!r} are of another rank")
        self.set(columns)

    def weights(
        self, sources: Ints, targets: Ints, described: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Return the current weights of synapses with described weights, in the model's unit.

        The synapses of a pair are all of them, in their order.
        """
        if not self.is_set:
            return described
        name = self.projection.post.population
        receptors = self._layout.network.population(name).model.receptors
        quantum = np.array([self._quanta.quantum(name, receptor) for receptor in receptors])
        n = self._layout.network.n_neurons
        columns = self.differences
        kind = [("pair", np.int64), ("nth", np.int64)]
        keys, changed = np.empty(sources.size, kind), np.empty(len(columns), kind)
        keys["pair"] = sources * n + targets
        keys["nth"] = occurrences(keys["pair"])
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
        prepared = np.stack(
            [
                columns[:, SOURCE],
                self._local(columns[:, TARGET]),
                columns[:, DIFFERENCE],
                columns[:, DELAY],
                columns[:, PLANE],
            ],
            axis=1,
        )
        for plane in np.unique(columns[:, PLANE]).tolist():
            part = prepared[prepared[:, 4] == plane]
            longest = int(part[:, 3].max())
            scaled = scaled_by(self.projection, self._index)
            builder.add(plan_explicit_row_set(self._layout, plane, longest, "pull", scaled), part)
        return builder.row_sets


def changed_weights(layout: LocalLayout, quanta: WeightQuanta) -> dict[str, ChangedWeights]:
    """Return the differences of all static projections by name."""
    return {
        str(projection.name): ChangedWeights(layout, quanta, index)
        for index, projection in enumerate(layout.network.projections)
        if projection.plasticity_rule is None
    }
