"""Digests of wiring: what tells two networks' synapses apart, whatever their storage and order.

A neuron's sum adds up a word of every synapse onto it, modulo 2^64. A sum has no order, so stored
and drawn rows, pushed and pulled ones, and any number of ranks agree. Source and receptor key the
word, weight and delay are in it:

    word = folded(offset + factor * value),   value = weight + delay * GOLDEN.

The source's own odd factor (multiply-shift hashing: Dietzfelbinger et al. 1997, J. Algorithms 25)
ties each value to its source. The fold, which is not linear, tells apart the values of parallel
synapses, whose factor is the same. Both steps can be undone, so one changed synapse always changes
its neuron's sum. Several changes cancel with a chance of some 2^-64, and of 2^-32 if all of them
are among parallel synapses.

A block's digest adds up its neurons' sums, each mixed with the neuron's gid: which neuron has
which synapses counts too. The target thus costs nothing for each synapse.

Axes: r row (source), i word of the row, k run of the row, t local neuron, g group of 64 local
neurons, b owned block.
"""

import numpy as np

from distsnn.counter_rng import GOLDEN, mix, stream
from distsnn.jit import inline, kernel


@inline
def row_key(source, plane):
    """Return the factor and the offset of a source's synapses onto a receptor plane."""
    key = stream(np.uint64(plane), source)
    return key | np.uint64(1), mix(key)


@inline
def value(weight, delay):
    """Return the value of a weight (quanta) and a delay (steps)."""
    return np.uint64(weight) + np.uint64(delay) * GOLDEN


@inline
def folded(product):
    """Return a synapse's word."""
    return product ^ (product >> np.uint64(32))


@inline
def _add_alike(sums, words, first, last, field_bits, sign, start, per_weight):
    """Add words without delays; `start` is that of a weight field of the smallest value."""
    bits = np.uint64(field_bits)
    field = (np.uint64(1) << bits) - np.uint64(1)
    for i in range(np.uint64(first), np.uint64(last)):
        x = np.uint64(words[i])
        sums[x >> bits] += folded(start + ((x & field) ^ sign) * per_weight)


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
        sums[(x >> bits) & target] += folded(product)


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
        Whether delays are in the runs.
    target_bits, field_bits, shift, weight, delay : int
        The words' layout. A field of 0 bits: all have `weight`. Else `weight` is 0. Rows that are
        not pulled have `delay`, or, where it is 0, delays in their words.
    plane : int
        Receptor.
    sums : ndarray of uint64, shape (n_local,)
        Changed.
    """
    # A field is signed. Flipping its sign bit adds 2^(bits - 1), which is taken off at the start.
    sign = np.uint64(1) << np.uint64(field_bits - 1) if field_bits > 0 else np.uint64(0)
    for r in range(sources.size):
        factor, offset = row_key(sources[r], plane)
        per_weight, per_delay = factor << np.uint64(shift), factor * GOLDEN
        start = offset + value(weight, 0) * factor - sign * per_weight
        first, last = rows[r], rows[r + 1]
        if pulled:
            for k in range(run_rows[r], run_rows[r + 1]):
                stop = first + (np.int64(runs[k]) & 0xFFFF)
                its_start = start + np.uint64(runs[k] >> np.uint32(16)) * per_delay
                _add_alike(sums, words, first, stop, field_bits, sign, its_start, per_weight)
                first = stop
        elif delay > 0:
            start += np.uint64(delay) * per_delay
            _add_alike(sums, words, first, last, field_bits, sign, start, per_weight)
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
        Of their synapses.
    group_gid : ndarray of uint32, shape (n_groups,)
        First gid of each group of 64 local neurons.
    group_size : ndarray of int32, shape (n_groups,)
        Its neurons; the rest is padding.
    group_block : ndarray of int64, shape (n_groups,)
        Owned block of each group.
    digests : ndarray of uint64, shape (n_blocks,)
        Changed.
    """
    for g in range(group_gid.size):
        for lane in range(group_size[g]):
            gid = np.int64(group_gid[g]) + lane
            digests[group_block[g]] += stream(sums[(g << 6) + lane], gid)
