"""What files claim to hold is refused before memory is taken for it, and no path leads outside."""

import gzip
import json
import os
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from synthetic_run import ROOT, SIZES, Written, metadata, write_run

from distsnn.errors import DescriptionError, StoreError
from distsnn.io import metadata_checks
from distsnn.io.checkpoint_writer import CheckpointWriter
from distsnn.io.network_files import load_network, save_network
from distsnn.io.rank_writer import RankWriter
from distsnn.io.reader import StoreReader
from distsnn.io.run_writer import RunWriter
from distsnn.io.zarr_nodes import (
    check_chunks_exist,
    create_array,
    create_group,
    open_array,
    open_group,
    open_root,
    write_attributes,
)
from distsnn.network import (
    ConnectionFile,
    ConnectionList,
    FixedIndegree,
    IafPscExp,
    Network,
    Population,
    PopulationView,
    Projection,
    RecordState,
)
from distsnn.network.populations import MAX_NEURONS
from distsnn.network.projections import MAX_DELAY_STEPS

HUGE = 10**12
# In a process that cannot have more than 2 GiB beyond what Python itself took.
LIMITED = """
import resource, sys
import numpy as np
from distsnn.errors import DistsnnError
from distsnn.io.network_files import load_network
from distsnn.io.reader import StoreReader
from distsnn.io.summary import read_run_info
from distsnn.network import Network
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 2 * 2**30, taken + 2 * 2**30))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    if sys.argv[1] == "net":
        load_network(sys.argv[2])
    else:
        reader = StoreReader(sys.argv[2])
        reader.network()
        reader.spikes()
        for name in reader.state_names:
            for array in reader.state(name).variables.values():
                array.load(0, array.shape[0])
        read_run_info(sys.argv[2])
except DistsnnError as error:
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{grown} {type(error).__name__}: {error}")
"""


