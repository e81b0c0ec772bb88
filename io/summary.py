"""A run in numbers, as ``distsnn info`` prints it, without Dask."""

import os
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from distsnn.io.checkpoint_reader import missing_checkpoints
from distsnn.io.exit_reports import read_exit_reports, vanished_ranks
from distsnn.io.reader import StoreReader
from distsnn.public_api import public_function


@dataclass(frozen=True)
class RunInfo:
    """A run in numbers. Values that the store does not contain are None.

    Attributes
    ----------
    path : str
        The store.
    neurons, synapses, ranks, attempts : int
        Numbers of neurons, synapses, ranks of the last attempt, and attempts.
    dt : float
        Time step, ms.
    seed : int
        Seed of all random numbers.
    time_ms : float
        Requested biological time, ms.
    recorded_from_ms, recorded_ms : float
        Start of the recordings (0, unless the run started from a checkpoint), and the time up to
        which all ranks have committed, ms.
    complete : bool
        Whether the run has reached its end and no recording is missing.
    missing, missing_checkpoints, superseded_damage : list of str
        Errors with paths: of the description and recordings, of checkpoints, and of steps that a
        later attempt simulated again.
    status : list of str
        Status of each rank of the last attempt.
    vanished_ranks : list of int
        Ranks of this machine that have the status running, but no process.
    exit_reports : list of dict
        Exit reports of the last attempt, as from `read_exit_reports`.
    build_s, run_s, real_time_factor : float or None
        Wall-clock time of building and of running, s, and of running per biological time.
    peak_rss_bytes : list of (int or None)
        Peak resident memory of each rank, bytes.
    counters : list of (dict or None)
        Counters of each rank, as in `distsnn.io.schema`.
    weight_errors : list of dict
        For each projection: ``projection``, ``largest`` relative rounding error, ``share`` of
        weights with an error above 2^-10, and their ``part`` of the total of absolute weights.
    spikes : int or None
        Number of recorded spikes; None if recordings are missing.
    rates : dict of str to (float or None)
        Rate of the recorded neurons of each population in the recorded time, spikes/s; None
        without recorded neurons. Empty if recordings are missing.
    recorded_intervals_ms : dict of str to list
        For each switched recording, as named by `reader.StoreReader.intervals`: [after, until] of
        its intervals, ms.
    recorded_states : dict of str to dict
        For each recording of states: ``population``, ``projection`` (whose synapse model has the
        states, or None), ``variables``, ``interval_ms`` and ``reduce`` ("sum", "mean" or None).
    substeps : dict of str to (int or None)
        Parts of a time step in which each population is integrated.
    precision : dict of str to dict
        ``states`` by population, and ``plastic_weights`` by projection.
    spike_hash : str or None
        Hash of all recorded spikes, equal for equal spikes on any number of ranks.
    """

    path: str
    neurons: int
    synapses: int | None
    ranks: int
    attempts: int
    dt: float
    seed: int
    time_ms: float
    recorded_from_ms: float
    recorded_ms: float
    complete: bool
    missing: list[str]
    missing_checkpoints: list[str]
    superseded_damage: list[str]
    status: list[str]
    vanished_ranks: list[int]
    exit_reports: list[dict[str, Any]]
    build_s: float | None
    run_s: float | None
    real_time_factor: float | None
    peak_rss_bytes: list[int | None]
    counters: list[dict[str, Any] | None]
    weight_errors: list[dict[str, Any]]
    spikes: int | None
    rates: dict[str, float | None]
    recorded_intervals_ms: dict[str, list[list[float]]]
    recorded_states: dict[str, Any]
    substeps: dict[str, int | None]
    precision: dict[str, dict[str, str | None]]
    spike_hash: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON-able data, which ``distsnn info --json`` prints."""
        return asdict(self)


@public_function
def read_run_info(path: str | os.PathLike[str]) -> RunInfo:
    """Return a run's size, state, speed, memory, rates and hash, without Dask.

    The run may be complete, interrupted, still running, or have missing parts.

    Parameters
    ----------
    path : str or PathLike
        The run's store.

    Returns
    -------
    RunInfo
        What ``distsnn info`` prints.

    Raises
    ------
    StoreError
        If the run does not exist or is corrupt.

    Examples
    --------
    >>> info = read_run_info("run.zarr")  # doctest: +SKIP
    >>> info.complete, info.rates["E"], info.real_time_factor  # doctest: +SKIP
    (True, 4.2, 1.18)
    """
    reader = StoreReader(path, partial=True)
    is_whole = not reader.missing
    metadata = reader.metadata
    wall = metadata.get("wall_clock", {})
    ranks = reader.attempts[-1].ranks if reader.attempts else ()
    last = reader.attempts[-1].index if reader.attempts else -1
    running = [rank.rank for rank in ranks if rank.status == "running"]
    return RunInfo(
        path=str(path),
        neurons=reader.n_neurons,
        synapses=metadata.get("synapses"),
        ranks=len(ranks),
        attempts=len(reader.attempts),
        dt=reader.dt,
        seed=metadata["seed"],
        time_ms=metadata["target_time_ms"],
        recorded_from_ms=reader.start_step * reader.dt,
        recorded_ms=reader.complete_step * reader.dt,
        complete=reader.complete and is_whole,
        missing=[str(error) for error in reader.missing],
        missing_checkpoints=missing_checkpoints(reader),
        superseded_damage=[str(error) for error in reader.superseded_damage],
        status=[rank.status for rank in ranks],
        vanished_ranks=vanished_ranks(path, last, running),
        exit_reports=read_exit_reports(path, last, range(len(ranks))),
        build_s=wall.get("build_s"),
        run_s=wall.get("run_s"),
        real_time_factor=wall.get("real_time_factor"),
        peak_rss_bytes=[rank.memory.get("peak_rss_bytes") for rank in ranks],
        counters=[rank.counters or None for rank in ranks],
        weight_errors=metadata["quanta"].get("errors", []),
        spikes=reader.n_spikes if is_whole else None,
        rates=population_rates(reader) if is_whole else {},
        recorded_intervals_ms=_switched(reader),
        recorded_states={
            row["name"]: {
                "population": row["population"],
                "projection": row.get("projection"),
                "variables": row["variables"],
                "interval_ms": row["interval_steps"] * reader.dt,
                "reduce": row.get("reduce"),
            }
            for row in metadata["recorded_states"]
        },
        substeps={row["name"]: row.get("substeps") for row in metadata["populations"]},
        precision={
            "states": {row["name"]: row.get("precision") for row in metadata["populations"]},
            "plastic_weights": metadata.get("settings", {}).get("plastic_weights", {}),
        },
        spike_hash=reader.spike_hash() if is_whole else None,
    )


def population_rates(reader: StoreReader) -> dict[str, float | None]:
    """Return the mean rate of each population's recorded neurons, spikes/s.

    Neurons are processed by ranges, so the memory does not depend on numbers in the file.
    """
    rows = reader.metadata["populations"]
    ranges = [_recorded_ranges(reader, row) for row in rows]
    edges = np.array([edge for its in ranges for bounds in its for edge in bounds], np.int64)
    counts = np.zeros(edges.size + 1, np.int64)
    for _, gid in reader.iterate_spikes(reader.start_step, reader.complete_step):
        # a gid in a range has an odd number of edges at or below it
        counts += np.bincount(np.searchsorted(edges, gid, side="right"), minlength=counts.size)
    spikes = iter(counts[1::2].tolist())
    rates: dict[str, float | None] = {}
    for row, its in zip(rows, ranges, strict=True):
        total = sum(next(spikes) for _ in its)
        neurons = sum(stop - start for start, stop in its)
        steps = np.diff(reader.intervals(f"spikes/{row['name']}")).sum() if its else 0
        seconds = float(steps) * reader.dt * 1e-3
        rates[row["name"]] = total / neurons / seconds if neurons and seconds else None
    return rates


def _runs(view: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the ranges of consecutive neurons of a recorded view."""
    if "neurons" not in view:
        return [(view["start"], view["stop"])]
    listed = np.array(view["neurons"], np.int64)
    ends = np.flatnonzero(np.diff(listed) > 1)
    starts, stops = listed[np.r_[0, ends + 1]], listed[np.r_[ends, listed.size - 1]] + 1
    return [*zip(starts.tolist(), stops.tolist(), strict=True)]


def _switched(reader: StoreReader) -> dict[str, list[list[float]]]:
    """Return the intervals of switched recordings, ms."""
    intervals, always = {}, [[reader.start_step, reader.complete_step]]
    for name in dict.fromkeys(name for attempt in reader.attempts for name in attempt.intervals):
        if name in reader.recordings and reader.intervals(name).tolist() != always:
            intervals[name] = (reader.intervals(name) * reader.dt).tolist()
    return intervals


def _recorded_ranges(reader: StoreReader, row: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the ranges of gids of a population with recorded spikes, disjoint and in order."""
    first, ranges = row["first_gid"], list[tuple[int, int]]()
    views = [
        view for view in reader.metadata["recorded_spikes"] if view["population"] == row["name"]
    ]
    for start, stop in sorted(pair for view in views for pair in _runs(view)):
        start, stop = first + start, first + stop
        if ranges and start <= ranges[-1][1]:
            start, last = ranges.pop()
            stop = max(stop, last)
        ranges.append((start, stop))
    return ranges
