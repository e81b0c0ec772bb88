"""Edges in files: headers without reading, missing and wrong arrays, fingerprints."""

import dataclasses
import json
import os

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec, ZstdCodec

from distsnn.errors import DescriptionError
from distsnn.network import ConnectionFile, IafPscExp, Network, Population, Projection
from distsnn.network.edge_files import check_chunk, fingerprint, header, zarr_layout
from distsnn.network.magnitudes import GivenMagnitudes
from distsnn.network.quanta import EdgeFileSummary, choose_quanta

ARRAYS = {
    "sources": np.array([0, 1, 1], np.int32),
    "targets": np.array([2, 2, 3], np.uint64),
    "weights": np.array([1.0, -2.0, 3.0]),
    "delays": np.array([0.1, 0.2, 0.3], np.float32),
}


def write(path, kind, arrays=ARRAYS):
    if kind == "npz":
        np.savez(path, **arrays)
    elif kind == "npz compressed":
        np.savez_compressed(path, **arrays)
    else:
        group = zarr.open_group(path, mode="w", zarr_format=int(kind[-1]))
        for name, array in arrays.items():
            group.create_array(name, data=array)
    return path


@pytest.fixture(params=["npz", "npz compressed", "zarr 2", "zarr 3"])
def file(request, tmp_path):
    kind = request.param
    return write(tmp_path / ("edges.npz" if "npz" in kind else "edges.zarr"), kind)


def test_headers_of_all_formats(file):
    rule = ConnectionFile(str(file), weights="weights", delays="delays")
    found = rule.headers()
    assert {name: one.kind for name, one in found.items()} == {
        "sources": "i",
        "targets": "u",
        "weights": "f",
        "delays": "f",
    }
    assert {one.shape for one in found.values()} == {(3,)}
    assert rule.n_edges == rule.expected_synapses(5, 5, False) == 3
    assert rule.max_indegree_bound(5, 5) == 3


def test_an_unknown_array_is_named_with_the_nearest(file):
    with pytest.raises(DescriptionError, match="did you mean 'sources'") as error:
        header(str(file), "source")
    assert error.value.where == f"file {file}"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"targets": np.array([1, 2])}, "wrong shape"),
        ({"sources": np.zeros((3, 1), int)}, "wrong shape"),
        ({"targets": np.zeros(3)}, "wrong type"),
        ({"weights": np.array(["a", "b", "c"])}, "wrong type"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, change, what):
    file = write(tmp_path / "edges.npz", "npz", ARRAYS | change)
    with pytest.raises(DescriptionError, match=what):
        ConnectionFile(file, weights="weights").headers()


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(DescriptionError, match="no such file"):
        ConnectionFile(tmp_path / "none.npz").headers()
    text = tmp_path / "edges.txt"
    text.write_text("0 1\n")
    with pytest.raises(DescriptionError, match="not an edge file"):
        ConnectionFile(text).headers()
    broken = write(tmp_path / "broken.npz", "npz")
    data = bytearray(broken.read_bytes())
    data[40:60] = bytes(20)
    broken.write_bytes(data)
    with pytest.raises(DescriptionError, match="cannot be read"):
        ConnectionFile(broken).headers()
    group = write(tmp_path / "broken.zarr", "zarr 3")
    (group / "sources" / "zarr.json").write_text("{")
    with pytest.raises(DescriptionError, match="cannot be read"):
        ConnectionFile(group).headers()


def changed(folder, **values):
    """Set values of the metadata of the array of sources, in either format."""
    file = next(one for one in sorted((folder / "sources").iterdir()) if one.name in METADATA)
    found = json.loads(file.read_text())
    file.write_text(json.dumps(found | {key: one for key, one in values.items() if key in found}))


METADATA = ("zarr.json", ".zarray")
CHUNKS = {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2**40]}}}
GZIP = [{"name": "bytes"}, {"name": "gzip"}, {"name": "gzip"}]
SHARDS = [{"name": "sharding_indexed", "configuration": {}}]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"shape": "x"}, "cannot be read: shape or chunks x"),
        ({"shape": [-1]}, "cannot be read"),
        ({"shape": [1.5]}, "cannot be read"),
        ({"shape": [True]}, "cannot be read"),
        ({"shape": [10**30]}, "cannot be read"),
        ({"shape": [3, 3]}, r"cannot be read: chunks .* of shape \(3, 3\)"),
        ({"data_type": {"name": "x"}, "dtype": [["a", "<i4"]]}, "cannot be read: dtype"),
        ({"data_type": "int33", "dtype": "<i33"}, "cannot be read"),
        ({"chunk_grid": None, "chunks": None}, "cannot be read"),
        (CHUNKS | {"chunks": [2**40]}, "the chunks are too large"),
        ({"codecs": None, "compressor": 1}, "cannot be read"),
        ({"codecs": GZIP, "compressor": {"id": "gzip"}}, "cannot be decoded; given '.*gzip'"),
        ({"codecs": SHARDS, "filters": [{"id": "pickle"}]}, "cannot be decoded; given"),
    ],
)
@pytest.mark.parametrize("kind", ["zarr 2", "zarr 3"])
def test_malformed_folders_are_refused(tmp_path, kind, values, message):
    group = write(tmp_path / "edges.zarr", kind)
    changed(group, **values)
    with pytest.raises(DescriptionError, match=message) as error:
        ConnectionFile(group).headers()
    assert f"{group}" in error.value.where


