"""Contrastive divergence by spikes."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from distsnn.errors import DescriptionError
from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.plastic_synapse import ModulatedSynapse, small
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class ContrastiveSTDP(EquationSynapse, ModulatedSynapse):
    """Event-driven contrastive divergence: symmetric STDP times a signal m.

    With traces x of the source's, y of the target's spikes::

        at a spike of the target:  w -> w + eta m x    w_min <= w <= w_max
        at a spike of the source:  w -> w + eta m y

    A spike adds 1 to its trace, and both decay with tau. The signal is 1 while data is shown and -1
    while the network reconstructs it; in between, while it settles, it is 0, and nothing is learnt.
    The mean is eta m 2 tau pre post: what a Boltzmann machine learns by.

    Weights of a projection have one sign. A Boltzmann machine needs both signs: use two
    projections of the same pairs, one excitatory, one inhibitory with -eta; or a fixed one that the
    plastic one outweighs or does not. Both directions learn the same where axonal_delay is half of
    the delay: then spikes of either side reach the synapses of both directions at the same time.

    Source: Neftci et al. (2014), Front Neurosci 7:272.
    """

    name: ClassVar[str] = "contrastive_synapse"
    peers: ClassVar[Mapping[str, str]] = {}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = -x/tau : 1 (pre)
        dy/dt = -y/tau : 1 (post)
        dm/dt = 0 : 1 (modulator)
        """,
        on_pre="""
            w = clip(w + eta*m*y, w_min, w_max)
            x += 1
        """,
        on_post="""
            w = clip(w + eta*m*x, w_min, w_max)
            y += 1
        """,
    )

    tau: Value = parameter(default=10.0, unit="ms", doc="decay of x and y", above=0.0)
    eta: Value = parameter(default=0.01, unit="weight", doc="step of a pairing")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.modulator:
            raise DescriptionError(
                "must be empty: what modulates is the phase, a signal",
                where=f"{self.name}, field modulator",
                value=self.modulator,
            )

    def steps(self, weight: float) -> Iterable[float]:  # noqa: D102 (inherited)
        return (small(self.eta),)
