"""Counts of a rank's built synapses by the rank of their sources."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distsnn.engine.layout import Layout
from distsnn.engine.row_sets import RowSet
from distsnn.engine.storage import RowSetPlan
from distsnn.engine.wiring import Wiring

Ints = npt.NDArray[np.int64]

_PIECE = 1 << 22  # words that are looked at at a time


@dataclass(frozen=True, eq=False)
class Connections:
    """Synapses onto a rank's neurons, by the rank of their sources.

    Attributes
    ----------
    sources : ndarray of int64, shape (ranks,)
        Neurons of each rank that have a synapse here.
    synapses : ndarray of int64, shape (ranks,)
        Their synapses.
    smallest_delay : ndarray of int64, shape (ranks,)
        The minimum delay of these synapses, steps; 0 without synapses.
    """

    sources: Ints
    synapses: Ints
    smallest_delay: Ints


def connections(layout: Layout, wiring: Wiring) -> Connections | None:
    """Count a rank's synapses; None where some are not stored, but drawn whenever they are needed.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    wiring : Wiring
        Its synapses.
    """
    if wiring.generators:
        return None
    ranks = layout.assignment.ranks
    synapses = np.zeros(ranks, np.int64)
    smallest = np.full(ranks, np.iinfo(np.int64).max)
    for row_set in _row_sets(wiring):
        rank = _rank_of(layout, row_set.sources)
        np.add.at(synapses, rank, np.diff(row_set.rows))
        np.minimum.at(smallest, rank, _shortest(row_set))
    smallest[synapses == 0] = 0
    sources = np.bincount(_rank_of(layout, _gids(_bitmap(layout, wiring))), minlength=ranks)
    return Connections(sources, synapses, smallest)


def remote_sources(layout: Layout, wiring: Wiring) -> npt.NDArray[np.uint64]:
    """Return the other ranks' neurons that have a stored synapse here, as a bitmap over gids."""
    bitmap = _bitmap(layout, wiring)
    gids = _gids(bitmap)
    local_gids = gids[_rank_of(layout, gids) == layout.rank]
    bits = np.left_shift(np.uint64(1), (local_gids & 63).astype(np.uint64))
    np.bitwise_xor.at(bitmap, local_gids >> 6, bits)
    return bitmap


def ends(layout: Layout, wiring: Wiring) -> Iterator[tuple[Ints, Ints]]:
    """Yield sources and targets (gids) of a rank's stored synapses, a piece at a time.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    wiring : Wiring
        Its synapses.
    """
    for row_set in _row_sets(wiring):
        sources, sizes, plan = row_set.sources, np.diff(row_set.rows), row_set.plan
        for first, last in _pieces(row_set):
            local = _targets(row_set.words[row_set.rows[first] : row_set.rows[last]], plan)
            source = np.repeat(sources[first:last], sizes[first:last])
            yield source, layout.gids(local)


def decode_synapses(row_set: RowSet) -> Ints:
    """Return the synapses of a pulled row set, shape (n_synapses, 5).

    The columns are gid of the source, local target, weight in quanta, delay in steps and receptor
    plane.
    """
    plan = row_set.plan
    words = row_set.words.astype(np.uint64)
    left = np.uint64(64 - plan.field_bits)
    decoded = np.empty((words.size, 5), np.int64)
    decoded[:, 0] = row_set.source_of_synapse
    decoded[:, 1] = _targets(words, plan)
    decoded[:, 2] = (words << left).view(np.int64) >> np.int64(left)
    decoded[:, 3] = np.repeat(row_set.runs >> 16, row_set.runs & 0xFFFF)
    decoded[:, 4] = plan.plane
    return decoded


def _targets(words: npt.NDArray[np.unsignedinteger], plan: RowSetPlan) -> Ints:
    """Return the local targets in synapse words."""
    bits = words.astype(np.uint64) >> np.uint64(plan.field_bits)
    return (bits & np.uint64((1 << plan.target_bits) - 1)).astype(np.int64)


def _row_sets(wiring: Wiring) -> Iterator[RowSet]:
    yield from wiring.row_sets
    yield from (rows.row_set for rows in wiring.plastic if rows.synapses)


def _bitmap(layout: Layout, wiring: Wiring) -> npt.NDArray[np.uint64]:
    bitmap = np.zeros((layout.network.n_neurons >> 6) + 1, np.uint64)
    for row_set in _row_sets(wiring):
        bitmap |= row_set.bitmap
    return bitmap


def _gids(bitmap: npt.NDArray[np.uint64]) -> Ints:
    return np.flatnonzero(np.unpackbits(bitmap.view(np.uint8), bitorder="little"))


def _rank_of(layout: Layout, gids: Ints) -> npt.NDArray[np.int32]:
    return layout.assignment.owner[layout.table.block_of_gid(gids)]


def _shortest(row_set: RowSet) -> Ints:
    """Return the shortest delay of each row, steps."""
    plan = row_set.plan
    if plan.pull:  # runs contain delays, words only targets
        return np.minimum.reduceat(row_set.runs >> 16, row_set.run_rows[:-1]).astype(np.int64)
    if plan.delay is not None:
        return np.full(row_set.rows.size - 1, plan.delay, np.int64)
    # delays are the highest bits, so the smallest word has the shortest
    delays = np.empty(row_set.rows.size - 1, np.int64)
    for first, last in _pieces(row_set):
        words = row_set.words[row_set.rows[first] : row_set.rows[last]]
        shortest = np.minimum.reduceat(words, row_set.rows[first:last] - row_set.rows[first])
        delays[first:last] = shortest >> (plan.target_bits + plan.field_bits)
    return delays


def _pieces(row_set: RowSet) -> Iterator[tuple[int, int]]:
    """Yield first row and end of pieces of a row set, each of whole rows."""
    first, n = 0, row_set.rows.size - 1
    while first < n:
        last = int(np.searchsorted(row_set.rows, row_set.rows[first] + _PIECE))
        last = min(max(last, first + 1), n)
        yield first, last
        first = last
