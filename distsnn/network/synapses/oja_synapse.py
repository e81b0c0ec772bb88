"""Hebbian learning with Oja's normalisation."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.plastic_synapse import small
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class Oja(EquationSynapse):
    """Hebbian learning that normalises itself, by spikes.

    With traces x of the source's, y of the target's spikes, both just before it::

        at a spike of the target:  w -> w + eta (x - alpha y w)    w_min <= w <= w_max

    A spike adds 1 to its trace; x decays with tau_plus, y with tau_minus. The mean is Oja's rate
    equation, with the trains' correlations within tau_plus in place of pre alone::

        dw/dt = eta post (tau_plus pre - alpha tau_minus post w)

    Of uncorrelated inputs w = tau_plus pre/(alpha tau_minus post) is left. If the target's rate
    is proportional to its weighted inputs and both time constants are equal, weights approach the
    principal component of the inputs' correlations. NEST does not have this synapse.

    Source: Oja (1982), J Math Biol 15:267; Dayan & Abbott (2001), Theoretical Neuroscience, eq
    8.16.
    """

    name: ClassVar[str] = "oja_synapse"
    peers: ClassVar[Mapping[str, str]] = {}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = -x/tau_plus : 1 (pre)
        dy/dt = -y/tau_minus : 1 (post)
        """,
        on_pre="x += 1",
        on_post="""
            w = clip(w + eta*(x - alpha*y*w), w_min, w_max)
            y += 1
        """,
    )

    tau_plus: Value = parameter(default=20.0, unit="ms", doc="decay of x", above=0.0)
    tau_minus: Value = parameter(default=20.0, unit="ms", doc="decay of y", above=0.0)
    eta: Value = parameter(default=0.01, unit="weight", doc="step of learning", low=0.0)
    alpha: Value = parameter(
        default=1.0, unit="1/weight", doc="normalisation: a larger one, smaller weights", low=0.0
    )

    def steps(self, weight: float) -> Iterable[float]:  # noqa: D102 (inherited)
        return small(self.eta), small(self.eta) * small(self.alpha) * weight
