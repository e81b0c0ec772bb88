"""Row sets: a rank's stored synapses of one storage class, finished or growing."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from distsnn.engine.layout import LocalLayout
from distsnn.engine.storage import RowSetPlan
from distsnn.kernels.wiring_tables import ROW_SET, ProjectionTables, RowStorage

Ints = npt.NDArray[np.int64]

_PIECE = 1 << 22  # words that are renumbered at a time


@dataclass(eq=False)
class RowSet:
    """Stored synapses of one storage class.

    Attributes
    ----------
    plan : RowSetPlan
        Its layout.
    words : ndarray of uint16, uint32 or uint64
        Synapses, row after row.
    row_starts, run_starts : ndarray of int64, shape (n_rows + 1,)
        First word and first run of each row.
    runs : ndarray of uint32
        ``delay << 16 | length`` of pulled rows' runs.
    bitmap : ndarray of uint64
        Bit g is set where gid g has a row.
    rows_before : ndarray of uint32
        Rows before each word of the bitmap.
    """

    plan: RowSetPlan
    words: npt.NDArray[np.unsignedinteger]
    row_starts: Ints
    run_starts: Ints
    runs: npt.NDArray[np.uint32]
    bitmap: npt.NDArray[np.uint64]
    rows_before: npt.NDArray[np.uint32] = field(init=False)

    def __post_init__(self) -> None:
        counts = np.bitwise_count(self.bitmap).astype(np.int64)
        self.rows_before = (np.cumsum(counts) - counts).astype(np.uint32)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in vars(self).values() if isinstance(array, np.ndarray))

    @property
    def sources(self) -> Ints:
        """Gids of the rows, ascending."""
        return np.flatnonzero(np.unpackbits(self.bitmap.view(np.uint8), bitorder="little"))

    @property
    def source_of_synapse(self) -> Ints:
        """Gid of each synapse's source."""
        return np.repeat(self.sources, np.diff(self.row_starts))

    def renumbered(self, sources: Ints, targets: Ints) -> "RowSet":
        """Return the row set with other ascending numbers of its sources and targets.

        Parameters
        ----------
        sources, targets : ndarray of int64
            Gid or local index in place of each number, which is not smaller than the number.
        """
        plan, words = self.plan, self.words
        kind = words.dtype.type
        bits, mask = kind(plan.field_bits), kind((1 << plan.target_bits) - 1)
        increase = (targets - np.arange(targets.size)).astype(kind)
        for first in range(0, words.size, _PIECE):
            part = words[first : first + _PIECE]
            part += increase[(part >> bits) & mask] << bits
        bitmap, gids = np.zeros_like(self.bitmap), sources[self.sources]
        bits_of_gids = np.left_shift(np.uint64(1), (gids & 63).astype(np.uint64))
        np.bitwise_or.at(bitmap, gids >> 6, bits_of_gids)
        return RowSet(plan, words, self.row_starts, self.run_starts, self.runs, bitmap)


@dataclass(eq=False)
class SynapseGenerator:
    """Generator that draws the synapses of a population's neurons again whenever they spike.

    Attributes
    ----------
    plan : RowSetPlan
        Receptor plane and longest delay.
    gid, size : int
        The sources.
    projections : ProjectionTables
        Projections and cells as `kernels.wiring.build_rows` takes them.
    longest_row, block_size : int
        Sizes of scratch.
    """

    plan: RowSetPlan
    gid: int
    size: int
    projections: ProjectionTables
    longest_row: int
    block_size: int

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self.projections)


class RowSetBuilder:
    """A row set while it is built: arrays with room, and how much of them is used."""

    def __init__(self, plan: RowSetPlan, layout: LocalLayout, estimate: int) -> None:
        self.plan = plan
        self._delay_counts = np.zeros(plan.max_delay + 2, np.int64)
        word = {16: np.uint16, 32: np.uint32, 64: np.uint64}[plan.word_bits]
        n = layout.network.n_neurons
        self.words: npt.NDArray[np.unsignedinteger] = np.empty(estimate, word)
        self.runs = np.empty(estimate if plan.pull else 1, np.uint32)
        self.rows, self.run_rows = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
        self.bitmap = np.zeros((n >> 6) + 1, np.uint64)
        self.spilled: list[Ints] = []
        self._record = np.zeros(1, ROW_SET)
        self.numbers: np.void = self._record[0]  # a view
        self.numbers["receptor"] = plan.plane
        self.numbers["word_bits"] = plan.word_bits
        self.numbers["stored_shift"] = plan.stored_shift
        self.numbers["field_bits"] = plan.field_bits
        self.numbers["target_bits"] = plan.target_bits
        self.numbers["delay_in_word"] = plan.delay_bits > 0
        self.numbers["sorted"] = plan.pull
        self.numbers["min_delay_drawn"] = 1 << 40
        bits = max(0, plan.word_bits - plan.target_bits - plan.field_bits)
        self.numbers["delay_limit"] = (1 << bits) - 1 if plan.delay_bits else 1 << 40

    def reserve(self, n_added: int) -> None:
        """Make sure that `n_added` words fit (and as many runs)."""
        needed = int(self.numbers["used_words"]) + n_added
        if needed > self.words.size:
            self.words.resize(needed + needed // 8, refcheck=False)
        if self.plan.pull and needed > self.runs.size:
            self.runs.resize(needed + needed // 8, refcheck=False)

    def storage(self, overflow: Ints, weight_sums: Ints) -> RowStorage:
        """Return the row set as `kernels.wiring.build_rows` takes it, until the next `reserve`."""
        return RowStorage(
            self._record,
            self.words.view(np.uint16),
            self.runs,
            self.rows,
            self.run_rows,
            self.bitmap,
            self._delay_counts,
            overflow,
            weight_sums,
        )

    def finish(self) -> RowSet:
        """Return the finished row set, with no room left."""
        used_rows = int(self.numbers["used_rows"])
        self.words.resize(int(self.numbers["used_words"]), refcheck=False)
        runs = self.runs[: int(self.numbers["used_runs"])].copy()
        rows, run_rows = self.rows[: used_rows + 1].copy(), self.run_rows[: used_rows + 1].copy()
        return RowSet(self.plan, self.words, rows, run_rows, runs, self.bitmap)