def refused(kind: str, path: Path) -> str:
    """Return what a limited process says that reads a file which claims too much."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, kind, str(path)],
        env={"PYTHONPATH": str(ROOT), "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    grown, _, message = done.stdout.partition(" ")
    assert int(grown) < 200 * 2**10, f"{grown} KiB were taken"
    return message


def change(path: Path, **values: object) -> None:
    """Set values of a zarr.json, at dotted paths written with two underscores."""
    content = json.loads(path.read_text())
    for name, value in values.items():
        *parents, last = name.split("__")
        node = content
        for parent in parents:
            node = node[parent]
        node[last] = value
    path.write_text(json.dumps(content))


GRID = "chunk_grid__configuration__chunk_shape"


@pytest.mark.parametrize("chunk", [None, HUGE])
@pytest.mark.parametrize("array", ["spikes/step", "state/V/gid"])
def test_array_that_claims_a_terabyte(run: Written, array: str, chunk: int | None) -> None:
    group = run.path / "attempt000" / "rank0000"
    more = {} if chunk is None else {GRID: [chunk]}
    change(group / array / "zarr.json", shape=[HUGE], **more)
    if array == "spikes/step":
        change(group / "spikes" / "zarr.json", attributes__committed=HUGE)
        change(group / "spikes" / "zarr.json", attributes__index_stride=HUGE)
        change(group / "spikes" / "zarr.json", attributes__index_step=[0])
    assert f"{group}/{array.rpartition('/')[0]}" in refused("run", run.path)


def test_array_of_the_description_that_claims_a_terabyte(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.zarr").path
    root = open_root(path, writable=True)
    array = create_array(root, "network/arrays/w", shape=(5,), chunks=(5,), dtype="float64")
    array[...] = 1.0
    change(path / "zarr.json", attributes__arrays=["w"])
    change(path / "network/arrays/w/zarr.json", shape=[HUGE], **{GRID: [HUGE]})
    assert "arrays/w: corrupt: chunks of" in refused("run", path)
    change(path / "network/arrays/w/zarr.json", **{GRID: [5]})
    assert "arrays/w/c/1: corrupt: a chunk is missing" in refused("run", path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"attributes__populations": [dict(name="E", first_gid=0, size=HUGE)]}, r"\.size is"),
        ({"attributes__target_steps": HUGE}, "target_steps is"),
    ],
)
def test_run_that_claims_too_much(run: Written, values: dict, message: str) -> None:
    change(run.path / "zarr.json", **values)
    with pytest.raises(StoreError, match=message):
        StoreReader(run.path)


def test_attempt_that_claims_too_many_ranks(run: Written) -> None:
    change(run.path / "attempt000" / "zarr.json", attributes__ranks=HUGE)
    assert "ranks is 1000000000000" in refused("run", run.path)


NUMBERS = dict.fromkeys(
    ("steps", "epoch_steps", "neurons", "synaptic_events", "own_spikes", "exchanges"), 4
) | {
    "received_spikes": 0,
    "received_bytes": 0,
}
LISTS = {name: [1] for name in ("sources", "synapses", "min_delay", "spikes_from_rank")}


@pytest.mark.parametrize(
    ("counters", "message"),
    [
        (NUMBERS, None),  # synapses that are not stored are not counted
        (NUMBERS | LISTS, None),
        ({}, None),
        (NUMBERS | {"steps": -1}, "counters.steps is -1"),
        ({"steps": 1}, "counters.epoch_steps is None"),
        (
            NUMBERS | LISTS | {"spikes_from_rank": [1, 2]},
            "counters.spikes_from_rank is not a list of 1",
        ),
        (NUMBERS | {"spikes_from_rank": [1]}, "counters.sources is not a list"),
        (NUMBERS | LISTS | {"spikes_from_rank": ["x"]}, "counters.spikes_from_rank is 'x'"),
    ],
)
def test_counts_are_checked_when_they_are_read(
    tmp_path: Path, counters: dict, message: str | None
) -> None:
    store = RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 1000), ({}, {}), 1).path
    with RankWriter(store, 0, 0) as writer:
        writer.close("complete", counters=counters)
    if message is None:
        assert StoreReader(store).attempts[0].ranks[0].counters == counters
    else:
        with pytest.raises(StoreError, match=message):
            StoreReader(store)


def archive(path: Path, header: dict[str, object], size: int | None) -> None:
    """Write an archive of one array with a header of its own; its directory claims `size`."""
    with zipfile.ZipFile(path, "w") as made, made.open("array:w.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, header)
        member.write(bytes(40))
    if size is not None:
        content = path.read_bytes()
        with zipfile.ZipFile(path) as made:
            true = made.infolist()[0].file_size.to_bytes(4, "little")
        path.write_bytes(content.replace(true, size.to_bytes(4, "little")))


@pytest.mark.parametrize("size", [None, 2**32 - 2])
def test_archive_that_claims_a_terabyte(tmp_path: Path, size: int | None) -> None:
    save_network(tmp_path, Network([Population("E", 2, IafPscExp())]))
    header = {"descr": "<f8", "fortran_order": False, "shape": (HUGE,)}
    archive(tmp_path / "arrays.npz", header, size)
    assert "claims" in refused("net", tmp_path)


def test_archive_that_is_compressed_is_refused(tmp_path: Path) -> None:
    """Of 10 kB deflate makes 10 MB, and twice over 6 GB."""
    save_network(tmp_path, Network([Population("E", 2, IafPscExp())]))
    np.savez_compressed(tmp_path / "arrays.npz", **{"array:w": np.zeros(2**20)})
    with pytest.raises(StoreError, match="declares 8388736 bytes"):
        load_network(tmp_path)


def cheaply(read: Callable[[], object]) -> str:
    """Return the message of what a reader refuses, which must take little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(StoreError) as caught:
            read()
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    finally:
        tracemalloc.stop()
    return str(caught.value)


def grow(path: Path, size: int) -> None:
    """Make a file sparse: it takes no space for zeros."""
    with path.open("r+b") as stream:
        stream.truncate(size)


@pytest.mark.parametrize("name", ["zarr.json", "attempt000/rank0001/spikes/zarr.json"])
@pytest.mark.parametrize("size", [2**26, 2**36])
def test_sparse_metadata_is_refused(run: Written, name: str, size: int) -> None:
    grow(run.path / name, size)
    assert f"{name}: corrupt: " in cheaply(lambda: StoreReader(run.path))


