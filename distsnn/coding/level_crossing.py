"""Level-crossing code: a signal spikes whenever it has changed by a threshold."""

from dataclasses import dataclass

import numpy as np

from distsnn.coding.checks import as_samples, check_numbers
from distsnn.coding.spikes import SampleSpikes
from distsnn.errors import DescriptionError
from distsnn.network.base import Description
from distsnn.network.checks import POSITIVE, FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class SendOnDelta(Description):
    """Spikes mark that a signal rose (ON) or fell (OFF) by a threshold since the last spike.

    Parameters
    ----------
    dt : float
        Step, ms.
    threshold : float
        Change that makes a spike, in the signal's unit.

    Raises
    ------
    DescriptionError
        If a number is not positive.

    Notes
    -----
    Channel c of a signal has the ON channel c and the OFF channel n_channels + c. A jump over
    several thresholds causes several spikes in one step (`SpikeInput` allows this, `SpikeSource`
    does not). The error of the decoded signal is always less than a threshold.

    Source: Miskowicz (2006), Sensors 6:49; with ON and OFF events as in the silicon retina,
    Lichtsteiner, Posch & Delbruck (2008), IEEE J. Solid-State Circuits 43:566.
    """

    dt: float
    threshold: float

    def __post_init__(self) -> None:
        check_numbers(self, dt=POSITIVE, threshold=POSITIVE)

    def encode(self, signals: object) -> SampleSpikes:
        """Return the spikes of signals.

        Parameters
        ----------
        signals : array_like, shape (n_samples, n_steps + 1, n_channels)
            Value at each step, from the onset on; ``signal[np.newaxis]`` for a single one.

        Raises
        ------
        DescriptionError
            If a value is not finite (sample, time and channel are named), or a signal has no step.
        """
        axes = ("samples", "times", "channels")
        array = as_samples(signals, where="SendOnDelta, signals", axes=axes)
        n_samples, n_times, n_channels = array.shape
        if n_times < 2:
            raise DescriptionError(
                "too short", where="SendOnDelta, signals", value=n_times, allowed="2 or more times"
            )
        exact = (array - array[:, :1]) / self.threshold
        low, high = np.floor(exact), np.ceil(exact)
        level = np.zeros((n_samples, n_times, n_channels))
        for t in range(1, n_times):
            # a level is kept until the signal is a whole threshold away
            level[:, t] = np.clip(level[:, t - 1], low[:, t], high[:, t])
        changes = np.diff(level, axis=1).astype(np.int64)
        samples, before, channels = np.nonzero(changes)
        change = changes[samples, before, channels]
        often = np.abs(change)
        return SampleSpikes(
            np.repeat(samples, often),
            np.repeat(np.where(change > 0, channels, n_channels + channels), often),
            np.repeat(before + 1, often),
            (n_samples, 2 * n_channels),
            n_times - 1,
            self.dt,
        )

    def decode(self, spikes: SampleSpikes, start: object) -> FloatArray:
        """Return the signals that spikes encode, constant between spikes.

        Parameters
        ----------
        spikes : SampleSpikes
            Spikes of ON and OFF channels.
        start : array_like, shape (n_samples, n_channels)
            The signals at the onset.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_steps + 1, n_channels)

        Raises
        ------
        DescriptionError
            If there are other samples, or not two channels of spikes for each of the signal.
        """
        first = as_samples(start, where="SendOnDelta.decode, start")
        n_channels = first.shape[1]
        if (first.shape[0], 2 * n_channels) != spikes.shape:
            raise DescriptionError(
                "does not fit the spikes",
                where="SendOnDelta.decode, start",
                value=first.shape,
                allowed=f"half the channels of {spikes.shape}",
            )
        off, channels = np.divmod(spikes.channels, n_channels)
        level = np.zeros((spikes.shape[0], spikes.n_steps + 1, n_channels))
        np.add.at(level, (spikes.samples, spikes.steps, channels), 1.0 - 2.0 * off)
        return first[:, np.newaxis] + self.threshold * np.cumsum(level, axis=1)
