"""Traces of neurons' spikes, each stored as its value after the last spike.

Axes: i spike, n neuron.
"""

import numpy as np

from distsnn.jit import inline, kernel
from distsnn.kernels.functions import exp, flush_subnormal


@inline
def decay_factor(n, tau):
    """Return exp(-n / tau), or 0 if the result is so small that products would be denormal."""
    return flush_subnormal(exp(-np.float64(n) / tau))


@kernel
def add_spikes_to_traces(steps, neurons, jump, tau, traces, last):
    """Add spikes, in the order of their steps, to traces.

    Parameters
    ----------
    steps : ndarray of int32, shape (i,)
        Steps of the spikes.
    neurons : ndarray of int64, shape (i,)
        Neurons that spike.
    jump : float
        Amount that a spike adds.
    tau : float
        Time constant, steps.
    traces : ndarray of float64, shape (n,)
    last : ndarray of int32, shape (n,)
        Step of each neuron's last spike.
    """
    for i in range(steps.size):
        n = neurons[i]
        traces[n] = traces[n] * decay_factor(np.int64(steps[i]) - np.int64(last[n]), tau) + jump
        last[n] = steps[i]


@kernel
def traces_at(step, tau, traces, last, out):
    """Fill `out` with the values of traces at a step."""
    for n in range(traces.size):
        out[n] = traces[n] * decay_factor(step - np.int64(last[n]), tau)
