"""Spike-timing-dependent plasticity with a power law of the weight."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.plastic_synapse import small
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class STDPPowerLaw(EquationSynapse):
    """STDP with potentiation by a power of the weight (NEST's stdp_pl_synapse_hom).

    With traces x of the source's, y of the target's spikes::

        at a spike of the target:  w -> w + learning_rate w^mu x
        at a spike of the source:  w -> w - alpha learning_rate w y

    A spike adds 1 to its trace; x decays with tau_plus, y with tau_minus. As in NEST, weights have
    no upper bound unless `w_max` is set. NEST's name of `learning_rate` is lambda; tau_minus is a
    parameter of its neurons. The unit of w^mu is left out: weights are numbers in their unit.

    Source: Morrison, Aertsen & Diesmann (2007), Neural Comput 19:1437.
    """

    name: ClassVar[str] = "stdp_pl_synapse_hom"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "stdp_pl_synapse_hom"}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = -x/tau_plus : 1 (pre)
        dy/dt = -y/tau_minus : 1 (post)
        """,
        on_pre="""
            w = clip(w - learning_rate*alpha*w*y, w_min, w_max)
            x += 1
        """,
        on_post="""
            w = clip(w + learning_rate*w**mu*x, w_min, w_max)
            y += 1
        """,
    )

    w_max: Value = float("inf")
    tau_plus: Value = parameter(default=20.0, unit="ms", doc="decay of x", above=0.0)
    tau_minus: Value = parameter(default=20.0, unit="ms", doc="decay of y", above=0.0)
    learning_rate: Value = parameter(
        default=0.1, unit="weight^(1 - mu)", doc="step of potentiation (NEST's lambda)", low=0.0
    )
    alpha: Value = parameter(
        default=1.0, unit="weight^(mu - 1)", doc="depression in relation to potentiation", low=0.0
    )
    mu: Value = parameter(default=0.4, unit="1", doc="exponent of potentiation", low=0.0)

    def steps(self, weight: float) -> Iterable[float]:  # noqa: D102 (inherited)
        step = small(self.learning_rate)
        return step * weight ** small(self.mu), step * small(self.alpha) * weight
