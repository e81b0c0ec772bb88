"""Builds a rank's row sets: the synapses onto its own neurons, and no others.

Synapses that do not fit their words, and given edges, are collected and become the last row sets,
with 8-byte words. Plastic synapses have rows of their own (`engine.plasticity.rows`).
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.engine import edges
from distsnn.engine.layout import LocalLayout
from distsnn.engine.plasticity.rows import PlasticRows, build_plastic_rows
from distsnn.engine.row_builder import NO_EDGES, RowBuilder, make_row_builder
from distsnn.engine.row_sets import RowSet, SynapseGenerator
from distsnn.engine.storage import RowSetPlan, plan_explicit_row_set, plan_row_sets
from distsnn.errors import DescriptionError
from distsnn.network import ConnectionFile, ConnectionList, Network
from distsnn.network.quanta import WeightQuanta, too_wide_for_a_word

Ints = npt.NDArray[np.int64]


@dataclass(eq=False)
class LocalSynapses:
    """A rank's synapses.

    Attributes
    ----------
    row_sets : list of RowSet
        Those that hold synapses.
    generators : list of SynapseGenerator
        Synapses that are not stored.
    plastic : list of PlasticRows
        Plastic synapses, one for each projection that has them.
    synapses : int
        Their number.
    smallest_delay, largest_delay : int
        Minimum and maximum of the drawn delays, steps; (0, 0) without synapses.
    weight_sums : ndarray of int64, shape (n_planes, n_local)
        Sum of \\|weights\\| onto each local neuron, quanta.
    """

    row_sets: list[RowSet]
    generators: list[SynapseGenerator]
    plastic: list[PlasticRows]
    synapses: int
    smallest_delay: int
    largest_delay: int
    weight_sums: Ints

    @property
    def max_weight_sums(self) -> Ints:
        """Maximum of the sums of \\|weights\\| onto a local neuron, quanta, shape (n_planes,)."""
        maximum: Ints = self.weight_sums.max(axis=1, initial=0)
        return maximum

    @property
    def nbytes(self) -> int:
        """Bytes of the synapses, and of what those that are not stored are drawn from."""
        stored = sum(row_set.nbytes for row_set in self.row_sets)
        drawn = sum(generator.nbytes for generator in self.generators)
        return stored + drawn + sum(rows.nbytes for rows in self.plastic)


def build_local_synapses(
    layout: LocalLayout,
    quanta: WeightQuanta,
    seed: int,
    *,
    delivery: str = "auto",
    storage: str = "auto",
    memory_bytes: float = math.inf,
    explicit_edges: Mapping[int, list[edges.Records]] | None = None,
) -> LocalSynapses:
    """Build the synapses onto a rank's neurons.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    seed : int
        The run's seed.
    delivery, storage, memory_bytes
        See `storage.plan_row_sets`.
    explicit_edges : mapping of int to list of ndarray, optional
        By index of the projection, records of the edges in its file that end on this rank's
        neurons, in the file's order. The lists are emptied, to free the memory for synapses.

    Raises
    ------
    DescriptionError
        If words cannot hold what a forced choice asks for.
    """
    network = layout.network
    builder = make_row_builder(layout, quanta, seed)
    keys, load = builder.keys, builder.load
    plans = plan_row_sets(
        layout, quanta, delivery=delivery, storage=storage, memory_bytes=memory_bytes
    )
    for plan in plans:
        builder.add(plan, NO_EDGES)
    plastic = []
    for index, projection in enumerate(network.projections):
        pieces = _given_edges(network, index, explicit_edges)
        if projection.plasticity_rule is not None:
            plastic.append(build_plastic_rows(layout, quanta, keys, load, index, pieces))
        elif pieces is not None:
            builder.add_explicit_edges(index, projection, pieces)
    for scaled in list(builder.overflow_synapses):
        left = np.concatenate(builder.overflow_synapses.pop(scaled))
        for plane in np.unique(left[:, 4]).tolist():
            prepared = left[left[:, 4] == plane]
            plan = plan_explicit_row_set(
                layout, int(plane), int(prepared[:, 3].max()), delivery, scaled
            )
            _check_weights(layout, quanta, plan, prepared)
            builder.add(plan, prepared)
    parts: list[RowBuilder | PlasticRows] = [builder, *plastic]
    filled = [projection for projection in parts if projection.synapses]
    return LocalSynapses(
        builder.row_sets,
        builder.generators,
        plastic,
        sum(projection.synapses for projection in filled),
        min((projection.min_delay for projection in filled), default=0),
        max((projection.max_delay for projection in filled), default=0),
        load,
    )


def plastic_as_described(
    layout: LocalLayout,
    quanta: WeightQuanta,
    seed: int,
    explicit_edges: Mapping[int, list[edges.Records]],
) -> Iterator[PlasticRows]:
    """Yield the synapses of each plastic projection as `build_local_synapses` makes them."""
    builder, network = make_row_builder(layout, quanta, seed), layout.network
    for index, projection in enumerate(network.projections):
        if projection.plasticity_rule is not None:
            pieces = _given_edges(network, index, explicit_edges)
            load = np.zeros_like(builder.load)
            yield build_plastic_rows(layout, quanta, builder.keys, load, index, pieces)


def _given_edges(
    network: Network, index: int, explicit_edges: Mapping[int, list[edges.Records]] | None
) -> Iterable[edges.Records] | None:
    """Return the records of a projection's edges; None where a rule draws them."""
    projection = network.projections[index]
    if isinstance(projection.rule, ConnectionList):
        return edges.array_records(projection, network.dt)
    if isinstance(projection.rule, ConnectionFile):
        assert explicit_edges is not None
        return edges.pop_all(explicit_edges[index])
    return None


def _check_weights(
    layout: LocalLayout, quanta: WeightQuanta, plan: RowSetPlan, prepared: Ints
) -> None:
    """Raise DescriptionError if a word of the plan cannot hold a weight."""
    half, weights = 1 << (plan.field_bits - 1), prepared[:, 2]
    bad = (weights < -half) | (weights >= half)
    if not bad.any():
        return
    _, local, weight, *_ = prepared[np.argmax(np.where(bad, np.abs(weights), 0))].tolist()
    if not plan.pull:
        raise DescriptionError(
            "a word cannot hold target, delay and weight",
            where="delivery",
            value=f"a weight of {weight} quanta",
            allowed="pull or auto",
        )
    population_index = int(np.searchsorted(layout.last, local, side="right"))
    population = layout.network.populations[population_index]
    receptor = population.model.receptors[plan.plane]
    k = quanta.exponent[population.name, receptor]
    raise too_wide_for_a_word(layout.network, population.name, weight, receptor, k, plan.field_bits)
