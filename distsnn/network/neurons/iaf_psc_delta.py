"""Leaky integrate-and-fire neuron whose potential jumps at an input spike."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class IafPscDelta(EquationNeuron):
    """Leaky integrate-and-fire neuron with delta input (NEST's iaf_psc_delta).

    A weight is added to V_m, before the threshold test of that step; input that arrives while the
    neuron is refractory is lost. At V_m >= V_th the neuron spikes, V_m is set to V_reset and stays
    there for t_ref. The equation is integrated exactly on the grid.

    Source: Rotter & Diesmann (1999), Biol Cybern 81:381; Diesmann et al. (2001), Neurocomputing
    38:565.
    """

    name: ClassVar[str] = "iaf_psc_delta"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "iaf_psc_delta", "GeNN": "`LIF` with `DeltaCurr`"}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        dV_m/dt = -(V_m - E_L)/tau_m + (I_e + I_stim)/C_m : mV  # membrane potential
        """,
        threshold="V_m >= V_th",
        reset="V_m = V_reset",
        refractory="t_ref",
        receptors={"delta": "V_m"},
        initial={"V_m": "E_L"},
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("V_reset", "V_th"),)

    C_m: Value = parameter(default=250.0, unit="pF", doc="membrane capacitance", above=0.0)
    tau_m: Value = parameter(default=10.0, unit="ms", doc="membrane time constant", above=0.0)
    t_ref: Value = parameter(
        default=2.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    V_reset: Value = parameter(default=-70.0, unit="mV", doc="potential after a spike")
    V_th: Value = parameter(default=-55.0, unit="mV", doc="spike threshold")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
