"""Leaky integrate-and-fire neuron with exponential synaptic conductances."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.checks import NOT_NEGATIVE, NOT_POSITIVE, Interval
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least, least_ratio


@neuron_model
class IafCondExp(SubsteppedNeuron, EquationNeuron):
    """Leaky integrate-and-fire neuron with exponential conductances (NEST's iaf_cond_exp).

    The sign of a weight picks the receptor: weights >= 0 (``ex``) are added to g_ex, the magnitude
    of those < 0 (``in``) to g_in, so conductances are never negative. At V_m >= V_th at the end of
    a step the neuron spikes, V_m is set to V_reset and stays there for t_ref, while the
    conductances continue.

    Conductances decay exactly. The potential is integrated by exponential Euler: over each of the
    `substeps` parts of a step it relaxes exponentially towards where the conductances' means over
    that part draw it. The error falls with the square of `substeps`. By default a part is at most
    min(0.45 tau_syn_x, 0.02 C_m/g_L) long (`longest_part`).

    Source: Meffin, Burkitt & Grayden (2004), J Comput Neurosci 16:159; Brette et al. (2007),
    J Comput Neurosci 23:349.
    """

    name: ClassVar[str] = "iaf_cond_exp"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "iaf_cond_exp", "GeNN": "`LIF` with `ExpCond`"}
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    allowed_weights: ClassVar[Mapping[str, Interval]] = {"ex": NOT_NEGATIVE, "in": NOT_POSITIVE}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        I_syn_ex = g_ex*(E_ex - V_m) : pA  # excitatory synaptic current
        I_syn_in = g_in*(E_in - V_m) : pA  # inhibitory synaptic current
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        dV_m/dt = (-g_L*(V_m - E_L) + I_syn + I_e + I_stim)/C_m : mV  # membrane potential
        dg_ex/dt = -g_ex/tau_syn_ex : nS  # excitatory conductance
        dg_in/dt = -g_in/tau_syn_in : nS  # inhibitory conductance
        """,
        threshold="V_m >= V_th",
        reset="V_m = V_reset",
        refractory="t_ref",
        receptors={"ex": "g_ex", "in": "-g_in"},
        initial={"V_m": "E_L"},
        test_parts=False,
        relaxing=("V_m",),
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("V_reset", "V_th"),)

    C_m: Value = parameter(default=250.0, unit="pF", doc="membrane capacitance", above=0.0)
    g_L: Value = parameter(default=16.6667, unit="nS", doc="leak conductance", above=0.0)
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    E_ex: Value = parameter(default=0.0, unit="mV", doc="excitatory reversal potential")
    E_in: Value = parameter(default=-85.0, unit="mV", doc="inhibitory reversal potential")
    tau_syn_ex: Value = parameter(
        default=0.2, unit="ms", doc="decay of excitatory conductance", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="decay of inhibitory conductance", above=0.0
    )
    t_ref: Value = parameter(
        default=2.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    V_reset: Value = parameter(default=-60.0, unit="mV", doc="potential after a spike")
    V_th: Value = parameter(default=-55.0, unit="mV", doc="spike threshold")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        synapses = min(least(self.tau_syn_ex), least(self.tau_syn_in))
        return min(0.45 * synapses, 0.02 * least_ratio(self.C_m, self.g_L))

    def longest_step(self) -> float:
        """Return the longest dt that keeps rates within 3 % of those at shorter ones, ms."""
        return min(least(self.tau_syn_ex), least(self.tau_syn_in))
