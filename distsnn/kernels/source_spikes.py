"""States of sources whose synapse model scales weights.

The model's entry is called by address (see `distsnn.kernels.synapses`).

Axis: i spike.
"""

import numpy as np

from distsnn.jit import array, call, inline, kernel


@inline
def factor(spike, records, size, source, step):
    """Advance a source's state to its next spike; return the factor of its weights.

    Parameters
    ----------
    spike, records : int
        Addresses of the model's entry and of the records.
    size : int
        Words of a record.
    source : int
        The record.
    step : int
        The spike's step.
    """
    offset = source * size
    call(spike, np.int64(0), records, offset, np.int64(0), step)
    return array(records, offset + size, np.float64)[offset + size - 1]


@kernel
def advance(spike, records, sources, steps):
    """Advance sources' states by spikes, given in the order of their steps.

    Parameters
    ----------
    spike : int
        Address of the model's entry.
    records : ndarray of float64, shape (n_sources, size)
        Changed.
    sources : ndarray of int64, shape (n_spikes,)
        The record of each spike's source.
    steps : ndarray of int32, shape (n_spikes,)
        Steps of the spikes.
    """
    for i in range(sources.size):
        factor(spike, records.ctypes.data, records.shape[1], sources[i], np.int64(steps[i]))
