"""Leaky integrator that does not spike, to read out what others spike."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class LeakyIntegrator(EquationNeuron):
    """Leaky integrator with an exponential synaptic current; it never spikes.

    It reads out a network: V_m is the weighted sum of the sources' spike trains, each filtered by
    the same kernel. Weights of either sign therefore share one current (receptor ``syn``): a
    readout weight that changes its sign must not change its filter. The equations are integrated
    exactly on the grid; the current of a step acts on V_m from the next step on. tau_syn may equal
    tau_m. Defaults are as in NEST's eprop_readout_bsshslm_2020, in which spikes act on V_m without
    a current.

    Source: Bellec et al. (2020), Nat Commun 11:3625, for the readout; Rotter & Diesmann (1999),
    Biol Cybern 81:381, for the integration.
    """

    name: ClassVar[str] = "leaky_integrator"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "`iaf_psc_exp` with a threshold out of reach"}
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        dV_m/dt = -(V_m - E_L)/tau_m + (I_syn + I_e + I_stim)/C_m : mV  # membrane potential
        dI_syn/dt = -I_syn/tau_syn : pA  # synaptic current
        """,
        receptors={"syn": "I_syn"},
        initial={"V_m": "E_L"},
    )

    C_m: Value = parameter(default=250.0, unit="pF", doc="membrane capacitance", above=0.0)
    tau_m: Value = parameter(default=10.0, unit="ms", doc="membrane time constant", above=0.0)
    tau_syn: Value = parameter(default=2.0, unit="ms", doc="decay of the current", above=0.0)
    E_L: Value = parameter(default=0.0, unit="mV", doc="resting potential")
    I_e: Value = parameter(default=0.0, unit="pA", doc="constant current")
