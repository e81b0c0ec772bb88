"""Synapses that transmit a spike or not."""

import math
from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class Bernoulli(EquationSynapse):
    """Stochastic transmission (NEST's bernoulli_synapse).

    A spike of the source is transmitted with the probability p_transmit, by each synapse for
    itself, or not at all. The weight does not change.

    Source: Lefort, Tomm, Sarria & Petersen (2009), Neuron 61:301.
    """

    name: ClassVar[str] = "bernoulli_synapse"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "bernoulli_synapse"}
    equations: ClassVar[RuleEquations] = RuleEquations(
        transmit="where(uniform() < p_transmit, w, 0)"
    )

    w_max: Value = math.inf
    p_transmit: Value = parameter(
        default=1.0, unit="1", doc="probability of transmission", low=0.0, high=1.0
    )
