"""A rank's part of the simulation's state, in an order that does not depend on the ranks.

States are stored population by population, a rank's blocks in ascending order. A run needs no more
than these, the spikes in flight and the parameters that were set in order to continue. Stimuli are
functions of the step, except gamma processes, which have states; static synapses are functions of
the description. What synapse models know of their sources is saved as states of these, as it was
before the first spike in flight (see `engine.source_states`). Of plastic synapses all is saved (see
`engine.plastic_snapshot`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.engine import neuron_parameters, plastic_snapshot
from distsnn.engine.delivery import ProceduralDelivery
from distsnn.engine.history import Spikes
from distsnn.engine.layout import Layout
from distsnn.engine.plastic_snapshot import Items
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.row_sets import RowSet
from distsnn.kernels import digest, procedural
from distsnn.network.blocks import GROUP

States = Mapping[tuple[str, str], npt.NDArray[Any]]
DIGEST_BYTES = 32


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What one rank saves.

    Attributes
    ----------
    step : int
        Loops done.
    blocks : ndarray of int64, shape (n_owned,)
        This rank's blocks, ascending.
    states : mapping of (population, variable) to ndarray, shape (n_local_of_population,)
        States as the kernels hold them, neurons in the order of the blocks; only of populations
        that have neurons here. Those of synapse models belong to their sources' population.
    items : mapping of (population, variable) to (ndarray, ndarray of int64)
        What plastic projections save of each block's synapses and input, and how much it is.
    spikes : (ndarray of int32, ndarray of uint32)
        This rank's spikes in flight, in the order of (step, gid).
    digests : ndarray of uint8, shape (n_owned, 32)
        SHA-256 of all that is saved of each block.
    """

    step: int
    blocks: npt.NDArray[np.int64]
    states: States
    items: Items
    spikes: Spikes
    digests: npt.NDArray[np.uint8]


def take(engine: RankEngine, reach: int) -> Snapshot:
    """Return a copy of a rank's state.

    Parameters
    ----------
    engine : RankEngine
        The engine, between two runs.
    reach : int
        The longest delay of the whole network, steps.
    """
    layout = engine.layout
    states = {}
    for name, neurons in engine.neurons.items():
        real = neurons.neurons >= 0
        for variable, values in neurons.states.items() if real.any() else ():
            states[name, variable] = values[real]
        states |= neuron_parameters.saved(neurons) if real.any() else {}
    spikes = engine.in_flight(reach)
    for one in engine.settled:
        states |= one.saved() if one.neurons.size else {}
    for scaling in engine.scalings:
        states |= scaling.saved()
    states |= engine.stimuli.saved()
    of_plastic, items = plastic_snapshot.take(engine, reach)
    states |= of_plastic
    digests = block_digests(layout, states, items, spikes)
    return Snapshot(engine.step, layout.owned, states, items, spikes, digests)


def put(
    engine: RankEngine,
    states: States,
    sources: States,
    items: States,
    step: int,
    flying: Spikes,
) -> None:
    """Set a rank's state, and go on from there.

    Parameters
    ----------
    engine : RankEngine
        A connected engine that has not run.
    states : mapping of (population, variable) to ndarray
        As in a snapshot, for this rank's blocks, without those of synapse models.
    sources : mapping of (population, variable) to ndarray, shape (n_of_population,)
        Those of synapse models, of all neurons.
    items : mapping of (population, variable) to ndarray
        Those of plastic projections, for this rank's blocks.
    step : int
        Loops done.
    flying : (ndarray of int32, ndarray of uint32)
        All ranks' spikes in flight, in the order of (step, gid).
    """
    for name, neurons in engine.neurons.items():
        if neurons.changed:
            parameters = neuron_parameters.restored(neurons, states)
            update = engine.update_with(name, parameters)
            engine.set_parameters(name, parameters, neurons.changed, update)
        real = neurons.neurons >= 0
        for variable, values in neurons.states.items() if real.any() else ():
            values[real] = states[name, variable]
    for scaling in engine.scalings:
        scaling.put(states)
    engine.stimuli.put(states)
    plastic_snapshot.put_targets(engine, states, step)
    engine.resume(step, flying, sources)
    plastic_snapshot.put_rows(engine, items, step, flying)


