"""Values drawn per neuron: parameters and initial states, of populations and of synapse models.

Axes: i neuron.
"""

from numba import uint32, uint64

from distsnn.counter_rng import philox
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
