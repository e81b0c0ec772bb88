"""Short-term depression and facilitation: the fraction of its weights that a source transmits.

x and u are those just after the step `last`, that of the last spike or a later one. Time constants
are in steps. Before the first spike x = 1 and u = 0; for any `last`, this spike then has the factor
U. The factor is x·u, 0 to 1.

Written by hand: equations describe states of synapses and targets, not of sources.
"""

import numpy as np

from distsnn.jit import kernel_entry
from distsnn.kernels.functions import exp, exp_array

STATES = ("x", "u", "last")
CONSTANTS = ("U", "tau_rec", "tau_fac")
X, U, LAST, FIRST_USE, TAU_REC, TAU_FAC, FACTOR = range(7)


def constants(parameters, dt):
    """Return the constants of sources by name."""
    p = parameters
    return {"U": p["U"], "tau_rec": p["tau_rec"] / dt, "tau_fac": p["tau_fac"] / dt}


def bring_up(records, step):
    """Bring sources' records up to a step without a spike (see `distsnn.kernels.synapses`)."""
    interval, tau_fac = step - records[:, LAST], records[:, TAU_FAC]
    facilitates = tau_fac > 0.0
    decay = exp_array(-interval / np.where(facilitates, tau_fac, 1.0))
    recovery = exp_array(-interval / records[:, TAU_REC])
    records[:, X] = 1.0 + (records[:, X] - 1.0) * recovery
    records[:, U] *= np.where(facilitates, decay, 0.0)
    records[:, LAST] = step


@kernel_entry
def spike(table, records, start, last, step):
    """Advance a source's record to its next spike (see `distsnn.kernels.synapses`)."""
    x, u, first = records[start + X], records[start + U], records[start + FIRST_USE]
    interval = step - records[start + LAST]
    tau_fac = records[start + TAU_FAC]
    facilitation = exp(-interval / tau_fac) if tau_fac > 0.0 else 0.0
    x = 1.0 + (x - 1.0) * exp(-interval / records[start + TAU_REC])
    u = first + u * (1.0 - first) * facilitation
    used = x * u
    records[start + X], records[start + U], records[start + LAST] = x - used, u, step
    records[start + FACTOR] = used
    return 0
