"""What a checkpoint holds of plastic projections, in an order that does not depend on the ranks.

By block of targets: weights and states of its synapses, in the order of source and of drawing; its
neurons' traces before the spikes in flight, from which histories are made again, or what is kept of
their states, where a rule follows these; and the plastic input that is on its way. What is kept of
sources is in `engine.plastic_sources`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine.history import Spikes
from distsnn.engine.layout import Layout
from distsnn.engine.plastic_delivery import PlasticDelivery
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.source_states import saved_name
from distsnn.engine.synapse_parameters import parameter_name

Ints = npt.NDArray[np.int64]
Name = tuple[str, str]
States = Mapping[Name, npt.NDArray[Any]]

# Values by name, and how many of them each of the rank's blocks of the population has.
Items = Mapping[Name, tuple[npt.NDArray[Any], Ints]]

_PENDING = ("step", "plane", "value")


def synapses_in_blocks(one: PlasticDelivery) -> tuple[npt.NDArray[np.intp], Ints]:
    """Return the order of a projection's synapses by block of targets, and how many each has."""
    block = _block_of(one.layout, one.projection.post.population, one.rows.targets())
    n = one.layout.blocks_of_rank(one.projection.post.population).size
    return np.argsort(block, kind="stable"), np.bincount(block, minlength=n)


def _block_of(layout: Layout, population: str, slots: Ints) -> npt.NDArray[np.int16]:
    """Return the position of local neurons' blocks among the rank's of their population."""
    starts = layout.block_local[layout.blocks_of_rank(population)]
    return (np.searchsorted(starts, slots, side="right") - 1).astype(np.int16)


def take(engine: RankEngine, reach: int) -> tuple[dict[Name, npt.NDArray[Any]], Items]:
    """Return a copy of what is saved: by neuron, and by item of a block.

    Parameters
    ----------
    engine : RankEngine
        The engine, between two runs.
    reach : int
        Steps for which spikes are in flight.
    """
    states: dict[Name, npt.NDArray[Any]] = {}
    items: dict[Name, tuple[npt.NDArray[Any], Ints]] = {}
    for one in engine.plastic:
        one.sweep(engine.step)
        if not one.history.records.size:
            continue
        order, counts = synapses_in_blocks(one)
        for name, values in one.by_synapse().items():
            items[_onto(one, name)] = values[order], counts
        if one.watch is None:
            states |= _targets(one, engine.step - reach)
        else:
            saved, of_blocks = one.watch.saved(engine.step), _sizes(one)
            for name, each in one.watch.names().items():
                items[_onto(one, name)] = saved[name], each * of_blocks
    for population in _reached(engine):
        pending, columns = _pending(engine, population)
        states[population, "plastic input"] = pending
        layout = engine.layout
        last = np.cumsum(layout.table.size[layout.blocks_of_rank(population)])
        in_blocks = np.diff(np.cumsum(pending)[last - 1], prepend=0).astype(np.int64)
        for name, column in zip(_PENDING, columns, strict=True):
            items[population, f"plastic input {name}"] = column, in_blocks
    return states, items


def names_by_neuron(one: PlasticDelivery) -> list[Name]:
    """Return by which names a projection's targets are saved."""
    return [_onto(one, name) for name in _target_names(one)]


def names_by_synapse(one: PlasticDelivery) -> list[Name]:
    """Return by which names a projection's synapses are saved."""
    return [_onto(one, name) for name in one.by_synapse()]


def names_by_state(one: PlasticDelivery) -> dict[Name, int]:
    """Return by which names the states of a projection's targets are saved, and how many each."""
    names = {} if one.watch is None else one.watch.names()
    return {_onto(one, name): each for name, each in names.items()}


def pending_names(engine: RankEngine) -> list[tuple[Name, list[Name]]]:
    """Return by which names the plastic input is saved: its count by neuron, and its columns."""
    return [
        ((name, "plastic input"), [(name, f"plastic input {one}") for one in _PENDING])
        for name in _reached(engine, everywhere=True)
    ]


