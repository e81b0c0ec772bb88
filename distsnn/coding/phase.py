"""Phase code: a value is the phase of spikes within a background oscillation."""

from dataclasses import dataclass

import numpy as np

from distsnn.coding.checks import UNIT, as_samples, check_numbers, interval_steps
from distsnn.coding.responses import spike_counts, summed
from distsnn.coding.spikes import SampleSpikes
from distsnn.network.base import Description
from distsnn.network.checks import FloatArray, Interval, as_integer


@dataclass(frozen=True, eq=False, kw_only=True)
class PhaseCode(Description):
    """Each channel spikes once a cycle of an oscillation, the earlier the larger its value.

    Parameters
    ----------
    dt : float
        Step, ms.
    period : float
        Period of the oscillation, ms, on the grid.
    cycles : int
        Number of cycles in a sample's window.
    span : float
        Part of a cycle that values fill: 1 spikes at phase 0, 0 at 2 pi span. Above 0, below 1; the
        rest keeps the ends apart, as phases have no first and last.

    Raises
    ------
    DescriptionError
        If a number is out of range or the period off the grid.

    Notes
    -----
    The first step of each cycle has phase 0. Sources: Hopfield (1995), Nature 376:33, for stimuli
    coded by the advance of spikes in an oscillation; Montemurro et al. (2008), Curr. Biol. 18:375,
    for phases of slow oscillations that carry stimuli.
    """

    dt: float
    period: float
    cycles: int
    span: float = 0.5

    def __post_init__(self) -> None:
        as_integer(self.cycles, where="PhaseCode, field cycles", low=1)
        steps = interval_steps(self, "period")
        # no phase may round to the next cycle's first step
        high = 1.0 - 0.5 / steps
        check_numbers(self, span=Interval(0.0, high, open_low=True, open_high=True))

    def encode(self, values: object) -> SampleSpikes:
        """Return the spikes of values, at the nearest times on the grid.

        Parameters
        ----------
        values : array_like, shape (n_samples, n_channels)
            Values, 0 to 1.

        Raises
        ------
        DescriptionError
            If a value is not finite or not within 0 to 1.
        """
        array = as_samples(values, where="PhaseCode, values", allowed=UNIT)
        period = interval_steps(self, "period")
        in_cycle = 1 + np.rint((1.0 - array) * (self.span * period)).astype(np.int64)
        steps = in_cycle[..., np.newaxis] + period * np.arange(self.cycles)
        samples, channels, _ = np.indices(steps.shape)
        return SampleSpikes(
            samples.ravel(),
            channels.ravel(),
            steps.ravel(),
            array.shape,
            period * self.cycles,
            self.dt,
        )

    def decode(self, spikes: SampleSpikes) -> FloatArray:
        """Return the values that mean phases stand for.

        Parameters
        ----------
        spikes : SampleSpikes
            Spikes, of windows that start with a cycle.

        Returns
        -------
        ndarray of float64, shape (n_samples, n_channels)
            Within 0 to 1; 0 for a channel without a spike. Phases are averaged as directions.
        """
        phase = (spikes.steps - 1) * (spikes.dt / self.period)
        # phases relative to the middle of those that values fill, where a mean cannot wrap around
        angle = (2.0 * np.pi) * (phase - 0.5 * self.span)
        x, y = summed(spikes, np.cos(angle)), summed(spikes, np.sin(angle))
        values = 0.5 - np.arctan2(y, x) / (2.0 * np.pi * self.span)
        return np.where(spike_counts(spikes) > 0, np.clip(values, 0.0, 1.0), 0.0)