def test_sparse_chunk_is_refused(run: Written) -> None:
    grow(run.path / "attempt000/rank0001/state/V/V_m/c/0/0", 2**36)
    assert "V_m/c/0/0: corrupt: not a chunk of" in cheaply(
        lambda: StoreReader(run.path).state("V").variables["V_m"].load(0, 1)
    )


def test_sparse_description_is_refused(tmp_path: Path) -> None:
    save_network(tmp_path, Network([Population("E", 2, IafPscExp())]))
    grow(tmp_path / "network.json", 2**36)
    assert f"network.json of {2**36} bytes" in cheaply(lambda: load_network(tmp_path))


def test_chunk_whose_header_declares_more_is_refused(run: Written) -> None:
    chunk = run.path / "attempt000/rank0000/spikes/gid/c/0"
    content = bytearray(chunk.read_bytes())
    content[4:8] = (2**31 - 17).to_bytes(4, "little")
    chunk.write_bytes(content)
    assert "gid/c/0: corrupt: not a chunk of 2048 bytes" in cheaply(
        lambda: StoreReader(run.path).spikes()
    )


GZIP = {"name": "gzip", "configuration": {"level": 9}}
BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


@pytest.mark.parametrize(
    "codecs",
    [
        [BYTES, GZIP, GZIP],
        [BYTES],
        [],
        None,
        [BYTES, {"name": "blosc", "configuration": {"cname": "zlib"}}, {"name": "crc32c"}],
        [{"name": "sharding_indexed", "configuration": {"chunk_shape": [1], "codecs": [BYTES]}}],
        [1, "x", {}],
    ],
)
def test_other_codecs_are_refused(run: Written, codecs: list | None) -> None:
    array = run.path / "attempt000/rank0000/spikes/step"
    chunk = array / "c/0"
    chunk.write_bytes(gzip.compress(gzip.compress(bytes(2**24))))
    change(array / "zarr.json", codecs=codecs)
    with pytest.raises(StoreError, match="spikes/step: the encoding of chunks differs"):
        StoreReader(run.path).spikes()


