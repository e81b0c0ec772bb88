"""Pair STDP, centred on the source's spikes (Izhikevich & Desai 2003; Morrison et al. 2008).

Each spike of the source pairs with the target's next before and next after it. So the source's
trace is the synapse's own: a spike of the target pairs with it, and sets it to 0.
"""

from distsnn.jit import inline
from distsnn.kernels.plasticity import stdp_synapse as pair

SOURCE, TARGET, STATES = (), pair.TARGET, ("x",)
DECAYS, CONSTANTS, constants = pair.DECAYS, pair.CONSTANTS, pair.constants
source_spike, target_spike = pair.source_spike, pair.target_spike
potentiated, depressed = pair.on_post, pair.on_pre


@inline
def on_post(w, x, y, *constants):
    """Return weight and trace after a spike of the target."""
    return potentiated(w, x, y, *constants)[0], type(x)(0)


@inline
def on_pre(w, x, y, *constants):
    """Return weight and trace after a spike of the source."""
    return depressed(w, x, y, *constants)[0], x + type(x)(1)
