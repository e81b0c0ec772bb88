"""Synapses with short-term depression and facilitation, each with parameters of its own."""

import math
from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class Tsodyks2BySynapse(EquationSynapse):
    """Short-term depression and facilitation with parameters by synapse (NEST's tsodyks2_synapse).

    The equations are as in `Tsodyks2`, which is faster and takes less memory: its states and
    parameters belong to the source. Here parameters may be distributions or arrays by synapse, and
    the states x and u of each synapse, those after its last spike, are recorded and read.

    Source: Tsodyks & Markram (1997), PNAS 94:719; Fuhrmann et al. (2002), J Neurophysiol 87:140;
    Maass & Markram (2002), Neural Networks 15:155, eqs 4 and 5.
    """

    name: ClassVar[str] = "tsodyks2_by_synapse"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "tsodyks2_synapse"}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = (1 - x)/tau_rec : 1 (synapse)  # resources available after the last spike
        du/dt = -u/tau_fac : 1 (synapse)  # share of them that the last spike used
        """,
        on_pre="""
            u += U*(1 - u)
            released = u*x
            x -= released
        """,
        transmit="w*released",
    )

    w_max: Value = math.inf
    U: Value = parameter(
        default=0.5,
        unit="1",
        doc="share of the resources that a first spike uses",
        low=0.0,
        high=1.0,
    )
    tau_rec: Value = parameter(default=800.0, unit="ms", doc="recovery from depression", above=0.0)
    tau_fac: Value = parameter(
        default=0.0, unit="ms", doc="decay of facilitation; 0: no facilitation", low=0.0
    )