class Trap:
    """Pickled, it would write a file on being read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = np.array([Trap(tmp_path / "sprung"), None], dtype=object)
    net = Network([Population("E", 2, IafPscExp())])
    save_network(tmp_path / "net", net)
    np.savez(tmp_path / "net" / "arrays.npz", **{"array:w": trap})
    with pytest.raises(StoreError, match="Python objects"):
        load_network(tmp_path / "net")
    np.savez(tmp_path / "edges.npz", sources=trap, targets=np.arange(2))
    e = Population("E", 2, IafPscExp())
    rule = ConnectionFile(tmp_path / "edges.npz")
    with pytest.raises(DescriptionError, match=r"edges\.npz.*"):
        Network([e], [Projection(e, e, rule, weight=1.0, delay=1.0)])
    assert not (tmp_path / "sprung").exists()
    np.load(tmp_path / "edges.npz", allow_pickle=True)["sources"]
    assert (tmp_path / "sprung").exists()  # the trap works


OUTSIDE = ["zarr.json", "../x", "..", ".", "/etc/x", "a/b", "a\\b", "", "x\0", "\n", ".hidden"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_cannot_lead_out_of_a_store(run: Written, name: str) -> None:
    with pytest.raises(DescriptionError, match="not a usable name"):
        Population(name, 2, IafPscExp())
    with pytest.raises(DescriptionError, match="not a usable name"):
        RecordState(PopulationView("E"), "V_m", name=name or " ")
    states = json.loads((run.path / "zarr.json").read_text())["attributes"]["recorded_states"]
    for changed in ({"name": name}, {"variables": [name]}):
        change(run.path / "zarr.json", attributes__recorded_states=[states[0] | changed])
        with pytest.raises(StoreError, match="name cannot be stored"):
            StoreReader(run.path)


@pytest.mark.parametrize(
    "neurons",
    [[], [0, 79.0], [0, 80], [1, 79], [0, 9, 9, 79], [0, 50, 40, 79], "0 79", [0, True, 79]],
)
def test_neurons_of_a_recorded_view_are_those_of_its_range(run: Written, neurons: object) -> None:
    view = {"population": "E", "start": 0, "stop": 80, "neurons": neurons}
    change(run.path / "zarr.json", attributes__recorded_spikes=[view])
    with pytest.raises(
        StoreError,
        match=r"spikes\[0\]\.neurons (do not match|are not in ascending)",
    ):
        StoreReader(run.path)


@pytest.mark.parametrize("reduce", ["max", 1, ["sum"], {}])
def test_reductions_of_a_recording_are_known(run: Written, reduce: object) -> None:
    states = json.loads((run.path / "zarr.json").read_text())["attributes"]["recorded_states"]
    changed = [states[0] | {"reduce": reduce}]
    change(run.path / "zarr.json", attributes__recorded_states=changed)
    with pytest.raises(StoreError, match=r"recorded_states\[0\]\.reduce is not 'sum' or 'mean'"):
        StoreReader(run.path)


def test_limits_are_those_of_descriptions() -> None:
    assert metadata_checks.MAX_NEURONS == MAX_NEURONS
    assert metadata_checks.MAX_DELAY_STEPS == MAX_DELAY_STEPS


def test_name_that_is_too_long_for_a_file_is_refused_before_the_build() -> None:
    with pytest.raises(DescriptionError, match="not a usable name"):
        Population("é" * 120, 2, IafPscExp())


def test_arrays_of_a_description_cannot_leave_the_store(tmp_path: Path) -> None:
    root = open_root(write_run(tmp_path / "run.zarr").path, writable=True)
    for path in ("network/arrays/../../../x", "network/arrays/a/../../../../x"):
        with pytest.raises(StoreError, match="leads out of the store"):
            create_group(root, path, {})
    create_group(root, "network/arrays/x", {})
    assert sorted(one.name for one in tmp_path.iterdir()) == ["run.zarr"]


@pytest.mark.parametrize("link", ["checkpoint", "attempt001", "attempt000/rank0000"])
def test_links_out_of_a_store_are_not_followed_for_writing(
    run: Written, tmp_path: Path, link: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "generation000001.partial").mkdir()
    (outside / "mine.txt").write_text("mine")
    place = run.path / link
    if place.exists():
        place.rename(outside / "moved")
        place.symlink_to(outside / "moved")
    else:
        place.symlink_to(outside)
    before = sorted((one, one.stat().st_mtime_ns) for one in outside.rglob("*"))
    root = open_root(run.path, writable=True)
    with pytest.raises(StoreError, match="a link leads out of the store"):
        if link == "checkpoint":
            CheckpointWriter(run.path, 1).write_index({}, {})
        elif link == "attempt001":
            RunWriter.resume(run.path, 2, start_step=5, saved_by=0)
        else:
            group = open_group(root, link)
            assert group is not None
            write_attributes(group, {"status": "changed"})
    assert sorted((one, one.stat().st_mtime_ns) for one in outside.rglob("*")) == before


READ = [
    "zarr.json",
    "attempt000",
    "attempt000/rank0000/zarr.json",
    "attempt000/rank0000/spikes/step",
    "attempt000/rank0000/spikes/step/c",
    "attempt000/rank0000/spikes/step/c/0",
    "attempt000/rank0000/state/V",
    "network/arrays",
]


def read(path: Path) -> None:
    """Read something of every kind of a run, of which the last is an array of the description."""
    reader = StoreReader(path)
    reader.spikes()
    reader.state("V").variables["V_m"].load(0, 1)
    open_array(open_root(path), "network/arrays/w")


@pytest.fixture
def described(run: Written) -> Path:
    root = open_root(run.path, writable=True)
    create_array(root, "network/arrays/w", shape=(5,), chunks=(5,), dtype="float64")[...] = 1.0
    read(run.path)
    return run.path


@pytest.mark.parametrize("link", READ)
def test_links_out_of_a_store_are_not_followed_for_reading(
    described: Path, tmp_path: Path, link: str
) -> None:
    place, outside = described / link, tmp_path / "outside"
    place.rename(outside)
    place.symlink_to(outside)
    with pytest.raises(StoreError, match="a link leads out of the store: nothing is read"):
        read(described)
    # one that stays inside is followed, and so is one to the whole store
    place.unlink()
    inside = described / "elsewhere"
    outside.rename(inside)
    place.symlink_to(inside)
    (tmp_path / "shortcut.zarr").symlink_to(described)
    read(tmp_path / "shortcut.zarr")


@pytest.mark.parametrize("link", READ[1:])
def test_loops_of_links_are_reported(described: Path, link: str) -> None:
    place = described / link
    place.rename(described / "kept")
    place.symlink_to(place)
    # Python 3.13 meets the loop where it reads, earlier ones where they look for links
    with pytest.raises(StoreError, match=f"{Path(link).parent}.*: (cannot be read|corrupt)"):
        read(described)


@pytest.mark.parametrize("name", ["zarr.json", "attempt000/zarr.json"])
def test_pipe_in_place_of_a_file_is_not_waited_for(run: Written, name: str) -> None:
    (run.path / name).unlink()
    os.mkfifo(run.path / name)
    with pytest.raises(StoreError, match=r"zarr\.json: corrupt: is not a file"):
        StoreReader(run.path)


def test_chunk_whose_file_cannot_hold_it_is_refused(run: Written) -> None:
    step = run.path / "attempt000" / "rank0000" / "spikes" / "step"
    change(step / "zarr.json", **{GRID: [2**23]})
    message = refused("run", run.path)
    assert f"{step}/c/0: corrupt: " in message
    assert f" bytes cannot contain {2**25}" in message


@pytest.mark.parametrize("n", [1, 2**20, 2**22])
def test_stored_zeros_do_not_look_like_missing_chunks(tmp_path: Path, n: int) -> None:
    root = open_root(write_run(tmp_path / "run.zarr").path, writable=True)
    array = create_array(root, "network/arrays/w", shape=(n,), chunks=(n,), dtype="float64")
    array[...] = 0.0
    check_chunks_exist(array)


def test_explicit_edges_take_no_objects() -> None:
    with pytest.raises(DescriptionError, match="integers"):
        ConnectionList(np.array([Trap(Path("/x"))], dtype=object), [1])


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let metadata have 20 kB at most."""
    monkeypatch.setattr("distsnn.io.node_files.MAX_METADATA_BYTES", 20_000)


