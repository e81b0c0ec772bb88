"""Plasticity of inhibitory synapses that brings their target to a rate."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.plastic_synapse import small
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class VogelsSTDP(EquationSynapse):
    """Symmetric STDP with a constant depression (NEST's vogels_sprekeler_synapse).

    With traces x of the source's, y of the target's spikes, for a weight of size w::

        at a spike of the target:  w -> min(w + eta x, |w_max|)
        at a spike of the source:  w -> max(min(w + eta y, |w_max|) - eta alpha, |w_min|)

    A spike adds 1 to its trace, and both decay with tau. Without correlations
    dw/dt = eta pre (2 tau post - alpha): inhibitory weights grow until the target's rate is
    alpha/(2 tau).

    In NEST y decays with the neuron's tau_minus, which must be set to tau.

    Source: Vogels et al. (2011), Science 334:1569.
    """

    name: ClassVar[str] = "vogels_sprekeler_synapse"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "vogels_sprekeler_synapse"}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = -x/tau : 1 (pre)
        dy/dt = -y/tau : 1 (post)
        depression = eta*alpha : 1
        """,
        on_pre="""
            # it stops at the bound, then falls; the change is rounded once
            w = clip(w + (eta*y - depression), w_min, max(w_max - depression, w_min))
            x += 1
        """,
        on_post="""
            w = clip(w + eta*x, w_min, w_max)
            y += 1
        """,
    )

    w_max: Value = 1.0
    tau: Value = parameter(default=20.0, unit="ms", doc="decay of x and y", above=0.0)
    alpha: Value = parameter(default=0.12, unit="1", doc="depression in steps of eta", low=0.0)
    eta: Value = parameter(default=0.001, unit="weight", doc="step of a pairing", low=0.0)

    def steps(self, weight: float) -> Iterable[float]:  # noqa: D102 (inherited)
        return small(self.eta), small(self.eta) * small(self.alpha)
