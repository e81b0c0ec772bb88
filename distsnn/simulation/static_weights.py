"""Weights of static projections, set between two run calls: collective, equal on all ranks."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from distsnn.comm import collective_phase
from distsnn.engine.changed_weights import N_COLUMNS
from distsnn.engine.connection_table import Table
from distsnn.engine.source_states import occurrences
from distsnn.engine.storage import receptor_planes
from distsnn.engine.value_columns import integer_weights
from distsnn.errors import DescriptionError
from distsnn.network import ConnectionList, Network
from distsnn.network.values import ValueLike
from distsnn.simulation.access import Access
from distsnn.simulation.connection_access import local_connections
from distsnn.simulation.synapse_order import SynapseOrder, as_numbers

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# As every described weight that matters.
_LARGEST_ERROR = 2.0**-10
# Quanta of a weight: a word of differences has room for twice as many.
_MOST_QUANTA = 2.0**30

_DOING = "setting weights"


def set_static_weights(
    access: Access, order: SynapseOrder, name: str, described: ValueLike
) -> None:
    """Do what setting `ProjectionHandle.weights` of a static projection does. Collective."""
    engine, communicator = access.engine, access.communicator
    where = f"weights of projection {name!r}"
    index = [projection.name for projection in engine.layout.network.projections].index(name)
    shape = order.sources.shape
    with collective_phase(communicator, _DOING):
        if name not in engine.changed_weights:
            raise DescriptionError(
                "weights that a synapse model scales cannot be set",
                where=where,
                allowed="a static projection without a synapse model, or a plastic projection",
            )
        value = as_numbers(described, shape, where=where, meaning="one weight per synapse")
        weights = np.broadcast_to(np.asarray(value, np.float64), shape)
        _check_description(engine.layout.network, index, weights, order, where)
        stored = _stored(access, index, weights, order)
    order.agree("weights", value)
    table = local_connections(engine, communicator, name, as_described=True)
    changed = engine.changed_weights[name]
    with collective_phase(communicator, _DOING):
        old = integer_weights(engine.layout, engine.quanta, index, table["weight"])
        differences = _differences(access, index, table, old, stored[order.local_order])
    access.inputs.reserve_weights({**_all_differences(access), name: differences}, where=where)
    changed.set(differences)
    parts = communicator.allgather(engine.settle())
    steps, gids = (np.concatenate(part) for part in zip(*parts, strict=True))
    by_step = np.lexsort((gids, steps))
    engine.use_changed_weights((steps[by_step], gids[by_step]))
    access.scripted.add(name)


def _all_differences(access: Access) -> dict[str, Ints]:
    return {name: changed.differences for name, changed in access.engine.changed_weights.items()}


def _check_description(
    network: Network, index: int, weights: Floats, order: SynapseOrder, where: str
) -> None:
    """Raise DescriptionError if these synapses could not be described with the weights."""
    projection = network.projections[index]
    pre, post = (
        network.first_gid[end.population] + end.start for end in (projection.pre, projection.post)
    )
    edges = ConnectionList(
        *(np.asarray(gid).astype(np.int32) for gid in (order.sources - pre, order.targets - post))
    )
    try:
        changed = replace(
            projection, rule=edges, weight=weights.copy(), delay=order.delays, weight_bits=None
        )
        Network(network.populations, [changed], dt=network.dt)
    except DescriptionError as error:
        raise error.in_context(where) from None


def _stored(access: Access, index: int, weights: Floats, order: SynapseOrder) -> Ints:
    """Return weights in quanta; raise DescriptionError for the first that is none of them."""
    engine = access.engine
    layout, quanta = engine.layout, engine.quanta
    name, size = layout.network.projections[index].post.population, np.abs(weights)
    receptors = layout.network.population(name).model.receptors
    positive, negative = receptor_planes(layout, layout.network.projections[index])
    quantum = np.where(
        weights >= 0.0,
        quanta.quantum(name, receptors[positive]),
        quanta.quantum(name, receptors[negative]),
    )
    fits = size <= _MOST_QUANTA * quantum
    stored = integer_weights(layout, quanta, index, np.where(fits, weights, 0.0))
    bad = ~(fits & (np.abs(stored * quantum - weights) <= _LARGEST_ERROR * size))
    if bad.any():
        number = int(np.argmax(bad))
        unit = quantum[number]
        step = unit * 2.0 ** quanta.shift[index]
        raise order.refuse(
            number,
            float(weights[number]),
            "the projection cannot store the weight to 1/1024 of its value",
            f"0, magnitudes from {512 * step:.6g} to {_MOST_QUANTA * unit:.6g}, and smaller "
            f"multiples of {step:.6g}: the quantum follows from the described weights",
        )
    return stored


def _differences(access: Access, index: int, table: Table, old: Ints, new: Ints) -> Ints:
    """Return the columns of `engine.changed_weights` of this rank's synapses."""
    layout = access.engine.layout
    positive, negative = receptor_planes(layout, layout.network.projections[index])
    nth = occurrences(table["source"] * layout.network.n_neurons + table["target"])
    delays = np.rint(table["delay"] / layout.network.dt).astype(np.int64)
    plane_of_old, plane_of_new = (np.where(w >= 0, positive, negative) for w in (old, new))
    moved = plane_of_old != plane_of_new
    columns = [table["source"], table["target"], nth]
    parts = [
        np.stack([*columns, plane_of_new, delays, np.where(moved, new, new - old)], axis=1),
        np.stack([*columns, plane_of_old, delays, np.where(moved, -old, 0)], axis=1),
    ]
    joined = np.concatenate(parts).astype(np.int64)
    differences: Ints = joined[joined[:, N_COLUMNS - 1] != 0]
    return differences
