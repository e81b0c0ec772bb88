"""Reads the values of an engine's state variables from a checkpoint, those that a rank needs."""

from dataclasses import fields

import numpy as np
import numpy.typing as npt

from distsnn.engine import snapshot
from distsnn.engine.layout import LocalLayout
from distsnn.engine.rank_engine import RankEngine
from distsnn.engine.state_fields import Ints, Key, StateField, Values
from distsnn.errors import StoreError
from distsnn.io.checkpoint_reader import CheckpointReader


def check_declared(generation: CheckpointReader, engine: RankEngine) -> None:
    """Check that a checkpoint has the state variables of this network.

    The checkpoint declares the values that were set before it.

    Raises
    ------
    StoreError
        If it has not; the error names the first difference.
    """
    names = [attribute.name for attribute in fields(StateField)]
    saved = [StateField(*(row[name] for name in names)) for row in generation.attributes["fields"]]
    for holder in engine.state_holders:
        holder.declare(saved)
    stored = {field.key: field for field in saved}
    declared = {field.key: field for field in snapshot.fields(engine)}
    for key in sorted({*stored, *declared}):
        if stored.get(key) != declared.get(key):
            population, group, name = key
            raise StoreError(
                f"state {group}/{name} of population {population!r} is {stored.get(key)} there, "
                f"and {declared.get(key)} in this version of distsnn",
                path=str(generation.folder),
            )


def read_states(
    generation: CheckpointReader, engine: RankEngine, writers: npt.NDArray[np.int32]
) -> dict[Key, Values]:
    """Return what a rank needs of a checkpoint, as `restore_snapshot` takes it.

    Parameters
    ----------
    generation : CheckpointReader
        The checkpoint.
    engine : RankEngine
        The engine.
    writers : ndarray of int32, shape (n_blocks,)
        The rank that saved each block.

    Raises
    ------
    StoreError
        If values are missing or of another type than declared.
    """
    layout, result, known_counts = engine.layout, dict[Key, Values](), dict[Key, Ints]()
    for field in snapshot.fields(engine):
        blocks = _blocks(layout, field.population)
        local_blocks = blocks if field.everywhere else layout.blocks_of_rank(field.population)
        if not local_blocks.size:
            continue
        counts = layout.blocks.size[blocks].astype(np.int64) * field.size
        if field.shared:  # the owner of the first block has saved it
            blocks = local_blocks = blocks[:1]
            counts = np.array([field.size])
        elif field.count_group:
            key = field.count_key
            if key not in known_counts:
                each = np.ones(blocks.size, np.int64)
                known_counts[key] = _read(generation, key, "int64", writers, blocks, each, blocks)
            counts = known_counts[key]
        values = _read(generation, field.key, field.dtype, writers, blocks, counts, local_blocks)
        result[field.key] = values
    return result


def _blocks(layout: LocalLayout, population: str) -> npt.NDArray[np.intp]:
    return np.flatnonzero(layout.blocks.population == layout.population_index(population))


def _read(
    generation: CheckpointReader,
    key: Key,
    dtype: str,
    writers: npt.NDArray[np.int32],
    blocks: npt.NDArray[np.integer],
    counts: Ints,
    local_blocks: npt.NDArray[np.integer],
) -> Values:
    """Return the values of some blocks of a population; `counts` has the numbers of all blocks."""
    if counts.min() < 0:
        raise StoreError(f"corrupt: the numbers of {key}", path=str(generation.folder))
    writer, first = writers[blocks], np.zeros(blocks.size, np.int64)
    for rank in np.unique(writer):
        its = np.flatnonzero(writer == rank)
        first[its] = np.cumsum(counts[its]) - counts[its]
    chosen = np.searchsorted(blocks, local_blocks)
    values = generation.states(*key, writer[chosen], first[chosen], counts[chosen].tolist())
    if values.dtype != dtype:
        raise StoreError(
            f"corrupt: {key} is of type {values.dtype}, and not {dtype}",
            path=str(generation.folder),
        )
    return values
