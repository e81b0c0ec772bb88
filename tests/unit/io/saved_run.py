"""Writes a run of two ranks and two attempts with states, weights, arrays and checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
from synthetic_run import (
    SIZES,
    Written,
    metadata,
    owner,
    random_spikes,
    state_spec,
    state_values,
)

from distsnn.comm import Communicator
from distsnn.io.checkpoint_reader import CheckpointReader
from distsnn.io.checkpoint_writer import CheckpointWriter
from distsnn.io.rank_writer import RankWriter
from distsnn.io.row_specs import StateVariable, WeightRecordingSpec
from distsnn.io.run_writer import RunWriter
from distsnn.simulation.checkpoint import Note
from distsnn.simulation.newest_checkpoint import find_newest_checkpoint, open_shared_reader

N_STEPS = 300
N_SYNAPSES = 12
VERSIONS = {"distsnn": "1", "python": "3", "numpy": "2", "numba": "0.6", "zarr": "3"}
WEIGHTS = {
    "name": "E->E",
    "projection": "E->E",
    "synapses": N_SYNAPSES,
    "variables": ["weight"],
    "interval_steps": 10,
}
RECORDINGS = ["spikes", "state/V", "weights/E->E"]


def weight_spec(rank: int, first_step: int) -> WeightRecordingSpec:
    """Return a rank's part of the weight recording: synapses onto every second neuron."""
    targets = np.arange(rank, N_SYNAPSES, 2, dtype=np.uint32)
    return WeightRecordingSpec(
        name="E->E",
        variables={"weight": StateVariable("pA", "weight")},
        dtype="float32",
        sources=targets // 2,
        targets=targets,
        delays=np.full(targets.size, 5, np.int32),
        interval_steps=10,
        first_step=first_step // 10 * 10 + 10,
    )


def write_attempt(root: RunWriter, first: int, last: int, spikes: tuple[Any, Any]) -> None:
    """Write both ranks' recordings over (first, last]."""
    step, gid = spikes
    recorded = np.arange(40, dtype=np.uint32)
    neurons = [recorded[owner(recorded, 2) == rank] for rank in range(2)]
    writers = [
        RankWriter(
            *(root.path, root.attempt, rank),
            spike_chunk=64,
            state=[state_spec(neurons[rank], first, 0)],
            weights=[weight_spec(rank, first)],
        )
        for rank in range(2)
    ]
    root.update_attempt(recordings=RECORDINGS)
    rows = np.arange(first // 10 * 10 + 10, last + 1, 10, dtype=np.int64)
    for rank, writer in enumerate(writers):
        mine = (owner(gid, 2) == rank) & (step > first) & (step <= last)
        weights = np.ones((len(rows), weight_spec(rank, first).n_columns), np.float32)
        writer.append_spikes(step[mine], gid[mine])
        writer.append_rows("state", "V", 0, state_values(rows, neurons[rank]))
        writer.append_rows("weights", "E->E", 0, {"weight": weights})
        writer.mark_complete(last)
        writer.flush()
        writer.close()


def write_generation(root: RunWriter, number: int, step: int) -> None:
    """Write a checkpoint of two ranks, and note it in the attempt."""
    about = {
        **{"step": step, "dt": 0.1, "seed": 7, "network": "ab", "ranks": 2, "max_delay_steps": 15},
        **{
            "recorded_spike_counts": [4, 5],
            "run_s": 1.5,
            "attempt": root.attempt,
            "fields": [],
            "script_changes": [],
            "digest": "cd",
        },
        "versions": VERSIONS,
    }
    blocks: dict[str, Any] = {
        "rank": np.array([0, 1], np.int32),
        "digest": np.arange(64, dtype=np.uint8).reshape(2, 32),
        "wiring": np.arange(2, dtype=np.uint64),
    }
    writer = CheckpointWriter(root.path, number)
    writer.write_index(about, blocks)
    spikes = np.array([step], np.int32), np.array([1], np.uint32)
    state = {("E", "neurons", "V_m"): np.zeros(64, np.float32)}
    writer.finish([writer.write_rank(rank, state, spikes) for rank in range(2)])
    writer.prune(None)
    root.update_attempt(saved=number)


def write_replaced_run(path: Path) -> Written:
    """Write a run that was resumed at step 100 twice: its second attempt saved nothing."""
    spikes = random_spikes(sum(SIZES.values()), N_STEPS, 800, seed=3)
    about = metadata(SIZES, N_STEPS, recorded_weights=[WEIGHTS], versions=VERSIONS)
    root = RunWriter.create(path, about, ({"dt": 0.1}, {}), 2)
    write_attempt(root, 0, 200, spikes)
    write_generation(root, 1, 100)
    for last in (200, N_STEPS):
        root = RunWriter.resume(path, 2, start_step=100, saved_by=0, versions=VERSIONS)
        write_attempt(root, 100, last, spikes)
    write_generation(root, 2, 200)
    write_generation(root, 3, N_STEPS)
    root.update(complete=True)
    return Written(path, *spikes, N_STEPS)


def write_saved_run(path: Path) -> Written:
    """Write the run: saved at step 100, resumed there, saved at 200 and at its end."""
    spikes = random_spikes(sum(SIZES.values()), N_STEPS, 800, seed=3)
    about = metadata(SIZES, N_STEPS, recorded_weights=[WEIGHTS], versions=VERSIONS)
    arrays = {"projections/0/weight": np.arange(10.0)}
    root = RunWriter.create(path, about, ({"dt": 0.1}, arrays), 2)
    write_attempt(root, 0, 150, spikes)
    write_generation(root, 1, 100)
    root = RunWriter.resume(path, 2, start_step=100, saved_by=0, versions=VERSIONS)
    write_attempt(root, 100, N_STEPS, spikes)
    write_generation(root, 2, 200)
    write_generation(root, 3, N_STEPS)
    root.update_attempt(last_step=N_STEPS)
    root.update(complete=True)
    return Written(path, *spikes, N_STEPS)


def newest_recorded(path: Path, communicator: Communicator, note: Note) -> CheckpointReader:
    """Return the checkpoint from which the run of a store goes on. Collective."""
    reader = open_shared_reader(path, communicator)
    return find_newest_checkpoint(path, communicator, note, reader)
