"""Leaky integrate-and-fire neuron with exponential synaptic currents."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.model import Neuron, State, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class IafPscExp(Neuron):
    """Leaky integrate-and-fire neuron with exponential synaptic currents (NEST's iaf_psc_exp).

    Between spikes::

        dV_m/dt      = -(V_m - E_L)/tau_m + (I_syn_ex + I_syn_in + I_e)/C_m
        dI_syn_ex/dt = -I_syn_ex/tau_syn_ex
        dI_syn_in/dt = -I_syn_in/tau_syn_in

    A weight is added to I_syn_ex (receptor ``ex``, weights >= 0) or I_syn_in (``in``, weights
    < 0). At V_m >= V_th the neuron spikes, V_m is set to V_reset and stays there for t_ref, while
    the currents go on. The equations are integrated exactly on the grid; the currents of a step
    act on V_m from the next step on. tau_syn may equal tau_m.

    Source: Rotter & Diesmann (1999), Biol Cybern 81:381; Diesmann et al. (2001), Neurocomputing
    38:565.
    """

    name: ClassVar[str] = "iaf_psc_exp"
    receptors: ClassVar[tuple[str, ...]] = ("ex", "in")
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    weight_unit: ClassVar[str] = "pA"
    states: ClassVar[Mapping[str, State]] = {
        "V_m": State("mV", "membrane potential", default="E_L", relative_to="E_L"),
        "I_syn_ex": State("pA", "excitatory synaptic current"),
        "I_syn_in": State("pA", "inhibitory synaptic current"),
        "refractory": State("steps", "steps left of the refractory time", integer=True),
    }
    ordered: ClassVar[tuple[tuple[str, str], ...]] = (("V_reset", "V_th"),)

    C_m: Value = parameter(default=250.0, unit="pF", doc="membrane capacitance", above=0.0)
    tau_m: Value = parameter(default=10.0, unit="ms", doc="membrane time constant", above=0.0)
    tau_syn_ex: Value = parameter(
        default=2.0, unit="ms", doc="decay of excitatory current", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="decay of inhibitory current", above=0.0
    )
    t_ref: Value = parameter(default=2.0, unit="ms", doc="refractory time", low=0.0, on_grid=True)
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    V_reset: Value = parameter(default=-70.0, unit="mV", doc="potential after a spike")
    V_th: Value = parameter(default=-55.0, unit="mV", doc="spike threshold")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
