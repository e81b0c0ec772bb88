"""Leaky integrate-and-fire neuron with exponential synaptic currents."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class IafPscExp(EquationNeuron):
    """Leaky integrate-and-fire neuron with exponential synaptic currents (NEST's iaf_psc_exp).

    A weight is added to I_syn_ex (receptor ``ex``, weights >= 0) or I_syn_in (``in``, weights
    < 0). At V_m >= V_th the neuron spikes, V_m is set to V_reset and stays there for t_ref, while
    the currents continue. The equations are integrated exactly on the grid; the currents of a step
    act on V_m from the next step on. tau_syn may equal tau_m.

    Source: Rotter & Diesmann (1999), Biol Cybern 81:381; Diesmann et al. (2001), Neurocomputing
    38:565.
    """

    name: ClassVar[str] = "iaf_psc_exp"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "iaf_psc_exp", "GeNN": "`LIF` with `ExpCurr`"}
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        I = I_syn + I_e + I_stim : pA
        dV_m/dt = -(V_m - E_L)/tau_m + I/C_m : mV  # membrane potential
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex : pA  # excitatory synaptic current
        dI_syn_in/dt = -I_syn_in/tau_syn_in : pA  # inhibitory synaptic current
        """,
        threshold="V_m >= V_th",
        reset="V_m = V_reset",
        refractory="t_ref",
        receptors={"ex": "I_syn_ex", "in": "I_syn_in"},
        initial={"V_m": "E_L"},
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("V_reset", "V_th"),)

    C_m: Value = parameter(default=250.0, unit="pF", doc="membrane capacitance", above=0.0)
    tau_m: Value = parameter(default=10.0, unit="ms", doc="membrane time constant", above=0.0)
    tau_syn_ex: Value = parameter(
        default=2.0, unit="ms", doc="decay of excitatory current", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="decay of inhibitory current", above=0.0
    )
    t_ref: Value = parameter(
        default=2.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    V_reset: Value = parameter(default=-70.0, unit="mV", doc="potential after a spike")
    V_th: Value = parameter(default=-55.0, unit="mV", doc="spike threshold")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
