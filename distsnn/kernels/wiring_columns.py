"""Columns of the tables that describe projections, cells and row sets to the wiring kernels."""

ONE_TO_ONE, ALL_TO_ALL, INDEGREE, OUTDEGREE, TOTAL, BERNOULLI = range(6)

# Integer columns of a projection.
(
    RULE,
    PRE_START,  # first source, in the slice's numbering
    N_PRE,
    N_POST,
    NUMBER,  # indegree, outdegree
    AUTAPSES,  # 0 where a neuron must not reach itself, and pre and post are the same
    MULTAPSES,
    CELL_FIRST,
    CELL_LAST,
    WEIGHT_KIND,
    WEIGHT_SHIFT,  # a weight is a multiple of 2^shift quanta
    WEIGHT_AT,  # first of the given weights, or -1
    DELAY_KIND,
    DELAY_AT,
    LARGEST_DELAY,
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

# The row set's own numbers.
(
    RECEPTOR,
    WORD_BITS,  # 16, 32 or 64
    STORED_SHIFT,  # words hold weight >> this
    FIELD_BITS,  # signed bits of a word's weight field; 0 where all weights are equal
    TARGET_BITS,
    DELAY_IN_WORD,
    SORTED,  # rows sorted by delay, with runs
    USED_WORDS,
    USED_RUNS,
    USED_ROWS,
    N_SPILLED,
    SMALLEST,  # delays drawn
    LARGEST,
    SYNAPSES,
    DELAY_LIMIT,  # longest delay that a word can hold
) = range(15)
N_SET = 15
