"""Generations of a checkpoint: there whole or not at all, and every damage is noticed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from distsnn.errors import DescriptionError, StoreError
from distsnn.io import checkpoint_files
from distsnn.io.checkpoint_files import (
    CHECKPOINT,
    attributes_checksum,
    generation_name,
    generations,
)
from distsnn.io.checkpoint_reader import CheckpointReader
from distsnn.io.checkpoint_writer import CheckpointWriter
from distsnn.io.run_writer import RunWriter
from distsnn.io.zarr_nodes import open_group, open_root, write_attributes

ABOUT = {
    "step": 70,
    "dt": 0.1,
    "seed": 3,
    "network": "ab",
    "ranks": 2,
    "max_delay_steps": 15,
    "recorded_spike_counts": [4, 5],
    "run_s": 1.5,
    "attempt": 0,
    "fields": [],
    "script_changes": [],
    "digest": "cd",
    "versions": {"distsnn": "1"},
}
# Four blocks of 64, two populations; rank 0 has blocks 0 and 2, rank 1 blocks 1 and 3.
BLOCKS: dict[str, NDArray[np.generic]] = {
    "rank": np.array([0, 1, 0, 1], np.int32),
    "digest": np.arange(128, dtype=np.uint8).reshape(4, 32),
    "wiring": np.arange(4, dtype=np.uint64),
}
OFFSETS = np.array([0, 0, 64, 0])  # within the rank
V = np.arange(192, dtype=np.float32)
W = np.arange(64, dtype=np.float64)


def write(store: Path, number: int) -> CheckpointWriter:
    writer = CheckpointWriter(store, number)
    writer.write_index(ABOUT, BLOCKS)
    spikes = (np.array([69, 70], np.int32), np.array([1, 2], np.uint32))
    none = (np.empty(0, np.int32), np.empty(0, np.uint32))
    seals = [
        writer.write_rank(0, {("E", "neurons", "V_m"): np.r_[V[:64], V[128:]]}, spikes),
        writer.write_rank(1, {("E", "neurons", "V_m"): V[64:128], ("I", "neurons", "w"): W}, none),
    ]
    assert number not in generations(store)
    writer.finish(seals)
    return writer


@pytest.fixture
def store(tmp_path: Path) -> Path:
    metadata = {
        "dt": 0.1,
        "seed": 3,
        "target_time_ms": 0.0,
        "target_steps": 0,
        "populations": [
            {"name": "E", "first_gid": 0, "size": 192, "model": "m"},
            {"name": "I", "first_gid": 192, "size": 64, "model": "m"},
        ],
        "recorded_spikes": [],
        "recorded_states": [],
        "quanta": {},
        "versions": {},
    }
    return RunWriter.create(tmp_path / "run.zarr", metadata, ({}, {}), 1).path


def verify(store: Path, number: int) -> CheckpointReader:
    found = CheckpointReader.open(store, number)
    found.verify_index()
    for rank in range(found.ranks):
        found.verify_rank(rank)
    return found


def test_what_is_written_is_read_block_by_block(store: Path) -> None:
    write(store, 1)
    found = verify(store, 1)
    assert {name: found.attributes[name] for name in ABOUT} == ABOUT
    index = found.blocks(4)
    for name, values in BLOCKS.items():
        np.testing.assert_array_equal(index[name], values)
    for blocks in ([0, 1, 2], [1], [0, 2], [2, 1]):
        at = np.array(blocks)
        read = found.states("E", "neurons", "V_m", index["rank"][at], OFFSETS[at], [64] * at.size)
        np.testing.assert_array_equal(read, np.concatenate([V[64 * b : 64 * b + 64] for b in at]))
    np.testing.assert_array_equal(
        found.states("I", "neurons", "w", index["rank"][3:], OFFSETS[3:], [64]), W
    )
    step, gid = found.spikes(0, 2)
    assert (step.tolist(), gid.tolist()) == ([69, 70], [1, 2])
    assert found.spikes(1, 2)[0].size == 0


def test_two_generations_stay(store: Path) -> None:
    for number in (1, 2, 3, 4):
        write(store, number).prune(None if number == 1 else number - 1)
    assert generations(store) == [4, 3]


def test_generation_known_to_be_whole_is_kept_rather_than_a_later_one(store: Path) -> None:
    for number in (1, 2):
        write(store, number)
    write(store, 3).prune(1)
    assert generations(store) == [3, 1]


def test_incomplete_generation_is_ignored_and_removed(store: Path) -> None:
    write(store, 1)
    CheckpointWriter(store, 2).write_index(ABOUT, BLOCKS)
    assert generations(store) == [1]
    write(store, 2)
    assert generations(store) == [2, 1]
    assert not list((store / CHECKPOINT).glob("*.partial"))


def test_checkpoint_that_could_not_be_read_gets_no_name(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distsnn.io.node_files.MAX_METADATA_BYTES", 20_000)
    write(store, 1)
    writer = CheckpointWriter(store, 2)
    writer.write_index(ABOUT | {"script_changes": ["x" * 20_000]}, BLOCKS)
    message = r"generation000002/zarr\.json: metadata of [\d,]+ bytes cannot be written; allowed: "
    with pytest.raises(StoreError, match=message + "at most 20,000 bytes"):
        writer.finish(["", ""])
    assert generations(store) == [1]


def test_link_in_place_of_a_leftover_is_removed_and_not_followed(
    store: Path, tmp_path: Path
) -> None:
    write(store, 1)
    (tmp_path / "mine").mkdir()
    (store / CHECKPOINT / "generation000002.partial").symlink_to(tmp_path / "mine")
    write(store, 2)
    assert generations(store) == [2, 1]
    assert (tmp_path / "mine").is_dir()
    assert not list((store / CHECKPOINT).glob("*.partial"))


def files(store: Path) -> list[Path]:
    folder = store / CHECKPOINT / generation_name(1)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_every_flipped_byte_is_noticed(store: Path) -> None:
    write(store, 1)
    everything = files(store)
    assert len(everything) > 20
    for path in everything:
        content = path.read_bytes()
        for at in {0, len(content) // 3, len(content) // 2, len(content) - 1}:
            # a flipped bit that makes another letter of a text, or another byte of a chunk
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
            with pytest.raises(StoreError):
                verify(store, 1)
        path.write_bytes(content)
    verify(store, 1)


def test_every_missing_and_every_cut_file_is_noticed(store: Path) -> None:
    write(store, 1)
    for path in files(store):
        content = path.read_bytes()
        path.write_bytes(content[:-1])
        with pytest.raises(StoreError):
            verify(store, 1)
        path.unlink()
        with pytest.raises(StoreError):
            verify(store, 1)
        path.write_bytes(content)
    verify(store, 1)


def test_unexpected_file_is_reported(store: Path) -> None:
    write(store, 1)
    (store / CHECKPOINT / generation_name(1) / "rank0001" / "more").write_text("")
    with pytest.raises(StoreError, match="is not part of the checkpoint"):
        verify(store, 1)


def test_checksums_cannot_name_files_elsewhere(store: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    with pytest.raises(StoreError, match="leaves the checkpoint"):
        checkpoint_files.verify(store, {"../secret": "0"})


def reseal(store: Path, path: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change a rank's metadata, or below it, as one does who knows how checksums are made."""
    folder = store / CHECKPOINT / generation_name(1)
    content = json.loads((folder / path).read_text())
    edit(content)
    (folder / path).write_text(json.dumps(content))
    rank = folder / "rank0000" / "zarr.json"
    below = path.removeprefix("rank0000/")
    about = json.loads(rank.read_text())
    if below in about["attributes"]["files"] and below != "zarr.json":
        about["attributes"]["files"][below] = checkpoint_files.checksum(folder / path)
        rank.write_text(json.dumps(about))
    about = json.loads((folder / "zarr.json").read_text())
    attributes = about["attributes"]
    for name in attributes["files"]:
        attributes["files"][name] = checkpoint_files.checksum(folder / name)
    attributes["attributes_sha256"] = attributes_checksum(attributes)
    (folder / "zarr.json").write_text(json.dumps(about))


