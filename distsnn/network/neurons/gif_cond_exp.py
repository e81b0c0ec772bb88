"""Generalised integrate-and-fire neuron with conductances: it adapts, and spikes by chance."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.checks import NOT_NEGATIVE, NOT_POSITIVE, Interval
from distsnn.network.equations.neuron_model import NeuronEquations
from distsnn.network.gif import GifNeuron, gif_equations
from distsnn.network.model import SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least, least_ratio


@neuron_model
class GifCondExp(SubsteppedNeuron, GifNeuron):
    """Generalised integrate-and-fire neuron with exponential conductances (NEST's gif_cond_exp).

    Spikes, spike-triggered currents (stc), movements of the threshold (sfa), their number and the
    refractory time are as in gif_psc_exp; synapses and integration are as in iaf_cond_exp. The
    probability of a spike follows from the potential at the end of a step and the threshold at its
    start; stc is constant over a step. So a step has one random number, however many parts
    it has. By default a part is at most min(0.45 tau_syn_x, 0.02 C_m/g_L) long (`longest_part`).
    With t_ref = 0 V_m is reset all the same, which it is not in NEST.

    Source: Mensi et al. (2012), J Neurophysiol 107:1756; Pozzorini et al. (2015), PLoS Comput Biol
    11:e1004275.
    """

    name: ClassVar[str] = "gif_cond_exp"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "gif_cond_exp"}
    allowed_weights: ClassVar[Mapping[str, Interval]] = {"ex": NOT_NEGATIVE, "in": NOT_POSITIVE}
    equations: ClassVar[NeuronEquations] = gif_equations(
        """
        I_syn_ex = g_ex*(E_ex - V_m) : pA  # excitatory synaptic current
        I_syn_in = g_in*(E_in - V_m) : pA  # inhibitory synaptic current
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        dg_ex/dt = -g_ex/tau_syn_ex : nS  # excitatory conductance
        dg_in/dt = -g_in/tau_syn_in : nS  # inhibitory conductance
        """,
        {"ex": "g_ex", "in": "-g_in"},
        test_parts=False,
        relaxing=("V_m",),
    )

    E_ex: Value = parameter(default=0.0, unit="mV", doc="excitatory reversal potential")
    E_in: Value = parameter(default=-85.0, unit="mV", doc="inhibitory reversal potential")
    tau_syn_ex: Value = parameter(
        default=2.0, unit="ms", doc="decay of excitatory conductance", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="decay of inhibitory conductance", above=0.0
    )

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        synapses = min(least(self.tau_syn_ex), least(self.tau_syn_in))
        return min(0.45 * synapses, 0.02 * least_ratio(self.C_m, self.g_L))

    def longest_step(self) -> float:
        """Return the longest dt that keeps rates within 3 % of those at shorter ones, ms."""
        return min(least(self.tau_syn_ex), least(self.tau_syn_in))
