"""What a run is, in numbers: the content of ``distsnn info``, without Dask."""

import os
from typing import Any

import numpy as np

from distsnn.io.notices import gone_ranks, read_notices
from distsnn.io.reader import StoreReader


def summarise(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a run's size, speed, memory, rates and hash as a dict that JSON can hold.

    Parameters
    ----------
    path : str or PathLike
        The store.

    Returns
    -------
    dict
        neurons, synapses, ranks, dt, seed, time_ms (asked for), recorded_ms (all ranks have
        committed up to there), complete, status (of each rank of the last attempt), gone (ranks of
        it that count as running while their process is not there, on this machine), notices (what
        was noted of ranks that died or stalled in it, the earliest first), build_s, run_s,
        real_time_factor, peak_rss_bytes (list, per rank), counted (of each rank, what it was
        connected to and exchanged, as in `distsnn.io.schema`), spikes, rates (spikes/s, by
        population, of its recorded neurons over recorded_ms; None where none are recorded),
        spike_hash. What the run did not note is None.

    Raises
    ------
    StoreError
        If there is no run or it is damaged.
    """
    reader = StoreReader(path)
    metadata = reader.metadata
    wall = metadata.get("wall", {})
    ranks = reader.attempts[-1].ranks if reader.attempts else ()
    last, numbers = len(reader.attempts) - 1, range(len(ranks))
    return {
        "path": str(path),
        "neurons": reader.n_neurons,
        "synapses": metadata.get("synapses"),
        "ranks": len(ranks),
        "attempts": len(reader.attempts),
        "dt": reader.dt,
        "seed": metadata["seed"],
        "time_ms": metadata["time_ms"],
        "recorded_ms": reader.complete_step * reader.dt,
        "complete": reader.complete,
        "status": [rank.status for rank in ranks],
        "gone": gone_ranks(path, last, numbers),
        "notices": read_notices(path, last, numbers),
        "build_s": wall.get("build_s"),
        "run_s": wall.get("run_s"),
        "real_time_factor": wall.get("real_time_factor"),
        "peak_rss_bytes": [rank.memory.get("peak_rss_bytes") for rank in ranks],
        "counted": [rank.counted or None for rank in ranks],
        "spikes": reader.n_spikes,
        "rates": _rates(reader),
        "spike_hash": reader.spike_hash(),
    }


def _rates(reader: StoreReader) -> dict[str, float | None]:
    """Return the mean rate of each population's recorded neurons, spikes/s."""
    counts = np.zeros(reader.n_neurons, np.int64)
    for _, gid in reader.iterate_spikes(0, reader.complete_step):
        counts += np.bincount(gid, minlength=reader.n_neurons)
    seconds = reader.complete_step * reader.dt * 1e-3
    rates: dict[str, float | None] = {}
    for row in reader.metadata["populations"]:
        recorded = reader.recorded(row["name"])
        if seconds == 0.0 or not recorded.any():
            rates[row["name"]] = None
        else:
            own = counts[row["first_gid"] : row["first_gid"] + row["size"]]
            rates[row["name"]] = float(own[recorded].mean() / seconds)
    return rates