def put_parameters(one: PlasticDelivery, items: States) -> None:
    """Set the parameters by synapse of those that were noted as changed."""
    order, _ = synapses_in_blocks(one)
    for name, values in one.rows.changed.items():
        if values.ndim and values.size:
            values[order] = items[_onto(one, parameter_name(name))]


def put_targets(engine: RankEngine, states: States, step: int) -> None:
    """Set the histories, before the spikes in flight enter them."""
    for one in engine.plastic:
        if one.history.records.size and one.watch is None:
            values = [states[name] for name in names_by_neuron(one)]
            one.begin_history(values[:-1], values[-1], step)


def put_rows(engine: RankEngine, items: States, step: int, flying: Spikes) -> None:
    """Set weights, states and input on its way, after the spikes in flight were taken."""
    for one in engine.plastic:
        if one.history.records.size:
            order, _ = synapses_in_blocks(one)
            for name, values in one.by_synapse().items():
                values[order] = items[_onto(one, name)]
            if one.watch is not None:
                names = one.watch.names()
                one.begin_watch({name: items[_onto(one, name)] for name in names}, step)
        one.resume(step, flying)
    ring = engine.plastic_ring.rows
    ring[:] = 0
    for population in _reached(engine):
        index = engine.layout.population_index(population)
        real = np.flatnonzero(engine.layout.in_population(index) >= 0)
        slots = engine.layout.first[index] + np.repeat(real, items[population, "plastic input"])
        at, plane, value = (items[population, f"plastic input {name}"] for name in _PENDING)
        ring[plane, at & (ring.shape[1] - 1), slots] = value


def _onto(one: PlasticDelivery, name: str) -> Name:
    return one.projection.post.population, saved_name(one.projection, name)[1]


def _reached(engine: RankEngine, *, everywhere: bool = False) -> list[str]:
    """Return the populations with plastic input, on this rank or everywhere."""
    found = {
        one.projection.post.population
        for one in engine.plastic
        if everywhere or one.history.records.size
    }
    return sorted(found)


def _sizes(one: PlasticDelivery) -> Ints:
    """Return the number of neurons in each of the rank's blocks of targets."""
    layout = one.layout
    return layout.table.size[layout.blocks_of_rank(one.projection.post.population)].astype(np.int64)


def _target_names(one: PlasticDelivery) -> list[str]:
    if one.watch is not None:
        return []
    return [*(f"{name} of targets" for name in one.rule.TARGET), "last spike of targets"]


def _targets(one: PlasticDelivery, until: int) -> dict[Name, npt.NDArray[Any]]:
    """Return what targets had come to by a step."""
    records = one.history.records[one.layout.in_population(one.target_population) >= 0]
    newest = np.argmax(records["step"] <= until, axis=1)[:, None]
    values = [
        np.take_along_axis(records["trace"][:, :, column], newest, 1)[:, 0]
        for column in range(len(one.rule.TARGET))
    ]
    values.append(np.take_along_axis(records["step"], newest, 1)[:, 0])
    return dict(zip(names_by_neuron(one), values, strict=True))


def _pending(
    engine: RankEngine, population: str
) -> tuple[npt.NDArray[np.int32], tuple[npt.NDArray[Any], ...]]:
    """Return how much plastic input is on its way to each neuron, and all of it."""
    layout, rows = engine.layout, engine.plastic_ring.rows
    index = layout.population_index(population)
    part = slice(int(layout.first[index]), int(layout.last[index]))
    real = layout.in_population(index) >= 0
    loops = engine.step + np.arange(rows.shape[1])
    # neuron, plane, loop
    ahead = rows[:, loops & (rows.shape[1] - 1), part][:, :, real].transpose(2, 0, 1)
    neuron, plane, at = np.nonzero(ahead)
    counts = np.bincount(neuron, minlength=int(real.sum())).astype(np.int32)
    columns = (
        loops[at].astype(np.int32),
        plane.astype(np.int32),
        ahead[neuron, plane, at].astype(np.int64),
    )
    return counts, columns
