"""Leaky integrate-and-fire neuron whose synapses share one exponential current."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class IafPscExpShared(EquationNeuron):
    """Leaky integrate-and-fire neuron with one exponential synaptic current.

    It is iaf_psc_exp with ``tau_syn_ex = tau_syn_in``: both currents then obey the same equation,
    and only their sum acts on V_m. Keeping the sum alone takes two thirds of the memory and time.
    Weights of either sign add to I_syn (receptor ``syn``). Threshold, reset, refractory time and
    integration as in iaf_psc_exp.

    Source: Rotter & Diesmann (1999), Biol Cybern 81:381.
    """

    name: ClassVar[str] = "iaf_psc_exp_shared"
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": "`iaf_psc_exp` with one time constant",
        "GeNN": "`LIF` with `ExpCurr`",
    }
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        dV_m/dt = -(V_m - E_L)/tau_m + (I_syn + I_e + I_stim)/C_m : mV  # membrane potential
        dI_syn/dt = -I_syn/tau_syn : pA  # synaptic current
        """,
        threshold="V_m >= V_th",
        reset="V_m = V_reset",
        refractory="t_ref",
        receptors={"syn": "I_syn"},
        initial={"V_m": "E_L"},
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("V_reset", "V_th"),)

    C_m: Value = parameter(default=250.0, unit="pF", doc="membrane capacitance", above=0.0)
    tau_m: Value = parameter(default=10.0, unit="ms", doc="membrane time constant", above=0.0)
    tau_syn: Value = parameter(default=2.0, unit="ms", doc="decay of the current", above=0.0)
    t_ref: Value = parameter(
        default=2.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    V_reset: Value = parameter(default=-70.0, unit="mV", doc="potential after a spike")
    V_th: Value = parameter(default=-55.0, unit="mV", doc="spike threshold")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
