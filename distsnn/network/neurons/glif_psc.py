"""Generalised leaky integrate-and-fire neuron with alpha-shaped synaptic currents."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.neuron_model import NeuronEquations
from distsnn.network.glif import GlifNeuron, glif_equations
from distsnn.network.model import parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class GlifPsc(GlifNeuron):
    """Generalised leaky integrate-and-fire neuron, alpha-shaped currents (NEST's glif_psc).

    The neuron spikes at V_m > V_th + threshold_spike + threshold_voltage. A spike takes V_m - E_L
    to voltage_reset_fraction times its value a step before the spike plus voltage_reset_add,
    threshold_spike to its value after a decay over t_ref plus th_spike_add, and each after-spike
    current to asc_r times its value after a decay over t_ref plus asc_amps. For t_ref these and
    threshold_voltage then rest. Weights add to the synaptic currents as in iaf_psc_alpha.

    The parameters choose one of the five variants:

    - LIF (the defaults): voltage_reset_fraction = 0, voltage_reset_add = V_reset - E_L,
      th_spike_add = 0, asc_amps_1 = asc_amps_2 = 0, th_voltage_index = 0.
    - LIF-R: voltage_reset_fraction, voltage_reset_add and th_spike_add as measured, the rest as LIF
      (NEST's values: 0.2, 18.51 mV, 0.37 mV).
    - LIF-ASC: asc_amps_1 and asc_amps_2 as measured (-9.18 pA, -198.94 pA), the rest as LIF.
    - LIF-R-ASC: the parameters of LIF-R and of LIF-ASC.
    - LIF-R-ASC-A: these, and th_voltage_index as measured (0.005/ms).

    NEST's flags for these, its V_reset and its asc_init (here the initial I_asc_1 and I_asc_2) are
    no parameters. NEST takes any number of after-spike currents and receptors; here there are two
    of each. Its default t_ref of 3.75 ms is not a multiple of 0.1 ms and acts as 3.8 ms, the
    default here.

    Integration is NEST's: exact on the grid, but that after-spike currents act on V_m as their
    means over a step, and threshold_voltage sees the V_m that a step would have without its
    synaptic currents. tau_syn, 1/th_voltage_decay and C_m/g may be equal.

    Source: Teeter et al. (2018), Nat Commun 9:709; Rotter & Diesmann (1999), Biol Cybern 81:381,
    for the synaptic currents.
    """

    name: ClassVar[str] = "glif_psc"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "glif_psc"}
    equations: ClassVar[NeuronEquations] = glif_equations(
        """
        I_syn = I_syn_ex + I_syn_in : pA  # synaptic current
        dI_syn_ex/dt = dI_syn_ex - I_syn_ex/tau_syn_ex : pA  # excitatory synaptic current
        ddI_syn_ex/dt = -dI_syn_ex/tau_syn_ex : pA/ms  # its rise without decay
        dI_syn_in/dt = dI_syn_in - I_syn_in/tau_syn_in : pA  # inhibitory synaptic current
        ddI_syn_in/dt = -dI_syn_in/tau_syn_in : pA/ms  # its rise without decay
        """,
        receptors={
            "ex": "dI_syn_ex += weight*exp(1)/tau_syn_ex",
            "in": "dI_syn_in += weight*exp(1)/tau_syn_in",
        },
    )

    tau_syn_ex: Value = parameter(
        default=2.0, unit="ms", doc="time to peak of excitatory current", above=0.0
    )
    tau_syn_in: Value = parameter(
        default=2.0, unit="ms", doc="time to peak of inhibitory current", above=0.0
    )
