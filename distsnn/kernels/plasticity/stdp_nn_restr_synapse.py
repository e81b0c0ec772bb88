"""Pair STDP of nearest neighbours, each spike in one pair of a kind at most (Morrison et al. 2008).

A target's spike pairs with the nearest before it of the source's if no other of the target's came
in between, and the other way round: `due` is 1 from a source's spike to the target's next.
"""

from distsnn.jit import inline
from distsnn.kernels.plasticity import stdp_synapse as pair

SOURCE, TARGET, STATES = pair.SOURCE, pair.TARGET, ("due",)
DECAYS, CONSTANTS, constants = pair.DECAYS, pair.CONSTANTS, pair.constants
source_spike, target_spike = pair.source_spike, pair.target_spike
potentiated, depressed = pair.on_post, pair.on_pre


@inline
def on_post(w, due, x, y, *constants):
    """Return weight and state after a spike of the target."""
    none = type(due)(0)
    return (potentiated(w, x, y, *constants)[0] if due > none else w), none


@inline
def on_pre(w, due, x, y, *constants):
    """Return weight and state after a spike of the source."""
    one = type(due)(1)
    return (depressed(w, x, y, *constants)[0] if due < one else w), one
