"""Rank-order code: only the order in which channels spike counts."""

from dataclasses import dataclass

import numpy as np

from distsnn.coding.checks import Integers, as_samples, interval_steps, times_of_steps
from distsnn.coding.responses import first_spike_times
from distsnn.coding.spikes import SampleSpikes, spikes_at
from distsnn.network.base import Description
from distsnn.network.checks import ANY, FloatArray, as_floats, check_range, check_shape


@dataclass(frozen=True, eq=False, kw_only=True)
class RankOrder(Description):
    """Channels spike one after another, in the order of falling values.

    Parameters
    ----------
    dt : float
        Step, ms.
    gap : float
        Time between two spikes, and from the onset to the first, ms, on the grid.

    Raises
    ------
    DescriptionError
        If a time is not positive or off the grid.

    Notes
    -----
    Of equal values the one of the lower channel comes first. Source: Thorpe & Gautrais (1998),
    Rank order coding, in Computational Neuroscience: Trends in Research, 113.
    """

    dt: float
    gap: float

    def __post_init__(self) -> None:
        interval_steps(self, "gap")

    def encode(self, values: object) -> SampleSpikes:
        """Return the spikes of values; the window is as long as all channels take.

        Parameters
        ----------
        values : array_like, shape (n_samples, n_channels)
            Any finite values.

        Raises
        ------
        DescriptionError
            If a value is not finite.
        """
        array = as_samples(values, where="RankOrder, values")
        gap = interval_steps(self, "gap")
        rank = _ranks(-array)
        return spikes_at(times_of_steps(gap * (rank + 1), self.dt), gap * array.shape[1], self.dt)

    def channel_order(self, spikes: SampleSpikes) -> Integers:
        """Return the place of each channel in the order of first spikes.

        Returns
        -------
        ndarray of int64, shape (n_samples, n_channels)
            0 for the first; -1 for channels without a spike.
        """
        times = first_spike_times(spikes)
        return np.where(np.isfinite(times), _ranks(times), -1)

    def decode(self, spikes: SampleSpikes, by_rank: object) -> FloatArray:
        """Return values by rank: the code defines their order, a table their magnitudes.

        Parameters
        ----------
        spikes : SampleSpikes
            Spikes.
        by_rank : array_like, shape (n_channels,)
            The value of the first channel, the second, ...: such as Thorpe & Gautrais's
            sensitivities ``m ** np.arange(n_channels)`` with m < 1, or the mean of training data
            by rank, ``np.sort(training)[:, ::-1].mean(axis=0)``, as VanRullen & Thorpe (2001),
            Neural Comput. 13:1255, do.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_channels)
            0 for channels without a spike.

        Raises
        ------
        DescriptionError
            If there is not one finite value per channel.
        """
        where = "RankOrder.decode, by_rank"
        table = as_floats(by_rank, where=where)
        check_shape(table, (spikes.shape[1],), where=where, meaning="one per channel")
        check_range(table, ANY, where=where)
        ranks = self.channel_order(spikes)
        return np.where(ranks >= 0, table[ranks], 0.0)


def _ranks(keys: FloatArray) -> Integers:
    """Return each column's place when a row is sorted by rising keys, then by column."""
    order = np.argsort(keys, axis=1, kind="stable")
    return np.argsort(order, axis=1)
