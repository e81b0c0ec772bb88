"""What a checkpoint holds of plastic projections: of each block as much as it has synapses."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, collective_phase
from distsnn.engine import plastic_snapshot
from distsnn.engine.plastic_snapshot import Name
from distsnn.engine.rank_engine import RankEngine
from distsnn.errors import StoreError
from distsnn.io.checkpoint_reader import Generation

Ints = npt.NDArray[np.int64]
Index = dict[str, npt.NDArray[Any]]


def switches(engine: RankEngine) -> dict[str, Any]:
    """Return the attributes that say which projections do not learn, and what modulates others."""
    frozen = [one.projection.name for one in engine.plastic if not one.learns]
    modulated = {
        one.projection.name: one.modulation.last()
        for one in engine.plastic
        if one.modulation is not None
    }
    found: dict[str, Any] = {"frozen": frozen, "modulators": modulated}
    return {name: value for name, value in found.items() if value}


def set_modulators(generation: Generation, engine: RankEngine) -> None:
    """Set what modulates plastic projections to what was saved.

    Raises
    ------
    StoreError
        If that cannot have been saved: kernels take the steps as they are.
    """
    saved, at = generation.about.get("modulators", {}), int(generation.about["step"])
    for one in engine.plastic:
        if one.modulation is None:
            continue
        match saved.get(one.projection.name):
            case [int(step), int() | float() as value] if (
                not isinstance(step, bool) and -at <= step <= at and math.isfinite(value)
            ):
                one.modulation.change(step, float(value))
            case other:
                raise StoreError(
                    f"damaged: projection {one.projection.name!r} cannot have been modulated by "
                    f"{other!r}",
                    path=str(generation.folder),
                )


def read_items(
    generation: Generation, engine: RankEngine, index: Index, communicator: Communicator
) -> dict[Name, npt.NDArray[Any]]:
    """Return what was saved of this rank's blocks, as `snapshot.put` takes it. Collective.

    Parameters
    ----------
    generation : Generation
        What was saved.
    engine : RankEngine
        The engine.
    index : dict of str to ndarray
        Where the generation's blocks are.
    communicator : Communicator
        The ranks.
    """
    layout = engine.layout
    with collective_phase(communicator, "counting synapses"):
        mine = []
        for one in engine.plastic:
            sizes = np.zeros(layout.table.n_blocks, np.int64)
            blocks = layout.blocks_of_rank(one.projection.post.population)
            sizes[blocks] = plastic_snapshot.synapses_in_blocks(one)[1]
            mine.append(sizes)
    everyones = communicator.allgather(mine)
    found = {}
    with collective_phase(communicator, "reading the checkpoint"):
        for number, one in enumerate(engine.plastic):
            sizes = np.sum([part[number] for part in everyones], axis=0)
            for name in plastic_snapshot.names_by_synapse(one):
                found[name] = _of_blocks(generation, engine, index, name, sizes)
            for name, each in plastic_snapshot.names_by_state(one).items():
                values = each * layout.table.size.astype(np.int64)
                found[name] = _of_blocks(generation, engine, index, name, values)
        for count, columns in plastic_snapshot.pending_names(engine):
            sizes = layout.table.size.astype(np.int64)
            numbers = _of_blocks(generation, engine, index, count, sizes, everywhere=True)
            blocks = layout.table.population == layout.population_index(count[0])
            ends = np.cumsum(sizes[blocks])
            before = np.concatenate([[0], np.cumsum(numbers)])
            pending = np.zeros_like(sizes)
            pending[blocks] = before[ends] - before[ends - sizes[blocks]]
            found[count] = _of_blocks(generation, engine, index, count, sizes)
            for name in columns:
                found[name] = _of_blocks(generation, engine, index, name, pending)
    return found


def _of_blocks(
    generation: Generation,
    engine: RankEngine,
    index: Index,
    name: Name,
    sizes: Ints,
    *,
    everywhere: bool = False,
) -> npt.NDArray[Any]:
    """Return what was saved by a name of this rank's blocks, or all, that have so many items."""
    layout = engine.layout
    blocks = np.flatnonzero(layout.table.population == layout.population_index(name[0]))
    writer, offset = index["rank"][blocks], np.zeros(blocks.size, np.int64)
    for rank in np.unique(writer):
        its = np.flatnonzero(writer == rank)
        offset[its] = np.cumsum(sizes[blocks[its]]) - sizes[blocks[its]]
    chosen = np.flatnonzero(everywhere | (layout.block_local[blocks] >= 0))
    if not chosen.size:
        return np.empty(0)
    return generation.states(*name, writer[chosen], offset[chosen], sizes[blocks[chosen]].tolist())
