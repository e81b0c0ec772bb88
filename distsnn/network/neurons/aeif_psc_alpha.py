"""Adaptive exponential integrate-and-fire neuron with alpha-shaped synaptic currents."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.neurons.aeif_psc_exp import AeifPscExp
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class AeifPscAlpha(AeifPscExp):
    """Adaptive exponential integrate-and-fire neuron with alpha functions (NEST's aeif_psc_alpha).

    A weight is the peak of the current that it makes, tau_syn after the spike. All else is as in
    aeif_psc_exp.

    Source: Brette & Gerstner (2005), J Neurophysiol 94:3637; doi:10.1152/jn.00686.2005.
    """

    name: ClassVar[str] = "aeif_psc_alpha"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "aeif_psc_alpha"}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        slope = where(Delta_T > 0, 1/Delta_T, 0/mV) : 1/mV
        I_spike = g_L*Delta_T*exp(slope*(V_m - V_th)) : pA
        I_syn = I_syn_ex - I_syn_in : pA  # synaptic current
        I = -g_L*(V_m - E_L) + I_spike + I_syn - w + I_e + I_stim : pA
        dV_m/dt = I/C_m : mV  # membrane potential
        dw/dt = (a*(V_m - E_L) - w)/tau_w : pA  # adaptation current
        dI_syn_ex/dt = dI_syn_ex - I_syn_ex/tau_syn_ex : pA  # excitatory synaptic current
        ddI_syn_ex/dt = -dI_syn_ex/tau_syn_ex : pA/ms  # its rise without decay
        dI_syn_in/dt = dI_syn_in - I_syn_in/tau_syn_in : pA  # inhibitory current, outward
        ddI_syn_in/dt = -dI_syn_in/tau_syn_in : pA/ms  # its rise without decay
        """,
        threshold="V_m >= where(Delta_T > 0, V_peak, V_th)",
        reset="V_m = V_reset; w += b",
        refractory="t_ref",
        receptors={
            "ex": "dI_syn_ex += weight*exp(1)/tau_syn_ex",
            "in": "dI_syn_in -= weight*exp(1)/tau_syn_in",
        },
        initial={"V_m": "E_L"},
        method="rosenbrock",
    )

    tau_syn_ex: Value = parameter(
        default=0.2, unit="ms", doc="time to peak of excitatory current", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="time to peak of inhibitory current", above=0.0
    )
