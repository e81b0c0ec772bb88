"""Spike-timing-dependent plasticity with exponential dependence on the weight."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.plastic_synapse import small
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class JonkeSTDP(EquationSynapse):
    """STDP with exponential weight dependence and a constant decrease (NEST's jonke_synapse).

    With traces x of the source's, y of the target's spikes, just before the spike::

        at a spike of the target:  w -> w + learning_rate (exp(mu_plus w) x - beta)
        at a spike of the source:  w -> w - learning_rate (alpha exp(mu_minus w) y + beta)

    and w stops at w_min and w_max. A spike adds 1 to its trace; x decays with tau_plus, y with
    tau_minus.

    NEST's name of `learning_rate` is lambda, of `w_max` Wmax; its steps are not multiplied by Wmax,
    and tau_minus is a parameter of its neurons. In NEST a spike of the target may take a weight
    below 0, where beta exceeds the potentiation.

    Source: Nessler et al. (2013), PLoS Comput Biol 9:e1003037; Jonke et al. (2017), J Neurosci
    37:8511.
    """

    name: ClassVar[str] = "jonke_synapse"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "jonke_synapse"}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = -x/tau_plus : 1 (pre)
        dy/dt = -y/tau_minus : 1 (post)
        """,
        on_pre="""
            w = clip(w - learning_rate*(alpha*exp(mu_minus*w)*y + beta), w_min, w_max)
            x += 1
        """,
        on_post="""
            w = clip(w + learning_rate*(exp(mu_plus*w)*x - beta), w_min, w_max)
            y += 1
        """,
    )

    tau_plus: Value = parameter(default=20.0, unit="ms", doc="decay of x", above=0.0)
    tau_minus: Value = parameter(default=20.0, unit="ms", doc="decay of y", above=0.0)
    learning_rate: Value = parameter(
        default=0.01, unit="weight", doc="step of a pairing (NEST's lambda)", low=0.0
    )
    alpha: Value = parameter(
        default=1.0, unit="1", doc="depression in relation to potentiation", low=0.0
    )
    beta: Value = parameter(default=0.0, unit="1", doc="decrease by every spike", low=0.0)
    mu_plus: Value = parameter(
        default=0.0, unit="1/weight", doc="dependence of potentiation on the weight"
    )
    mu_minus: Value = parameter(
        default=0.0, unit="1/weight", doc="dependence of depression on the weight"
    )

    def steps(self, weight: float) -> Iterable[float]:  # noqa: D102 (inherited)
        # the constant decrease is the smallest step, where there is one
        step = small(self.learning_rate)
        return step, step * small(self.alpha), step * small(self.beta)
