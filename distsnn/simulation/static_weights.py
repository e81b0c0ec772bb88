"""Weights of static projections, set between two run calls: collective, equal on all ranks."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from distsnn.comm import collective_phase
from distsnn.engine.changed_weights import ChangedWeights
from distsnn.engine.projection_records import integer_weights
from distsnn.engine.storage import receptor_planes
from distsnn.errors import DescriptionError
from distsnn.network import ConnectionList, Network
from distsnn.network.values import ValueLike
from distsnn.simulation.access import Access
from distsnn.simulation.connection_access import local_connections
from distsnn.simulation.set_weights import is_stored, precision_error
from distsnn.simulation.synapse_order import SynapseOrder, as_numbers

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

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
        value = as_numbers(described, shape, where=where, meaning="one weight per synapse")
        weights = np.broadcast_to(np.asarray(value, np.float64), shape)
        _check_description(engine.layout.network, index, weights, order, where)
        stored = _stored(access, index, weights, order)
    order.agree("weights", value)
    changed, table = engine.changed_weights[name], order.described
    with collective_phase(communicator, _DOING):
        before = integer_weights(engine.layout, engine.quanta, index, table["weight"])
        after = stored[order.local_order]
        delays = np.rint(table["delay"] / engine.layout.network.dt).astype(np.int64)
        differences = changed.differences_of(
            table["source"], table["target"], delays, before, after
        )
        changes = changed.changes_of_sums(table["target"], before, after)
    others = [other for other in engine.changed_weights.values() if other is not changed]
    access.inputs.reserve_weights([*_sum_changes(others), changes], where=where)
    with collective_phase(communicator, _DOING):
        in_flight = engine.settle()
        part = *in_flight, engine.sent_factors(in_flight)
    steps, gids, factors = zip(*communicator.allgather(part), strict=True)
    step, gid = np.concatenate(steps), np.concatenate(gids)
    by_step = np.lexsort((gid, step))
    with collective_phase(communicator, _DOING):
        changed.set(differences, changes)
        engine.use_changed_weights(
            (step[by_step], gid[by_step]),
            {key: np.concatenate([each[key] for each in factors])[by_step] for key in factors[0]},
        )
    access.scripted.add(name)


def reserve_set_weights(access: Access) -> None:
    """Reserve input for weights that are set already, as after a restart. Collective.

    Stimuli must have reserved theirs.
    """
    engine, layout = access.engine, access.engine.layout
    names = [projection.name for projection in layout.network.projections]
    for name, changed in engine.changed_weights.items():
        if changed.is_set and changed.sum_changes is None:
            table = local_connections(engine, access.communicator, name, as_described=True)
            with collective_phase(access.communicator, "restoring weights"):
                ends = table["source"], table["target"]
                before, after = (
                    integer_weights(layout, engine.quanta, names.index(name), weights)
                    for weights in (table["weight"], changed.weights(*ends, table["weight"]))
                )
                changed.sum_changes = changed.changes_of_sums(ends[1], before, after)
    access.inputs.reserve_weights(_sum_changes(engine.changed_weights.values()))


def _sum_changes(weights: Iterable[ChangedWeights]) -> list[Ints]:
    return [changed.sum_changes for changed in weights if changed.sum_changes is not None]


def _check_description(
    network: Network, index: int, weights: Floats, order: SynapseOrder, where: str
) -> None:
    """Raise DescriptionError if these synapses could not be described with the weights."""
    projection = network.projections[index]
    edges = ConnectionList(
        network.positions(projection.pre, order.sources).astype(np.int32),
        network.positions(projection.post, order.targets).astype(np.int32),
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
    bad = ~(fits & is_stored(weights, stored * quantum))
    if bad.any():
        number = int(np.argmax(bad))
        unit = quantum[number]
        step = unit * 2.0 ** quanta.shift[index]
        problem, allowed = precision_error("projection", step, _MOST_QUANTA * unit)
        raise order.refuse(number, float(weights[number]), problem, allowed)
    return stored
