"""All that a run recorded, whatever the number of ranks that recorded it, to be compared."""

from pathlib import Path

import numpy as np

from distsnn.io.checkpoint_files import generations
from distsnn.io.checkpoint_reader import CheckpointReader
from distsnn.io.reader import StoreReader


def recorded(path: Path) -> dict[str, np.ndarray]:
    """Return a run's spikes, states and weights, with their steps and gids, as arrays by name."""
    reader = StoreReader(path)
    step, gid = reader.spikes()
    found = {"spikes step": step, "spikes gid": gid}
    for name in reader.state_names:
        recording = reader.state(name)
        found[f"{name} steps"], found[f"{name} gids"] = recording.steps, recording.gids
        for variable, array in recording.variables.items():
            found[f"{name} {variable}"] = array.load(0, array.shape[0])
    for name in reader.weight_names:
        weights = reader.weights(name)
        found |= {
            f"weights of {name} steps": weights.steps,
            f"weights of {name} sources": weights.sources,
            f"weights of {name} targets": weights.targets,
            f"weights of {name} delays": weights.delays,
        }
        for variable, array in weights.variables.items():
            found[f"weights of {name} {variable}"] = array.load(0, array.shape[0])
    return found


def assert_same(first: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Assert that two runs recorded the same, byte for byte."""
    assert first.keys() == other.keys()
    for name, array in first.items():
        assert array.dtype == other[name].dtype, name
        assert array.shape == other[name].shape, name
        assert array.tobytes() == other[name].tobytes(), name


def newest_checkpoint(path: Path) -> CheckpointReader:
    """Return the newest checkpoint of a run."""
    return CheckpointReader.open(path, generations(path)[0])


def state_digest(path: Path) -> str:
    """Return the digest of the newest checkpoint's state."""
    return str(newest_checkpoint(path).attributes["digest"])