@pytest.mark.parametrize("content", [b"[" * 10**6, b"9" * 10**4, b"5", b"null", b"{}", b"\0"])
def test_invalid_metadata_is_refused(tmp_path, content):
    group = write(tmp_path / "edges.zarr", "zarr 3")
    (group / "sources" / "zarr.json").write_bytes(content)
    with pytest.raises(DescriptionError, match=r"edges\.zarr"):
        ConnectionFile(group).headers()


def test_sparse_metadata_is_refused(tmp_path):
    group = write(tmp_path / "edges.zarr", "zarr 3")
    with (group / "sources" / "zarr.json").open("r+b") as stream:
        stream.truncate(2**36)
    with pytest.raises(DescriptionError, match=f"zarr.json of {2**36} bytes"):
        ConnectionFile(group).headers()


@pytest.mark.parametrize("compressor", ["zstd", "blosc", None])
@pytest.mark.parametrize("n", [1, 300, 100_000])
def test_chunks_that_declare_another_size_are_refused(tmp_path, compressor, n):
    made = {"zstd": ZstdCodec(), "blosc": BloscCodec(), None: None}[compressor]
    root = zarr.open_group(tmp_path / "e.zarr", mode="w")
    root.create_array("w", data=np.arange(n) + 1, chunks=(n,), compressors=made)
    layout, chunk = zarr_layout(tmp_path / "e.zarr", "w"), tmp_path / "e.zarr/w/c/0"
    assert layout.compressor == (compressor or "")
    check_chunk(chunk, layout)
    with pytest.raises(ValueError, match="does not hold a chunk of"):
        check_chunk(chunk, dataclasses.replace(layout, chunks=(n // 2 + 300_000,)))
    with chunk.open("r+b") as stream:
        stream.truncate(2**36)
    with pytest.raises(ValueError, match="does not hold a chunk of"):
        check_chunk(chunk, layout)


def test_the_path_becomes_absolute(tmp_path, monkeypatch):
    write(tmp_path / "edges.npz", "npz")
    monkeypatch.chdir(tmp_path)
    assert ConnectionFile("edges.npz").path == os.fspath(tmp_path / "edges.npz")
    with pytest.raises(DescriptionError, match="must be a path"):
        ConnectionFile(3)


def test_the_fingerprint_sees_every_file_of_a_folder(tmp_path):
    group = write(tmp_path / "edges.zarr", "zarr 3")
    before = fingerprint(str(group))
    assert before == fingerprint(str(group))
    chunk = next(file for file in sorted(group.rglob("c/*")) if file.is_file())
    chunk.rename(chunk.with_name("1"))
    assert fingerprint(str(group)) != before


def test_a_stored_rule_notices_a_changed_file(file):
    rule = ConnectionFile(file)
    rule.verify()  # nothing stored yet: nothing to compare
    stored = rule.stored()
    assert (stored.size, stored.sha256) == fingerprint(str(file))
    assert stored == rule
    assert stored.stored() is stored
    stored.verify()
    target = file if file.is_file() else file / "zarr.json" if "3" in str(file) else file / "extra"
    with target.open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(DescriptionError, match="has changed"):
        stored.verify()


def test_a_network_with_a_file(file):
    neurons = Population("E", 5, IafPscExp())
    rule = ConnectionFile(file, weights="weights", delays="delays")
    network = Network([neurons], [Projection(neurons, neurons, rule)])
    data, arrays = network.to_dict()
    assert not arrays
    assert network.to_dict(fingerprints=False)[0] != data
    back = Network.from_dict(data, arrays)
    assert back == network
    assert back.to_dict(fingerprints=False)[0] == data
    assert back.projections[0].rule.sha256 == fingerprint(str(file))[1]
    with pytest.raises(DescriptionError, match="summary"):
        choose_quanta(network)
    magnitudes = GivenMagnitudes.of(ARRAYS["weights"])
    found = choose_quanta(network, {0: EdgeFileSummary(2, -2.0, 3.0, magnitudes)})
    # 3.0 needs 2^-20: 2 · 3 · 2^-20, rounded down to a power of two, is 2^-18.
    assert found.exponent == {("E", "ex"): -18, ("E", "in"): -18}
    assert found.bound == {("E", "ex"): 6.0 * 2**18, ("E", "in"): 4.0 * 2**18}


@pytest.mark.parametrize(
    ("weights", "given", "what"),
    [("weights", {"weight": 1.0, "delay": 1.0}, "in the file"), (None, {"delay": 1.0}, "missing")],
)
def test_weights_are_given_in_one_place_only(file, weights, given, what):
    neurons = Population("E", 5, IafPscExp())
    projection = Projection(neurons, neurons, ConnectionFile(file, weights=weights), **given)
    with pytest.raises(DescriptionError, match=what) as error:
        Network([neurons], [projection])
    assert error.value.where == "projection 'E->E', field weight"
