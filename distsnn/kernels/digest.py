"""Digests of synapses, which differ if the synapses differ, for any storage format and order.

A neuron's sum adds a word for every synapse onto it, modulo 2^64. The order of a sum does not
matter, so all storage formats, push and pull delivery and any number of ranks have the same sums.
The word depends on source, receptor, weight and delay:

    word = fold_product(offset + factor * value),   value = weight + delay * GOLDEN.

The source's own odd factor (multiply-shift hashing: Dietzfelbinger et al. 1997, J. Algorithms 25)
binds each value to its source. The fold, which is not linear, separates the values of multapses,
which have the same factor. Both steps are invertible, so one changed synapse always changes the sum
of its neuron. Several changes cancel with a probability of about 2^-64, or of 2^-32 if all of them
are multapses of one pair.

A block's digest adds its neurons' sums, each mixed with the neuron's gid. The digest therefore
depends on the target of each synapse, at no cost per synapse.

Axes: r row (source), i word of the row, k run of the row, t local neuron, g group of 64 local
neurons, b owned block.
"""

import numpy as np

from distsnn.counter_rng import GOLDEN, splitmix64, substream_key
from distsnn.jit import inline, kernel


@inline
def row_key(source, plane):
    """Return the factor and the offset of a source's synapses onto a receptor plane."""
    key = substream_key(np.uint64(plane), source)
    return key | np.uint64(1), splitmix64(key)


@inline
def synapse_value(weight, delay):
    """Return the value of a weight (quanta) and a delay (steps)."""
    return np.uint64(weight) + np.uint64(delay) * GOLDEN


@inline
def fold_product(product):
    """Return a synapse's word."""
    return product ^ (product >> np.uint64(32))


@inline
def _add_common_delay(sums, words, first, last, field_bits, sign, start, per_weight):
    """Add words without delays; `start` belongs to the smallest value of a weight field."""
    bits = np.uint64(field_bits)
    field = (np.uint64(1) << bits) - np.uint64(1)
    for i in range(np.uint64(first), np.uint64(last)):
        x = np.uint64(words[i])
        sums[x >> bits] += fold_product(start + ((x & field) ^ sign) * per_weight)


@inline
def _add_delayed(
    sums, words, first, last, target_bits, field_bits, sign, start, per_weight, per_delay
):
    """Add words with delays."""
    bits, delay_at = np.uint64(field_bits), np.uint64(field_bits + target_bits)
    field = (np.uint64(1) << bits) - np.uint64(1)
    target = (np.uint64(1) << np.uint64(target_bits)) - np.uint64(1)
    for i in range(np.uint64(first), np.uint64(last)):
        x = np.uint64(words[i])
        product = start + ((x & field) ^ sign) * per_weight + (x >> delay_at) * per_delay
        sums[(x >> bits) & target] += fold_product(product)


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
    sums,
):
    """Add the synapses of stored rows to their targets' sums.

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
        Whether the runs contain the delays.
    target_bits, field_bits, shift, weight, delay : int
        Layout of the words. With a field of 0 bits all synapses have `weight`; else `weight` is 0.
        Rows that are not pulled have `delay`, or delays in their words if it is 0.
    plane : int
        Receptor.
    sums : ndarray of uint64, shape (n_local,)
        Changed.
    """
    # A field is signed. Flipping its sign bit adds 2^(bits - 1), which `start` subtracts.
    sign = np.uint64(1) << np.uint64(field_bits - 1) if field_bits > 0 else np.uint64(0)
    for r in range(sources.size):
        factor, offset = row_key(sources[r], plane)
        per_weight, per_delay = factor << np.uint64(shift), factor * GOLDEN
        start = offset + synapse_value(weight, 0) * factor - sign * per_weight
        first, last = rows[r], rows[r + 1]
        if pulled:
            for k in range(run_rows[r], run_rows[r + 1]):
                stop = first + (np.int64(runs[k]) & 0xFFFF)
                its_start = start + np.uint64(runs[k] >> np.uint32(16)) * per_delay
                _add_common_delay(sums, words, first, stop, field_bits, sign, its_start, per_weight)
                first = stop
        elif delay > 0:
            start += np.uint64(delay) * per_delay
            _add_common_delay(sums, words, first, last, field_bits, sign, start, per_weight)
        else:
            _add_delayed(
                sums,
                words,
                first,
                last,
                target_bits,
                field_bits,
                sign,
                start,
                per_weight,
                per_delay,
            )


@kernel
def add_neurons(sums, group_gid, group_size, group_block, digests):
    """Add neurons to their blocks' digests.

    Parameters
    ----------
    sums : ndarray of uint64, shape (n_local,)
        Sums of their synapses.
    group_gid : ndarray of uint32, shape (n_groups,)
        First gid of each group of 64 local neurons.
    group_size : ndarray of int32, shape (n_groups,)
        Number of its neurons; the others are padding.
    group_block : ndarray of int64, shape (n_groups,)
        Owned block of each group.
    digests : ndarray of uint64, shape (n_blocks,)
        Changed.
    """
    for g in range(group_gid.size):
        for lane in range(group_size[g]):
            gid = np.int64(group_gid[g]) + lane
            digests[group_block[g]] += substream_key(sums[(g << 6) + lane], gid)
