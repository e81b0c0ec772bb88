"""Make tables of connections; static synapses are drawn again by the functions that built them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine.connections import decode_synapses
from distsnn.engine.edges import Records
from distsnn.engine.layout import LocalLayout
from distsnn.engine.plasticity.delivery import PlasticDelivery
from distsnn.engine.row_builder import NO_EDGES, make_row_builder
from distsnn.engine.storage import plan_explicit_row_set, receptor_planes
from distsnn.network import ConnectionList, delay_bounds
from distsnn.network.quanta import WeightQuanta

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Table = npt.NDArray[np.void]

_FIELDS = [("source", "i8"), ("target", "i8"), ("weight", "f8"), ("delay", "f8")]


def static_connections(
    layout: LocalLayout,
    quanta: WeightQuanta,
    seed: int,
    index: int,
    explicit_edges: Iterable[Records] | None,
    sources: tuple[int, int],
) -> Table:
    """Return a static projection's connections from a range of sources onto a rank's neurons.

    Draws are functions of seed, projection, source and block of targets. The drawn synapses are
    therefore the stored ones, or the ones that are drawn at each spike of a source.

    Parameters
    ----------
    layout : LocalLayout
        The rank's neurons.
    quanta : WeightQuanta
        Fixed-point scales.
    seed : int
        The run's seed.
    index : int
        The projection.
    explicit_edges : iterable of ndarray, optional
        Records of its edges from these sources onto this rank's neurons, if edges are given.
    sources : (int, int)
        First gid and end of the sources.

    Returns
    -------
    structured ndarray
        ``source`` and ``target`` (gids), ``weight`` as it acts, in the target model's unit,
        ``delay`` in ms; in the order of sources.
    """
    network = layout.network
    projection = network.projections[index]
    model = network.population(projection.post.population).model
    builder = make_row_builder(layout, quanta, seed)
    parts = []
    if explicit_edges is not None:
        builder.add_explicit_edges(index, projection, explicit_edges)
    else:
        assert projection.delay is not None and not isinstance(projection.rule, ConnectionList)
        longest = delay_bounds(projection.delay, network.dt)[1]
        plan = plan_explicit_row_set(
            layout, receptor_planes(layout, projection)[0], longest, "pull", None
        )
        row_set = builder.add(replace(plan, projections=(index,)), NO_EDGES, sources)
        parts.append(decode_synapses(row_set))
    # given edges, and weights of the sign that another receptor takes
    parts += [piece for pieces in builder.overflow_synapses.values() for piece in pieces]
    gid, local, weight, delay, plane = np.concatenate([NO_EDGES, *parts]).T
    quantum = [quanta.quantum(projection.post.population, name) for name in model.receptors]
    weights = weight * np.array(quantum)[plane]
    return make_table(gid, layout.to_gids(local), weights, delay * network.dt)


def plastic_connections(delivery: PlasticDelivery, now: int, sources: tuple[int, int]) -> Table:
    """Return a plastic projection's connections onto a rank's neurons as they are at a step.

    Connections are from a range of sources, given by first gid and end.

    Returns
    -------
    structured ndarray
        As `static_connections`, with the states of the rule.
    """
    rows, layout = delivery.rows, delivery.layout
    gids = rows.row_set.sources
    first, last = np.searchsorted(gids, sources).tolist()
    bounds = rows.row_set.row_starts[first : last + 1]
    synapses = np.arange(bounds[0], bounds[-1])
    values = delivery.read(now, np.arange(first, last), synapses)
    weights = delivery.sign * values.pop("weight").astype(np.float64)
    delays = rows.delays(synapses).astype(np.float64) * layout.network.dt
    source = np.repeat(gids[first:last], np.diff(bounds))
    return make_table(source, layout.to_gids(rows.targets(synapses)), weights, delays, values)


def make_table(
    sources: npt.NDArray[np.integer],
    targets: npt.NDArray[np.integer],
    weights: Floats,
    delays: Floats,
    states: Mapping[str, npt.NDArray[Any]] = MappingProxyType({}),
) -> Table:
    """Return the table of connections with these columns, and states as further columns."""
    table = np.empty(sources.size, [*_FIELDS, *((name, "f8") for name in states)])
    columns = {"source": sources, "target": targets, "weight": weights, "delay": delays}
    for name, values in {**columns, **states}.items():
        table[name] = values
    return table


def add_states(table: Table, states: Mapping[str, npt.NDArray[Any]]) -> Table:
    """Return a table with states added as columns."""
    names = table.dtype.names
    assert names is not None
    if not states:
        return table
    known = {name: table[name] for name in names[len(_FIELDS) :]}
    source, target, weight, delay = (table[name] for name, _ in _FIELDS)
    return make_table(source, target, weight, delay, {**known, **states})
