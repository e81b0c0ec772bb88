"""Leaky integrate-and-fire neuron with alpha-shaped synaptic currents."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class IafPscAlpha(EquationNeuron):
    """Leaky integrate-and-fire neuron with alpha-shaped currents (NEST's iaf_psc_alpha).

    A spike of weight w adds w e/tau_syn_x to dI_syn_x: its current w e (t/tau) exp(-t/tau) peaks at
    w after tau. Receptor ``ex`` takes weights >= 0, ``in`` weights < 0. Threshold, reset,
    refractory time and integration as in iaf_psc_exp. tau_syn may equal tau_m.

    Source: Rotter & Diesmann (1999), Biol Cybern 81:381; Diesmann et al. (2001), Neurocomputing
    38:565.
    """

    name: ClassVar[str] = "iaf_psc_alpha"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "iaf_psc_alpha"}
    signed_receptors: ClassVar[tuple[str, str] | None] = ("ex", "in")
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        I = I_syn + I_e + I_stim : pA
        dV_m/dt = -(V_m - E_L)/tau_m + I/C_m : mV  # membrane potential
        dI_syn_ex/dt = dI_syn_ex - I_syn_ex/tau_syn_ex : pA  # excitatory synaptic current
        ddI_syn_ex/dt = -dI_syn_ex/tau_syn_ex : pA/ms  # its rise without decay
        dI_syn_in/dt = dI_syn_in - I_syn_in/tau_syn_in : pA  # inhibitory synaptic current
        ddI_syn_in/dt = -dI_syn_in/tau_syn_in : pA/ms  # its rise without decay
        """,
        threshold="V_m >= V_th",
        reset="V_m = V_reset",
        refractory="t_ref",
        receptors={
            "ex": "dI_syn_ex += weight*exp(1)/tau_syn_ex",
            "in": "dI_syn_in += weight*exp(1)/tau_syn_in",
        },
        initial={"V_m": "E_L"},
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("V_reset", "V_th"),)

    C_m: Value = parameter(default=250.0, unit="pF", doc="membrane capacitance", above=0.0)
    tau_m: Value = parameter(default=10.0, unit="ms", doc="membrane time constant", above=0.0)
    tau_syn_ex: Value = parameter(
        default=2.0, unit="ms", doc="time to peak of excitatory current", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="time to peak of inhibitory current", above=0.0
    )
    t_ref: Value = parameter(
        default=2.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    V_reset: Value = parameter(default=-70.0, unit="mV", doc="potential after a spike")
    V_th: Value = parameter(default=-55.0, unit="mV", doc="spike threshold")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
