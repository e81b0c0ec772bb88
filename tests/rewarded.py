"""The description of the modulated rule whose kernel is `rewarded_kernel`."""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network import ModulatedSynapse, State, Value, parameter
from distsnn.network.registry import synapse_model


@synapse_model
class Rewarded(ModulatedSynapse):
    """Pairings make an eligibility that the modulator turns into weight."""

    name: ClassVar[str] = "rewarded"
    kernel: ClassVar[str] = "rewarded_kernel"
    states: ClassVar[Mapping[str, State]] = {"c": State("weight", "eligibility")}

    tau: Value = parameter(default=20.0, unit="ms", doc="decay of traces of spikes", above=0.0)
    tau_c: Value = parameter(default=100.0, unit="ms", doc="decay of eligibility", above=0.0)
    tau_n: Value = parameter(default=50.0, unit="ms", doc="decay of the modulator", above=0.0)
