"""Generalised integrate-and-fire neuron: it adapts, and spikes by chance."""

from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class GifPscExp(EquationNeuron):
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
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        I = I_syn_ex + I_syn_in - (stc_1 + stc_2 + stc_3) + I_e + I_stim : pA
        dV_m/dt = (-g_L*(V_m - E_L) + I)/C_m : mV  # membrane potential
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex : pA  # excitatory synaptic current
        dI_syn_in/dt = -I_syn_in/tau_syn_in : pA  # inhibitory synaptic current
        dstc_1/dt = -stc_1/tau_stc_1 : pA  # spike-triggered current
        dstc_2/dt = -stc_2/tau_stc_2 : pA  # spike-triggered current
        dstc_3/dt = -stc_3/tau_stc_3 : pA  # spike-triggered current
        dsfa_1/dt = -sfa_1/tau_sfa_1 : mV  # movement of the threshold
        dsfa_2/dt = -sfa_2/tau_sfa_2 : mV  # movement of the threshold
        dsfa_3/dt = -sfa_3/tau_sfa_3 : mV  # movement of the threshold
        above = V_m - (V_T_star + sfa_1 + sfa_2 + sfa_3) : mV
        hazard = lambda_0*exp(above/Delta_V) : 1/s
        """,
        threshold="uniform() > exp(-hazard*dt)",
        reset="""
        V_m = V_reset
        stc_1 += q_stc_1; stc_2 += q_stc_2; stc_3 += q_stc_3
        sfa_1 += q_sfa_1; sfa_2 += q_sfa_2; sfa_3 += q_sfa_3
        """,
        refractory="t_ref",
        hold=("V_m",),
        receptors={"ex": "I_syn_ex", "in": "I_syn_in"},
        initial={"V_m": "E_L"},
        early=("I_syn_ex", "I_syn_in"),
        late=("stc_1", "stc_2", "stc_3", "sfa_1", "sfa_2", "sfa_3"),
    )

    g_L: Value = parameter(default=4.0, unit="nS", doc="leak conductance", above=0.0)
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    C_m: Value = parameter(default=80.0, unit="pF", doc="membrane capacitance", above=0.0)
    V_reset: Value = parameter(default=-55.0, unit="mV", doc="potential after a spike")
    t_ref: Value = parameter(default=4.0, unit="ms", doc="refractory time", low=0.0, on_grid=True)
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
    tau_syn_ex: Value = parameter(
        default=2.0, unit="ms", doc="decay of excitatory current", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="decay of inhibitory current", above=0.0
    )
    V_T_star: Value = parameter(default=-35.0, unit="mV", doc="threshold of a neuron at rest")
    Delta_V: Value = parameter(default=0.5, unit="mV", doc="sharpness of the threshold", above=0.0)
    lambda_0: Value = parameter(default=1.0, unit="1/s", doc="hazard at the threshold", low=0.0)
    tau_stc_1: Value = parameter(default=10.0, unit="ms", doc="decay of stc_1", above=0.0)
    tau_stc_2: Value = parameter(default=100.0, unit="ms", doc="decay of stc_2", above=0.0)
    tau_stc_3: Value = parameter(default=1000.0, unit="ms", doc="decay of stc_3", above=0.0)
    q_stc_1: Value = parameter(default=0.0, unit="pA", doc="what a spike adds to stc_1")
    q_stc_2: Value = parameter(default=0.0, unit="pA", doc="what a spike adds to stc_2")
    q_stc_3: Value = parameter(default=0.0, unit="pA", doc="what a spike adds to stc_3")
    tau_sfa_1: Value = parameter(default=10.0, unit="ms", doc="decay of sfa_1", above=0.0)
    tau_sfa_2: Value = parameter(default=100.0, unit="ms", doc="decay of sfa_2", above=0.0)
    tau_sfa_3: Value = parameter(default=1000.0, unit="ms", doc="decay of sfa_3", above=0.0)
    q_sfa_1: Value = parameter(default=0.0, unit="mV", doc="what a spike adds to sfa_1")
    q_sfa_2: Value = parameter(default=0.0, unit="mV", doc="what a spike adds to sfa_2")
    q_sfa_3: Value = parameter(default=0.0, unit="mV", doc="what a spike adds to sfa_3")