SEGMENT = {
    "population": "E",
    "group": "neurons",
    "variable": "V_m",
    "dtype": "float32",
    "first": 0,
    "size": 128,
}


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ([5], "segments is not a table"),
        ([{}], r"segments\[0\].population is not a name"),
        ([SEGMENT | {"variable": None}], r"segments\[0\].variable is not a name"),
        ([SEGMENT | {"dtype": []}], r"segments\[0\].dtype is not a name"),
        ([SEGMENT | {"first": -1}], r"segments\[0\].first is -1, must be an integer"),
        ([SEGMENT | {"size": "128"}], r"segments\[0\].size is '128', must be an integer"),
    ],
)
def test_malformed_segments_are_damage(store: Path, segments: list[Any], message: str) -> None:
    write(store, 1)
    reseal(store, "rank0000/zarr.json", lambda one: one["attributes"].update(segments=segments))
    with pytest.raises(StoreError, match=message):
        verify(store, 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [([5], "fields is not a table"), ([{"population": "E"}], r"fields\[0\].group is not a name")],
)
def test_malformed_fields_are_damage(store: Path, fields: list[Any], message: str) -> None:
    write(store, 1)
    reseal(store, "zarr.json", lambda one: one["attributes"].update(fields=fields))
    with pytest.raises(StoreError, match=message):
        verify(store, 1)


