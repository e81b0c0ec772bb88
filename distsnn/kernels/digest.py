"""Digests of wiring: what tells two networks' synapses apart, whatever their storage and order.

A block's digest is the sum, modulo 2^64, of a mixed word for every synapse onto its neurons. A sum
has no order, so stored and drawn rows, pushed and pulled ones, and any number of ranks agree.

Axes: r row (source), i word of the row, g group of 64 local neurons, b owned block.
"""

import numpy as np

from distsnn.counter_rng import GOLDEN, mix
from distsnn.jit import inline, kernel


@inline
def synapse_word(source, target, plane, weight, delay):
    """Return the mixed word of a synapse: gids, receptor plane, weight (quanta), delay (steps)."""
    ends = (np.uint64(source) << np.uint64(32)) | np.uint64(target)
    kind = (np.uint64(delay) << np.uint64(8)) | np.uint64(plane)
    return mix(mix(mix(ends + GOLDEN) ^ kind) + np.uint64(weight))


@kernel
def add_rows(
    words,
    rows,
    run_rows,
    runs,
    sources,
    pulled,
    target_bits,
    field_bits,
    shift,
    weight,
    delay,
    plane,
    group_gid,
    group_block,
    digests,
    longest,
):
    """Add the synapses of stored rows to their targets' blocks.

    Parameters
    ----------
    words : ndarray of uint16, uint32 or uint64
        Synapses (see `kernels.delivery`).
    rows, run_rows : ndarray of int64, shape (n_rows + 1,)
        First word and first run of each row.
    runs : ndarray of uint32
        ``delay << 16 | length``, of pulled rows.
    sources : ndarray of int64, shape (n_rows,)
        Gids.
    pulled : bool
        Whether delays are in the runs.
    target_bits, field_bits, shift, weight, delay : int
        The words' layout. A field of 0 bits: all have `weight`. A word without a delay: `delay`.
    plane : int
        Receptor.
    group_gid : ndarray of uint32, shape (n_groups,)
        First gid of each group of local neurons.
    group_block : ndarray of int64, shape (n_groups,)
        Owned block of each group.
    digests : ndarray of uint64, shape (n_blocks,)
        Changed.
    longest : ndarray of int64, shape (1,)
        The longest delay so far; changed.
    """
    target_mask = (np.int64(1) << target_bits) - 1
    sign = np.int64(1) << (field_bits - 1) if field_bits > 0 else np.int64(0)
    field_mask = (np.int64(1) << field_bits) - 1
    for r in range(sources.size):
        run = run_rows[r] if pulled else np.int64(0)
        left = np.int64(0)
        its_delay = np.int64(delay)
        for i in range(rows[r], rows[r + 1]):
            if pulled:
                while left == 0:
                    left = np.int64(runs[run]) & 0xFFFF
                    its_delay = np.int64(runs[run]) >> 16
                    run += 1
                left -= 1
            x = np.int64(words[i])
            its_weight = np.int64(weight)
            if field_bits > 0:
                its_weight = (((x & field_mask) ^ sign) - sign) << shift
            above = np.uint64(words[i]) >> np.uint64(field_bits)
            slot = np.int64(above) & target_mask
            if not pulled and delay == 0:
                its_delay = np.int64(above >> np.uint64(target_bits))
            longest[0] = max(longest[0], its_delay)
            target = np.int64(group_gid[slot >> 6]) + (slot & 63)
            digests[group_block[slot >> 6]] += synapse_word(
                sources[r], target, plane, its_weight, its_delay
            )
