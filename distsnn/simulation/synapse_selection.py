"""Selects the synapses of weight recordings, by their numbers in the order of all ranks."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, collective_phase
from distsnn.engine.plasticity.delivery import PlasticDelivery
from distsnn.engine.plasticity.weight_probes import SynapseSelection
from distsnn.engine.rank_engine import RankEngine
from distsnn.network import RecordWeights, SynapseRange

Ints = npt.NDArray[np.int64]

_AT_A_TIME = 1 << 22  # synapses
_COUNTS_AT_A_TIME = 1 << 16  # sources


def select_recorded_synapses(
    engine: RankEngine, communicator: Communicator
) -> list[SynapseSelection]:
    """Return this rank's recorded synapses for each recording. Collective.

    Parameters
    ----------
    engine : RankEngine
        The engine, connected.
    communicator : Communicator
        The ranks.
    """
    return [
        _choice(engine, communicator, recording)
        for recording in engine.layout.network.recordings
        if isinstance(recording, RecordWeights)
    ]


def _choice(
    engine: RankEngine, communicator: Communicator, recording: RecordWeights
) -> SynapseSelection:
    with collective_phase(communicator, "choosing synapses"):
        plastic = engine.plastic_by_name()[recording.projection]
        candidates = _CandidateSynapses(plastic, recording)
        counts = candidates.counts()
    if recording.synapses.selects_all:
        total = sum(communicator.allgather(int(counts.sum())))
        selected = None if candidates.all else candidates.of(0, counts.size)
        return SynapseSelection(recording, selected, total)
    total_counts = np.zeros_like(counts)
    for first in range(0, counts.size, _COUNTS_AT_A_TIME):
        part = slice(first, first + _COUNTS_AT_A_TIME)
        total_counts[part] = np.sum(communicator.allgather(counts[part]), axis=0)
    selected = _numbered(candidates, recording.synapses, total_counts, communicator)
    return SynapseSelection(recording, selected, sum(communicator.allgather(selected.size)))


class _CandidateSynapses:
    """A rank's synapses from and onto the neurons that a recording names.

    Attributes
    ----------
    all : bool
        Whether these are all of the projection's.
    """

    def __init__(self, delivery: PlasticDelivery, recording: RecordWeights) -> None:
        network, rows = delivery.layout.network, delivery.rows
        self._rows, self._layout = rows, delivery.layout
        self._starts = rows.row_set.row_starts
        self._sizes = np.diff(self._starts)
        self._n_sources = delivery.projection.pre.size
        # the number of each row's source among the projection's sources, ascending
        self._source_of_row = network.positions(delivery.projection.pre, rows.row_set.sources)
        self._is_recorded = np.ones(self._sizes.size, np.bool_)
        if recording.sources is not None:
            self._is_recorded = network.positions(recording.sources, rows.row_set.sources) >= 0
        self._targets = recording.targets
        self.all = recording.sources is None and recording.targets is None

    def counts(self) -> Ints:
        """Return how many there are of each of the projection's sources, shape (n_pre,)."""
        counts = np.zeros(self._n_sources, np.int64)
        if self._targets is None:
            counts[self._source_of_row] = np.where(self._is_recorded, self._sizes, 0)
            return counts
        for first, last in _groups(self._sizes):
            synapses = self._in_rows(first, last)
            row = np.searchsorted(self._starts, synapses, side="right") - 1 - first
            counts[self._source_of_row[first:last]] = np.bincount(row, minlength=last - first)
        return counts

    def of(self, first: int, last: int) -> Ints:
        """Return the candidates of sources [first, last), in the order of their numbers."""
        return self._in_rows(*np.searchsorted(self._source_of_row, [first, last]).tolist())

    def gids(self, synapses: Ints) -> tuple[Ints, Ints]:
        """Return the gids of some synapses' sources and targets."""
        row = np.searchsorted(self._starts, synapses, side="right") - 1
        sources = self._rows.row_set.sources[row].astype(np.int64)
        return sources, self._layout.to_gids(self._rows.targets(synapses))

    def _in_rows(self, first: int, last: int) -> Ints:
        if first >= last:
            return np.empty(0, np.int64)
        part = slice(int(self._starts[first]), int(self._starts[last]))
        selected = np.repeat(self._is_recorded[first:last], self._sizes[first:last])
        if self._targets is not None:
            gids = self._layout.to_gids(self._rows.targets(part))
            selected &= self._layout.network.positions(self._targets, gids) >= 0
        return part.start + np.flatnonzero(selected)


def _numbered(
    candidates: _CandidateSynapses, chosen: SynapseRange, counts: Ints, communicator: Communicator
) -> Ints:
    """Return a rank's candidates with selected numbers among all candidates. Collective."""
    ends = np.cumsum(counts)
    stop = int(ends[-1]) if chosen.stop is None else chosen.stop
    first = int(np.searchsorted(ends, chosen.start, side="right"))
    last = int(np.searchsorted(ends - counts, stop))
    selected = [np.empty(0, np.int64)]
    for begin, end in _groups(counts[first:last]):
        local_synapses = candidates.of(first + begin, first + end)
        all_gids = communicator.allgather(np.stack(candidates.gids(local_synapses)))
        sources, targets = np.concatenate(all_gids, axis=1)
        order = np.lexsort((targets, sources))
        number = np.empty(order.size, np.int64)
        number[order] = ends[first + begin] - counts[first + begin] + np.arange(order.size)
        offset = sum(part.shape[1] for part in all_gids[: communicator.rank])
        local_numbers = number[offset : offset + local_synapses.size]
        picked = (local_numbers >= chosen.start) & (local_numbers < stop)
        picked &= (local_numbers - chosen.start) % chosen.step == 0
        selected.append(local_synapses[picked])
    return np.concatenate(selected)


def _groups(sizes: Ints) -> Iterator[tuple[int, int]]:
    """Yield ranges of sizes whose sums are small, but for those that are large alone."""
    first, total = 0, 0
    for index, size in enumerate(sizes.tolist()):
        if index > first and total + size > _AT_A_TIME:
            yield first, index
            first, total = index, 0
        total += size
    if first < sizes.size:
        yield first, sizes.size
