"""The rule of Bienenstock, Cooper and Munro."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.plastic_synapse import small
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class BCM(EquationSynapse):
    """BCM's rule with a sliding threshold, by spikes.

    With a trace x of the source's spikes, and y and theta of the target's, all just before it::

        at a spike of the target:  w -> w + eta x (y - theta)    w_min <= w <= w_max

    A spike adds 1 to x or y, and y/(tau_theta rate_0) to theta; x, y and theta decay with tau_plus,
    tau_minus and tau_theta. All start at 0. The mean is the rate equation, for post that varies on
    a time between tau_minus and tau_theta, where <> is a mean over tau_theta::

        dw/dt = eta tau_plus tau_minus pre post (post - <post²>/rate_0)

    A target that spikes with rate_0 all the time is at its threshold. NEST does not have this
    synapse.

    Source: Bienenstock, Cooper & Munro (1982), J Neurosci 2:32; Intrator & Cooper (1992), Neural
    Networks 5:3.
    """

    name: ClassVar[str] = "bcm_synapse"
    peers: ClassVar[Mapping[str, str]] = {}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = -x/tau_plus : 1 (pre)
        dy/dt = -y/tau_minus : 1 (post)
        dtheta/dt = -theta/tau_theta : 1 (post)
        """,
        on_pre="x += 1",
        on_post="""
            w = clip(w + eta*x*(y - theta), w_min, w_max)
            theta += y/(tau_theta*rate_0)
            y += 1
        """,
    )
    ordered_parameters: ClassVar[tuple[tuple[str, str], ...]] = (("tau_minus", "tau_theta"),)

    tau_plus: Value = parameter(default=20.0, unit="ms", doc="decay of x", above=0.0)
    tau_minus: Value = parameter(default=50.0, unit="ms", doc="decay of y", above=0.0)
    tau_theta: Value = parameter(default=5000.0, unit="ms", doc="decay of theta", above=0.0)
    eta: Value = parameter(default=0.01, unit="weight", doc="step of learning", low=0.0)
    rate_0: Value = parameter(
        default=10.0, unit="spikes/s", doc="rate at which a target is at its threshold", above=0.0
    )

    def steps(self, weight: float) -> Iterable[float]:  # noqa: D102 (inherited)
        return (small(self.eta),)
