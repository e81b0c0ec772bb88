"""Neurons that repeat the spikes they receive.

Written by hand: the neuron has no dynamics, and may spike several times in a step.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.distributions import Distribution
from distsnn.network.model import Neuron
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value


@neuron_model
class ParrotNeuron(Neuron):
    """Relay (NEST's parrot_neuron): it emits a spike for each spike that arrives, in the same step.

    A spike emitted at step s that arrives with delay d is emitted again at step s + d. A weight w,
    an integer, is the number of emitted spikes for each arriving spike, usually 1 (NEST emits one
    spike for any weight). A neuron relays at most 127 spikes per step; more spikes, or a fraction
    of a spike (from weights in a file), stop the run.
    """

    name: ClassVar[str] = "parrot_neuron"
    scheme: ClassVar[str] = "Nothing to integrate: spikes that arrive in a step leave in it."
    peers: ClassVar[Mapping[str, str]] = {"NEST": "parrot_neuron", "Brian2": "none", "GeNN": "none"}
    receptors: ClassVar[tuple[str, ...]] = ("spikes",)
    weight_unit: ClassVar[str] = "1"
    accepts_current: ClassVar[bool] = False
    accepts_scaled_weights: ClassVar[bool] = False

    @classmethod
    def check_weight(cls, receptor: str | None, weight: Value, *, where: str) -> None:
        """Check that weights are whole numbers of spikes."""
        super().check_weight(receptor, weight, where=where)
        weights = np.ravel([-1.0] if isinstance(weight, Distribution) else weight)
        bad = (weights < 0.0) | (weights != np.rint(weights))
        if bad.any():
            raise DescriptionError(
                f"a weight onto {cls.name} is the number of spikes that each spike becomes",
                where=where,
                value=weight if isinstance(weight, Distribution) else float(weights[bad][0]),
                allowed="integers >= 0",
            )
