"""Hodgkin-Huxley neuron after Traub with exponential synaptic conductances."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.checks import NOT_NEGATIVE, NOT_POSITIVE, Interval
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least, least_ratio


@neuron_model
class HhCondExpTraub(SubsteppedNeuron, EquationNeuron):
    """Hodgkin-Huxley neuron after Traub & Miles with conductances (NEST's hh_cond_exp_traub).

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
    peers: ClassVar[Mapping[str, str]] = {"NEST": "hh_cond_exp_traub", "GeNN": "TraubMiles"}
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    allowed_weights: ClassVar[Mapping[str, Interval]] = {"ex": NOT_NEGATIVE, "in": NOT_POSITIVE}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        V = V_m - V_T : mV
        # r = x/(e^x - 1), which has a series around 0; two of them have one exponential
        x_m = (13*mV - V)/(4*mV) : 1
        x_40 = (40*mV - V)/(5*mV) : 1
        x_15 = (15*mV - V)/(5*mV) : 1
        e_m = exp(x_m) : 1
        e_40 = exp(x_40) : 1
        r_m = where(abs(x_m) < 0.01, 1 - x_m/2 + x_m*x_m/12, x_m/(e_m - 1)) : 1
        r_40 = where(abs(x_40) < 0.01, 1 - x_40/2 + x_40*x_40/12, x_40/(e_40 - 1)) : 1
        r_15 = where(abs(x_15) < 0.01, 1 - x_15/2 + x_15*x_15/12, x_15/(exp(-5)*e_40 - 1)) : 1
        alpha_m = 1.28*r_m/ms : 1/ms
        beta_m = 1.4*r_40*e_40/ms : 1/ms
        alpha_h = 0.128*exp((17*mV - V)/(18*mV))/ms : 1/ms
        beta_h = 4/(1 + e_40)/ms : 1/ms
        alpha_n = 0.16*r_15/ms : 1/ms
        beta_n = 0.5*exp((10*mV - V)/(40*mV))/ms : 1/ms
        I_Na = g_Na*Act_m**3*Inact_h*(E_Na - V_m) : pA
        I_K = g_K*Act_n**4*(E_K - V_m) : pA
        I_syn_ex = g_ex*(E_ex - V_m) : pA  # excitatory synaptic current
        I_syn_in = g_in*(E_in - V_m) : pA  # inhibitory synaptic current
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        I = I_Na + I_K + g_L*(E_L - V_m) + I_syn + I_e + I_stim : pA
        dV_m/dt = I/C_m : mV  # membrane potential
        dAct_m/dt = alpha_m*(1 - Act_m) - beta_m*Act_m : 1  # activation of sodium
        dInact_h/dt = alpha_h*(1 - Inact_h) - beta_h*Inact_h : 1  # inactivation of sodium
        dAct_n/dt = alpha_n*(1 - Act_n) - beta_n*Act_n : 1  # activation of potassium
        dg_ex/dt = -g_ex/tau_syn_ex : nS  # excitatory conductance
        dg_in/dt = -g_in/tau_syn_in : nS  # inhibitory conductance
        dV_before/dt = 0*mV/ms : mV  # V_m a step earlier
        """,
        threshold="V_m >= V_T + 30*mV and V_before > V_m",
        events={"step": ("", "V_before = V_m")},
        refractory="t_ref",
        hold=(),
        receptors={"ex": "g_ex", "in": "-g_in"},
        initial={
            "V_m": "E_L",
            "V_before": "E_L",
            "Act_m": 0.0268633,
            "Inact_h": 0.991306,
            "Act_n": 0.060434,
        },
        method="strang",
        test_parts=False,
        relaxing=("V_m", "Act_m", "Inact_h", "Act_n"),
    )

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
    t_ref: Value = parameter(
        default=2.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        synapses = min(least(self.tau_syn_ex), least(self.tau_syn_in))
        return min(0.035, 0.25 * synapses, 7.0 * least_ratio(self.C_m, self.g_Na))

    def longest_step(self) -> float:
        """Return the longest dt that keeps rates within 3 % of those at shorter ones, ms."""
        # a potential above the threshold lasts less than two steps of 0.5 ms
        return 0.2