TOO_LARGE = r"metadata of [\d,]+ bytes cannot be written; allowed: at most 20,000 bytes"


def test_description_that_could_not_be_read_is_not_written(
    tmp_path: Path, small_limit: None
) -> None:
    about = metadata(SIZES, 100)
    with pytest.raises(StoreError, match=rf"r\.zarr: {TOO_LARGE}"):
        RunWriter.create(tmp_path / "r.zarr", about, ({"x": "x" * 20_000}, {}), 1)
    with pytest.raises(StoreError, match=rf"attempt000: {TOO_LARGE}"):
        owners = {"owner": list(range(3000))}
        RunWriter.create(tmp_path / "r.zarr", about, ({}, {}), 1, assignment=owners)
    assert list(tmp_path.iterdir()) == []
    e = Population("E", 2, IafPscExp())
    names = (f"{number:0100d}" for number in range(100))
    net = Network([e], [Projection(e, e, FixedIndegree(1), 1.0, 1.0, name=one) for one in names])
    with pytest.raises(StoreError, match=rf"network\.json: {TOO_LARGE}"):
        save_network(tmp_path / "net", net)
    assert list((tmp_path / "net").iterdir()) == []


def test_attributes_that_could_not_be_read_change_nothing(run: Written, small_limit: None) -> None:
    store = RunWriter(run.path, open_root(run.path, writable=True), 0)
    for update in (store.update, store.update_attempt):
        with pytest.raises(StoreError, match=TOO_LARGE):
            update(versions={"x": "x" * 20_000})
    assert StoreReader(run.path).metadata["versions"] == {"distsnn": "test"}


@pytest.mark.parametrize("projection", [1, None, ["E->I"]])
def test_the_projection_of_a_recording_is_a_name(run: Written, projection: object) -> None:
    states = json.loads((run.path / "zarr.json").read_text())["attributes"]["recorded_states"]
    changed = [states[0] | {"projection": projection}]
    change(run.path / "zarr.json", attributes__recorded_states=changed)
    with pytest.raises(StoreError, match=r"recorded_states\[0\]\.projection"):
        StoreReader(run.path)
