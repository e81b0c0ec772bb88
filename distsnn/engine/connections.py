"""What a rank's synapses come to by the rank of their sources, counted in what was built."""

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
        The shortest delay of these, steps; 0 where there is none.
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
    for one in _row_sets(wiring):
        rank = _rank_of(layout, one.sources)
        np.add.at(synapses, rank, np.diff(one.rows))
        np.minimum.at(smallest, rank, _shortest(one))
    smallest[synapses == 0] = 0
    sources = np.bincount(_rank_of(layout, _gids(_bitmap(layout, wiring))), minlength=ranks)
    return Connections(sources, synapses, smallest)


def remote_sources(layout: Layout, wiring: Wiring) -> npt.NDArray[np.uint64]:
    """Return the other ranks' neurons that have a stored synapse here, as a bitmap over gids."""
    found = _bitmap(layout, wiring)
    gids = _gids(found)
    own = gids[_rank_of(layout, gids) == layout.rank]
    bits = np.left_shift(np.uint64(1), (own & 63).astype(np.uint64))
    np.bitwise_xor.at(found, own >> 6, bits)
    return found


def ends(layout: Layout, wiring: Wiring) -> Iterator[tuple[Ints, Ints]]:
    """Yield sources and targets (gids) of a rank's stored synapses, a piece at a time.

    Parameters
    ----------
    layout : Layout
        The rank's neurons.
    wiring : Wiring
        Its synapses.
    """
    for one in _row_sets(wiring):
        sources, sizes, plan = one.sources, np.diff(one.rows), one.plan
        for first, last in _pieces(one):
            local = _targets(one.words[one.rows[first] : one.rows[last]], plan)
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
    found = np.empty((words.size, 5), np.int64)
    found[:, 0] = row_set.source_of_synapse
    found[:, 1] = _targets(words, plan)
    found[:, 2] = (words << left).view(np.int64) >> np.int64(left)
    found[:, 3] = np.repeat(row_set.runs >> 16, row_set.runs & 0xFFFF)
    found[:, 4] = plan.plane
    return found


def _targets(words: npt.NDArray[np.unsignedinteger], plan: RowSetPlan) -> Ints:
    """Return the local targets in synapse words."""
    bits = words.astype(np.uint64) >> np.uint64(plan.field_bits)
    return (bits & np.uint64((1 << plan.target_bits) - 1)).astype(np.int64)


def _row_sets(wiring: Wiring) -> Iterator[RowSet]:
    yield from wiring.row_sets
    yield from (one.row_set for one in wiring.plastic if one.synapses)


def _bitmap(layout: Layout, wiring: Wiring) -> npt.NDArray[np.uint64]:
    found = np.zeros((layout.network.n_neurons >> 6) + 1, np.uint64)
    for one in _row_sets(wiring):
        found |= one.bitmap
    return found


def _gids(bitmap: npt.NDArray[np.uint64]) -> Ints:
    return np.flatnonzero(np.unpackbits(bitmap.view(np.uint8), bitorder="little"))


def _rank_of(layout: Layout, gids: Ints) -> npt.NDArray[np.int32]:
    return layout.assignment.owner[layout.table.of_gid(gids)]


def _shortest(one: RowSet) -> Ints:
    """Return the shortest delay of each row, steps."""
    plan = one.plan
    if plan.pull:  # runs say when, words only where
        return np.minimum.reduceat(one.runs >> 16, one.run_rows[:-1]).astype(np.int64)
    if plan.delay is not None:
        return np.full(one.rows.size - 1, plan.delay, np.int64)
    # delays are the highest bits, so the smallest word has the shortest
    found = np.empty(one.rows.size - 1, np.int64)
    for first, last in _pieces(one):
        words = one.words[one.rows[first] : one.rows[last]]
        least = np.minimum.reduceat(words, one.rows[first:last] - one.rows[first])
        found[first:last] = least >> (plan.target_bits + plan.field_bits)
    return found


def _pieces(one: RowSet) -> Iterator[tuple[int, int]]:
    """Yield first row and end of pieces of a row set, each of whole rows."""
    first, n = 0, one.rows.size - 1
    while first < n:
        last = int(np.searchsorted(one.rows, one.rows[first] + _PIECE))
        last = min(max(last, first + 1), n)
        yield first, last
        first = last
