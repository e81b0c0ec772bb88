"""Adaptive exponential integrate-and-fire neuron with alpha-shaped conductances."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.neurons.aeif_cond_exp import AeifCondExp
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class AeifCondAlpha(AeifCondExp):
    """Adaptive exponential integrate-and-fire neuron with alpha functions (NEST's aeif_cond_alpha).

    A weight is the peak of the conductance that it makes, tau_syn after the spike. All else is as
    in aeif_cond_exp.

    Source: Brette & Gerstner (2005), J Neurophysiol 94:3637; doi:10.1152/jn.00686.2005.
    """

    name: ClassVar[str] = "aeif_cond_alpha"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "aeif_cond_alpha"}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        slope = where(Delta_T > 0, 1/Delta_T, 0/mV) : 1/mV
        I_spike = g_L*Delta_T*exp(slope*(V_m - V_th)) : pA
        I_syn_ex = g_ex*(E_ex - V_m) : pA  # excitatory synaptic current
        I_syn_in = g_in*(E_in - V_m) : pA  # inhibitory synaptic current
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        I = -g_L*(V_m - E_L) + I_spike + I_syn - w + I_e + I_stim : pA
        dV_m/dt = I/C_m : mV  # membrane potential
        dw/dt = (a*(V_m - E_L) - w)/tau_w : pA  # adaptation current
        dg_ex/dt = dg_ex - g_ex/tau_syn_ex : nS  # excitatory conductance
        ddg_ex/dt = -dg_ex/tau_syn_ex : nS/ms  # its rise without decay
        dg_in/dt = dg_in - g_in/tau_syn_in : nS  # inhibitory conductance
        ddg_in/dt = -dg_in/tau_syn_in : nS/ms  # its rise without decay
        """,
        threshold="V_m >= where(Delta_T > 0, V_peak, V_th)",
        reset="V_m = V_reset; w += b",
        refractory="t_ref",
        receptors={
            "ex": "dg_ex += weight*exp(1)/tau_syn_ex",
            "in": "dg_in -= weight*exp(1)/tau_syn_in",
        },
        initial={"V_m": "E_L"},
        method="rosenbrock",
    )

    tau_syn_ex: Value = parameter(
        default=0.2, unit="ms", doc="time to peak of excitatory conductance", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="time to peak of inhibitory conductance", above=0.0
    )
