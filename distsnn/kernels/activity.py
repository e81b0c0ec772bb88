"""How active neurons are: a trace of each neuron's spikes, kept as its value after the last one.

Axes: i spike, n neuron.
"""

import numpy as np

from distsnn.jit import inline, kernel
from distsnn.kernels.functions import exp, flush


@inline
def faded(n, tau):
    """Return exp(-n / tau), or 0 where it is so small that products were denormal."""
    return flush(exp(-np.float64(n) / tau))


@kernel
def follow_spikes(steps, neurons, jump, tau, traces, last):
    """Let traces follow spikes, given in the order of their steps.

    Parameters
    ----------
    steps : ndarray of int32, shape (i,)
        Stamps.
    neurons : ndarray of int64, shape (i,)
        Who spikes.
    jump : float
        What a spike adds.
    tau : float
        Time constant, steps.
    traces : ndarray of float64, shape (n,)
    last : ndarray of int32, shape (n,)
        Step of each neuron's last spike.
    """
    for i in range(steps.size):
        n = neurons[i]
        traces[n] = traces[n] * faded(np.int64(steps[i]) - np.int64(last[n]), tau) + jump
        last[n] = steps[i]


@kernel
def traces_at(step, tau, traces, last, out):
    """Fill out with what traces have faded to at a step."""
    for n in range(traces.size):
        out[n] = traces[n] * faded(step - np.int64(last[n]), tau)
