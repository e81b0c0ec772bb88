"""Counts spikes, selects those to record, and reports populations with too many."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from distsnn.comm import Communicator, mark_collective
from distsnn.errors import RunawayError
from distsnn.network import Network, RecordSpikes


class RecordedNeurons:
    """The neurons whose spikes a network records, as long as they are not switched off.

    Attributes
    ----------
    neurons : dict of str to int
        How many of each population (on all ranks), switched off or not.
    """

    def __init__(self, network: Network) -> None:
        self._network, self._off = network, set[str]()
        self.neurons = {population.name: 0 for population in network.populations}
        for recording in network.recordings:
            if isinstance(recording, RecordSpikes):
                self.neurons[recording.target.population] += recording.target.size
        self._choose()

    def switch(self, population: str, on: bool) -> None:
        """Record a population's spikes or not, from now on."""
        self._off = self._off - {population} if on else self._off | {population}
        self._choose()

    def _choose(self) -> None:
        network = self._network
        chosen = np.zeros((network.n_neurons // 64 + 1) * 64, np.bool_)
        for recording in network.recordings:
            if isinstance(recording, RecordSpikes) and recording.target.population not in self._off:
                first = network.first_gid[recording.target.population]
                chosen[first:][recording.target.index] = True
        n = int(chosen.sum())
        self._simple = {network.n_neurons: slice(None), 0: slice(0)}.get(n)
        self._bits = np.packbits(chosen, bitorder="little")

    def of(self, gid: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_] | slice:
        """Return an index of the recorded ones among some neurons."""
        if self._simple is not None:
            return self._simple
        return np.asarray((self._bits[gid >> 3] >> (gid & 7).astype(np.uint8)) & 1, np.bool_)

    def rates(self, spikes: Sequence[int], time_ms: Mapping[str, float]) -> dict[str, float | None]:
        """Return the mean rate of recorded neurons, spikes/s; None where none was recorded.

        Parameters
        ----------
        spikes : sequence of int
            Spikes by population.
        time_ms : mapping of str to float
            Time in which the spikes of a population were recorded.
        """
        rates: dict[str, float | None] = {}
        for (name, neurons), count in zip(self.neurons.items(), spikes, strict=True):
            seconds = time_ms.get(name, 0.0) * 1e-3
            rates[name] = count / neurons / seconds if neurons and seconds else None
        return rates


class SpikeCounts:
    """This rank's number of spikes by population.

    Attributes
    ----------
    all, recorded : ndarray of int64, shape (n_populations,)
        Spikes of all, and of recorded neurons.
    """

    def __init__(self, network: Network) -> None:
        self._first_gids = np.array([*network.first_gid.values()], np.uint32)
        self.all = np.zeros(self._first_gids.size, np.int64)
        self.recorded = self.all.copy()

    def add(self, gid: npt.NDArray[np.uint32], recorded: npt.NDArray[np.uint32]) -> None:
        """Count spikes, and spikes of recorded neurons."""
        counts = self._by_population(gid)
        self.all += counts
        self.recorded += counts if recorded.size == gid.size else self._by_population(recorded)

    def global_counts(self, communicator: Communicator) -> list[int]:
        """Return the spikes of recorded neurons of all ranks, by population. Collective."""
        counts = np.sum(communicator.allgather(self.recorded), axis=0)
        return [int(count) for count in counts]

    def _by_population(self, gid: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        counted_from_1 = self._first_gids.searchsorted(gid, side="right")
        return np.bincount(counted_from_1, minlength=self.all.size + 1)[1:]


class RateLimit:
    """A limit of the mean rate of every population over a window.

    Parameters
    ----------
    network : Network
        The network.
    max_rate : float or None
        spikes/s; None: no limit.
    communicator : Communicator
        The ranks.
    step : int
        From which on spikes are counted.
    """

    def __init__(
        self, network: Network, max_rate: float | None, communicator: Communicator, step: int
    ) -> None:
        self._network, self._max_rate, self._communicator = network, max_rate, communicator
        self._before, self._since = np.zeros(len(network.populations), np.int64), step

    def check(self, counts: npt.NDArray[np.int64], window: int, *, step: int) -> None:
        """Look at the spikes since the last look. Collective.

        The rest of a window in which a run was resumed is checked with the next window, because a
        rate over a few steps is not meaningful.

        Parameters
        ----------
        counts : ndarray of int64, shape (n_populations,)
            This rank's spikes so far.
        window : int
            Least steps of a look.
        step : int
            Now.

        Raises
        ------
        RunawayError
            On all ranks, if a population exceeds the limit.
        """
        span = step - self._since
        if span < window:
            return
        new = np.sum(self._communicator.allgather(counts - self._before), axis=0)
        self._before, self._since = counts.copy(), step
        dt = self._network.dt
        for population, count in zip(self._network.populations, new.tolist(), strict=True):
            rate = count / population.size / (span * dt * 1e-3)
            if self._max_rate is not None and rate > self._max_rate:
                raise mark_collective(
                    RunawayError(population.name, rate, self._max_rate, at_ms=step * dt)
                )
