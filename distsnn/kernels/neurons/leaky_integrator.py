"""Leaky integrator with one exponential current: exact integration (Rotter & Diesmann 1999)."""

from distsnn.jit import inline
from distsnn.kernels.functions import flush
from distsnn.kernels.neurons.iaf_psc_exp_shared import membrane

STATES = ("V_m", "I_syn")
RECEPTORS = ("syn",)
CONSTANTS = {"p22": "real", "p21": "real", "p20": "real", "p11": "real", "drive": "real"}

propagators = membrane


@inline
def step(v, i, in_syn, current, p22, p21, p20, p11, drive):
    """Advance one neuron by dt; the current of this step acts on v from the next on."""
    v = flush(p22 * v + p21 * i + (drive + p20 * current))
    return v, flush(p11 * i + in_syn), False
