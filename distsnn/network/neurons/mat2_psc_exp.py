"""Leaky integrator with a threshold that adapts on two time scales and no reset."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class Mat2PscExp(EquationNeuron):
    """Multi-timescale adaptive threshold neuron, exponential currents (NEST's mat2_psc_exp).

    Weights add to the currents as in iaf_psc_exp. The neuron spikes at V_m >= omega + V_th_alpha_1
    + V_th_alpha_2, unless it spiked within the last t_ref. A spike adds alpha_1 to V_th_alpha_1 and
    alpha_2 to V_th_alpha_2 and does not change V_m: the model has no reset. The equations are
    integrated exactly on the grid; the currents of a step act on V_m from the next step on. tau_syn
    may equal tau_m.

    Source: Kobayashi, Tsubokawa & Shinomoto (2009), Front Comput Neurosci 3:9; Rotter & Diesmann
    (1999), Biol Cybern 81:381, for the integration.
    """

    name: ClassVar[str] = "mat2_psc_exp"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "mat2_psc_exp"}
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        I = I_syn + I_e + I_stim : pA
        dV_m/dt = -(V_m - E_L)/tau_m + I/C_m : mV  # membrane potential
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex : pA  # excitatory synaptic current
        dI_syn_in/dt = -I_syn_in/tau_syn_in : pA  # inhibitory synaptic current
        dV_th_alpha_1/dt = -V_th_alpha_1/tau_1 : mV  # threshold's part that decays with tau_1
        dV_th_alpha_2/dt = -V_th_alpha_2/tau_2 : mV  # threshold's part that decays with tau_2
        """,
        threshold="V_m >= omega + V_th_alpha_1 + V_th_alpha_2",
        reset="V_th_alpha_1 += alpha_1; V_th_alpha_2 += alpha_2",
        refractory="t_ref",
        hold=(),
        receptors={"ex": "I_syn_ex", "in": "I_syn_in"},
        initial={"V_m": "E_L"},
    )

    C_m: Value = parameter(default=100.0, unit="pF", doc="membrane capacitance", above=0.0)
    tau_m: Value = parameter(default=5.0, unit="ms", doc="membrane time constant", above=0.0)
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
    omega: Value = parameter(default=-51.0, unit="mV", doc="threshold of a neuron at rest")
    tau_1: Value = parameter(default=10.0, unit="ms", doc="short time constant", above=0.0)
    tau_2: Value = parameter(default=200.0, unit="ms", doc="long time constant", above=0.0)
    alpha_1: Value = parameter(default=37.0, unit="mV", doc="rise of the short-lived part")
    alpha_2: Value = parameter(default=2.0, unit="mV", doc="rise of the long-lived part")
