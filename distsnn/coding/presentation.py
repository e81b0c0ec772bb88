"""Samples presented one after another, with rests between them."""

from dataclasses import dataclass

import numpy as np

from distsnn.coding.checks import (
    Integers,
    as_samples,
    check_numbers,
    interval_steps,
    times_of_steps,
)
from distsnn.coding.spikes import SampleSpikes
from distsnn.errors import DescriptionError
from distsnn.network.base import Description
from distsnn.network.checks import (
    NOT_NEGATIVE,
    FloatArray,
    IntArray,
    as_floats,
    as_indices,
    as_integer,
    check_indices,
    check_shape,
    steps_array,
)
from distsnn.network.stimuli import Piecewise
from distsnn.units import to_steps


@dataclass(frozen=True, eq=False, kw_only=True)
class Presentation(Description):
    """When samples are presented: each for the same time, followed by a rest.

    Parameters
    ----------
    dt : float
        The network's step, ms.
    n_samples : int
        Number of samples.
    duration : float
        Time for which a sample is presented, ms, on the grid.
    rest : float
        Time without input after each sample, ms, on the grid.
    start : float
        Onset of the first sample, ms, on the grid: the time that the simulation has reached, where
        a batch follows others.

    Raises
    ------
    DescriptionError
        If a number is out of range or a time off the grid.

    Notes
    -----
    Sample i has the window (onset, onset + duration]: spikes of step onset + 1 are its first.
    """

    dt: float
    n_samples: int
    duration: float
    rest: float = 0.0
    start: float = 0.0

    def __post_init__(self) -> None:
        as_integer(self.n_samples, where="Presentation, field n_samples", low=1)
        interval_steps(self, "duration")
        check_numbers(self, rest=NOT_NEGATIVE, start=NOT_NEGATIVE)
        for name in ("rest", "start"):
            self._steps(name)

    def _steps(self, name: str) -> int:
        return to_steps(getattr(self, name), self.dt, where=f"Presentation, field {name}")

    def _onset_steps(self) -> Integers:
        every = self._steps("duration") + self._steps("rest")
        return self._steps("start") + every * np.arange(self.n_samples)

    @property
    def onsets(self) -> FloatArray:
        """Onset of each sample, ms, shape (n_samples,)."""
        return times_of_steps(self._onset_steps(), self.dt)

    @property
    def stop(self) -> float:
        """End of the last rest, ms: where the simulation stops, or a next batch starts."""
        every = self._steps("duration") + self._steps("rest")
        return (self._steps("start") + every * self.n_samples) * self.dt

    def window(self, sample: int) -> tuple[float, float]:
        """Return onset and end of a sample, ms.

        Raises
        ------
        DescriptionError
            If a sample does not exist.
        """
        where = "Presentation.window, sample"
        onset = self._onset_steps()[as_integer(sample, where=where, high=self.n_samples - 1)]
        return float(onset * self.dt), float((onset + self._steps("duration")) * self.dt)

    def events(self, spikes: SampleSpikes) -> tuple[FloatArray, IntArray]:
        """Return the spikes of the whole sequence, as `SpikeInput` and `SpikeSource` take them.

        Parameters
        ----------
        spikes : SampleSpikes
            As many samples, on the same grid, with windows no longer than `duration`.

        Returns
        -------
        times : ndarray of float64, shape (n_spikes,), ms
            Increasing, on the grid.
        channels : ndarray of int32, shape (n_spikes,)

        Raises
        ------
        DescriptionError
            If the spikes' samples, grid or window do not fit.
        """
        for name, values, allowed in (
            ("n_samples", spikes.shape[0], self.n_samples),
            ("dt", spikes.dt, self.dt),
        ):
            if values != allowed:
                raise DescriptionError(
                    f"another {name} than the presentation's",
                    where="Presentation.events, spikes",
                    value=values,
                    allowed=str(allowed),
                )
        if spikes.n_steps > self._steps("duration"):
            raise DescriptionError(
                "a window longer than a sample is presented",
                where="Presentation.events, spikes",
                value=spikes.duration,
                allowed=f"<= {self.duration:g} ms",
            )
        steps_reached = self._onset_steps()[spikes.samples] + spikes.steps
        return times_of_steps(steps_reached, self.dt), spikes.channels

    def piecewise(self, values: object) -> Piecewise:
        """Return a quantity that is each sample's in turn and 0 in rests and after the last.

        Parameters
        ----------
        values : array_like, shape (n_samples, n_channels)
            Such as the rates of a `RateCode`, spikes/s, for a `PoissonInput`, or currents, pA.

        Raises
        ------
        DescriptionError
            If a value is not finite, or there are other samples.
        """
        array = as_samples(values, where="Presentation.piecewise, values")
        shape = self.n_samples, array.shape[1]
        check_shape(
            array, shape, where="Presentation.piecewise, values", meaning="(samples, channels)"
        )
        onsets = self._onset_steps()
        ends = onsets + self._steps("duration")
        if self._steps("rest") == 0:  # but for the last, a sample ends where the next begins
            times = np.append(onsets, ends[-1:])
            pieces = np.vstack([array, np.zeros((1, shape[1]))])
        else:
            times = np.column_stack([onsets, ends]).ravel()
            pieces = np.stack([array, np.zeros(shape)], axis=1).reshape(-1, shape[1])
        return Piecewise(times_of_steps(times, self.dt), pieces)

    def cut(self, times: object, neurons: object, size: int) -> SampleSpikes:
        """Return recorded spikes by sample; those outside of all windows are left out.

        Parameters
        ----------
        times : array_like, shape (n_spikes,), ms
            Times of spikes, on the grid.
        neurons : array_like of int, shape (n_spikes,)
            The neuron (index in its population) of each.
        size : int
            Number of neurons: the channels of the result.

        Raises
        ------
        DescriptionError
            If a time is off the grid, or a neuron does not exist.
        """
        where = "Presentation.cut, field"
        when = as_floats(times, where=f"{where} times")
        who = as_indices(neurons, where=f"{where} neurons")
        check_shape(when, who.shape, where=f"{where} times", meaning="one per spike")
        size = as_integer(size, where=f"{where} size", low=1)
        check_indices(who, size, where=f"{where} neurons")
        window = self._steps("duration")
        after = steps_array(when, self.dt, where=f"{where} times") - self._steps("start") - 1
        sample, within = np.divmod(after, window + self._steps("rest"))
        inside = (sample >= 0) & (sample < self.n_samples) & (within < window)
        return SampleSpikes(
            sample[inside],
            who[inside],
            within[inside] + 1,
            (self.n_samples, size),
            window,
            self.dt,
        )
