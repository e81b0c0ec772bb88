"""Hodgkin-Huxley neuron with alpha-shaped synaptic currents."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least, least_ratio


@neuron_model
class HhPscAlpha(SubsteppedNeuron, EquationNeuron):
    """Hodgkin-Huxley neuron with alpha-shaped synaptic currents (NEST's hh_psc_alpha).

    A weight is the peak of the current that it makes, tau_syn after the spike (receptor ``ex``:
    weights >= 0, ``in``: weights < 0). A neuron spikes at the end of the first step in which V_m,
    at least 0 mV, falls; it does not spike again within t_ref. Nothing is reset.

    Currents are integrated exactly. In each of the `substeps` parts V_m takes half of it with the
    gates held, the gates all of it with V_m held, and V_m the other half (Strang splitting); each
    of these is linear and done exactly. The error falls with the square of `substeps`. By default
    a part is at most min(0.035 ms, tau_syn_x/4, 4 C_m/g_Na) long (`longest_part`).

    Source: Hodgkin & Huxley (1952), J Physiol 117:500; Gerstner & Kistler (2002), Spiking Neuron
    Models, Cambridge University Press.
    """

    name: ClassVar[str] = "hh_psc_alpha"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "hh_psc_alpha"}
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        alpha_m = 1/exprel(-(V_m + 40*mV)/(10*mV))/ms : 1/ms
        beta_m = 4*exp(-(V_m + 65*mV)/(18*mV))/ms : 1/ms
        alpha_h = 0.07*exp(-(V_m + 65*mV)/(20*mV))/ms : 1/ms
        beta_h = 1/(1 + exp(-(V_m + 35*mV)/(10*mV)))/ms : 1/ms
        alpha_n = 0.1/exprel(-(V_m + 55*mV)/(10*mV))/ms : 1/ms
        beta_n = 0.125*exp(-(V_m + 65*mV)/(80*mV))/ms : 1/ms
        I_Na = g_Na*Act_m**3*Inact_h*(E_Na - V_m) : pA
        I_K = g_K*Act_n**4*(E_K - V_m) : pA
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        I = I_Na + I_K + g_L*(E_L - V_m) + I_syn + I_e + I_stim : pA
        dV_m/dt = I/C_m : mV  # membrane potential
        dAct_m/dt = alpha_m*(1 - Act_m) - beta_m*Act_m : 1  # activation of sodium
        dInact_h/dt = alpha_h*(1 - Inact_h) - beta_h*Inact_h : 1  # inactivation of sodium
        dAct_n/dt = alpha_n*(1 - Act_n) - beta_n*Act_n : 1  # activation of potassium
        dI_syn_ex/dt = dI_syn_ex - I_syn_ex/tau_syn_ex : pA  # excitatory synaptic current
        ddI_syn_ex/dt = -dI_syn_ex/tau_syn_ex : pA/ms  # its rise without decay
        dI_syn_in/dt = dI_syn_in - I_syn_in/tau_syn_in : pA  # inhibitory synaptic current
        ddI_syn_in/dt = -dI_syn_in/tau_syn_in : pA/ms  # its rise without decay
        dV_before/dt = 0*mV/ms : mV  # V_m a step earlier
        """,
        threshold="V_m >= 0*mV and V_before > V_m",
        events={"step": ("", "V_before = V_m")},
        refractory="t_ref",
        hold=(),
        receptors={
            "ex": "dI_syn_ex += weight*exp(1)/tau_syn_ex",
            "in": "dI_syn_in += weight*exp(1)/tau_syn_in",
        },
        initial={
            "V_m": -65.0,
            "V_before": -65.0,
            "Act_m": 0.05293248525724958,
            "Inact_h": 0.5961207535084603,
            "Act_n": 0.3176769140606974,
        },
        method="strang",
        test_parts=False,
        relaxing=("V_m", "Act_m", "Inact_h", "Act_n"),
    )

    C_m: Value = parameter(default=100.0, unit="pF", doc="membrane capacitance", above=0.0)
    g_Na: Value = parameter(default=12000.0, unit="nS", doc="sodium conductance", low=0.0)
    g_K: Value = parameter(default=3600.0, unit="nS", doc="potassium conductance", low=0.0)
    g_L: Value = parameter(default=30.0, unit="nS", doc="leak conductance", above=0.0)
    E_Na: Value = parameter(default=50.0, unit="mV", doc="sodium reversal potential")
    E_K: Value = parameter(default=-77.0, unit="mV", doc="potassium reversal potential")
    E_L: Value = parameter(default=-54.402, unit="mV", doc="leak reversal potential")
    tau_syn_ex: Value = parameter(
        default=0.2, unit="ms", doc="time to peak of excitatory current", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="time to peak of inhibitory current", above=0.0
    )
    t_ref: Value = parameter(
        default=2.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        synapses = min(least(self.tau_syn_ex), least(self.tau_syn_in))
        return min(0.035, 0.25 * synapses, 4.0 * least_ratio(self.C_m, self.g_Na))

    def longest_step(self) -> float:
        """Return the longest dt that keeps rates within 3 % of those at shorter ones, ms."""
        # a potential above the threshold lasts less than two steps of 0.5 ms
        return 0.2
