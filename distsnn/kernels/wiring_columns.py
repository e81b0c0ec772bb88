"""Arguments of the wiring kernels: arrays in named tuples, and columns of the tables among them."""

from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

ONE_TO_ONE, ALL_TO_ALL, INDEGREE, OUTDEGREE, TOTAL, BERNOULLI = range(6)

# Integer columns of a projection.
(
    RULE,
    PRE_START,  # first source, from the chunk's source 0
    N_PRE,
    N_POST,
    NUMBER,  # indegree, outdegree
    AUTAPSES,  # 0 if autapses are excluded and pre and post are the same
    MULTAPSES,
    CELL_FIRST,
    CELL_LAST,
    WEIGHT_KIND,
    WEIGHT_SHIFT,  # a weight is a multiple of 2^shift quanta
    WEIGHT_START,  # first listed weight, or -1
    DELAY_KIND,
    DELAY_START,
    MAX_DELAY,
    RECEPTOR_POSITIVE,
    RECEPTOR_NEGATIVE,
    TREE_FIRST,  # blocks of the post view in `capacity`, `owned_before`
    TREE_SIZE,  # number of these prefix sums
) = range(19)
N_INT = 19

# Float columns: weight and delay distributions (delays in steps), quanta, probability.
(
    WEIGHT_A,
    WEIGHT_B,
    WEIGHT_LOW,
    WEIGHT_HIGH,
    DELAY_A,
    DELAY_B,
    DELAY_LOW,
    DELAY_HIGH,
    SCALE_POSITIVE,  # 1 / (q 2^shift)
    SCALE_NEGATIVE,
    PROBABILITY,
) = range(11)
N_FLOAT = 11

# Columns of a cell.
BLOCK, FIRST_TARGET, SIZE, LOCAL, TOTAL_SYNAPSES = range(5)
N_CELL = 5

# Columns of a row set.
(
    RECEPTOR,
    WORD_BITS,  # 16, 32 or 64
    STORED_SHIFT,  # words hold weight >> this
    FIELD_BITS,  # signed bits of a word's weight field; 0 if all weights are equal
    TARGET_BITS,
    DELAY_IN_WORD,
    SORTED,  # rows sorted by delay, with runs
    USED_WORDS,
    USED_RUNS,
    USED_ROWS,
    N_OVERFLOW,
    MIN_DELAY_DRAWN,  # delays drawn
    MAX_DELAY_DRAWN,
    SYNAPSES,
    DELAY_LIMIT,  # maximum delay of a word
) = range(15)
N_SET = 15


class ProjectionTables(NamedTuple):
    """Projections whose sources are in one population, and their cells.

    Attributes
    ----------
    ints, floats : ndarray of int64, float64, shapes (n_projections, N_INT or N_FLOAT)
        Projections.
    keys : ndarray of uint64, shape (n_projections,)
        Streams of the projections.
    cells : ndarray of int64, shape (n_cells, N_CELL)
        Cells.
    capacity, owned_before : ndarray of int64
        Prefix sums over all blocks of each projection's post view.
    weights, delays : ndarray of float64, int32
        All listed arrays, concatenated.
    """

    ints: npt.NDArray[np.int64]
    floats: npt.NDArray[np.float64]
    keys: npt.NDArray[np.uint64]
    cells: npt.NDArray[np.int64]
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
        Local neuron of each block (by TREE_FIRST + block) less its first target; -1 if not owned.
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
        """Return scratch for rows of at most so many synapses."""
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
    row_set : ndarray of int64, shape (N_SET,)
        Columns of the row set; used and counted amounts are changed.
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

    row_set: npt.NDArray[np.int64]
    words: npt.NDArray[np.uint16]
    runs: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.int64]
    run_rows: npt.NDArray[np.int64]
    bitmap: npt.NDArray[np.uint64]
    delay_counts: npt.NDArray[np.int64]
    overflow: npt.NDArray[np.int64]
    weight_sums: npt.NDArray[np.int64]