def block_digests(
    layout: Layout, states: States, items: Items, spikes: Spikes
) -> npt.NDArray[np.uint8]:
    """Return the SHA-256 of each owned block's states, items and spikes in flight.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    states, items, spikes
        As in a snapshot.

    Returns
    -------
    ndarray of uint8, shape (n_owned, 32)
    """
    table, owned = layout.table, layout.owned
    found = np.empty((owned.size, DIGEST_BYTES), np.uint8)
    step, gid = spikes
    of_block = table.of_gid(gid)
    order = np.argsort(of_block, kind="stable")
    bounds = np.searchsorted(of_block[order], np.arange(table.n_blocks + 1))
    sizes = table.size[owned]
    # by population: what is told of each variable, its values, and where its blocks' begin
    parts: dict[int, list[tuple[bytes, npt.NDArray[Any], npt.NDArray[np.int64]]]] = {}
    for name, variable in sorted({*states, *items}):
        population = layout.population_index(name)
        if (name, variable) in items:
            values, counts = items[name, variable]
        else:
            values = states[name, variable]
            counts = sizes[table.population[owned] == population]
        starts = np.concatenate([[0], np.cumsum(counts)])
        head = f"{variable} {values.dtype}\n".encode()
        parts.setdefault(population, []).append((head, values, starts))
    done = dict.fromkeys(range(len(layout.network.populations)), 0)
    for row, block in zip(found, owned.tolist(), strict=True):
        population = int(table.population[block])
        nth, whole = done[population], hashlib.sha256()
        for head, values, starts in parts.get(population, []):
            whole.update(head)
            whole.update(values[starts[nth] : starts[nth + 1]].tobytes())
        done[population] = nth + 1
        mine = order[bounds[block] : bounds[block + 1]]
        whole.update(step[mine].tobytes())
        whole.update(gid[mine].tobytes())
        row[:] = np.frombuffer(whole.digest(), np.uint8)
    return found


def wiring(engine: RankEngine) -> npt.NDArray[np.uint64]:
    """Return the digest of the synapses onto each owned block (see `kernels.digest`).

    Returns
    -------
    ndarray of uint64, shape (n_owned,)
    """
    layout = engine.layout
    sums = np.zeros(layout.n_local, np.uint64)
    # plastic synapses count without their weights, which change
    for one in (*engine.wiring.row_sets, *(rows.row_set for rows in engine.wiring.plastic)):
        _add_rows(one, sums)
    # without neurons of its own a rank has nothing to draw, and the kernel would take it to deliver
    for made in engine.wiring.generators if sums.size else ():
        sources = (made.gid + np.arange(made.size)).astype(np.uint32)
        steps = np.zeros(made.size, np.int64)
        call = ProceduralDelivery(made, engine.ring, sources, steps).deliver
        procedural.add_rows(call.table, 0, made.size, sums)
        del call  # which keeps the arrays alive that its table points at
    digests = np.zeros(layout.owned.size, np.uint64)
    groups = -(-layout.table.size[layout.owned] // GROUP)
    group_block = np.repeat(np.arange(layout.owned.size, dtype=np.int64), groups)
    digest.add_neurons(sums, layout.group_gid, layout.group_size, group_block, digests)
    return digests


def _add_rows(row_set: RowSet, sums: npt.NDArray[np.uint64]) -> None:
    plan = row_set.plan
    digest.add_rows(
        row_set.words,
        row_set.rows,
        row_set.run_rows,
        row_set.runs,
        row_set.sources,
        plan.pull,
        plan.target_bits,
        plan.field_bits,
        plan.stored_shift,
        plan.weight or 0,
        0 if plan.delay is None or plan.pull else plan.delay,
        plan.plane,
        sums,
    )
