"""Neurons that spike by themselves, as Poisson processes.

Written by hand: the neuron has no dynamics that equations would describe.
"""

from collections.abc import Mapping
from typing import ClassVar

from distsnn.network.checks import Interval
from distsnn.network.model import Neuron, parameter
from distsnn.network.registry import neuron_model
from distsnn.network.values import Value, check_value


@neuron_model
class PoissonNeuron(Neuron):
    """Neurons that spike at random with a given rate; they project and are recorded like any other.

    In each step a neuron spikes with probability rate dt, independently of all others and of all
    other steps: at most once a step, as in Brian2's PoissonGroup, so that the rate is exact and may
    not exceed 1/dt. (NEST's poisson_generator through a parrot_neuron may emit several spikes in a
    step.) For spikes with a single target, `PoissonInput` is cheaper.
    """

    name: ClassVar[str] = "poisson_neuron"
    scheme: ClassVar[str] = "Nothing to integrate: one random number in each step."
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": "`poisson_generator` with a relay",
        "Brian2": "PoissonGroup",
        "GeNN": "PoissonNew",
    }
    accepts_current: ClassVar[bool] = False

    rate: Value = parameter(default=0.0, unit="spikes/s", doc="rate", low=0.0)

    def check_grid(self, dt: float, *, where: str) -> None:
        """Check that no rate exceeds one spike per step."""
        super().check_grid(dt, where=where)
        check_value(self.rate, Interval(0.0, 1e3 / dt), where=f"{where}, field rate")
