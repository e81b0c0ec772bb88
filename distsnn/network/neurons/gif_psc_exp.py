"""Generalised integrate-and-fire neuron: it adapts, and spikes by chance."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import NeuronEquations
from distsnn.network.gif import GifNeuron, gif_equations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class GifPscExp(GifNeuron):
    """Generalised integrate-and-fire neuron with exponential currents (NEST's gif_psc_exp).

    Between spikes, with x = ex, in, and j = 1, 2, 3::

        C_m dV_m/dt = -g_L (V_m - E_L) - stc_1 - stc_2 - stc_3 + I_syn_ex + I_syn_in + I_e
        dI_syn_x/dt = -I_syn_x/tau_syn_x
        dstc_j/dt   = -stc_j/tau_stc_j
        dsfa_j/dt   = -sfa_j/tau_sfa_j

    The neuron spikes with the hazard

        lambda = lambda_0 exp((V_m - V_T_star - sfa_1 - sfa_2 - sfa_3)/Delta_V),

    in a step with probability 1 - exp(-lambda dt). A spike adds q_stc_j to stc_j and q_sfa_j to
    sfa_j; V_m is set to V_reset and stays there, and the neuron silent, for t_ref. Weights add to
    the currents as in iaf_psc_exp.

    NEST takes any number of spike-triggered currents (stc) and threshold movements (sfa). Here
    there are three of each, one for each decade of time scales; those whose q is 0, as by default,
    do nothing. Order within a step as in NEST: the currents of a step, with the input that arrives
    in it, act on V_m in that same step; stc and sfa are those at its start. With t_ref = 0 V_m is
    reset all the same, which it is not in NEST. In float32 the probability of a spike is right to
    2^-24 a step, 6e-4 spikes/s for dt = 0.1 ms.

    Source: Mensi et al. (2012), J Neurophysiol 107:1756; Pozzorini et al. (2015), PLoS Comput Biol
    11:e1004275.
    """

    name: ClassVar[str] = "gif_psc_exp"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "gif_psc_exp"}
    equations: ClassVar[NeuronEquations] = gif_equations(
        """
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex : pA  # excitatory synaptic current
        dI_syn_in/dt = -I_syn_in/tau_syn_in : pA  # inhibitory synaptic current
        """,
        {"ex": "I_syn_ex", "in": "I_syn_in"},
        early=("I_syn_ex", "I_syn_in"),
    )

    tau_syn_ex: Value = parameter(
        default=2.0, unit="ms", doc="decay of excitatory current", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="decay of inhibitory current", above=0.0
    )
