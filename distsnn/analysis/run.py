"""A run, opened for analysis: populations, lazily loaded spikes and states, statistics."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from distsnn.errors import DescriptionError, UsageError
from distsnn.extras import LazyModule
from distsnn.io.reader import StoreReader
from distsnn.io.state_reader import StateRecording
from distsnn.io.sum_reader import SumRecording
from distsnn.io.weight_reader import WeightRecording
from distsnn.public_api import public_function
from distsnn.units import format_count

if TYPE_CHECKING:
    import dask.array as da
    import dask.dataframe as dd
    import dask.tokenize as tokens
    import pandas as pd  # type: ignore[import-untyped]
    import xarray as xr

    from distsnn.analysis import correlation, isi, rates, selection, spectrum
    from distsnn.analysis.selection import SelectedPopulations
    from distsnn.simulation import stored_connections
else:
    da, dd, tokens, pd, xr, correlation, isi, rates, selection, spectrum, stored_connections = (
        LazyModule(module, "analysis")
        for module in (
            *("dask.array", "dask.dataframe", "dask.tokenize", "pandas", "xarray"),
            *("distsnn.analysis.correlation", "distsnn.analysis.isi", "distsnn.analysis.rates"),
            *("distsnn.analysis.selection", "distsnn.analysis.spectrum"),
            "distsnn.simulation.stored_connections",
        )
    )

# Bytes of a recorded variable that are loaded together.
_STATE_BLOCK = 2**23


class SpikeArrays(NamedTuple):
    """Spikes as Dask arrays of equal, unknown length, in the order of (step, gid).

    Attributes
    ----------
    step : dask.array of int32
        Spike steps.
    time_ms : dask.array of float64
        Times, ms.
    gid : dask.array of uint32
        Neurons.
    """

    step: da.Array
    time_ms: da.Array
    gid: da.Array


@public_function
def open_run(
    path: str | os.PathLike[str], *, window: int | None = None, partial: bool = False
) -> Run:
    """Open a run's store, complete, interrupted or still running.

    Parameters
    ----------
    path : str or PathLike
        The store.
    window : int, optional
        Spikes that are loaded together, about; by default chosen by the number of ranks.
    partial : bool
        Read the remaining data of a store with missing recordings. `Run.missing` lists them.
        Spikes of a rank whose recording is missing are absent, and rates are too low accordingly;
        states of its neurons and weights of its synapses are NaN.

    Raises
    ------
    StoreError
        If it is not a run, has another format version, or is corrupt; without `partial` also if a
        recording is missing or shorter than its committed rows.
    """
    return Run(StoreReader(path, partial=partial), window=window)


def as_run(run: Run | str | os.PathLike[str]) -> Run:
    """Return a run, opened if only the path of its store is given (errors as of `open_run`)."""
    if isinstance(run, Run):
        return run
    if isinstance(run, str | os.PathLike):
        return open_run(run)
    raise UsageError("not a run", where="run", value=run, allowed="a Run, or the path of its store")


class Run:
    """A run as it was when it was opened. Nothing is loaded before it is computed.

    Times are ms; a time range (start, stop] includes `stop`, as a step ends with its spikes: the
    whole run is (start_ms, time_ms], and neighbouring ranges share no spike. Statistics return
    xarray objects on Dask: small arrays that are computed, in bounded memory, by ``.compute()``, or
    several in one pass over the spikes by ``dask.compute(a, b)``.

    Parameters
    ----------
    reader : StoreReader
        The store.
    window : int, optional
        Spikes that are loaded together.

    Attributes
    ----------
    reader : StoreReader
        The store, for what this class does not show.
    attributes : dict
        The root's attributes: description, seed, versions and more (``docs/store-format.md``).
    """

    def __init__(self, reader: StoreReader, *, window: int | None = None) -> None:
        self.reader, self._window = reader, window
        self.attributes: dict[str, Any] = reader.metadata

    def __repr__(self) -> str:
        state = "corrupt" if self.missing else "complete" if self.complete else "not complete"
        return (
            f"<Run {self.reader.path}: {format_count(self.reader.n_neurons, 'neuron')}, "
            f"{self.time_ms:g} ms, {state}>"
        )

    @property
    def dt(self) -> float:
        """Time step, ms."""
        return self.reader.dt

    @property
    def time_ms(self) -> float:
        """Time up to which all ranks have committed what they recorded, ms."""
        return self.reader.complete_step * self.dt

    @property
    def start_ms(self) -> float:
        """Time from which on it is recorded, ms: 0, unless the run began from a checkpoint."""
        return self.reader.start_step * self.dt

    @property
    def duration_ms(self) -> float:
        """Length of what all ranks have committed, ms."""
        return (self.reader.complete_step - self.reader.start_step) * self.dt

    @property
    def complete(self) -> bool:
        """Whether the run reached its end and nothing of it is missing."""
        return self.reader.complete and not self.missing

    @property
    def missing(self) -> list[str]:
        """Messages about missing data, with paths; empty unless opened with ``partial``."""
        return [str(error) for error in self.reader.missing]

    @property
    def populations(self) -> pd.DataFrame:
        """Table of the populations by name: first_gid, size, model, recorded neurons, ...

        ``recorded_ms`` is the time in which spikes of these were recorded.
        """
        table = pd.DataFrame(self.attributes["populations"]).set_index("name")
        table["recorded"] = [int(self.reader.recorded(name).sum()) for name in table.index]
        table["recorded_ms"] = [
            float(np.diff(self.reader.intervals(f"spikes/{name}")).sum() * self.dt) if n else 0.0
            for name, n in table["recorded"].items()
        ]
        return table

    @property
    def recordings(self) -> list[str]:
        """All recordings: ``spikes/POPULATION``, ``state/NAME``, ``weights/NAME``."""
        return self.reader.recordings

    def intervals(self, recording: str) -> NDArray[np.float64]:
        """Return the time in which a recording was on: a script may switch it between run calls.

        Parameters
        ----------
        recording : str
            One of `recordings`, such as ``"spikes/E"``.

        Returns
        -------
        ndarray of float64, shape (n, 2), ms
            Intervals (after, until], ascending and disjoint. At other times the recording was off:
            missing spikes do not mean silent neurons.

        Raises
        ------
        DescriptionError
            If the recording is unknown.
        """
        return self.reader.intervals(recording) * np.float64(self.dt)

    @property
    def weight_errors(self) -> pd.DataFrame:
        """Table of rounding errors by projection.

        Columns: largest (relative error of a weight), share (of the weights, with a relative error
        above 2^-10), part (their part of the total of absolute weights). All are upper bounds.
        """
        columns = ["largest", "share", "part"]
        rows = self.attributes["quanta"].get("errors", [])
        table = pd.DataFrame(rows, columns=["projection", *columns])
        return table.set_index("projection")[columns]

    @property
    def timing(self) -> pd.DataFrame:
        """Wall time by phase (columns) of each attempt's ranks (rows), s."""
        ranks = self._ranks()
        index = pd.MultiIndex.from_tuples(
            [(rank.attempt, rank.rank) for rank in ranks], names=["attempt", "rank"]
        )
        return pd.DataFrame([rank.timing for rank in ranks], index=index, dtype=float)

    @property
    def memory(self) -> pd.DataFrame:
        """Memory of each attempt's ranks (rows), bytes."""
        ranks = self._ranks()
        index = pd.MultiIndex.from_tuples(
            [(rank.attempt, rank.rank) for rank in ranks], names=["attempt", "rank"]
        )
        return pd.DataFrame([rank.memory for rank in ranks], index=index)

    def select(
        self,
        population: SelectedPopulations = None,
        start: float | None = None,
        stop: float | None = None,
    ) -> selection.Selection:
        """Select spikes for a statistic.

        Parameters
        ----------
        population : str, Population, PopulationView or sequence of these, optional
            Names, populations or views such as ``E[:5]``; by default all that are recorded.
        start, stop : float, optional
            Time range (start, stop], ms; by default from `start_ms` as far as all ranks have
            committed, so that no statistic counts time that was not recorded, or not by all.

        Raises
        ------
        DescriptionError
            If a population does not exist, has another size or is not recorded, or the range is
            empty or beyond the recording.
        """
        neurons = selection.recorded_neurons(self.reader, population)
        begin, end = self.reader.start_step, self.reader.complete_step
        first = begin if start is None else self._step(start)
        last = end if stop is None else self._step(stop)
        if not begin <= first <= last <= end or (first == last and end > begin):
            raise DescriptionError(
                "no such time range",
                where=f"run {self.reader.path}",
                value=(start, stop),
                allowed=f"{self.start_ms:g} ≤ start < stop ≤ {self.time_ms:g} ms",
            )
        return selection.Selection(self.reader, neurons, first, last, self._window)

    def spikes(
        self,
        population: SelectedPopulations = None,
        start: float | None = None,
        stop: float | None = None,
    ) -> dd.DataFrame:
        """Return spikes as a Dask table in the order of (step, gid), not loaded.

        `intervals` contains the steps in which they were recorded.

        Parameters
        ----------
        population : str, Population, PopulationView or sequence of these, optional
            Names, populations or views such as ``E[:5]``; by default all.
        start, stop : float, optional
            Time range (start, stop], ms; by default everything that any rank has committed.

        Returns
        -------
        dask.dataframe.DataFrame
            Columns step (int32), time_ms (float64), gid (uint32) and population (category). Each
            partition is a window of time.
        """
        neurons = selection.recorded_neurons(self.reader, population)
        begin, last = self.reader.start_step, self.reader.last_step
        first = begin if start is None else max(begin, self._step(start))
        last = last if stop is None else min(last, self._step(stop))
        windows = self.reader.windows(first, last, target=self._window) or [(0, 0)]
        table = _SpikeTable(self.reader, neurons.start, neurons.stop, population is None)
        frame: dd.DataFrame = dd.from_map(  # type: ignore[no-untyped-call]
            table,
            windows,
            meta=table.empty(),
            label="spikes",
            enforce_metadata=False,
        )
        return frame

    def spike_arrays(
        self,
        population: SelectedPopulations = None,
        start: float | None = None,
        stop: float | None = None,
    ) -> SpikeArrays:
        """Return spikes as Dask arrays, not loaded; parameters as in `spikes`."""
        table = self.spikes(population, start, stop)
        return SpikeArrays(*(table[name].to_dask_array() for name in SpikeArrays._fields))

    @property
    def state_names(self) -> list[str]:
        """Names of the state recordings."""
        return self.reader.state_names

    def state(self, name: str) -> xr.Dataset:
        """Return a state recording, not loaded.

        Parameters
        ----------
        name : str
            The recording; see `state_names`.

        Returns
        -------
        xarray.Dataset on Dask, dims (time, neuron)
            The recorded variables in absolute units (V_m in mV, not relative to E_L), with the
            attribute units. Coordinates: time (ms), step, neuron (index within the
            population) and gid. States of a synapse model have the attribute projection; neurons
            are its sources. Recordings with ``reduce`` have only the dimension time; their
            attributes contain reduce and neurons (the number of neurons).

        Raises
        ------
        DescriptionError
            If the recording is unknown.
        """
        recording = self.reader.state(name)
        attrs: dict[str, Any] = {"population": recording.population, "recording": name}
        if recording.projection is not None:
            attrs["projection"] = recording.projection
        if isinstance(recording, SumRecording):
            attrs |= {"reduce": recording.reduce, "neurons": recording.neurons.size}
            return xr.Dataset(
                self._lazy(recording, None), coords=self._times(recording), attrs=attrs
            )
        return xr.Dataset(
            self._lazy(recording, "neuron"),
            coords={
                **self._times(recording),
                "neuron": recording.neurons,
                "gid": ("neuron", recording.gids),
            },
            attrs=attrs,
        )

    @property
    def weight_names(self) -> list[str]:
        """Names of the weight recordings."""
        return self.reader.weight_names

    def weights(self, name: str) -> xr.Dataset:
        """Return a weight recording, not loaded but for which synapses it has.

        Parameters
        ----------
        name : str
            The recording, such as ``"E->E"``; see `weight_names`.

        Returns
        -------
        xarray.Dataset on Dask, dims (time, synapse)
            The recorded variables, `weight` with its sign. Synapses are in the order of (source,
            target); several of a pair are in the order in which they were drawn or given.
            Coordinates: time (ms), step, source and target (gids) and delay (ms).

        Raises
        ------
        DescriptionError
            If the recording is unknown.
        """
        recording = self.reader.weights(name)
        return xr.Dataset(
            self._lazy(recording, "synapse"),
            coords={
                **self._times(recording),
                "source": ("synapse", recording.sources),
                "target": ("synapse", recording.targets),
                "delay": ("synapse", recording.delays * self.dt, {"units": "ms"}),
            },
            attrs={"projection": recording.projection, "recording": name},
        )

    def connections(
        self,
        projection: stored_connections.Named,
        source: stored_connections.Neurons | None = None,
        target: stored_connections.Neurons | None = None,
        at: float | None = None,
    ) -> NDArray[np.void]:
        """Return connections as the table of ``simulation[projection].connections()``, loaded.

        Static connections are drawn again, as the store has description and seed. Plastic weights
        are those of the newest checkpoint, or of the last sample of a recording with the weights
        of all these synapses, whichever is later. Static weights that a script has set, and states
        of a synapse model, are those of the newest checkpoint.

        To read a checkpoint, this process builds the network, with the plastic synapses in memory.
        Without one, the table lacks the states of a synapse model.

        Parameters
        ----------
        projection : str or Projection
            The projection, or its name, such as ``"E->I"``.
        source, target : Population, PopulationView or str, optional
            Neurons to which the connections are limited.
        at : float, optional
            Time of the values, ms: later samples and checkpoints do not count.

        Returns
        -------
        structured ndarray, shape (n_connections,)
            ``source`` and ``target`` (gids), ``weight`` in the target model's unit, ``delay`` in
            ms, and states: all of a checkpoint, or those that were recorded. In the order of
            (source, target).

        Raises
        ------
        DescriptionError
            If the projection does not exist or does not connect these neurons; or if its weights
            may have changed, and the store has neither a sample nor a checkpoint with them.
        StoreError
            If the store is corrupt.
        """
        step = None if at is None else self._step(at)
        table: NDArray[np.void] = stored_connections.stored_connections(
            self.reader, projection, source, target, step
        )
        return table

    def _lazy(
        self, recording: StateRecording | SumRecording | WeightRecording, column_name: str | None
    ) -> dict[str, Any]:
        """Return the variables of a recording as Dask arrays with their dimensions."""
        dimensions = ("time",) if column_name is None else ("time", column_name)
        variables = {}
        for variable, array in recording.variables.items():
            row_bytes = max(1, math.prod(array.shape[1:]) * array.dtype.itemsize)
            blocks = max(1, _STATE_BLOCK // (row_bytes * array.block_rows))
            token = tokens.tokenize(str(self.reader.path), column_name, recording.name, array.shape)
            data = da.from_array(  # type: ignore[no-untyped-call]
                array,
                chunks=(max(1, blocks * array.block_rows), -1)[: array.ndim],
                name=f"{variable}-{token}",
                asarray=False,
                fancy=False,
                meta=np.empty((0, 0)[: array.ndim], array.dtype),
            )
            attributes = {"units": array.units, "long_name": array.long_name}
            variables[variable] = (dimensions, data, attributes)
        return variables

    def _times(self, recording: StateRecording | SumRecording | WeightRecording) -> dict[str, Any]:
        return {
            "time": ("time", recording.steps * self.dt, {"units": "ms"}),
            "step": ("time", recording.steps),
        }

    def rates(
        self,
        population: SelectedPopulations = None,
        start: float | None = None,
        stop: float | None = None,
    ) -> xr.DataArray:
        """Return each neuron's mean rate while recorded, spikes/s; see `rates.rates`."""
        return rates.rates(self.select(population, start, stop))

    def isi(
        self,
        population: SelectedPopulations = None,
        start: float | None = None,
        stop: float | None = None,
    ) -> xr.Dataset:
        """Return statistics of each neuron's interspike intervals; see `isi.isi`."""
        return isi.isi(self.select(population, start, stop))

    def cv(
        self,
        population: SelectedPopulations = None,
        start: float | None = None,
        stop: float | None = None,
        *,
        min_isis: int = 5,
    ) -> xr.DataArray:
        """Return the CV of each neuron's interspike intervals; see `isi.cv`."""
        return isi.cv(self.select(population, start, stop), min_isis)

    def population_rate(
        self,
        population: SelectedPopulations = None,
        start: float | None = None,
        stop: float | None = None,
        *,
        bin_ms: float = 1.0,
    ) -> xr.DataArray:
        """Return the rate of each population over time; see `rates.population_rate`."""
        return rates.population_rate(self.select(population, start, stop), bin_ms)

    def synchrony(
        self,
        population: SelectedPopulations = None,
        start: float | None = None,
        stop: float | None = None,
        *,
        bin_ms: float = 3.0,
        neurons: int | None = 1000,
    ) -> xr.DataArray:
        """Return variance / mean of the binned counts of `neurons` neurons of each population."""
        selection = self.select(population, start, stop).first_neurons(neurons)
        return rates.synchrony(selection, bin_ms)

    def spike_count_histogram(
        self,
        population: SelectedPopulations = None,
        start: float | None = None,
        stop: float | None = None,
        *,
        bin_ms: float | None = None,
        max_count: int = 100,
    ) -> xr.DataArray:
        """Return how often neurons have k spikes; see `rates.spike_count_histogram`."""
        selection = self.select(population, start, stop)
        return rates.spike_count_histogram(selection, bin_ms, max_count)

    def correlations(
        self,
        population: SelectedPopulations = None,
        start: float | None = None,
        stop: float | None = None,
        *,
        bin_ms: float = 2.0,
        neurons: int | Sequence[int] = 250,
    ) -> xr.DataArray:
        """Return pairwise correlations of spike counts; see `correlation.correlations`."""
        return correlation.correlations(self.select(population, start, stop), bin_ms, neurons)

    def power_spectrum(
        self,
        population: SelectedPopulations = None,
        start: float | None = None,
        stop: float | None = None,
        *,
        bin_ms: float = 1.0,
        segment_ms: float = 500.0,
    ) -> xr.DataArray:
        """Return the spectrum of each population's rate; see `spectrum.power_spectrum`."""
        return spectrum.power_spectrum(self.select(population, start, stop), bin_ms, segment_ms)

    def _step(self, time_ms: float) -> int:
        """Return the last step that is not later than a time."""
        return int(np.floor(time_ms / self.dt + 1e-6))

    def _ranks(self) -> list[Any]:
        return [rank for attempt in self.reader.attempts for rank in attempt.ranks]


class _SpikeTable:
    """Loads windows of spikes as tables."""

    def __init__(self, reader: StoreReader, start: Any, stop: Any, everything: bool) -> None:
        self._reader, self._start, self._stop = reader, start, stop
        # All recorded populations need no filter.
        self._everything = everything
        self._names = [str(row["name"]) for row in reader.metadata["populations"]]
        self._first = np.array([row["first_gid"] for row in reader.metadata["populations"]])

    def __call__(self, window: tuple[int, int]) -> pd.DataFrame:
        step, gid = self._reader.spikes(*window)
        if not self._everything:
            which = np.searchsorted(self._start, gid, side="right") - 1
            inside = (which >= 0) & (gid < self._stop[which])
            step, gid = step[inside], gid[inside]
        return self._table(step, gid)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        reader = self._reader
        committed = (reader.n_committed, reader.last_step)
        return str(reader.path.resolve()), *committed, self._start, self._stop, self._everything

    def empty(self) -> pd.DataFrame:
        """Return the table without rows."""
        return self._table(np.empty(0, np.int32), np.empty(0, np.uint32))

    def _table(self, step: Any, gid: Any) -> pd.DataFrame:
        codes = np.searchsorted(self._first, gid, side="right") - 1
        return pd.DataFrame(
            {
                "step": step,
                "time_ms": step * self._reader.dt,
                "gid": gid,
                "population": pd.Categorical.from_codes(codes, categories=self._names),
            }
        )
