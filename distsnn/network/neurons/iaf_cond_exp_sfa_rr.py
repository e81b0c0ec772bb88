"""Leaky integrate-and-fire neuron with conductances, adaptation and a relative refractory time."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.checks import NOT_NEGATIVE, NOT_POSITIVE, Interval
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least, least_ratio


@neuron_model
class IafCondExpSfaRr(SubsteppedNeuron, EquationNeuron):
    """Leaky integrate-and-fire neuron whose spikes open conductances (NEST's iaf_cond_exp_sfa_rr).

    A spike adds q_sfa to g_sfa, which decays slowly (spike-frequency adaptation), and q_rr to g_rr,
    which decays fast (relative refractory time). Synapses, threshold, reset, t_ref and integration
    are as in iaf_cond_exp. By default a part is at most min(0.3 tau_syn_x, 0.2 tau_rr,
    0.02 C_m/g_L) long (`longest_part`).

    Source: Dayan & Abbott (2001), Theoretical Neuroscience, MIT Press, p. 166; Muller et al.
    (2007), Neural Comput 19:2958.
    """

    name: ClassVar[str] = "iaf_cond_exp_sfa_rr"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "iaf_cond_exp_sfa_rr"}
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    allowed_weights: ClassVar[Mapping[str, Interval]] = {"ex": NOT_NEGATIVE, "in": NOT_POSITIVE}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        I_syn_ex = g_ex*(E_ex - V_m) : pA  # excitatory synaptic current
        I_syn_in = g_in*(E_in - V_m) : pA  # inhibitory synaptic current
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        I_spikes = g_sfa*(E_sfa - V_m) + g_rr*(E_rr - V_m) : pA
        I = -g_L*(V_m - E_L) + I_syn + I_spikes + I_e + I_stim : pA
        dV_m/dt = I/C_m : mV  # membrane potential
        dg_ex/dt = -g_ex/tau_syn_ex : nS  # excitatory conductance
        dg_in/dt = -g_in/tau_syn_in : nS  # inhibitory conductance
        dg_sfa/dt = -g_sfa/tau_sfa : nS  # conductance of spike-frequency adaptation
        dg_rr/dt = -g_rr/tau_rr : nS  # conductance of the relative refractory time
        """,
        threshold="V_m >= V_th",
        reset="V_m = V_reset; g_sfa += q_sfa; g_rr += q_rr",
        refractory="t_ref",
        receptors={"ex": "g_ex", "in": "-g_in"},
        initial={"V_m": "E_L"},
        test_parts=False,
        relaxing=("V_m",),
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("V_reset", "V_th"),)

    C_m: Value = parameter(default=289.5, unit="pF", doc="membrane capacitance", above=0.0)
    g_L: Value = parameter(default=28.95, unit="nS", doc="leak conductance", above=0.0)
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    E_ex: Value = parameter(default=0.0, unit="mV", doc="excitatory reversal potential")
    E_in: Value = parameter(default=-75.0, unit="mV", doc="inhibitory reversal potential")
    E_sfa: Value = parameter(default=-70.0, unit="mV", doc="reversal potential of g_sfa")
    E_rr: Value = parameter(default=-70.0, unit="mV", doc="reversal potential of g_rr")
    tau_syn_ex: Value = parameter(
        default=1.5, unit="ms", doc="decay of excitatory conductance", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=10.0, unit="ms", doc="decay of inhibitory conductance", above=0.0
    )
    tau_sfa: Value = parameter(default=110.0, unit="ms", doc="decay of g_sfa", above=0.0)
    tau_rr: Value = parameter(default=1.97, unit="ms", doc="decay of g_rr", above=0.0)
    q_sfa: Value = parameter(default=14.48, unit="nS", doc="rise of g_sfa at a spike", low=0.0)
    q_rr: Value = parameter(default=3214.0, unit="nS", doc="rise of g_rr at a spike", low=0.0)
    t_ref: Value = parameter(
        default=0.5, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    V_reset: Value = parameter(default=-70.0, unit="mV", doc="potential after a spike")
    V_th: Value = parameter(default=-57.0, unit="mV", doc="spike threshold")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        synapses = min(least(self.tau_syn_ex), least(self.tau_syn_in))
        leak = 0.02 * least_ratio(self.C_m, self.g_L)
        return min(0.3 * synapses, 0.2 * least(self.tau_rr), leak)

    def longest_step(self) -> float:
        """Return the longest dt that keeps rates within 3 % of those at shorter ones, ms."""
        return min(least(self.tau_syn_ex), least(self.tau_syn_in))
