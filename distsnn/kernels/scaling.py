"""Sums of all weights onto a neuron, and multiplication of these weights by a factor.

Words have the layout of `kernels.plastic`. A neuron's synapses are summed in the order of the
words: by source, then by draw, independent of other neurons' synapses between them on a rank.
"""

import numpy as np

from distsnn.jit import kernel


@kernel
def add_weights(words, weights, mask, sums):
    """Add each weight to the sum (float64) of its target."""
    for i in range(words.size):
        sums[np.int64(words[i]) & mask] += np.float64(weights[i])


@kernel
def scale_weights(words, weights, mask, factors, lower, upper):
    """Multiply each weight by its target's factor, within bounds: one for all, or one each."""
    for i in range(words.size):
        scaled = np.float64(weights[i]) * factors[np.int64(words[i]) & mask]
        low, high = lower[i if lower.size > 1 else 0], upper[i if upper.size > 1 else 0]
        weights[i] = min(max(scaled, low), high)
