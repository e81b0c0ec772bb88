"""Values drawn per neuron or synapse: parameters and initial states.

Axes: i neuron or synapse, r row (source).
"""

import numpy as np
from numba import uint32, uint64

from distsnn.counter_rng import philox, random_word, substream_key
from distsnn.jit import kernel
from distsnn.kernels.sampling import draw


@kernel
def draw_values(kind, a, b, low, high, neurons, purpose, owner, field, seed, out):
    """Fill out with draws of a coded distribution, keyed (seed, purpose, owner, field, neuron).

    Parameters
    ----------
    kind, a, b, low, high
        The distribution (`sampling.draw`).
    neurons : ndarray of int64, shape (n,)
        Neurons within the population or the projection's sources.
    purpose, owner, field : int
        PARAMETER or SYNAPSE, index of the population or projection, number of the field.
    seed : uint64
        The run's seed.
    out : ndarray of float64, shape (n,)
    """
    low_key = uint32(seed & uint64(0xFFFFFFFF))
    high_key = uint32(seed >> uint64(32))
    for i in range(neurons.size):
        u, v, _, _ = philox(
            uint32(neurons[i]),
            uint32(field),
            uint32(owner),
            uint32(purpose),
            low_key,
            high_key,
        )
        out[i] = draw(kind, a, b, low, high, (uint64(u) << uint64(32)) | uint64(v))


@kernel
def draw_by_synapse(kind, a, b, low, high, key, rows, sources, targets, gids, out):
    """Fill out with draws of a coded distribution, keyed (key, source, target, number).

    Parameters
    ----------
    kind, a, b, low, high
        The distribution (`sampling.draw`).
    key : uint64
        Stream of the parameter.
    rows : ndarray of int64, shape (n_rows + 1,)
        First synapse of each row.
    sources : ndarray of int64, shape (n_rows,)
        Gids.
    targets : ndarray of int64, shape (n,)
        Local targets.
    gids : ndarray of int64, shape (n_local,)
        Gids of all local neurons.
    out : ndarray of float64, shape (n,)
    """
    counts = np.zeros(gids.size, np.int64)  # synapses of the row's source onto each target
    for r in range(sources.size):
        source_key = substream_key(key, sources[r])
        for i in range(rows[r], rows[r + 1]):
            target = targets[i]
            bits = random_word(substream_key(source_key, gids[target]), counts[target])
            out[i] = draw(kind, a, b, low, high, bits)
            counts[target] += 1
        for i in range(rows[r], rows[r + 1]):
            counts[targets[i]] = 0
