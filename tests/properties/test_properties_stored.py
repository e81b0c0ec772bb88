"""Stored networks, runs and checkpoints with random damage: told as such, and nothing worse."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from campaigns import campaign
from damage import corrupt, cut_or_flipped
from hypothesis import given, settings
from hypothesis import strategies as st

from distsnn.cli.tables import info_lines
from distsnn.errors import DescriptionError, StoreError
from distsnn.io.checkpoint_files import (
    CHECKPOINT,
    attributes_checksum,
    generation_name,
    generations,
)
from distsnn.io.network_files import load_network
from distsnn.io.reader import StoreReader
from distsnn.io.summary import read_run_info
from distsnn.network import Network
from distsnn.simulation import Simulation


def tell(read: Callable[[], object], seen: Counter[str]) -> None:
    """Read something corrupt: it is told, or harmless; any other exception fails the test."""
    try:
        read()
        seen["read"] += 1
    except (DescriptionError, StoreError) as error:
        assert len(str(error).splitlines()) == 1
        seen["told"] += 1


def read_all(run: Path) -> None:
    """Read everything of a run that there is."""
    reader = StoreReader(run)
    info_lines(read_run_info(run))
    reader.spikes()
    for name in reader.state_names:
        for array in reader.state(name).variables.values():
            array.load(0, array.shape[0])
    for name in reader.weight_names:
        for array in reader.weights(name).variables.values():
            array.load(0, array.shape[0])
    Network.from_dict(*reader.network())


@pytest.fixture
def copies(originals: Path, tmp_path: Path) -> Path:
    shutil.copytree(originals, tmp_path / "copies")
    return tmp_path / "copies"


@campaign(24, 400)
def test_damaged_description(examples: int, copies: Path) -> None:
    path, seen = copies / "net" / "network.json", Counter[str]()
    original = json.loads(path.read_text())

    @settings(max_examples=examples)
    @given(st.data())
    def throw(data: st.DataObject) -> None:
        path.write_text(json.dumps(corrupt(data.draw, original)))
        tell(lambda: load_network(path.parent), seen)

    throw()
    assert seen["told"] > examples // 4, seen


@campaign(12, 150)
@pytest.mark.parametrize("name", ["network.json", "arrays.npz"])
def test_description_with_other_bytes(examples: int, copies: Path, name: str) -> None:
    path, seen = copies / "net" / name, Counter[str]()
    original = path.read_bytes()

    @settings(max_examples=examples)
    @given(st.data())
    def throw(data: st.DataObject) -> None:
        path.write_bytes(cut_or_flipped(data.draw, original))
        tell(lambda: load_network(path.parent), seen)

    throw()
    assert seen["told"] > examples // 2, seen


@campaign(12, 150)
@pytest.mark.parametrize("how", ["values", "bytes"])
def test_damaged_metadata_of_a_run(examples: int, copies: Path, how: str) -> None:
    run, seen = copies / "run.zarr", Counter[str]()
    # the root as often as all others together
    paths = [one for one in sorted(run.rglob("zarr.json")) if CHECKPOINT not in one.parts]
    paths += [run / "zarr.json"] * len(paths)

    @settings(max_examples=examples)
    @given(st.data(), st.sampled_from(paths))
    def throw(data: st.DataObject, path: Path) -> None:
        original = path.read_bytes()
        if how == "bytes":
            path.write_bytes(cut_or_flipped(data.draw, original))
        else:
            path.write_text(json.dumps(corrupt(data.draw, json.loads(original))))
        try:
            tell(lambda: read_all(run), seen)
        finally:
            path.write_bytes(original)

    throw()
    read_all(run)
    assert seen["told"] > examples // 8, seen


def chunks_of(run: Path) -> list[Path]:
    # an array, such as a recorded variable, may be called c as well
    files = [one for one in sorted((run / "attempt000").rglob("c/**/*")) if one.is_file()]
    return [one for one in files if one.name != "zarr.json"]


@campaign(8, 60)
def test_damaged_chunk_of_a_run_is_named(examples: int, copies: Path) -> None:
    run = copies / "run.zarr"
    chunks = chunks_of(run)
    assert len(chunks) > 5

    @settings(max_examples=examples)
    @given(st.data(), st.sampled_from(chunks))
    def throw(data: st.DataObject, path: Path) -> None:
        original = path.read_bytes()
        path.write_bytes(cut_or_flipped(data.draw, original))
        try:
            with pytest.raises(StoreError) as caught:
                read_all(run)
            # the array, or the chunk itself
            array = path.as_posix().partition("/c/")[0]
            assert str(caught.value).startswith(array)
        finally:
            path.write_bytes(original)

    throw()
    read_all(run)


def test_chunk_that_is_missing_is_named(copies: Path) -> None:
    run = copies / "run.zarr"
    for path in chunks_of(run):
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(StoreError, match="chunk is missing") as caught:
            read_all(run)
        assert str(caught.value).startswith(str(path))
        path.write_bytes(content)


@campaign(12, 40)
def test_sealed_checkpoint_with_other_values(examples: int, copies: Path) -> None:
    """Whoever can write the file can seal it again: the seal is against accidents."""
    run, seen = copies / "run.zarr", Counter[str]()
    newest, older = generations(run)
    shutil.rmtree(run / CHECKPOINT / generation_name(older))
    path = run / CHECKPOINT / generation_name(newest) / "zarr.json"
    original = json.loads(path.read_text())

    def restore() -> None:
        with Simulation.restore(run) as simulation:
            simulation.run(1.0)

    @settings(max_examples=examples)
    @given(st.data())
    def throw(data: st.DataObject) -> None:
        attributes = corrupt(data.draw, original["attributes"])
        attributes["attributes_sha256"] = attributes_checksum(attributes)
        path.write_text(json.dumps(original | {"attributes": attributes}))
        tell(restore, seen)

    throw()
    assert seen["told"] > examples // 8, seen
