"""All weights onto a neuron summed, and multiplied by one factor.

Words are those of `kernels.plastic`. A neuron's synapses are summed one after another in the order
of the words: of source, then of drawing, whatever others lie between them on a rank.
"""

import numpy as np

from distsnn.jit import kernel


@kernel
def add_weights(words, weights, mask, sums):
    """Add each weight to the sum (float64) of its target."""
    for i in range(words.size):
        sums[np.int64(words[i]) & mask] += np.float64(weights[i])


@kernel
def scale_weights(words, weights, mask, factors, least, most):
    """Multiply each weight by its target's factor, within bounds: one for all, or its own."""
    for i in range(words.size):
        scaled = np.float64(weights[i]) * factors[np.int64(words[i]) & mask]
        low, high = least[i if least.size > 1 else 0], most[i if most.size > 1 else 0]
        weights[i] = min(max(scaled, low), high)
