"""A rank's part of the simulation's state, in an order that does not depend on the ranks.

States are stored population by population, a rank's blocks in ascending order. A run needs no more
than these, the spikes in flight and the parameters that were set in order to continue. Stimuli are
functions of the step, except gamma processes, which have states; static synapses are functions of
the description, and of the weights that a script has set (see `engine.changed_weights`). What
synapse models know of their sources is saved as states of these, with the factors of spikes in
flight (see `engine.source_states`). The engine's holders declare which variables there are (see
`engine.state_fields`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.engine.delivery import ProceduralDelivery
from distsnn.engine.layout import LocalLayout
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.row_sets import RowSet
from distsnn.engine.spikes_in_flight import Spikes
from distsnn.engine.state_fields import CountedHolder, Key, StateField, Values
from distsnn.kernels import digest, procedural
from distsnn.network.blocks import GROUP

States = Mapping[Key, Values]
DIGEST_BYTES = 32


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One rank's part of a checkpoint.

    Attributes
    ----------
    step : int
        The step.
    blocks : ndarray of int64, shape (n_owned,)
        This rank's blocks, ascending.
    states : mapping of (population, group, variable) to ndarray
        Values of the fields, block after block, and of counted fields how many each block has; only
        of populations that have neurons here.
    spikes : (ndarray of int32, ndarray of uint32)
        This rank's spikes in flight, in the order of (step, gid).
    digests : ndarray of uint8, shape (n_owned, 32)
        SHA-256 of all that is saved of each block.
    """

    step: int
    blocks: npt.NDArray[np.int64]
    states: States
    spikes: Spikes
    digests: npt.NDArray[np.uint8]


def fields(engine: RankEngine) -> list[StateField]:
    """Return all state variables of a network, the same on all ranks."""
    return [field for holder in engine.state_holders for field in holder.fields]


def take_snapshot(engine: RankEngine) -> Snapshot:
    """Return a copy of a rank's state, between two runs."""
    layout, spikes = engine.layout, engine.settle()
    declared: list[StateField] = []
    states: dict[Key, Values] = {}
    local_populations = {
        layout.network.populations[n].name for n in layout.blocks.population[layout.owned_blocks]
    }
    for holder in engine.state_holders:
        if local_populations.isdisjoint(field.population for field in holder.fields):
            continue
        for field, values in zip(holder.fields, holder.take(engine.step), strict=True):
            if field.population in local_populations:
                states[field.key] = values
                declared.append(field)
            if field.count_group and field.count_key not in states:
                assert isinstance(holder, CountedHolder)
                states[field.count_key] = holder.counts()
    digests = _block_digests(layout, declared, states, spikes)
    for field in declared:
        # the owner of the first block saves shared values
        first = np.argmax(layout.blocks.population == layout.population_index(field.population))
        if field.shared and layout.block_first_local[first] < 0:
            del states[field.key]
    return Snapshot(engine.step, layout.owned_blocks, states, spikes, digests)


def restore_snapshot(engine: RankEngine, states: States, step: int, flying: Spikes) -> None:
    """Restore a rank's state.

    Parameters
    ----------
    engine : RankEngine
        A connected engine that has not run.
    states : mapping of (population, group, variable) to ndarray
        As in a snapshot, for this rank's blocks; of fields that are needed everywhere
        (`StateField.everywhere`), for the whole population.
    step : int
        The step.
    flying : (ndarray of int32, ndarray of uint32)
        All ranks' spikes in flight, in the order of (step, gid).
    """
    for holder in (*engine.state_holders, *engine.state_followers):
        declared = holder.fields
        if declared and all(field.key in states for field in declared):
            holder.put([states[field.key] for field in declared], step)
    engine.resume(step, flying)


def _block_digests(
    layout: LocalLayout, declared: list[StateField], states: States, spikes: Spikes
) -> npt.NDArray[np.uint8]:
    """Return the SHA-256 of each owned block's variables, in the order of names, and its spikes."""
    table, hashes = (
        layout.blocks,
        {block: hashlib.sha256() for block in layout.owned_blocks.tolist()},
    )
    for field in sorted(declared, key=lambda field: field.key):
        values = states[field.key]
        blocks = layout.blocks_of_rank(field.population)
        counts = table.size[blocks].astype(np.int64) * field.size
        if field.count_group:
            counts = states[field.count_key]
        parts = [part.tobytes() for part in np.split(values, np.cumsum(counts)[:-1])]
        if field.shared:
            parts = [hashlib.sha256(values.tobytes()).digest()] * blocks.size
        for block, part in zip(blocks.tolist(), parts, strict=True):
            hashes[block].update(f"{field.group} {field.name} {values.dtype}\n".encode())
            hashes[block].update(part)
    step, gid = spikes
    of_block = table.block_of_gid(gid)
    order = np.argsort(of_block, kind="stable")
    bounds = np.searchsorted(of_block[order], np.arange(table.n_blocks + 1))
    for block, block_hash in hashes.items():
        neurons_of_block = order[bounds[block] : bounds[block + 1]]
        block_hash.update(step[neurons_of_block].tobytes())
        block_hash.update(gid[neurons_of_block].tobytes())
    digests = b"".join(block_hash.digest() for block_hash in hashes.values())
    return np.frombuffer(digests, np.uint8).reshape(-1, DIGEST_BYTES)


def synapse_digests(engine: RankEngine) -> npt.NDArray[np.uint64]:
    """Return the digest of the synapses onto each owned block (see `kernels.digest`).

    Returns
    -------
    ndarray of uint64, shape (n_owned,)
    """
    layout = engine.layout
    sums = np.zeros(layout.n_local, np.uint64)
    # plastic synapses count without their weights, which change
    for row_set in (*engine.synapses.row_sets, *(rows.row_set for rows in engine.synapses.plastic)):
        _add_rows(row_set, sums)
    # without neurons of its own a rank has nothing to draw, and the kernel would take it to deliver
    for generator in engine.synapses.generators if sums.size else ():
        sources = (generator.gid + np.arange(generator.size)).astype(np.uint32)
        steps = np.zeros(generator.size, np.int64)
        call = ProceduralDelivery(generator, engine.ring, sources, steps).deliver
        procedural.add_rows(call.table, 0, generator.size, sums)
        del call  # which keeps the arrays alive that its table points at
    digests = np.zeros(layout.owned_blocks.size, np.uint64)
    groups = -(-layout.blocks.size[layout.owned_blocks] // GROUP)
    group_block = np.repeat(np.arange(layout.owned_blocks.size, dtype=np.int64), groups)
    digest.add_neurons(sums, layout.group_gid, layout.group_size, group_block, digests)
    return digests


def _add_rows(row_set: RowSet, sums: npt.NDArray[np.uint64]) -> None:
    plan = row_set.plan
    digest.add_rows(
        row_set.words,
        row_set.row_starts,
        row_set.run_starts,
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
