"""Weight recordings in a store: all ranks' columns in one order, by chunks, and what is corrupt."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from synthetic_run import SIZES, metadata

from distsnn.errors import DescriptionError, StoreError
from distsnn.io import rank_writer
from distsnn.io.rank_writer import RankWriter
from distsnn.io.reader import StoreReader
from distsnn.io.row_specs import StateVariable, WeightRecordingSpec
from distsnn.io.run_writer import RunWriter

N = 23
DRAW = np.random.default_rng(4)
# several synapses of a pair, in the order of sources
SOURCES = np.sort(DRAW.integers(0, 9, N)).astype(np.uint32)
TARGETS = DRAW.integers(0, 6, N).astype(np.uint32)
VIEW = {
    "name": "E->E",
    "projection": "of E",
    "synapses": N,
    "variables": ["weight"],
    "interval_steps": 10,
}


def part(rank: int, ranks: int, **change: Any) -> tuple[WeightRecordingSpec, np.ndarray]:
    """Return a rank's part, and which of all synapses it has: those onto its targets."""
    mine = np.flatnonzero(TARGETS % ranks == rank)
    fields: dict[str, Any] = {
        "name": "E->E",
        "variables": {"weight": StateVariable("pA", "weight")},
        "dtype": "float32",
        "sources": SOURCES[mine],
        "targets": TARGETS[mine],
        "delays": mine.astype(np.int32),
        "interval_steps": 10,
        "first_step": 10,
    }
    return WeightRecordingSpec(**fields | change), mine


def write(path: Path, rows: int, **changes: Any) -> Path:
    """Write the rows of two ranks: weight = synapse + 100 row."""
    made = RunWriter.create(path, metadata(SIZES, 1000, recorded_weights=[VIEW]), ({}, {}), 2)
    for rank in range(2):
        spec, mine = part(rank, 2, **(changes if rank else {}))
        values = mine + 100.0 * np.arange(rows)[:, None]
        with RankWriter(made.path, 0, rank, weights=[spec]) as writer:
            writer.append_rows("weights", "E->E", 0, {"weight": values.astype(np.float32)})
            writer.mark_complete(10 * rows)
            writer.flush()
    return made.path


@pytest.mark.parametrize("most", [2**20, 4])
def test_columns_are_in_the_order_of_source_and_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(rank_writer, "MAX_CHUNK_COLUMNS", most)
    path = write(tmp_path / "r.zarr", 7)
    found = StoreReader(path).weights("E->E")
    order = np.lexsort((TARGETS, SOURCES))
    np.testing.assert_array_equal(found.sources, SOURCES[order])
    np.testing.assert_array_equal(found.targets, TARGETS[order])
    np.testing.assert_array_equal(found.delays, order)
    np.testing.assert_array_equal(found.steps, 10 * np.arange(1, 8))
    weights = found.variables["weight"]
    assert (weights.units, weights.long_name) == ("pA", "weight")
    np.testing.assert_array_equal(weights[:, :], order + 100 * np.arange(7)[:, None])
    chunks = list((path / "attempt000/rank0001/weights/E->E/weight/c/0").iterdir())
    assert len(chunks) == (1 if most > N else -(-part(1, 2)[1].size // 4))


def test_nothing_before_the_first_row(tmp_path: Path) -> None:
    found = StoreReader(write(tmp_path / "r.zarr", 0)).weights("E->E")
    assert (found.projection, found.steps.size, found.sources.size) == ("of E", 0, 0)
    assert found.variables["weight"].shape == (0, 0)
    with pytest.raises(DescriptionError, match="unknown weight recording 'E->I'"):
        StoreReader(tmp_path / "r.zarr").weights("E->I")


@pytest.mark.parametrize(
    ("changes", "view", "message"),
    [
        ({"first_step": 20}, {}, "ranks recorded 'E->E' at different steps"),
        ({}, {"synapses": N - 1}, "synapses of all ranks differ from recording 'E->E'"),
        ({}, {"synapses": "many"}, r"recorded_weights\[0\].synapses is 'many'"),
        ({}, {"name": "../E"}, r"recorded_weights\[0\].name"),
        ({}, {"variables": "weight"}, "is not a list of names"),
    ],
)
def test_damage_is_reported(
    tmp_path: Path, changes: dict[str, Any], view: dict[str, Any], message: str
) -> None:
    path = write(tmp_path / "r.zarr", 3, **changes)
    about = json.loads((path / "zarr.json").read_text())
    about["attributes"]["recorded_weights"] = [VIEW | view]
    (path / "zarr.json").write_text(json.dumps(about))
    with pytest.raises(StoreError, match=message):
        StoreReader(path).weights("E->E")


def test_columns_of_different_length_are_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "r.zarr", 3)
    zarr.open_array(path / "attempt000/rank0001/weights/E->E/delay", mode="r+").resize((3,))
    with pytest.raises(StoreError, match="columns of different length"):
        StoreReader(path).weights("E->E")


@pytest.mark.parametrize("name", ["source", "target", "delay"])
def test_variables_are_not_called_as_columns_are(name: str) -> None:
    with pytest.raises(DescriptionError, match=f"weight recording 'E->E'.*called '{name}'"):
        part(0, 1, variables={name: StateVariable("pA")})


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        (7, "quanta.errors is not a table"),
        ([{"projection": 7}], r"quanta.errors\[0\].projection is not a name"),
        (
            [{"projection": "E->E", "largest": 0.1, "share": 0.1}],
            r"errors\[0\].part is not a number",
        ),
        (
            [{"projection": "E->E", "largest": "0.1", "share": 0, "part": 0}],
            r"errors\[0\].largest is not a number",
        ),
    ],
)
def test_damaged_rounding_errors_are_reported(tmp_path: Path, errors: object, message: str) -> None:
    path = write(tmp_path / "r.zarr", 1)
    about = json.loads((path / "zarr.json").read_text())
    about["attributes"]["quanta"] = {"errors": errors}
    (path / "zarr.json").write_text(json.dumps(about))
    with pytest.raises(StoreError, match=message):
        StoreReader(path)