def test_table_that_is_a_tagged_number_is_damage(store: Path) -> None:
    write(store, 1)
    reseal(
        store, "rank0000/zarr.json", lambda one: one["attributes"].update(files={"$float": "nan"})
    )
    with pytest.raises(StoreError, match="attribute 'files' is float, must be dict"):
        verify(store, 1)


def test_spikes_without_neuron_are_reported_as_damage(store: Path) -> None:
    write(store, 1)
    reseal(store, "rank0000/spikes/gid/zarr.json", lambda one: one.update(shape=[1]))
    with pytest.raises(StoreError, match="spikes: corrupt: steps and neurons differ"):
        verify(store, 1).spikes(0, 2)


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000, "a/" * 3000 + "b", "\ud800"])
def test_names_that_no_file_can_have_are_damage(store: Path, name: str) -> None:
    with pytest.raises(StoreError, match="corrupt"):
        checkpoint_files.verify(store, {name: "0"})


def test_links_that_go_in_circles_are_damage(store: Path) -> None:
    write(store, 1)
    chunks = store / CHECKPOINT / generation_name(1) / "rank0000" / "state" / "float32" / "c"
    (chunks / "0").unlink()
    (chunks / "0").symlink_to(chunks / "0")
    with pytest.raises(StoreError, match="corrupt"):
        verify(store, 1)


def test_no_more_is_read_than_there_can_be(store: Path) -> None:
    write(store, 1)
    found = verify(store, 1)
    with pytest.raises(StoreError, match="blocks/rank: corrupt: 4 values, at most 3 expected"):
        found.blocks(3)
    with pytest.raises(StoreError, match="spikes/step: corrupt: 2 values, at most 1 expected"):
        found.spikes(0, 1)

    def enlarge(content: dict[str, Any]) -> None:
        content["chunk_grid"]["configuration"]["chunk_shape"] = [2**27]

    reseal(store, "rank0000/spikes/step/zarr.json", enlarge)
    with pytest.raises(StoreError, match="spikes/step: corrupt: chunks of"):
        verify(store, 1).spikes(0, 2)


def test_another_format_version_is_refused_not_passed_over(store: Path) -> None:
    write(store, 1)
    group = open_group(open_root(store, writable=True), f"{CHECKPOINT}/{generation_name(1)}")
    assert group is not None
    changed = group.attrs.asdict() | {"format_version": 99}
    write_attributes(
        group, {"format_version": 99, "attributes_sha256": attributes_checksum(changed)}
    )
    with pytest.raises(DescriptionError, match="format version 99"):
        CheckpointReader.open(store, 1)


def test_store_without_a_checkpoint_has_no_generation(store: Path) -> None:
    assert generations(store) == []
    with pytest.raises(StoreError, match="the generation does not exist"):
        CheckpointReader.open(store, 1)
