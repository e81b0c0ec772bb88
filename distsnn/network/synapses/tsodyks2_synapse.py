"""Synapses with short-term depression and facilitation."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.equations.transmission_model import (
    EquationTransmission,
    TransmissionEquations,
)
from distsnn.network.model import parameter
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class Tsodyks2(EquationTransmission):
    """Short-term depression and facilitation (NEST's tsodyks2_synapse).

    A spike first raises u by U (1 - u), acts with weight · x · u, and then lowers x by x u. At the
    start x = 1 and u = 0, so a first spike uses U. With tau_fac = 0 nothing facilitates: every
    spike uses U.

    NEST's x and u are those with which the last spike acted.

    Source: Tsodyks & Markram (1997), PNAS 94:719; Fuhrmann et al. (2002), J Neurophysiol 87:140;
    Maass & Markram (2002), Neural Networks 15:155, eqs 4 and 5.
    """

    name: ClassVar[str] = "tsodyks2_synapse"
    peers: ClassVar[Mapping[str, str]] = {"NEST": "tsodyks2_synapse"}
    equations: ClassVar[TransmissionEquations] = TransmissionEquations(
        """
        dx/dt = (1 - x)/tau_rec : 1 (pre)  # resources available
        du/dt = -u/tau_fac : 1 (pre)  # share of them that the last spike used, fading
        """,
        on_pre="""
            u += U*(1 - u)
            released = u*x
            x -= released
        """,
        transmit="w*released",
        ranges={"x": ">= 0 and <= 1", "u": ">= 0 and <= 1"},
    )

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
