import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from documents import marked

from distsnn.errors import DescriptionError, StoreError
from distsnn.io import schema
from distsnn.io.attributes import decode, encode
from distsnn.io.reader import StoreReader
from distsnn.io.zarr_nodes import (
    create_array,
    create_group,
    new_root,
    open_array,
    open_group,
    read_attributes,
    write_attributes,
)

DOCS = Path(__file__).parents[3] / "docs" / "store-format.md"
ATTEMPT = {"ranks": 1, "start_step": 0, "assignment": {}, "versions": {}}
RANK = {"status": "running"}


def test_every_schema_entry_is_documented():
    for group in schema.GROUPS:
        assert group.doc.endswith(".")
        assert all(a.doc for a in group.attributes)
    for array in schema.ARRAYS:
        assert array.doc
        assert all(np.dtype(name).name == name for name in array.dtypes)


def test_the_documentation_shows_the_registry():
    text = DOCS.read_text(encoding="utf-8")
    _, _, rest = text.partition("<!-- registry -->\n")
    shown, end, _ = rest.partition("<!-- end of registry -->")
    assert end, "docs/store-format.md has lost its markers"
    assert shown.strip() == schema.markdown().strip()


def outline(value):
    """Return a JSON value with the kind of each number and text in its place."""
    if isinstance(value, dict):
        return {key: outline(item) for key, item in value.items()}
    return [outline(item) for item in value] if isinstance(value, list) else type(value).__name__


