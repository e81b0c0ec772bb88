"""Spike-timing-dependent plasticity by pairs of spikes."""

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

from distsnn.errors import DescriptionError
from distsnn.network.equations.plasticity_model import (
    EquationSynapse,
    PlasticityModel,
    RuleEquations,
)
from distsnn.network.model import State, kernel_module_of, parameter
from distsnn.network.plastic_synapse import small
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value

# The rule of each pairing, by NEST's name.
PAIRINGS = {
    "all_to_all": "stdp_synapse",
    "nearest": "stdp_nn_symm_synapse",
    "restricted": "stdp_nn_restr_synapse",
    "presynaptic": "stdp_nn_pre_centered_synapse",
}
_SHARE = """
    span = w_max - w_min : 1
    share = (w - w_min)/span : 1
    stronger = clip(w + learning_rate*span*(1 - share)**mu_plus*x, w_min, w_max) : 1
    weaker = clip(w - learning_rate*alpha*span*share**mu_minus*y, w_min, w_max) : 1
"""
_X, _Y = "dx/dt = -x/tau_plus : 1 (pre)", "dy/dt = -y/tau_minus : 1 (post)"
_DUE = "ddue/dt = 0 : 1 (synapse)  # 1 from a spike of the source to the target's next"
_CENTRED = "dx/dt = -x/tau_plus : 1 (synapse)  # trace of the source since the target's last spike"
_RULES = {
    "all_to_all": RuleEquations(
        "\n".join([_X, _Y, _SHARE]), "w = weaker; x += 1", "w = stronger; y += 1"
    ),
    "nearest": RuleEquations(
        "\n".join([_X, _Y, _SHARE]), "w = weaker; x = 1", "w = stronger; y = 1"
    ),
    "restricted": RuleEquations(
        "\n".join([_X, _Y, _DUE, _SHARE]),
        "w = where(due < 1, weaker, w); due = 1; x = 1",
        "w = where(due > 0, stronger, w); due = 0; y = 1",
    ),
    "presynaptic": RuleEquations(
        "\n".join([_CENTRED, _Y, _SHARE]), "w = weaker; x += 1", "w = stronger; x = 0; y = 1"
    ),
}


@synapse_model
class STDP(EquationSynapse):
    """Pair-based spike-timing-dependent plasticity (NEST's stdp_synapse and stdp_nn_*_synapse).

    With w the share of the range from w_min to w_max that a weight is, and traces x of the
    source's, y of the target's spikes::

        at a spike of the target:  w -> min(w + learning_rate (1 - w)^mu_plus x, 1)
        at a spike of the source:  w -> max(w - learning_rate alpha w^mu_minus y, 0)

    x decays with tau_plus, y with tau_minus, and a spike adds 1 to its trace: all pairs count.
    Other pairings have fewer:

    - nearest: a spike pairs with the nearest one before it (stdp_nn_symm_synapse);
    - restricted: if, besides, no other of its own side came in between (stdp_nn_restr_synapse);
    - presynaptic: a source's spike pairs with the target's next ones before and after it
      (stdp_nn_pre_centered_synapse).

    Weights do not matter with mu = 0 (additive), and do in proportion with mu = 1
    (multiplicative). Before a source has spiked, NEST's nearest and restricted pairings take it to
    have spiked at time 0; here nothing pairs.

    NEST's name of `learning_rate` is lambda, of `w_max` Wmax, and its w_min is 0; tau_minus is a
    parameter of its neurons.

    Source: Guetig et al. (2003), J Neurosci 23:3697; Morrison, Diesmann & Gerstner (2008), Biol
    Cybern 98:459.

    Parameters
    ----------
    pairing : {"all_to_all", "nearest", "restricted", "presynaptic"}
        Which spikes pair.
    """

    name: ClassVar[str] = "stdp_synapse"
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": ", ".join(f"`{name}`" for name in (*PAIRINGS.values(), "stdp_synapse_hom")),
        "GeNN": "`STDP` (nearest pairs, additive)",
    }
    equations: ClassVar[RuleEquations] = _RULES["all_to_all"]

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
        self.check_choice("pairing", tuple(PAIRINGS))
        if math.isinf(self.max_magnitude):
            raise DescriptionError(
                "must be a number, since weights change by shares of it",
                where=f"{self.name}, field w_max",
                value=self.w_max,
            )

    @classmethod
    def rules(cls) -> Mapping[str, RuleEquations]:  # noqa: D102 (inherited)
        if cls.name != "stdp_synapse":
            return super().rules()
        return {PAIRINGS[pairing]: text for pairing, text in _RULES.items()}

    @property
    def synapse_states(self) -> Mapping[str, State]:  # noqa: D102 (inherited)
        model: PlasticityModel = self.models[PAIRINGS[self.pairing]]
        return model.states()

    @property
    def kernel_module(self) -> str:  # noqa: D102 (inherited)
        return kernel_module_of("plasticity", PAIRINGS[self.pairing])

    def steps(self, weight: float) -> Iterable[float]:  # noqa: D102 (inherited)
        # from the middle of the range
        step = small(self.learning_rate) * (self.max_magnitude - self.min_magnitude)
        down = step * small(self.alpha) * 0.5 ** small(self.mu_minus)
        return step * 0.5 ** small(self.mu_plus), down
