"""Writes small runs through the writers of io, without a simulation; also run by subprocesses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distsnn.io.rank_writer import RankWriter
from distsnn.io.row_specs import StateRecordingSpec, StateVariable
from distsnn.io.run_writer import RunWriter

# The project, for subprocesses that import it.
ROOT = Path(__file__).parents[3]
DT = 0.1
SIZES = {"E": 80, "I": 20}
E_L = -70.0


def metadata(sizes: dict[str, int], n_steps: int, **more: Any) -> dict[str, Any]:
    """Return the root's attributes of a run of these populations."""
    populations, first_gid = [], 0
    for name, size in sizes.items():
        populations.append(
            {"name": name, "first_gid": first_gid, "size": size, "model": "iaf_psc_exp"}
        )
        first_gid += size
    first = next(iter(sizes))
    return {
        "dt": DT,
        "seed": 7,
        "target_time_ms": n_steps * DT,
        "target_steps": n_steps,
        "populations": populations,
        "recorded_spikes": [{"population": n, "start": 0, "stop": s} for n, s in sizes.items()],
        "recorded_states": [
            {
                "name": "V",
                "population": first,
                "start": 0,
                "stop": min(sizes[first], 40),
                "variables": ["V_m", "refractory"],
                "interval_steps": 10,
            }
        ],
        "quanta": {},
        "versions": {"distsnn": "test"},
        **more,
    }


def random_spikes(
    n_neurons: int, n_steps: int, n_spikes: int, seed: int, start_step: int = 0
) -> tuple[NDArray[np.int32], NDArray[np.uint32]]:
    """Return about `n_spikes` spikes in the order of (step, gid), no two equal."""
    rng = np.random.default_rng(seed)
    key = np.unique(rng.integers(0, n_neurons * n_steps, n_spikes))
    return (
        (key // n_neurons + start_step + 1).astype(np.int32),
        (key % n_neurons).astype(np.uint32),
    )


def owner(gid: NDArray[np.uint32], ranks: int) -> NDArray[np.uint32]:
    """Return the rank of each neuron: blocks of 8, dealt in turn."""
    return gid // 8 % ranks


def state_values(steps: NDArray[np.int64], gids: NDArray[np.uint32]) -> dict[str, NDArray[Any]]:
    """Return made-up V_m relative to E_L (float32) and refractory steps, shape (rows, neurons)."""
    v = (np.sin(steps[:, None] * 0.01 + gids) * 5).astype(np.float32)
    return {"V_m": v, "refractory": (steps[:, None] + gids).astype(np.int32) % 20}


def state_spec(gids: NDArray[np.uint32], first_step: int, rows: int) -> StateRecordingSpec:
    """Return the part of the recording "V" for these neurons: every 10 steps."""
    return StateRecordingSpec(
        name="V",
        variables={
            "V_m": StateVariable("mV", "membrane potential", offset=E_L),
            "refractory": StateVariable("steps", dtype="int32"),
        },
        dtype="float32",
        gids=gids,
        interval_steps=10,
        first_step=first_step // 10 * 10 + 10,
        rows=rows,
    )


@dataclass(frozen=True)
class Written:
    """What was written: all spikes merged, and how."""

    path: Path
    step: NDArray[np.int32]
    gid: NDArray[np.uint32]
    n_steps: int


def write_rank(
    path: Path,
    attempt: int,
    rank: int,
    ranks: int,
    spikes: tuple[NDArray[np.int32], NDArray[np.uint32]],
    *,
    start_step: int,
    last_step: int,
    pieces: int = 5,
    status: str = "complete",
    **options: Any,
) -> None:
    """Write one rank's share of an attempt over (start_step, last_step] in a few pieces."""
    step, gid = spikes
    mine = owner(gid, ranks) == rank
    step, gid = step[mine], gid[mine]
    recorded = np.arange(40, dtype=np.uint32)
    gids = recorded[owner(recorded, ranks) == rank]
    spec = state_spec(gids, start_step, 0)
    with RankWriter(path, attempt, rank, state=[spec], **options) as writer:
        row = 0
        for until in np.linspace(start_step, last_step, pieces + 1).astype(int)[1:]:
            part = (step > start_step) & (step <= until)
            writer.append_spikes(step[part], gid[part])
            rows = np.arange(spec.first_step + 10 * row, until + 1, 10, dtype=np.int64)
            writer.append_rows("state", "V", row, state_values(rows, gids))
            row += len(rows)
            writer.mark_complete(int(until))
            start_step = until
        writer.close(
            status,
            timing={"build": 0.5, "update": 1.0 + rank, "deliver": 2.0, "total": 4.0},
            memory={"peak_rss_bytes": 100_000_000 + rank},
        )


def write_run(
    path: Path,
    *,
    ranks: int = 2,
    sizes: dict[str, int] | None = None,
    n_steps: int = 20_000,
    n_spikes: int = 5_000,
    seed: int = 1,
    spike_chunk: int = 512,
    **more: Any,
) -> Written:
    """Write a complete run of random spikes and a state recording of 40 neurons."""
    sizes = sizes or SIZES
    n_neurons = sum(sizes.values())
    spikes = random_spikes(n_neurons, n_steps, n_spikes, seed)
    root = RunWriter.create(path, metadata(sizes, n_steps, **more), ({"dt": DT}, {}), ranks)
    for rank in range(ranks):
        write_rank(
            path, 0, rank, ranks, spikes, start_step=0, last_step=n_steps, spike_chunk=spike_chunk
        )
    root.update_attempt(recordings=["spikes", "state/V"], last_step=n_steps)
    root.update(complete=True, wall_clock={"build_s": 0.5, "run_s": 4.0, "real_time_factor": 2.0})
    return Written(path, *spikes, n_steps)
