"""Synapses with release sites that release at random, recover, and facilitate."""

import math
from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.plasticity_model import EquationSynapse, RuleEquations
from distsnn.network.model import parameter
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class QuantalSTP(EquationSynapse):
    """Quantal release with short-term depression and facilitation (NEST's quantal_stp_synapse).

    A synapse has n release sites. At a spike of the source, h after the one before, each empty
    site has recovered with the probability 1 - exp(-h/tau_rec); then each full one releases with
    the probability u, and the weight transmitted is w times the number of those that do::

        u_1 = U    u_n+1 = U + u_n (1 - U) exp(-h/tau_fac)

    w is the weight of one site, so that w_max must be at least n times as large. With tau_fac = 0
    there is only depression: u = U. All sites are full at the start.

    Source: Fuhrmann et al. (2002), J Neurophysiol 87:140; Loebel et al. (2009), Front Comput
    Neurosci 3:27; Maass & Markram (2002), Neural Networks 15:155, eq 4.
    """

    name: ClassVar[str] = "quantal_stp_synapse"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "quantal_stp_synapse"}
    equations: ClassVar[RuleEquations] = RuleEquations(
        """
        dempty/dt = 0 : 1 (synapse)  # release sites that were empty after the last spike
        dstill/dt = -still/tau_rec : 1 (synapse)  # probability that they have not recovered
        du/dt = -u/tau_fac : 1 (synapse)  # probability with which a site released
        """,
        on_pre="""
            u += U*(1 - u)
            empty -= binomial(empty, 1 - still)
            released = binomial(n - empty, u)
            empty += released
            still = 1
        """,
        transmit="w*released",
    )

    w_max: Value = math.inf
    n: Value = parameter(default=1.0, unit="1", doc="number of release sites", low=1.0)
    U: Value = parameter(
        default=0.5, unit="1", doc="probability of release of a first spike", low=0.0, high=1.0
    )
    tau_rec: Value = parameter(default=800.0, unit="ms", doc="recovery from depression", above=0.0)
    tau_fac: Value = parameter(
        default=0.0, unit="ms", doc="decay of facilitation; 0: no facilitation", low=0.0
    )
