"""Columns of the tables that describe projections, cells and row sets to the wiring kernels."""

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
