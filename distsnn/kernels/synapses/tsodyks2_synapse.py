"""Short-term depression and facilitation: the fraction of its weights that a source transmits.

`last` is the step of the last spike; time constants are in steps. Before the first spike x = 1 and
u = 0; for any `last`, the equations then result in x = 1 and u = U. The factor is x·u, 0 to 1.
"""

from distsnn.jit import entry
from distsnn.kernels.functions import exp

STATES = ("x", "u", "last")
CONSTANTS = ("U", "tau_rec", "tau_fac")
X, U, LAST, FIRST_USE, TAU_REC, TAU_FAC, FACTOR = range(7)


def constants(parameters, dt):
    """Return the constants of sources by name."""
    p = parameters
    return {"U": p["U"], "tau_rec": p["tau_rec"] / dt, "tau_fac": p["tau_fac"] / dt}


@entry
def spike(table, records, start, last, step):
    """Advance a source's record to its next spike (see `distsnn.kernels.synapses`)."""
    x, u, first = records[start + X], records[start + U], records[start + FIRST_USE]
    interval = step - records[start + LAST]
    tau_fac = records[start + TAU_FAC]
    facilitation = exp(-interval / tau_fac) if tau_fac > 0.0 else 0.0
    x = 1.0 + (x - x * u - 1.0) * exp(-interval / records[start + TAU_REC])
    u = first + u * (1.0 - first) * facilitation
    records[start + X], records[start + U], records[start + LAST] = x, u, step
    records[start + FACTOR] = x * u
    return 0
