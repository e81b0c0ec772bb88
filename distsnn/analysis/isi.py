"""Interspike intervals: moments that join associatively, so that windows can be reduced as a tree.

For each neuron, five integers describe its intervals in a period of time: their number, sum and sum
of squares, and the steps of the first and the last spike. The moments of two consecutive periods
join exactly: the gap between them is one more interval.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray

from distsnn.analysis.coordinates import per_neuron
from distsnn.analysis.selection import Selection, Window, tree_reduce

Integers = NDArray[np.int64]
NO_SPIKE = -1


@dataclass(frozen=True)
class IsiMoments:
    """Moments of each neuron's intervals in a period of time, in steps.

    Attributes
    ----------
    n, total, squares : ndarray of int64, shape (n_neurons,)
        Number of intervals, their sum and the sum of their squares.
    first, last : ndarray of int64, shape (n_neurons,)
        Steps of the first and last spike, or `NO_SPIKE`.
    """

    n: Integers
    total: Integers
    squares: Integers
    first: Integers
    last: Integers

    @classmethod
    def empty(cls, n_neurons: int) -> "IsiMoments":
        """Return the moments of a period without spikes."""
        zeros = np.zeros(n_neurons, np.int64)
        return cls(zeros, zeros, zeros, zeros + NO_SPIKE, zeros + NO_SPIKE)

    @classmethod
    def from_spikes(cls, step: NDArray[np.int32], neuron: Integers, n_neurons: int) -> "IsiMoments":
        """Return the moments of the spikes of a period.

        Parameters
        ----------
        step : ndarray of int32, shape (n_spikes,)
            Steps of the spikes.
        neuron : ndarray of int64, shape (n_spikes,)
            Index of each spike's neuron, below `n_neurons` and 2^31.
        n_neurons : int
            Number of neurons.
        """
        moments = cls.empty(n_neurons)
        if len(step) == 0:
            return moments
        key = (neuron << 32) | step
        key.sort()
        step_of, neuron_of = key & 0xFFFFFFFF, key >> 32
        starts = np.flatnonzero(np.diff(neuron_of, prepend=-1))
        interval = np.diff(step_of, prepend=0)
        interval[starts] = 0
        present = neuron_of[starts]
        counts = np.diff(starts, append=len(key))
        n, total, squares, first, last = (
            array.copy()
            for array in (moments.n, moments.total, moments.squares, moments.first, moments.last)
        )
        n[present] = counts - 1
        total[present] = np.add.reduceat(interval, starts)
        squares[present] = np.add.reduceat(interval * interval, starts)
        first[present] = step_of[starts]
        last[present] = step_of[starts + counts - 1]
        return cls(n, total, squares, first, last)

    def followed_by(self, later: "IsiMoments") -> "IsiMoments":
        """Return the moments of this period and the next one together."""
        has_last, has_first = self.last != NO_SPIKE, later.first != NO_SPIKE
        gap = np.where(has_last & has_first, later.first - self.last, 0)
        return IsiMoments(
            n=self.n + later.n + (has_last & has_first),
            total=self.total + later.total + gap,
            squares=self.squares + later.squares + gap * gap,
            first=np.where(has_last, self.first, later.first),
            last=np.where(has_first, later.last, self.last),
        )

    def mean(self) -> NDArray[np.float64]:
        """Return the mean interval, steps; NaN without intervals."""
        with np.errstate(invalid="ignore"):
            return self.total / np.where(self.n > 0, self.n, np.nan)

    def sd(self) -> NDArray[np.float64]:
        """Return the standard deviation of the intervals (divided by n), steps."""
        n = np.where(self.n > 0, self.n, np.nan)
        variance = (self.squares - self.total * (self.total / n)) / n
        return np.sqrt(np.maximum(variance, 0.0))


def isi(selection: Selection) -> xr.Dataset:
    """Return number, mean, standard deviation and CV of each neuron's intervals, on Dask.

    Returns
    -------
    Dataset, dims (neuron,)
        n (int64), mean and sd (ms), cv (sd / mean); NaN for neurons without intervals.

    Raises
    ------
    DescriptionError
        If spikes were not recorded in all of the time.
    """
    selection.check_whole("interspike intervals")
    count, dt = selection.neurons.count, selection.dt
    parts = [value for _, value in selection.per_window(_moments, count)]
    moments = tree_reduce(parts, _join) if parts else delayed(IsiMoments.empty(count))
    table = delayed(_table)(moments, dt)
    attributes = {
        "n": ("int64", "1", "number of interspike intervals"),
        "mean": ("float64", "ms", "mean interspike interval"),
        "sd": ("float64", "ms", "standard deviation of the interspike intervals"),
        "cv": ("float64", "1", "coefficient of variation of the interspike intervals"),
    }
    return xr.Dataset(
        {
            name: per_neuron(
                table[name], selection, dtype, name=name, units=units, long_name=long_name
            )
            for name, (dtype, units, long_name) in attributes.items()
        }
    )


def cv(selection: Selection, min_isis: int = 5) -> xr.DataArray:
    """Return the CV of the interspike intervals of each neuron, on Dask.

    Parameters
    ----------
    selection : Selection
        The spikes.
    min_isis : int
        Neurons with fewer intervals get NaN: their CV is biased towards 0.

    Returns
    -------
    DataArray of float64, dims (neuron,)
    """
    table = isi(selection)
    return table["cv"].where(table["n"] >= min_isis)


def _moments(window: Window, n_neurons: int) -> IsiMoments:
    return IsiMoments.from_spikes(window.step, window.neuron, n_neurons)


def _join(parts: list[IsiMoments]) -> IsiMoments:
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.followed_by(part)
    return joined


def _table(moments: IsiMoments, dt: float) -> dict[str, NDArray[np.float64] | Integers]:
    mean, sd = moments.mean(), moments.sd()
    return {"n": moments.n, "mean": mean * dt, "sd": sd * dt, "cv": sd / mean}
