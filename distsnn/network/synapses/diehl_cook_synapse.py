"""Plasticity at spikes of the target alone, towards a trace of the source's spikes."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.plastic_synapse import small
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class DiehlCookSTDP(EquationSynapse):
    """Plasticity at spikes of the target alone (Diehl & Cook 2015, their rule with x_tar).

    With w the share of the range from w_min to w_max, and a trace x of the source's spikes::

        at a spike of the target:  w -> w + learning_rate (x - x_target) (1 - w)^mu, in 0 to 1

    A spike of the source sets x to 1, from where it decays with tau_plus: only the nearest counts.
    Sources that have not spiked for a while lose the weight that others gain; together with
    `normalise` (see `ProjectionHandle.normalise`) a neuron's weights approach the input to which it
    responds.

    Source: Diehl & Cook (2015), Front Comput Neurosci 9:99; doi:10.3389/fncom.2015.00099.
    """

    name: ClassVar[str] = "diehl_cook_synapse"
    peers: ClassVar[Mapping[str, str]] = {}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = -x/tau_plus : 1 (pre)
        span = w_max - w_min : 1
        share = (w - w_min)/span : 1
        change = learning_rate*(x - x_target)*(1 - share)**mu : 1
        """,
        on_pre="x = 1",
        on_post="w = clip((share + change)*span + w_min, w_min, w_max)",
    )

    tau_plus: Value = parameter(default=20.0, unit="ms", doc="decay of x", above=0.0)
    learning_rate: Value = parameter(default=0.01, unit="1", doc="step of the share", low=0.0)
    x_target: Value = parameter(default=0.4, unit="1", doc="trace that changes nothing", low=0.0)
    mu: Value = parameter(default=0.2, unit="1", doc="exponent of the distance to w_max", low=0.0)

    def steps(self, weight: float) -> Iterable[float]:  # noqa: D102 (inherited)
        step = (
            small(self.learning_rate)
            * (self.max_magnitude - self.min_magnitude)
            * 0.5 ** small(self.mu)
        )
        target = small(self.x_target)
        return step * (1.0 - target), step * target
