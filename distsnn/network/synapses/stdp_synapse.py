"""Spike-timing-dependent plasticity by pairs of spikes."""

from typing import ClassVar

from distsnn.network.model import parameter
from distsnn.network.plastic_synapse import PlasticSynapse
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value

PAIRINGS = ("all_to_all", "nearest")


@synapse_model
class STDP(PlasticSynapse):
    """Pair-based spike-timing-dependent plasticity (NEST's stdp_synapse, stdp_nn_symm_synapse).

    With w the share of w_max that a weight is, and traces x of the source's, y of the target's
    spikes::

        at a spike of the target:  w -> min(w + learning_rate (1 - w)^mu_plus x, 1)
        at a spike of the source:  w -> max(w - learning_rate alpha w^mu_minus y, 0)

    x decays with tau_plus, y with tau_minus; a spike adds 1 to its trace where all pairs count,
    and sets it to 1 where a spike pairs with the nearest one before it. Weights do not matter with
    mu = 0 (additive), and do in proportion with mu = 1 (multiplicative).

    NEST's name of `learning_rate` is lambda, of `w_max` Wmax; tau_minus is a parameter of its
    neurons.

    Source: Guetig et al. (2003), J Neurosci 23:3697; Morrison, Diesmann & Gerstner (2008), Biol
    Cybern 98:459.
    """

    name: ClassVar[str] = "stdp_synapse"
    per_synapse: ClassVar[tuple[str, ...]] = ("learning_rate", "alpha", "mu_plus", "mu_minus")

    tau_plus: Value = parameter(default=20.0, unit="ms", doc="decay of x", above=0.0)
    tau_minus: Value = parameter(default=20.0, unit="ms", doc="decay of y", above=0.0)
    learning_rate: Value = parameter(
        default=0.01, unit="1", doc="step of potentiation (NEST's lambda)", low=0.0
    )
    alpha: Value = parameter(
        default=1.0, unit="1", doc="depression in relation to potentiation", low=0.0
    )
    mu_plus: Value = parameter(default=1.0, unit="1", doc="exponent of potentiation", low=0.0)
    mu_minus: Value = parameter(default=1.0, unit="1", doc="exponent of depression", low=0.0)
    pairing: str = "all_to_all"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choice("pairing", PAIRINGS)
