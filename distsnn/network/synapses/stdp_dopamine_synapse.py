"""Spike-timing-dependent plasticity that a third factor turns into weight."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import State, parameter
from distsnn.network.plastic_synapse import ModulatedSynapse, small
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class DopamineSTDP(EquationSynapse, ModulatedSynapse):
    """STDP with an eligibility trace and a modulator (NEST's stdp_dopamine_synapse).

    With traces x of the source's, y of the target's spikes, eligibility c and modulator m::

        at a spike of the target:  c -> c + A_plus x
        at a spike of the source:  c -> c - A_minus y
        dw/dt = c (m - b)    dc/dt = -c/tau_c    w_min <= w <= w_max

    A spike adds 1 to its trace; x decays with tau_plus, y with tau_minus. The modulator is a signal
    that is set during a run, or a trace of the spikes of a population: each adds 1/tau_n (per ms)
    to m, which decays with tau_n. The bounds act at events, and where m changes.

    In NEST tau_minus is a parameter of neurons, and the modulator the spikes of a volume
    transmitter's neurons.

    Source: Izhikevich (2007), Cereb Cortex 17:2443; Potjans, Morrison & Diesmann (2010), Front
    Comput Neurosci 4:141.
    """

    name: ClassVar[str] = "stdp_dopamine_synapse"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "stdp_dopamine_synapse"}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = -x/tau_plus : 1 (pre)
        dy/dt = -y/tau_minus : 1 (post)
        dw/dt = c*(m - b) : 1 (synapse)
        dc/dt = -c/tau_c : 1 (synapse)  # eligibility
        dm/dt = -m/tau_n : 1/ms (modulator)
        """,
        on_pre="c -= A_minus*y; x += 1",
        on_post="c += A_plus*x; y += 1",
        on_modulator="m += 1/tau_n",
    )
    states: ClassVar[Mapping[str, State]] = {"c": State("weight", "eligibility")}

    w_max: Value = 200.0
    tau_plus: Value = parameter(default=20.0, unit="ms", doc="decay of x", above=0.0)
    tau_minus: Value = parameter(default=20.0, unit="ms", doc="decay of y", above=0.0)
    tau_c: Value = parameter(default=1000.0, unit="ms", doc="decay of the eligibility", above=0.0)
    tau_n: Value = parameter(default=200.0, unit="ms", doc="decay of a trace of spikes", above=0.0)
    b: Value = parameter(default=0.0, unit="1/ms", doc="modulator without effect")
    A_plus: Value = parameter(default=1.0, unit="weight", doc="eligibility of x")
    A_minus: Value = parameter(default=1.5, unit="weight", doc="eligibility of y")

    def steps(self, weight: float) -> Iterable[float]:  # noqa: D102 (inherited)
        # within 10 ms, after a spike of a modulating neuron or with a signal as large
        share = 10.0 / small(self.tau_n)
        return small(self.A_plus) * share, small(self.A_minus) * share
