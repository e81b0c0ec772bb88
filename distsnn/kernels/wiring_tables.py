"""Arguments of the wiring kernels: tables of records, and named tuples of arrays."""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

ONE_TO_ONE, ALL_TO_ALL, INDEGREE, OUTDEGREE, TOTAL, BERNOULLI = range(6)

# A projection: its connection rule, streams and targets, and the distributions of its values.
PROJECTION = np.dtype(
    [
        ("key", np.uint64),  # its stream
        ("rule", np.int64),
        ("pre_start", np.int64),  # first source, from the chunk's source 0
        ("n_pre", np.int64),
        ("n_post", np.int64),
        ("number", np.int64),  # indegree, outdegree
        ("probability", np.float64),
        ("autapses", np.int64),  # 0 if autapses are excluded and pre and post are the same
        ("multapses", np.int64),
        ("cell_first", np.int64),
        ("cell_last", np.int64),
        ("tree_first", np.int64),  # blocks of the post view in `capacity`, `owned_before`
        ("tree_size", np.int64),  # number of these prefix sums
        ("receptor_positive", np.int64),
        ("receptor_negative", np.int64),
        ("weight_kind", np.int64),
        ("weight_start", np.int64),  # first listed weight, or -1
        ("weight_a", np.float64),
        ("weight_b", np.float64),
        ("weight_low", np.float64),
        ("weight_high", np.float64),
        ("weight_shift", np.int64),  # a weight is a multiple of 2^shift quanta
        ("scale_positive", np.float64),  # 1 / (q 2^shift)
        ("scale_negative", np.float64),
        ("delay_kind", np.int64),
        ("delay_start", np.int64),
        ("delay_a", np.float64),  # steps
        ("delay_b", np.float64),
        ("delay_low", np.float64),
        ("delay_high", np.float64),
        ("max_delay", np.int64),
    ],
    align=True,
)

CELL = np.dtype(
    [
        ("block", np.int64),
        ("first_target", np.int64),
        ("size", np.int64),
        ("local", np.int64),  # local index of the first target
        ("total_synapses", np.int64),
    ],
    align=True,
)

ROW_SET = np.dtype(
    [
        ("receptor", np.int64),
        ("word_bits", np.int64),  # 16, 32 or 64
        ("stored_shift", np.int64),  # words hold weight >> this
        ("field_bits", np.int64),  # signed bits of a word's weight field; 0: all weights are equal
        ("target_bits", np.int64),
        ("delay_in_word", np.int64),
        ("sorted", np.int64),  # rows sorted by delay, with runs
        ("delay_limit", np.int64),  # maximum delay of a word
        ("used_words", np.int64),
        ("used_runs", np.int64),
        ("used_rows", np.int64),
        ("n_overflow", np.int64),
        ("min_delay_drawn", np.int64),
        ("max_delay_drawn", np.int64),
        ("synapses", np.int64),
    ],
    align=True,
)


class ProjectionTables(NamedTuple):
    """Projections whose sources are in one population, and their cells.

    Attributes
    ----------
    table : ndarray of PROJECTION, shape (n_projections,)
        Projections.
    cells : ndarray of CELL, shape (n_cells,)
        Cells.
    capacity, owned_before : ndarray of int64
        Prefix sums over all blocks of each projection's post view.
    weights, delays : ndarray of float64, int32
        All listed arrays, concatenated.
    """

    table: npt.NDArray[np.void]
    cells: npt.NDArray[np.void]
    capacity: npt.NDArray[np.int64]
    owned_before: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    delays: npt.NDArray[np.int32]


class SourceChunk(NamedTuple):
    """Sources of one population, with those of their synapses that are prepared before the rows.

    Attributes
    ----------
    gid : int
        Gid of source 0.
    first, last : int
        Sources.
    counts : ndarray of int32, shape (last - first, n_cells)
        Synapses of fixed-total-number cells.
    edge_starts, edges : ndarray of int64 shape (n_projections, last - first + 1), uint64
        Sorted edges of fixed-indegree projections.
    local_of : ndarray of int64
        Local neuron of each block (by `tree_first` + block) less its first target; -1 if not owned.
    prepared_starts, prepared : ndarray of int64, shapes (last - first + 1,), (n, 4)
        Explicit edges: local target, weight (quanta), delay, receptor.
    """

    gid: int
    first: int
    last: int
    counts: npt.NDArray[np.int32]
    edge_starts: npt.NDArray[np.int64]
    edges: npt.NDArray[np.uint64]
    local_of: npt.NDArray[np.int64]
    prepared_starts: npt.NDArray[np.int64]
    prepared: npt.NDArray[np.int64]


class RowScratch(NamedTuple):
    """Scratch of one row: values of its synapses, and bits of the targets of a block.

    Attributes
    ----------
    keys, value_index, sizes : ndarray of uint64, int64, int64, shape (longest row,)
        Streams of the synapses, indices of their listed values, and sizes of their cells.
    targets, weights, delays : ndarray of int64, shape (longest row,)
        The synapses: local target, quanta, steps.
    found_targets : ndarray of int64, shape (longest row,)
        Targets within the current cell.
    reals, settled : ndarray of float64, uint8, shape (longest row,)
        Drawn values, and whether they need no other draw.
    used_bits : ndarray of uint64
        One bit per target of a block, all 0 between rows.
    """

    keys: npt.NDArray[np.uint64]
    value_index: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    weights: npt.NDArray[np.int64]
    delays: npt.NDArray[np.int64]
    found_targets: npt.NDArray[np.int64]
    reals: npt.NDArray[np.float64]
    settled: npt.NDArray[np.uint8]
    used_bits: npt.NDArray[np.uint64]

    @classmethod
    def of_size(cls, longest_row: int, block_size: int) -> Self:
        """Return scratch for rows of up to `longest_row` synapses."""
        value_index, sizes, targets, weights, delays, found = np.empty((6, longest_row), np.int64)
        return cls(
            np.empty(longest_row, np.uint64),
            *(value_index, sizes, targets, weights, delays, found),
            np.empty(longest_row),
            np.empty(longest_row, np.uint8),
            np.zeros((block_size >> 6) + 1, np.uint64),
        )


class RowStorage(NamedTuple):
    """A row set to which rows are appended, and what is counted meanwhile.

    Attributes
    ----------
    row_set : ndarray of ROW_SET, shape (1,)
        The row set; used and counted amounts are changed.
    words, runs, rows, run_rows, bitmap : ndarray
        The row set's arrays. Words of any width are passed as a view of uint16: `build_rows` takes
        long to compile and is compiled once.
    delay_counts : ndarray of int64
        Scratch: one word per delay.
    overflow : ndarray of int64, shape (n, 5)
        Synapses that do not fit: gid, local target, weight, delay, receptor; appended to.
    weight_sums : ndarray of int64, shape (n_receptors, n_local)
        Sum of \\|weights\\| onto each neuron, quanta; increased.
    """

    row_set: npt.NDArray[np.void]
    words: npt.NDArray[np.uint16]
    runs: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.int64]
    run_rows: npt.NDArray[np.int64]
    bitmap: npt.NDArray[np.uint64]
    delay_counts: npt.NDArray[np.int64]
    overflow: npt.NDArray[np.int64]
    weight_sums: npt.NDArray[np.int64]
