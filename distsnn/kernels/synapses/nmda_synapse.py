"""Gating of NMDA receptors: the fraction of closed receptors that a spike of the source opens.

`s` is the gating just after the step `last`, that of the last spike or a later one; the decay is in
steps. A spike adds

    jump = k_0 + k_1 s,    k_1 = exp(-x) - 1,    k_0 = x^r γ(1 - r, x)
    x = alpha·tau_rise,    r = tau_rise/tau_decay

to the decayed s; γ is the lower incomplete gamma function. Its series gives, with a = 1 - r,

    k_0 = x exp(-x) (1/a + x/(a (a + 1)) + x²/(a (a + 1) (a + 2)) + ...)

in which all terms are positive. The factor is the jump.

Written by hand: equations describe states of synapses and targets, not of sources.
"""

import numpy as np

from distsnn.jit import kernel_entry
from distsnn.kernels.functions import exp, exp_array, expm1_array

STATES = ("s", "last")
CONSTANTS = ("tau_decay", "k_0", "k_1")
S, LAST, TAU_DECAY, K_0, K_1, FACTOR = range(6)


def first_jump(x, r):
    """Return k_0, the jump of the first spike.

    Parameters
    ----------
    x : ndarray of float64
        alpha·tau_rise, at most 100.
    r : ndarray of float64
        tau_rise/tau_decay, below 1.
    """
    term = 1.0 / (1.0 - r)
    total, n = term, 0
    # smaller terms change no sum: their number does not depend on other sources
    while np.any(term > 1e-17 * total):
        n += 1
        term = term * (x / (1.0 - r + n))
        total = total + term
    return x * exp_array(-x) * total


def constants(parameters, dt):
    """Return the constants of sources by name."""
    p = parameters
    x = p["alpha"] * p["tau_rise"]
    return {
        "tau_decay": p["tau_decay"] / dt,
        "k_0": first_jump(x, p["tau_rise"] / p["tau_decay"]),
        "k_1": expm1_array(-x),
    }


def bring_up(records, step):
    """Bring sources' records up to a step without a spike (see `distsnn.kernels.synapses`)."""
    records[:, S] *= exp_array(-(step - records[:, LAST]) / records[:, TAU_DECAY])
    records[:, LAST] = step


@kernel_entry
def spike(table, records, start, last, step):
    """Advance a source's record to its next spike (see `distsnn.kernels.synapses`)."""
    interval = step - records[start + LAST]
    s = records[start + S] * exp(-interval / records[start + TAU_DECAY])
    jump = records[start + K_0] + records[start + K_1] * s
    records[start + S], records[start + LAST] = s + jump, step
    records[start + FACTOR] = jump
    return 0
