"""Spikes of samples: what encoders make, recordings are cut into, and decoders take."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from distsnn.coding.checks import Integers, check_numbers, times_of_steps
from distsnn.errors import DescriptionError
from distsnn.network.base import Description
from distsnn.network.checks import (
    POSITIVE,
    FloatArray,
    IntArray,
    as_indices,
    as_integer,
    check_indices,
    check_shape,
)

_MOST = 2**31 - 1


@dataclass(frozen=True, eq=False, init=False)
class SampleSpikes(Description):
    """Spikes of samples, each with a window of time of its own.

    Parameters
    ----------
    samples, channels : array_like of int, shape (n_spikes,)
        Sample and channel (or neuron) of each spike.
    steps : array_like of int, shape (n_spikes,)
        Step of each spike after the onset of its sample, 1 to `n_steps`: the window is
        (0, n_steps], as for stimuli.
    shape : tuple of int
        Number of samples, and of channels.
    n_steps : int
        Length of the window, steps.
    dt : float
        Step, ms.

    Raises
    ------
    DescriptionError
        If an index or step is out of range, or there are not as many of each.

    Notes
    -----
    Spikes are kept sorted by sample, then step, then channel. A channel may spike several times
    in a step.
    """

    samples: IntArray
    channels: IntArray
    steps: IntArray
    shape: tuple[int, int]
    n_steps: int
    dt: float

    def __init__(
        self,
        samples: object,
        channels: object,
        steps: object,
        shape: tuple[int, int],
        n_steps: int,
        dt: float,
    ) -> None:
        where = "SampleSpikes, field"
        n_samples = as_integer(shape[0], where=f"{where} shape[0]", high=_MOST)
        n_channels = as_integer(shape[1], where=f"{where} shape[1]", low=1, high=_MOST)
        n_steps = as_integer(n_steps, where=f"{where} n_steps", low=1, high=_MOST)
        self._fill(shape=(n_samples, n_channels), n_steps=n_steps, dt=dt)
        check_numbers(self, dt=POSITIVE)
        samples = as_indices(samples, where=f"{where} samples")
        channels = as_indices(channels, where=f"{where} channels")
        steps = as_indices(steps, where=f"{where} steps")
        check_shape(channels, samples.shape, where=f"{where} channels", meaning="one per spike")
        check_shape(steps, samples.shape, where=f"{where} steps", meaning="one per spike")
        check_indices(samples, n_samples, where=f"{where} samples")
        check_indices(channels, n_channels, where=f"{where} channels")
        if steps.size and not (steps.min() >= 1 and steps.max() <= n_steps):
            bad = int(np.argmax((steps < 1) | (steps > n_steps)))
            raise DescriptionError(
                "outside of the sample's window",
                where=f"{where} steps[{bad}]",
                value=int(steps[bad]),
                allowed=f"1 to {n_steps}",
            )
        order = np.lexsort((channels, steps, samples))
        for name, array in (("samples", samples), ("channels", channels), ("steps", steps)):
            in_order = array[order]
            in_order.setflags(write=False)
            self._fill(**{name: in_order})

    @property
    def times(self) -> FloatArray:
        """Times of spikes after the onset of their sample, ms."""
        return times_of_steps(self.steps, self.dt)

    @property
    def duration(self) -> float:
        """Length of the window, ms."""
        return self.n_steps * self.dt

    def select(self, samples: object) -> Self:
        """Return chosen samples in a given order, such as one epoch's.

        Parameters
        ----------
        samples : array_like of int, shape (n_chosen,)
            Which samples; one may be chosen several times.

        Raises
        ------
        DescriptionError
            If a sample does not exist.
        """
        chosen = as_indices(samples, where="SampleSpikes.take, samples")
        check_indices(chosen, self.shape[0], where="SampleSpikes.take, samples")
        bounds = np.searchsorted(self.samples, np.arange(self.shape[0] + 1))
        counts = np.diff(bounds)[chosen]
        # the spikes of each chosen sample stand together: its first one, then those after
        spikes = np.repeat(bounds[chosen], counts) + concatenate_ranges(counts)
        return type(self)(
            np.repeat(np.arange(chosen.size), counts),
            self.channels[spikes],
            self.steps[spikes],
            (chosen.size, self.shape[1]),
            self.n_steps,
            self.dt,
        )


def concatenate_ranges(counts: Integers) -> Integers:
    """Return 0, 1, ... count - 1 for each count, one after another."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def spikes_at(times: FloatArray, n_steps: int, dt: float) -> SampleSpikes:
    """Return at most one spike for each sample and channel, at the grid's nearest time.

    Parameters
    ----------
    times : ndarray of float64, shape (n_samples, n_channels), ms
        Times after the onset, >= 0; those that round to 0 become one step, and those beyond the
        window (infinite ones too) are left out.
    n_steps : int
        Length of the window.
    dt : float
        Step, ms.
    """
    steps = np.maximum(np.rint(times / dt), 1.0)
    samples, channels = np.nonzero(steps <= n_steps)
    return SampleSpikes(
        samples, channels, steps[samples, channels].astype(np.int64), times.shape, n_steps, dt
    )
