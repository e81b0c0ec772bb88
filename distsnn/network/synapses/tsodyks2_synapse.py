"""Synapses with short-term depression and facilitation."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.model import State, SynapseModel, kernel_module_of, parameter
from distsnn.network.registry import synapse_model
from distsnn.network.values import Value


@synapse_model
class Tsodyks2(SynapseModel):
    """Short-term depression and facilitation (NEST's tsodyks2_synapse).

    The source's spike n acts with weight · x_n · u_n. The first has x_1 = 1 and u_1 = U; those
    that follow, each after an interval h, have::

        x_n+1 = 1 + (x_n - x_n u_n - 1) exp(-h/tau_rec)
        u_n+1 = U + u_n (1 - U) exp(-h/tau_fac)

    x is the share of resources that are available, u the share of these that a spike uses. With
    tau_fac = 0 there is only depression: u = U.

    Source: Tsodyks & Markram (1997), PNAS 94:719; Fuhrmann et al. (2002), J Neurophysiol 87:140;
    Maass & Markram (2002), Neural Networks 15:155, eqs 4 and 5.
    """

    name: ClassVar[str] = "tsodyks2_synapse"
    kernel: ClassVar[str] = kernel_module_of("synapses", "tsodyks2_synapse")
    # before the first spike nothing was used: the equations then give x = 1 and u = U
    states: ClassVar[Mapping[str, State]] = {
        "x": State("1", "resources available at the last spike", default=1.0),
        "u": State("1", "share of them that the last spike used"),
        "last": State("steps", "step of the last spike"),
    }

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
