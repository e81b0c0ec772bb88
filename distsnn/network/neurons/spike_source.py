"""Neurons that emit given spikes.

Written by hand: the spikes are data, and no equation describes them.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from distsnn.errors import DescriptionError
from distsnn.network.checks import (
    POSITIVE,
    FloatArray,
    IntArray,
    as_floats,
    as_indices,
    check_indices,
    check_range,
    check_shape,
    sorted_events,
    steps_array,
)
from distsnn.network.model import Neuron
from distsnn.network.registry import neuron_model


@neuron_model
class SpikeSource(Neuron):
    """Neurons that emit given spikes; they project and are recorded like any other.

    Parameters
    ----------
    times : array_like, ms
        Time of each spike, > 0, on the grid.
    neurons : array_like of int
        The neuron (index in the population) that emits it.

    Notes
    -----
    Spikes are kept sorted by time, then neuron. One neuron emits at most one spike per step.
    """

    name: ClassVar[str] = "spike_source"
    scheme: ClassVar[str] = "Nothing to integrate: spikes are listed."
    peers: ClassVar[Mapping[str, str]] = {
        "NEST": "spike_generator",
        "Brian2": "SpikeGeneratorGroup",
        "GeNN": "SpikeSourceArray",
    }
    accepts_current: ClassVar[bool] = False

    times: FloatArray
    neurons: IntArray

    def __post_init__(self) -> None:
        times = as_floats(self.times, where=f"{self.name}, field times")
        neurons = as_indices(self.neurons, where=f"{self.name}, field neurons")
        check_shape(
            times, neurons.shape, where=f"{self.name}, field times", meaning="one per neuron"
        )
        check_range(times, POSITIVE, where=f"{self.name}, field times")
        times, neurons, _ = sorted_events(times, neurons)
        self._fill(times=times, neurons=neurons)

    def check(self, size: int, *, where: str) -> None:
        """Check that all neurons are within a population of `size`."""
        check_indices(self.neurons, size, where=f"{where}, field neurons")

    def check_grid(self, dt: float, *, where: str) -> None:
        """Check that times lie on the grid and no neuron spikes twice in a step."""
        steps = steps_array(self.times, dt, where=f"{where}, field times")
        order = np.lexsort((self.neurons, steps))
        steps, neurons = steps[order], self.neurons[order]
        is_duplicate = (np.diff(steps) == 0) & (np.diff(neurons) == 0)
        if is_duplicate.any():
            first = int(np.argmax(is_duplicate))
            raise DescriptionError(
                f"neuron {int(neurons[first])} spikes twice in one step",
                where=f"{where}, field times",
                value=float(steps[first] * dt),
            )
