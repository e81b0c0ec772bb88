"""Leaky integrator whose threshold adapts to spikes and to the potential."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class Amat2PscExp(EquationNeuron):
    """Multi-timescale adaptive threshold neuron, also by the potential (NEST's amat2_psc_exp).

    It is mat2_psc_exp with one more part of the threshold, V_th_v: beta times the slope of V_m,
    filtered by s exp(-s/tau_v). With it, neurons burst, resonate, or spike only at the onset of a
    current. V_m has no reset, and t_ref is a time without spikes.

    Source: Yamauchi, Kim & Shinomoto (2011), Front Comput Neurosci 5:42; Kobayashi, Tsubokawa &
    Shinomoto (2009), Front Comput Neurosci 3:9.
    """

    name: ClassVar[str] = "amat2_psc_exp"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "amat2_psc_exp"}
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        I = I_syn + I_e + I_stim : pA
        slope = -(V_m - E_L)/tau_m + I/C_m : mV/ms
        dV_m/dt = slope : mV  # membrane potential
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex : pA  # excitatory synaptic current
        dI_syn_in/dt = -I_syn_in/tau_syn_in : pA  # inhibitory synaptic current
        dV_th_alpha_1/dt = -V_th_alpha_1/tau_1 : mV  # threshold's part that decays with tau_1
        dV_th_alpha_2/dt = -V_th_alpha_2/tau_2 : mV  # threshold's part that decays with tau_2
        dV_th_v/dt = V_th_dv - V_th_v/tau_v : mV  # threshold's part that follows the potential
        dV_th_dv/dt = beta*slope - V_th_dv/tau_v : mV/ms  # its rise without decay
        """,
        threshold="V_m >= omega + V_th_alpha_1 + V_th_alpha_2 + V_th_v",
        reset="V_th_alpha_1 += alpha_1; V_th_alpha_2 += alpha_2",
        refractory="t_ref",
        hold=(),
        receptors={"ex": "I_syn_ex", "in": "I_syn_in"},
        initial={"V_m": "E_L"},
    )

    C_m: Value = parameter(default=200.0, unit="pF", doc="membrane capacitance", above=0.0)
    tau_m: Value = parameter(default=10.0, unit="ms", doc="membrane time constant", above=0.0)
    tau_syn_ex: Value = parameter(
        default=1.0, unit="ms", doc="decay of excitatory current", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=3.0, unit="ms", doc="decay of inhibitory current", above=0.0
    )
    t_ref: Value = parameter(
        default=2.0,
        unit="ms",
        doc="time without spikes after a spike",
        low=0.0,
        multiple_of_dt=True,
    )
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
    omega: Value = parameter(default=-65.0, unit="mV", doc="threshold of a neuron at rest")
    tau_1: Value = parameter(default=10.0, unit="ms", doc="short time constant", above=0.0)
    tau_2: Value = parameter(default=200.0, unit="ms", doc="long time constant", above=0.0)
    tau_v: Value = parameter(default=5.0, unit="ms", doc="time constant of V_th_v", above=0.0)
    alpha_1: Value = parameter(default=10.0, unit="mV", doc="rise of the short-lived part")
    alpha_2: Value = parameter(default=0.0, unit="mV", doc="rise of the long-lived part")
    beta: Value = parameter(default=0.0, unit="1/ms", doc="strength of V_th_v")
