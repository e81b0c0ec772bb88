"""Adaptive exponential integrate-and-fire neuron with exponential synaptic currents."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least, least_ratio


@neuron_model
class AeifPscExp(SubsteppedNeuron, EquationNeuron):
    """Adaptive exponential integrate-and-fire neuron (NEST's aeif_psc_exp).

    A weight is added to I_syn_ex (receptor ``ex``, weights >= 0), or subtracted from I_syn_in
    (``in``, weights < 0), which is, as in NEST, the magnitude of the inhibitory current.

    A neuron spikes when V_m reaches V_peak (V_th without the exponential, Delta_T = 0). V_m is then
    set to V_reset, w increases by b, and V_m is clamped for t_ref while all other states continue.
    With t_ref = 0 V_m continues at once, up to V_peak; a neuron emits at most one spike per step.

    Synaptic currents decay exactly, and act as their means over a part of a step. V_m and w are
    integrated over each of the `substeps` parts by Rosenbrock's method of one stage (the linearly
    implicit midpoint rule, one exponential a part): the error falls with the square of `substeps`.
    The upstroke is not integrated: a neuron spikes when the exponential alone would make V_m
    infinite, with an error of about a tenth of a substep; with t_ref = 0 the rest of the substep is
    integrated from V_reset. By default a part is at most min(0.1 ms, tau_syn_x/4, 0.0055 C_m/g_L)
    long (`longest_part`).

    Source: Brette & Gerstner (2005), J Neurophysiol 94:3637; doi:10.1152/jn.00686.2005;
    Rosenbrock (1963), Comput J 5:329, for the integration.
    """

    name: ClassVar[str] = "aeif_psc_exp"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "aeif_psc_exp"}
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        slope = where(Delta_T > 0, 1/Delta_T, 0/mV) : 1/mV
        I_spike = g_L*Delta_T*exp(slope*(V_m - V_th)) : pA
        I_syn = I_syn_ex - I_syn_in : pA  # synaptic current
        I = -g_L*(V_m - E_L) + I_spike + I_syn - w + I_e + I_stim : pA
        dV_m/dt = I/C_m : mV  # membrane potential
        dw/dt = (a*(V_m - E_L) - w)/tau_w : pA  # adaptation current
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex : pA  # excitatory synaptic current
        dI_syn_in/dt = -I_syn_in/tau_syn_in : pA  # inhibitory current, outward
        """,
        threshold="V_m >= where(Delta_T > 0, V_peak, V_th)",
        reset="V_m = V_reset; w += b",
        refractory="t_ref",
        receptors={"ex": "I_syn_ex", "in": "-I_syn_in"},
        initial={"V_m": "E_L"},
        method="rosenbrock",
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("V_reset", "V_peak"),)

    C_m: Value = parameter(default=281.0, unit="pF", doc="membrane capacitance", above=0.0)
    g_L: Value = parameter(default=30.0, unit="nS", doc="leak conductance", low=0.0)
    E_L: Value = parameter(default=-70.6, unit="mV", doc="leak reversal potential")
    V_th: Value = parameter(default=-50.4, unit="mV", doc="where the exponential takes off")
    Delta_T: Value = parameter(default=2.0, unit="mV", doc="slope factor of it", low=0.0)
    V_peak: Value = parameter(default=0.0, unit="mV", doc="spike detection")
    V_reset: Value = parameter(default=-60.0, unit="mV", doc="potential after a spike")
    a: Value = parameter(default=4.0, unit="nS", doc="adaptation below threshold")
    b: Value = parameter(default=80.5, unit="pA", doc="adaptation by a spike")
    tau_w: Value = parameter(default=144.0, unit="ms", doc="time constant of adaptation", above=0.0)
    tau_syn_ex: Value = parameter(
        default=0.2, unit="ms", doc="decay of excitatory current", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="decay of inhibitory current", above=0.0
    )
    t_ref: Value = parameter(
        default=0.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        synapses = min(least(self.tau_syn_ex), least(self.tau_syn_in))
        return min(0.1, 0.25 * synapses, 0.0055 * least_ratio(self.C_m, self.g_L))