def rounded(value):
    """Return a JSON value with floats that no mathematical library makes different."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.9g}") if isinstance(value, float) else value


@pytest.fixture(scope="module")
def example_store(tmp_path_factory):
    """Return the store that the script in the documentation writes."""
    folder = tmp_path_factory.mktemp("example")
    script = marked("store-format.md", "script of the example")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["example.py"])
        exec(script, {})
    return folder / "run.zarr"


def test_the_example_in_the_documentation_is_what_a_run_stores(example_store):
    shown = json.loads(marked("store-format.md", "example", "json"))
    stored = zarr.open_group(example_store, mode="r").attrs.asdict()
    schema.group_spec("").check(shown, path="example", writing=True)
    # where the network came from is what the command line alone notes
    assert shown.keys() == {a.name for a in schema.group_spec("").attributes} - {"network_source"}
    assert shown.keys() == stored.keys()
    # the machine's, the day's and the clock's
    for name in ("versions", "wall_clock", "created", "command"):
        shown[name], stored[name] = outline(shown[name]), outline(stored[name])
    assert rounded(shown) == rounded(stored)


def test_arrays_of_the_example_are_where_its_network_says(example_store):
    shown = json.loads(marked("store-format.md", "example", "json"))
    (path,) = re.findall(r"{'array': '(.*?)'}", str(shown["network"]))
    stored = zarr.open_group(example_store, mode="r")[f"network/arrays/{path}"][:]
    np.testing.assert_array_equal(stored, [9.0, 11.0] * 10)
    assert StoreReader(example_store).n_neurons == 100


def test_what_the_documentation_reads_by_itself_is_what_the_reader_reads(example_store):
    script = DOCS.read_text(encoding="utf-8").partition("with a Zarr library\n\n```python\n")[2]
    made: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(example_store.parent)
        exec(script.partition("```")[0], made)
    step, gid = StoreReader(example_store).spikes()
    order = made["order"]
    assert step.size > 100
    np.testing.assert_array_equal(made["step"][order], step)
    np.testing.assert_array_equal(made["gid"][order], gid)
    np.testing.assert_allclose(made["times"], step * 0.1)


@pytest.mark.parametrize(
    ("path", "dims"),
    [
        ("attempt000/rank0000/spikes/step", ("spike",)),
        ("attempt012/rank12345/spikes/gid", ("spike",)),
        ("attempt000/rank0003/state/V of L4E/V_m", ("time", "neuron")),
        ("attempt000/rank0003/state/V/gid", ("neuron",)),
        ("network/arrays/projections/3/weight", ()),
    ],
)
def test_paths_find_their_entry(path, dims):
    assert schema.array_spec(path).dims == dims


@pytest.mark.parametrize(
    "path", ["spikes/step", "attempt00/rank0000/spikes/step", "attempt000/rank0000/spikes/time"]
)
def test_unknown_arrays_are_refused(path):
    with pytest.raises(StoreError, match="no such array"):
        schema.array_spec(path)


def test_unknown_groups_are_refused():
    with pytest.raises(StoreError, match="no such group"):
        schema.group_spec("attempt000/rank0000/wights")


def test_array_of_another_dtype_cannot_be_written_or_read(tmp_path):
    root = new_root(tmp_path / "s.zarr")
    create_group(root, "attempt000", ATTEMPT)
    path = "attempt000/rank0000/spikes/step"
    with pytest.raises(StoreError, match=r"dtype int64, must be int32"):
        create_array(root, path, shape=(3,), chunks=(3,), dtype="int64")
    with pytest.raises(StoreError, match=r"2 dimensions"):
        create_array(root, path, shape=(3, 3), chunks=(3, 3), dtype="int32")
    root.create_array(path, shape=(3,), chunks=(3,), dtype="int64")
    with pytest.raises(StoreError, match=r"spikes/step: dtype int64"):
        open_array(root, path)


def test_array_with_other_dimensions_is_reported(tmp_path):
    root = new_root(tmp_path / "s.zarr")
    path = "attempt000/rank0000/spikes/step"
    root.create_array(path, shape=(3,), chunks=(3,), dtype="int32", dimension_names=["time"])
    with pytest.raises(StoreError, match="dimensions"):
        open_array(root, path)


def test_group_in_place_of_an_array_and_the_reverse(tmp_path):
    root = new_root(tmp_path / "s.zarr")
    root.create_group("attempt000/rank0000/spikes/step")
    root.create_array("attempt001", shape=(1,), chunks=(1,), dtype="int8")
    with pytest.raises(StoreError, match="is a group"):
        open_array(root, "attempt000/rank0000/spikes/step")
    with pytest.raises(StoreError, match="is an array"):
        open_group(root, "attempt001")
    with pytest.raises(StoreError, match="the array is missing"):
        open_array(root, "attempt000/rank0000/spikes/gid")


def test_attributes_are_checked_when_written(tmp_path):
    root = new_root(tmp_path / "s.zarr")
    with pytest.raises(StoreError, match="'ranks' is missing"):
        create_group(root, "attempt000", {"start_step": 0, "assignment": {}, "versions": {}})
    group = create_group(root, "attempt000", ATTEMPT)
    with pytest.raises(StoreError, match=r"no attribute 'last_stp'.*did you mean 'last_step'"):
        write_attributes(group, {"last_stp": 3})
    with pytest.raises(StoreError, match="'last_step' is float, must be int"):
        write_attributes(group, {"last_step": 3.0})
    with pytest.raises(StoreError, match="'last_step' is bool, must be int"):
        write_attributes(group, {"last_step": True})
    write_attributes(group, {"last_step": np.int64(3)})
    assert read_attributes(group) == {**ATTEMPT, "last_step": 3}


def test_attributes_are_checked_when_read_and_later_additions_ignored(tmp_path):
    root = new_root(tmp_path / "s.zarr")
    group = root.create_group("attempt000", attributes={**ATTEMPT, "of_a_later_version": 1})
    assert read_attributes(group)["of_a_later_version"] == 1
    bad = root.create_group("attempt001", attributes={**ATTEMPT, "ranks": "two"})
    with pytest.raises(StoreError, match="'ranks' is str"):
        read_attributes(bad)


@pytest.mark.parametrize(
    "name", ["", "..", ".hidden", "a/b", "a\\b", "zarr.json", "a\nb", "x" * 201]
)
def test_names_that_cannot_be_a_path_component(name):
    with pytest.raises(DescriptionError, match="cannot be stored"):
        schema.check_component(name, where="here")


@pytest.mark.parametrize("name", ["V_m", "L2/3".replace("/", "_"), "αβ", "with space", "23E"])
def test_names_that_can(name):
    assert schema.check_component(name, where="here") == name


def test_attributes_survive_json():
    value = {
        "stop": float("inf"),
        "list": (1, 2.5, -np.inf, None, True),
        "np": np.float32(0.5),
        "nan": float("nan"),
        "text": "inf",
    }
    coded = encode(value, where="x")
    assert coded["stop"] == {"$float": "inf"}
    back = decode(coded)
    assert np.isnan(back.pop("nan"))
    assert back == {
        "stop": np.inf,
        "list": [1, 2.5, -np.inf, None, True],
        "np": 0.5,
        "text": "inf",
    }


@pytest.mark.parametrize("value", [np.zeros(3), {1: 2}, {"a": [{"b": object()}]}, {1, 2}, b"x"])
def test_what_is_not_json_is_refused(value):
    with pytest.raises(DescriptionError):
        encode(value, where="x")
