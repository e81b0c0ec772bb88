"""Selections of spikes for statistics, which Dask reads window by window.

A statistic is a function of one window's spikes and a function that joins the results of windows.
Windows hold about equally many spikes and are cut on the same grid for all statistics, so that
several of them, computed together, read each window once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import lcm
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from dask.delayed import Delayed, delayed
from dask.tokenize import tokenize
from numpy.typing import NDArray

from distsnn.errors import DescriptionError
from distsnn.io.rank_spikes import Spikes
from distsnn.io.reader import StoreReader
from distsnn.units import format_count

# Windows start on multiples of this, so bins of 1, 2, 5 or 10 ms never cross windows.
_ALIGN_MS = 10.0
# Bins per window at most, whatever the number of spikes.
_MAX_BINS = 2**16
# Intervals in a message.
_SHOWN = 8
# Results of windows joined at a time.
_FAN_IN = 8


@runtime_checkable
class DescribedPopulation(Protocol):
    """A population of a network description, which the analysis does not import."""

    @property
    def name(self) -> str:
        """The population's name."""

    @property
    def size(self) -> int:
        """Number of neurons."""


@runtime_checkable
class DescribedView(Protocol):
    """A population view of a network description, which the analysis does not import."""

    @property
    def population(self) -> str:
        """The population's name."""

    @property
    def start(self) -> int:
        """The first neuron."""

    @property
    def stop(self) -> int:
        """The neuron after the last one; -1: the population's end."""

    @property
    def index(self) -> slice | NDArray[Any]:
        """Index of the neurons in an array of the population's neurons."""


SelectedPopulation: TypeAlias = str | DescribedPopulation | DescribedView
SelectedPopulations: TypeAlias = SelectedPopulation | Sequence[SelectedPopulation] | None


