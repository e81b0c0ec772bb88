"""Spike-timing-dependent plasticity by triplets of spikes."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.plastic_synapse import small
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class TripletSTDP(EquationSynapse):
    """Triplet rule with all-to-all interactions (NEST's stdp_triplet_synapse).

    With traces x, x2 of the source's spikes and y, y2 of the target's, all just before the spike::

        at a spike of the target:  w -> min(w + x (Aplus + Aplus_triplet y2), w_max)
        at a spike of the source:  w -> max(w - y (Aminus + Aminus_triplet x2), w_min)

    A spike adds 1 to its traces; x, x2, y and y2 decay with tau_plus, tau_plus_triplet, tau_minus
    and tau_minus_triplet. The defaults are the fit to visual cortex, with weights in units of the
    paper; in NEST tau_minus and tau_minus_triplet are parameters of neurons, with other defaults.

    Source: Pfister & Gerstner (2006), J Neurosci 26:9673, eqs 3 and 4, table 3.
    """

    name: ClassVar[str] = "stdp_triplet_synapse"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "stdp_triplet_synapse"}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = -x/tau_plus : 1 (pre)
        dx2/dt = -x2/tau_plus_triplet : 1 (pre)
        dy/dt = -y/tau_minus : 1 (post)
        dy2/dt = -y2/tau_minus_triplet : 1 (post)
        """,
        on_pre="""
            w = clip(w - y*(Aminus + Aminus_triplet*x2), w_min, w_max)
            x += 1; x2 += 1
        """,
        on_post="""
            w = clip(w + x*(Aplus + Aplus_triplet*y2), w_min, w_max)
            y += 1; y2 += 1
        """,
    )

    tau_plus: Value = parameter(default=16.8, unit="ms", doc="decay of x", above=0.0)
    tau_plus_triplet: Value = parameter(default=101.0, unit="ms", doc="decay of x2", above=0.0)
    tau_minus: Value = parameter(default=33.7, unit="ms", doc="decay of y", above=0.0)
    tau_minus_triplet: Value = parameter(default=125.0, unit="ms", doc="decay of y2", above=0.0)
    Aplus: Value = parameter(default=5e-10, unit="weight", doc="potentiation by pairs", low=0.0)
    Aminus: Value = parameter(default=7e-3, unit="weight", doc="depression by pairs", low=0.0)
    Aplus_triplet: Value = parameter(
        default=6.2e-3, unit="weight", doc="potentiation by triplets", low=0.0
    )
    Aminus_triplet: Value = parameter(
        default=2.3e-4, unit="weight", doc="depression by triplets", low=0.0
    )

    def steps(self, weight: float) -> Iterable[float]:  # noqa: D102 (inherited)
        up = small(self.Aplus) + small(self.Aplus_triplet)
        return up, small(self.Aminus) + small(self.Aminus_triplet)
