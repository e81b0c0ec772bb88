"""Generalised integrate-and-fire neuron with conductances: it adapts, and spikes by chance."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.checks import NOT_NEGATIVE, NOT_POSITIVE, Range
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least, least_ratio


@neuron_model
class GifCondExp(SubsteppedNeuron, EquationNeuron):
    """Generalised integrate-and-fire neuron with exponential conductances (NEST's gif_cond_exp).

    Spikes, spike-triggered currents (stc), movements of the threshold (sfa), their number and the
    refractory time are those of gif_psc_exp; synapses and integration are those of iaf_cond_exp.
    The probability of a spike is that of the potential at the end of a step, and of the threshold
    at its begin; stc is constant over a step. So a step has one random number, however many parts
    it has. By default a part is at most min(0.45 tau_syn_x, 0.02 C_m/g_L) long (`longest_part`).
    With t_ref = 0 V_m is reset all the same, which it is not in NEST.

    Source: Mensi et al. (2012), J Neurophysiol 107:1756; Pozzorini et al. (2015), PLoS Comput Biol
    11:e1004275.
    """

    name: ClassVar[str] = "gif_cond_exp"
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    allowed_weights: ClassVar[Mapping[str, Range]] = {"ex": NOT_NEGATIVE, "in": NOT_POSITIVE}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        I_syn = g_ex*(E_ex - V_m) + g_in*(E_in - V_m) : pA
        I = I_syn - (stc_1 + stc_2 + stc_3) + I_e + I_stim : pA
        dV_m/dt = (-g_L*(V_m - E_L) + I)/C_m : mV  # membrane potential
        dg_ex/dt = -g_ex/tau_syn_ex : nS  # excitatory conductance
        dg_in/dt = -g_in/tau_syn_in : nS  # inhibitory conductance
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
        receptors={"ex": "g_ex", "in": "-g_in"},
        initial={"V_m": "E_L"},
        test_parts=False,
        relaxing=("V_m",),
        late=("stc_1", "stc_2", "stc_3", "sfa_1", "sfa_2", "sfa_3"),
    )

    g_L: Value = parameter(default=4.0, unit="nS", doc="leak conductance", above=0.0)
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    C_m: Value = parameter(default=80.0, unit="pF", doc="membrane capacitance", above=0.0)
    E_ex: Value = parameter(default=0.0, unit="mV", doc="excitatory reversal potential")
    E_in: Value = parameter(default=-85.0, unit="mV", doc="inhibitory reversal potential")
    V_reset: Value = parameter(default=-55.0, unit="mV", doc="potential after a spike")
    t_ref: Value = parameter(default=4.0, unit="ms", doc="refractory time", low=0.0, on_grid=True)
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
    tau_syn_ex: Value = parameter(
        default=2.0, unit="ms", doc="decay of excitatory conductance", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="decay of inhibitory conductance", above=0.0
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

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        synapses = min(least(self.tau_syn_ex), least(self.tau_syn_in))
        return min(0.45 * synapses, 0.02 * least_ratio(self.C_m, self.g_L))

    def longest_step(self) -> float:
        """Return the longest dt that keeps rates within 3 % of those at shorter ones, ms."""
        return min(least(self.tau_syn_ex), least(self.tau_syn_in))
