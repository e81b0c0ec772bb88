"""Short-term depression and facilitation: the share of its weights with which a source acts.

A source's state and parameters are one record of float64, as every spike needs all of it:

    x | u | last | U | tau_rec | tau_fac

with `last`, the step of its last spike, and the time constants in steps. Before the first spike
x = 1 and u = 0; whatever `last` is, the equations then give x = 1 and u = U.

Axes: s source, i spike.
"""

from distsnn.jit import inline, kernel
from distsnn.kernels.functions import exp

X, U, LAST, FIRST_USE, TAU_REC, TAU_FAC = range(6)
RECORD = 6


@inline
def spike(records, source, step):
    """Advance a source's state to its next spike; return the factor of its weights, 0 to 1.

    Parameters
    ----------
    records : ndarray of float64, shape (n_sources · RECORD,)
        Changed.
    source : int
        The record.
    step : int
        The spike's step, not before the last one's.
    """
    at = source * RECORD
    x, u, first = records[at + X], records[at + U], records[at + FIRST_USE]
    interval = step - records[at + LAST]
    tau_fac = records[at + TAU_FAC]
    facilitation = exp(-interval / tau_fac) if tau_fac > 0.0 else 0.0
    x = 1.0 + (x - x * u - 1.0) * exp(-interval / records[at + TAU_REC])
    u = first + u * (1.0 - first) * facilitation
    records[at + X], records[at + U], records[at + LAST] = x, u, step
    return x * u


@kernel
def advance(records, sources, steps):
    """Advance sources' states by spikes, given in the order of their steps.

    Parameters
    ----------
    records : ndarray of float64, shape (n_sources, RECORD)
        Changed.
    sources : ndarray of int64, shape (n_spikes,)
        The record of each spike's source.
    steps : ndarray of int32, shape (n_spikes,)
        Stamps.
    """
    flat = records.reshape(-1)
    for i in range(sources.size):
        spike(flat, sources[i], steps[i])
