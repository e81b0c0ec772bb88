"""Leaky integrate-and-fire neuron with AMPA, GABA and NMDA receptors."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.checks import NOT_NEGATIVE, Interval
from distsnn.network.equations.neuron_model import EquationNeuron, NeuronEquations
from distsnn.network.model import SubsteppedNeuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, least, least_ratio


@neuron_model
class IafBw2001(SubsteppedNeuron, EquationNeuron):
    """Leaky integrate-and-fire neuron with AMPA, GABA and NMDA receptors (NEST's iaf_bw_2001).

    A weight, at least 0, is the conductance of a synapse whose gating variable is 1. A spike adds
    the weight to s_AMPA, s_GABA or s_NMDA (receptors ``AMPA``, ``GABA`` and ``NMDA``), so that
    these conductances sum the gating of all synapses times their weights. Magnesium blocks NMDA
    receptors, depending on V_m. Projections to ``NMDA`` have the synapse model `NmdaSynapse`, with
    which the gating of a source saturates; without it, each spike adds the whole weight.

    At V_m >= V_th at the end of a step the neuron spikes, V_m is set to V_reset and stays there for
    t_ref, while the conductances continue. They are integrated exactly, the potential by the
    classical Runge-Kutta method.

    Source: Brunel & Wang (2001), J Comput Neurosci 11:63; Wang (2002), Neuron 36:955.
    """

    name: ClassVar[str] = "iaf_bw_2001"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "iaf_bw_2001"}
    allowed_weights: ClassVar[Mapping[str, Interval]] = dict.fromkeys(
        ("AMPA", "GABA", "NMDA"), NOT_NEGATIVE
    )
    equations: ClassVar[NeuronEquations] = NeuronEquations(
        """
        unblocked = 1/(1 + conc_Mg2*exp(-0.062*V_m/mV)/3.57) : 1
        I_AMPA = s_AMPA*(E_ex - V_m) : pA  # current of AMPA receptors
        I_GABA = s_GABA*(E_in - V_m) : pA  # current of GABA receptors
        I_NMDA = unblocked*s_NMDA*(E_ex - V_m) : pA  # current of NMDA receptors
        I_syn = (s_AMPA + unblocked*s_NMDA)*(E_ex - V_m) + s_GABA*(E_in - V_m) : pA
        dV_m/dt = (g_L*(E_L - V_m) + I_syn + I_stim)/C_m : mV  # membrane potential
        ds_AMPA/dt = -s_AMPA/tau_AMPA : nS  # conductance of AMPA receptors
        ds_GABA/dt = -s_GABA/tau_GABA : nS  # conductance of GABA receptors
        ds_NMDA/dt = -s_NMDA/tau_decay_NMDA : nS  # conductance of NMDA receptors without block
        """,
        threshold="V_m >= V_th",
        reset="V_m = V_reset",
        refractory="t_ref",
        receptors={"AMPA": "s_AMPA", "GABA": "s_GABA", "NMDA": "s_NMDA"},
        initial={"V_m": "E_L"},
        test_parts=False,
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("V_reset", "V_th"),)

    C_m: Value = parameter(default=500.0, unit="pF", doc="membrane capacitance", above=0.0)
    g_L: Value = parameter(default=25.0, unit="nS", doc="leak conductance", above=0.0)
    E_L: Value = parameter(default=-70.0, unit="mV", doc="resting potential")
    E_ex: Value = parameter(default=0.0, unit="mV", doc="excitatory reversal potential")
    E_in: Value = parameter(default=-70.0, unit="mV", doc="inhibitory reversal potential")
    V_th: Value = parameter(default=-55.0, unit="mV", doc="spike threshold")
    V_reset: Value = parameter(default=-60.0, unit="mV", doc="potential after a spike")
    t_ref: Value = parameter(
        default=2.0, unit="ms", doc="refractory time", low=0.0, multiple_of_dt=True
    )
    tau_AMPA: Value = parameter(default=2.0, unit="ms", doc="decay of AMPA receptors", above=0.0)
    tau_GABA: Value = parameter(default=5.0, unit="ms", doc="decay of GABA receptors", above=0.0)
    tau_decay_NMDA: Value = parameter(
        default=100.0, unit="ms", doc="decay of NMDA receptors", above=0.0
    )
    conc_Mg2: Value = parameter(
        default=1.0, unit="1", doc="extracellular concentration of magnesium, mM", above=0.0
    )

    def longest_part(self) -> float:
        """Return the longest part of a step that keeps errors of rates below 0.5 %, ms."""
        synapses = min(least(self.tau_AMPA), least(self.tau_GABA))
        return min(synapses, 0.05 * least_ratio(self.C_m, self.g_L))

    def longest_step(self) -> float:
        """Return the longest dt that keeps rates within 3 % of those at shorter ones, ms."""
        return 0.5 * min(least(self.tau_AMPA), least(self.tau_GABA))
