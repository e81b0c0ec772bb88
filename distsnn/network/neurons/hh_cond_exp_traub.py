"""Hodgkin-Huxley neuron after Traub with exponential synaptic conductances."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.checks import NOT_NEGATIVE, NOT_POSITIVE, Range
from distsnn.network.model import State, SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least, least_ratio


@neuron_model
class HhCondExpTraub(SubsteppedNeuron):
    """Hodgkin-Huxley neuron after Traub & Miles with conductances (NEST's hh_cond_exp_traub).

    With V = V_m - V_T in mV and rates in 1/ms::

        C_m dV_m/dt = -g_Na m³ h (V_m - E_Na) - g_K n⁴ (V_m - E_K) - g_L (V_m - E_L)
                      - g_ex (V_m - E_ex) - g_in (V_m - E_in) + I_e
        dx/dt       = alpha_x (1 - x) - beta_x x,  x in (m, h, n) = (Act_m, Inact_h, Act_n)
        dg_x/dt     = -g_x/tau_syn_x,  x in (ex, in)

        alpha_m = 0.32 (13 - V)/(exp((13 - V)/4) - 1)
        beta_m  = 0.28 (V - 40)/(exp((V - 40)/5) - 1)
        alpha_h = 0.128 exp((17 - V)/18)
        beta_h  = 4/(1 + exp((40 - V)/5))
        alpha_n = 0.032 (15 - V)/(exp((15 - V)/5) - 1)
        beta_n  = 0.5 exp((10 - V)/40)

    The sign of a weight picks the receptor: weights >= 0 (``ex``) are added to g_ex, the magnitude
    of those < 0 (``in``) to g_in. A neuron spikes at the end of the first step in which V_m, at
    least 30 mV above V_T, falls; it does not spike again within t_ref. Nothing is reset.

    Conductances decay exactly, and act as their means over a part of a step. In each of the
    `substeps` parts V_m takes half of it with the gates held, the gates all of it with V_m held,
    and V_m the other half (Strang splitting); each of these is linear and done exactly. The error
    falls with the square of `substeps`. By default a part is at most
    min(0.035 ms, tau_syn_x/4, 7 C_m/g_Na) long (`longest_part`). Gates start at equilibrium for the
    default E_L and V_T.

    Source: Traub & Miles (1991), Neuronal networks of the hippocampus, Cambridge University Press;
    Brette et al. (2007), J Comput Neurosci 23:349, benchmark 3.
    """

    name: ClassVar[str] = "hh_cond_exp_traub"
    receptors: ClassVar[tuple[str, ...]] = ("ex", "in")
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    allowed_weights: ClassVar[Mapping[str, Range]] = {"ex": NOT_NEGATIVE, "in": NOT_POSITIVE}
    weight_unit: ClassVar[str] = "nS"
    states: ClassVar[Mapping[str, State]] = {
        "V_m": State("mV", "membrane potential", default="E_L", relative_to="V_T"),
        "Act_m": State("1", "activation of sodium", default=0.0268633),
        "Inact_h": State("1", "inactivation of sodium", default=0.991306),
        "Act_n": State("1", "activation of potassium", default=0.060434),
        "g_ex": State("nS", "excitatory conductance"),
        "g_in": State("nS", "inhibitory conductance"),
        "V_before": State("mV", "V_m a step earlier", default="E_L", relative_to="V_T"),
        "refractory": State("steps", "steps left of the refractory time", integer=True),
    }

    C_m: Value = parameter(default=200.0, unit="pF", doc="membrane capacitance", above=0.0)
    g_Na: Value = parameter(default=20000.0, unit="nS", doc="sodium conductance", low=0.0)
    g_K: Value = parameter(default=6000.0, unit="nS", doc="potassium conductance", low=0.0)
    g_L: Value = parameter(default=10.0, unit="nS", doc="leak conductance", above=0.0)
    E_Na: Value = parameter(default=50.0, unit="mV", doc="sodium reversal potential")
    E_K: Value = parameter(default=-90.0, unit="mV", doc="potassium reversal potential")
    E_L: Value = parameter(default=-60.0, unit="mV", doc="leak reversal potential")
    V_T: Value = parameter(default=-63.0, unit="mV", doc="where the rates' potential is 0")
    E_ex: Value = parameter(default=0.0, unit="mV", doc="excitatory reversal potential")
    E_in: Value = parameter(default=-80.0, unit="mV", doc="inhibitory reversal potential")
    tau_syn_ex: Value = parameter(
        default=5.0, unit="ms", doc="decay of excitatory conductance", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=10.0, unit="ms", doc="decay of inhibitory conductance", above=0.0
    )
    t_ref: Value = parameter(default=2.0, unit="ms", doc="refractory time", low=0.0, on_grid=True)
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        synapses = min(least(self.tau_syn_ex), least(self.tau_syn_in))
        return min(0.035, 0.25 * synapses, 7.0 * least_ratio(self.C_m, self.g_Na))

    def longest_step(self) -> float:
        """Return the longest dt that keeps rates within 3 % of those at shorter ones, ms."""
        # a potential above the threshold lasts less than two steps of 0.5 ms
        return 0.2
