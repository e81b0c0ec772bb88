"""Synapses with short-term depression and facilitation that know the transmitter's clearance."""

import math
from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class Tsodyks(EquationSynapse):
    """Short-term depression and facilitation with three states (NEST's tsodyks_synapse).

    x is the share of resources that are available, y the share in the synaptic cleft, u the share
    of x that a spike uses. At a spike of the source u becomes u + U (1 - u), then the share u x
    passes from x to y, and the weight w u x is transmitted. Between spikes::

        dx/dt = (1 - x - y)/tau_rec    dy/dt = -y/tau_psc    du/dt = -u/tau_fac

    They begin at x = 1, y = 0, u = 0. With tau_fac = 0 there is only depression: u = U. As in
    NEST, the current of the target does not follow y: its time constant is the target's own.

    Source: Tsodyks, Uziel & Markram (2000), J Neurosci 20:RC50, eqs 3 and 4.
    """

    name: ClassVar[str] = "tsodyks_synapse"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "tsodyks_synapse"}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dx/dt = (1 - y - x)/tau_rec : 1 (synapse)  # resources available after the last spike
        dy/dt = -y/tau_psc : 1 (synapse)  # resources in the synaptic cleft
        du/dt = -u/tau_fac : 1 (synapse)  # share of them that the last spike used
        """,
        on_pre="""
            u += U*(1 - u)
            released = u*max(x, 0)
            x -= released
            y += released
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
    tau_psc: Value = parameter(default=3.0, unit="ms", doc="decay of y", above=0.0)
    tau_fac: Value = parameter(
        default=0.0, unit="ms", doc="decay of facilitation; 0: no facilitation", low=0.0
    )
    tau_rec: Value = parameter(default=800.0, unit="ms", doc="recovery from depression", above=0.0)