@dataclass(frozen=True)
class Neurons:
    """Ranges of recorded neurons, numbered in their order from 0.

    Attributes
    ----------
    names : tuple of str
        The populations, one a range or several.
    range_population : ndarray of int64, shape (n_ranges,)
        Index of each range's population in `names`.
    start, stop : ndarray of int64, shape (n_ranges,)
        The gids [start, stop) of each range, ascending.
    first_gid : ndarray of int64, shape (n_ranges,)
        First gid of each range's population.
    """

    names: tuple[str, ...]
    range_population: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    first_gid: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of neurons."""
        return int((self.stop - self.start).sum())

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of recorded neurons of each population, shape (n_populations,)."""
        sizes = np.zeros(len(self.names), np.int64)
        np.add.at(sizes, self.range_population, self.stop - self.start)
        return sizes

    @property
    def gids(self) -> NDArray[np.int64]:
        """The gid of each neuron, shape (count,)."""
        ranges = [np.arange(a, b) for a, b in zip(self.start, self.stop, strict=True)]
        return np.concatenate(ranges)

    @property
    def population_index(self) -> NDArray[np.int64]:
        """Index into `names` of each neuron, shape (count,)."""
        return np.repeat(self.range_population, self.stop - self.start)

    def locate(self, gid: NDArray[np.uint32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the number of each neuron, and whether these ranges contain it."""
        gids = gid.astype(np.int64)
        which = np.searchsorted(self.start, gids, side="right") - 1
        inside = (which >= 0) & (gids < self.stop[which])
        offset = np.concatenate([[0], np.cumsum(self.stop - self.start)[:-1]]) - self.start
        return gids + offset[which], inside

    def first(self, n: int) -> "Neurons":
        """Return the first `n` neurons of each population."""
        left = np.full(len(self.names), n, np.int64)
        stop = self.stop.copy()
        for index, population in enumerate(self.range_population):
            stop[index] = min(stop[index], self.start[index] + left[population])
            left[population] -= stop[index] - self.start[index]
        keep = stop > self.start
        return Neurons(
            self.names,
            self.range_population[keep],
            self.start[keep],
            stop[keep],
            self.first_gid[keep],
        )


@dataclass(frozen=True)
class Window:
    """The spikes of some neurons within one window of time.

    Attributes
    ----------
    after, until : int
        The window (after, until], steps.
    step : ndarray of int32, shape (n,)
        Spike steps, ascending.
    neuron : ndarray of int64, shape (n,)
        Number of the neuron within the selection's `Neurons`.
    """

    after: int
    until: int
    step: NDArray[np.int32]
    neuron: NDArray[np.int64]


@dataclass(frozen=True)
class Selection:
    """Spikes of some neurons within (start_step, last_step], not loaded.

    Attributes
    ----------
    reader : StoreReader
        The run.
    neurons : Neurons
        The neurons.
    start_step, last_step : int
        The time range, steps; `start_step` itself is outside.
    target : int or None
        Spikes per window, about; None: chosen by the number of ranks.
    """

    reader: StoreReader
    neurons: Neurons
    start_step: int
    last_step: int
    target: int | None = None

    @property
    def dt(self) -> float:
        """Time step, ms."""
        return self.reader.dt

    def intervals(self, population: str) -> NDArray[np.int64]:
        """Return the steps of the time range in which a population's spikes were recorded.

        Returns
        -------
        ndarray of int64, shape (n, 2)
            Intervals (after, until].
        """
        clipped = np.clip(
            self.reader.intervals(f"spikes/{population}"), self.start_step, self.last_step
        )
        return clipped[clipped[:, 0] < clipped[:, 1]]

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Time in which the spikes of each population were recorded, s, shape (n_populations,)."""
        steps = [np.diff(self.intervals(name)).sum() for name in self.neurons.names]
        return np.array(steps, np.float64) * self.dt * 1e-3

    @property
    def is_whole(self) -> bool:
        """Whether spikes of all populations were recorded in the whole time range."""
        return not any(map(self.gaps, self.neurons.names))

    def gaps(self, population: str) -> list[tuple[int, int]]:
        """Return the intervals (after, until] in which a population's spikes were not recorded."""
        edges = [self.start_step, *self.intervals(population).ravel().tolist(), self.last_step]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(after, until) for after, until in pairs if after < until]

    def check_whole(self, statistic: str) -> None:
        """Check that spikes of all populations were recorded in the whole time range.

        Raises
        ------
        DescriptionError
            If not: a script switched the recording off in between.
        """
        for name in self.neurons.names:
            if self.gaps(name):
                recorded = format_intervals(self.intervals(name), self.dt)
                raise DescriptionError(
                    f"{statistic} cannot be computed: spikes of {name!r} were not recorded in all "
                    "of this time",
                    where=f"run {self.reader.path}",
                    value=format_intervals([(self.start_step, self.last_step)], self.dt),
                    allowed=f"time within {recorded or 'no interval: nothing was recorded'}",
                )

    def bin_steps(self, bin_ms: float) -> int:
        """Convert the width of a bin to steps (DescriptionError if it is not a multiple of dt)."""
        steps = round(bin_ms / self.dt)
        if steps < 1 or abs(steps * self.dt - bin_ms) > 1e-6 * bin_ms:
            raise DescriptionError(
                "a bin must be an integer number of steps",
                where="bin_ms",
                value=bin_ms,
                allowed=f"multiples of dt = {self.dt} ms",
            )
        return steps

    def bins(self, bin_steps: int) -> int:
        """Return the number of whole bins in the time range."""
        return (self.last_step - self.start_step) // bin_steps

    def windows(self, bin_steps: int = 1) -> list[tuple[int, int]]:
        """Cut the time range into windows of whole bins (but for an incomplete bin at the end)."""
        align = lcm(bin_steps, max(1, round(_ALIGN_MS / self.dt)))
        longest = max(1, bin_steps * _MAX_BINS // align) * align
        cuts = []
        for low, high in self.reader.windows(
            self.start_step, self.last_step, target=self.target, align=align
        ):
            edges = [*range(low, high, longest), high]
            cuts += list(pairwise(edges))
        return cuts

    def per_window(
        self, function: Callable[..., Any], *arguments: Any, bin_steps: int = 1
    ) -> list[tuple[tuple[int, int], Delayed]]:
        """Return, for each window, ``function(window, *arguments)`` as a delayed value.

        Loading a window has the same key in all statistics of the same range, so Dask loads it
        once for those that are computed together.
        """
        # One node for the reader, not a copy in every task.
        token = tokenize(
            str(self.reader.path.resolve()), self.reader.last_step, self.reader.n_committed
        )
        reader = delayed(self.reader, name=f"reader-{token}", traverse=False)
        load = delayed(_load, traverse=False)
        locate = delayed(_locate, traverse=False)
        apply = delayed(function, traverse=False)
        places = tokenize(self.neurons.start, self.neurons.stop)
        results = []
        for low, high in self.windows(bin_steps):
            name = f"{token}-{low}-{high}"
            spikes = load(reader, low, high, dask_key_name=f"load-{name}")
            window = locate(
                spikes, self.neurons, low, high, dask_key_name=f"locate-{name}-{places}"
            )
            results.append(((low, high), apply(window, *arguments)))
        return results

    def first_neurons(self, n: int | None) -> "Selection":
        """Return the same selection of the first `n` recorded neurons of each population."""
        return self if n is None else replace(self, neurons=self.neurons.first(n))


def format_intervals(intervals: Iterable[Sequence[int]], dt: float) -> str:
    """Return intervals of steps in words, the first few of many."""
    texts = [f"({after * dt:g}, {until * dt:g}]" for after, until in intervals]
    suffix = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return f"{', '.join(texts[:_SHOWN])}{suffix} ms" if texts else ""


def _load(reader: StoreReader, low: int, high: int) -> Spikes:
    return reader.spikes(low, high)


def _locate(spikes: Spikes, neurons: Neurons, low: int, high: int) -> Window:
    neuron, inside = neurons.locate(spikes[1])
    if inside.all():
        return Window(low, high, spikes[0], neuron)
    return Window(low, high, spikes[0][inside], neuron[inside])


def tree_reduce(values: Sequence[Delayed], join: Callable[[list[Any]], Any]) -> Delayed:
    """Join delayed values in their order, a few at a time, so that few wait in memory."""
    level = list(values)
    joined = delayed(join)
    while True:
        level = [joined(level[i : i + _FAN_IN]) for i in range(0, len(level), _FAN_IN)]
        if len(level) == 1:
            return level[0]


def recorded_neurons(reader: StoreReader, populations: SelectedPopulations) -> Neurons:
    """Return the selected neurons whose spikes are recorded.

    Parameters
    ----------
    reader : StoreReader
        The run.
    populations : str, Population, PopulationView or sequence of these, or None
        Names, populations or views of the run's network; None: all of which anything is recorded.

    Raises
    ------
    DescriptionError
        If a population does not exist, has another size in this run or is not recorded, or nothing
        is recorded.
    """
    table = [str(row["name"]) for row in reader.metadata["populations"]]
    selected = _selected_neurons(reader, table if populations is None else populations)
    names: list[str] = []
    ranges: list[tuple[int, int, int, int]] = []
    for name in sorted(selected, key=lambda n: reader.population(n)["first_gid"]):
        first = int(reader.population(name)["first_gid"])
        is_member = selected[name] & reader.recorded(name)
        edges = np.flatnonzero(np.diff(is_member, prepend=False, append=False))
        if len(edges) == 0:
            if populations is not None:
                neurons = "this population" if selected[name].all() else "these neurons"
                raise DescriptionError(
                    f"no spikes of {neurons} were recorded", where=f"population {name!r}"
                )
            continue
        for start, stop in edges.reshape(-1, 2).tolist():
            ranges.append((len(names), first + start, first + stop, first))
        names.append(name)
    if not ranges:
        raise DescriptionError("no spikes were recorded", where=f"run {reader.path}")
    columns = np.array(ranges, np.int64).T
    return Neurons(tuple(names), columns[0], columns[1], columns[2], columns[3])


def _selected_neurons(
    reader: StoreReader, populations: SelectedPopulations
) -> dict[str, NDArray[np.bool_]]:
    """Return which neurons of each selected population are selected, by name, shape (size,)."""
    selected: dict[str, NDArray[np.bool_]] = {}
    several: Iterable[object] = (populations,)
    if isinstance(populations, Iterable) and not isinstance(populations, str):
        several = populations
    for population in several:
        name, neurons = _named_neurons(reader, population)
        size = int(reader.population(name)["size"])
        selected.setdefault(name, np.zeros(size, np.bool_))[neurons] = True
    return selected


def _named_neurons(reader: StoreReader, population: object) -> tuple[str, slice | NDArray[Any]]:
    """Return the name of a population of the run, and the index of the selected neurons in it."""
    where = f"run {reader.path}"
    if isinstance(population, str):
        return population, slice(None)
    if isinstance(population, DescribedPopulation):
        size = int(reader.population(population.name)["size"])
        if population.size != size:
            raise DescriptionError(
                f"population {population.name!r} has another size in this run",
                where=where,
                value=population.size,
                allowed=str(size),
            )
        return population.name, slice(None)
    if isinstance(population, DescribedView):
        size = int(reader.population(population.population)["size"])
        if population.stop > size:
            raise DescriptionError(
                f"population {population.population!r} has {format_count(size, 'neuron')} in this "
                "run",
                where=where,
                value=f"{population.population}[{population.start}:{population.stop}]",
                allowed=f"0:{size}",
            )
        # the description writes the end of a population of unknown size as -1
        is_open = population.stop < 0
        return population.population, slice(population.start, None) if is_open else population.index
    raise DescriptionError(
        "not a population",
        where=where,
        value=population,
        allowed="a name, a Population, a PopulationView, or a list of these",
    )
