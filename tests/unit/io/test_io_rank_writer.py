import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from campaigns import sampled
from synthetic_run import E_L, SIZES, metadata, random_spikes, state_spec, state_values

from distsnn.errors import DescriptionError, StoreError
from distsnn.io import row_stream
from distsnn.io.rank_writer import RankWriter
from distsnn.io.reader import StoreReader
from distsnn.io.row_specs import StateRecordingSpec, StateVariable, block_rows
from distsnn.io.row_stream import BLOCKS, RowStream
from distsnn.io.run_writer import RunWriter
from distsnn.io.zarr_nodes import write_attributes

HERE = Path(__file__).parent


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of one rank that has recorded nothing yet."""
    return RunWriter.create(tmp_path / "r.zarr", metadata(SIZES, 1000), ({}, {}), 1).path


def spikes_at(*steps: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array(steps, np.int32), np.zeros(len(steps), np.uint32)


def commit_of(path: Path) -> dict[str, Any]:
    return zarr.open_group(path / "attempt000" / "rank0000" / "spikes", mode="r").attrs.asdict()


def wait_until(condition: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_whole_chunks_are_committed_without_being_asked_for(store):
    with RankWriter(store, 0, 0, spike_chunk=4, flush_seconds=3600) as writer:
        writer.append_spikes(*spikes_at(1, 2, 3, 4, 5, 6))
        wait_until(lambda: commit_of(store)["committed"] == 4)
        # Step 4 is in, step 5 has a spike that is not.
        assert commit_of(store)["committed_step"] == 0  # nothing was declared complete yet
        writer.mark_complete(6)
        writer.append_spikes(*spikes_at(7, 8, 9))
        wait_until(lambda: commit_of(store)["committed"] == 8)
        assert commit_of(store)["committed_step"] == 6
        writer.mark_complete(12)
        writer.append_spikes(*spikes_at(13, 14, 15, 16))
        wait_until(lambda: commit_of(store)["committed"] == 12)
        assert commit_of(store)["committed_step"] == 12
    assert commit_of(store)["committed"] == 13


def test_a_commit_never_claims_a_step_that_is_not_in(store):
    """Whole-chunk commits cut steps in two; the committed step must stay below the cut."""
    with RankWriter(store, 0, 0, spike_chunk=4, flush_seconds=3600) as writer:
        step = np.repeat(np.int32([1, 2, 3]), 2)
        gid = np.tile(np.uint32([0, 1]), 3)
        with writer._thread._changed:  # hold the thread back until both calls are made
            writer._spikes.fill({"step": step, "gid": gid}, 0, 6)
            writer._spikes.appended = 6
            writer._spikes.advanced = 3
            plan = writer._spikes.plan(everything=False)
            assert plan is not None
            assert (plan.rows, plan.step) == (4, 2)
            everything = writer._spikes.plan(everything=True)
            assert everything is not None
            assert (everything.rows, everything.step) == (6, 3)


def test_old_data_is_committed_by_time(store):
    with RankWriter(store, 0, 0, flush_seconds=0.05) as writer:
        writer.append_spikes(*spikes_at(1, 2))
        writer.mark_complete(5)
        wait_until(lambda: commit_of(store)["committed_step"] == 5)
        assert commit_of(store)["committed"] == 2
        writer.mark_complete(9)  # a silent network makes progress too
        wait_until(lambda: commit_of(store)["committed_step"] == 9)


def test_flush_returns_when_all_is_committed(store):
    with RankWriter(store, 0, 0, flush_seconds=3600) as writer:
        for step in range(1, 6):
            writer.append_spikes(*spikes_at(step))
            writer.mark_complete(step)
            writer.flush()
            assert commit_of(store)["committed"] == step
            assert commit_of(store)["committed_step"] == step


def test_a_chunk_written_in_parts_is_whole(store):
    step, gid = random_spikes(100, 5000, 3000, seed=3)
    with RankWriter(store, 0, 0, spike_chunk=256, flush_seconds=3600) as writer:
        for start in range(0, len(step), 100):
            writer.append_spikes(step[start : start + 100], gid[start : start + 100])
            writer.flush()
        writer.mark_complete(5000)
    read = StoreReader(store).spikes()
    np.testing.assert_array_equal(read[0], step)
    np.testing.assert_array_equal(read[1], gid)


def test_more_spikes_at_once_than_the_buffer_holds(store):
    step, gid = random_spikes(100, 50_000, 20_000, seed=3)
    with RankWriter(store, 0, 0, spike_chunk=64, flush_seconds=3600) as writer:
        writer.append_spikes(step, gid)
        assert all(ring.shape == (64 * BLOCKS,) for ring in writer._spikes.ring.values())
    np.testing.assert_array_equal(StoreReader(store).spikes()[0], step)


def test_the_buffer_is_bounded_and_append_waits_for_room(store, monkeypatch):
    gate = threading.Event()
    write = RowStream.write

    def slow(self: RowStream, commit: Any) -> None:
        assert gate.wait(20)
        write(self, commit)

    monkeypatch.setattr(RowStream, "write", slow)
    step, gid = random_spikes(100, 1000, 1000, seed=1)
    with RankWriter(store, 0, 0, spike_chunk=8, flush_seconds=3600) as writer:
        writer.append_spikes(step[: 8 * BLOCKS], gid[: 8 * BLOCKS])  # fits
        done = threading.Event()

        def append_rest() -> None:
            writer.append_spikes(step[8 * BLOCKS :], gid[8 * BLOCKS :])
            done.set()

        thread = threading.Thread(target=append_rest)
        thread.start()
        assert not done.wait(0.2), "append did not wait although the buffer was full"
        assert writer._spikes.free_rows() == 0
        gate.set()
        assert done.wait(20)
        thread.join()
    np.testing.assert_array_equal(StoreReader(store).spikes()[0], step)


@pytest.mark.parametrize(
    ("step", "gid", "message"),
    [
        ([5, 4], [0, 0], "out of the order"),
        ([5, 5], [1, 0], "out of the order"),
        ([2], [0], "out of the order"),
        ([3], [2], "out of the order"),
        ([5], [0, 1], "1 steps but 2 gids"),
    ],
)
def test_spikes_out_of_order_are_refused(store, step, gid, message):
    with RankWriter(store, 0, 0) as writer:
        writer.append_spikes(np.int32([2, 3]), np.uint32([9, 3]))
        with pytest.raises(StoreError, match=message):
            writer.append_spikes(np.int32(step), np.uint32(gid))
        # several spikes of a neuron in a step are in order
        writer.append_spikes(np.int32([3, 3, 3]), np.uint32([3, 4, 4]))
    np.testing.assert_array_equal(StoreReader(store).spikes()[1], [9, 3, 3, 4, 4])


def test_spikes_of_a_step_declared_complete_are_refused(store):
    with RankWriter(store, 0, 0) as writer:
        writer.mark_complete(10)
        with pytest.raises(StoreError, match=r"step 10, but all spikes up to step 10"):
            writer.append_spikes(*spikes_at(10))
        writer.append_spikes(*spikes_at(11))


def test_spikes_of_another_type_are_refused(store):
    with RankWriter(store, 0, 0) as writer:
        with pytest.raises(StoreError, match="must be int32"):
            writer.append_spikes(np.array([1.5]), np.uint32([0]))
        writer.append_spikes([], [])


def test_a_second_writer_of_one_rank_is_refused(store):
    with RankWriter(store, 0, 0), pytest.raises(StoreError, match="cannot be created"):
        RankWriter(store, 0, 0)


@pytest.mark.parametrize(("attempt", "rank"), [(1, 0), (0, 1), (0, -1)])
def test_an_attempt_or_rank_that_is_not_there(store, attempt, rank):
    with pytest.raises(StoreError, match=f"attempt {attempt}"):
        RankWriter(store, attempt, rank)


def test_closed_writer_refuses_data(store):
    writer = RankWriter(store, 0, 0)
    writer.close()
    writer.close("failed: too late")
    for call in (lambda: writer.append_spikes(*spikes_at(1)), writer.flush):
        with pytest.raises(RuntimeError, match="closed"):
            call()
    assert StoreReader(store).attempts[0].ranks[0].status == "complete"


def test_status_contains_the_exception(store):
    with pytest.raises(ValueError, match="boom"), RankWriter(store, 0, 0) as writer:
        assert StoreReader(store).attempts[0].ranks[0].status == "running"
        writer.append_spikes(*spikes_at(1))
        raise ValueError("boom")
    reader = StoreReader(store)
    assert reader.attempts[0].ranks[0].status == "failed: boom"
    assert reader.n_spikes == 1


def test_timing_and_memory_are_kept(store):
    with RankWriter(store, 0, 0) as writer:
        timing = {"build": np.float64(0.25)}
        writer.close("stopped: asked to", timing=timing, memory={"peak_rss_bytes": 5})
    rank = StoreReader(store).attempts[0].ranks[0]
    assert rank.timing == {"build": 0.25}
    assert rank.memory == {"peak_rss_bytes": 5}
    assert rank.status == "stopped: asked to"


def test_states_are_absolute_and_grow_and_are_trimmed(store):
    gids = np.arange(40, dtype=np.uint32)
    spec = state_spec(gids, 0, rows=7)
    steps = np.arange(10, 1010, 10)
    values = state_values(steps, gids)
    with RankWriter(store, 0, 0, state=[spec], flush_seconds=3600) as writer:
        for first in range(0, 100, 9):
            block = {name: array[first : first + 9] for name, array in values.items()}
            writer.append_rows("state", "V", first, block)
            writer.mark_complete(int(steps[min(first + 8, 99)]))
            writer.flush()
            seen = StoreReader(store).state("V")
            assert len(seen.steps) == min(first + 9, 100)
    recording = StoreReader(store).state("V")
    np.testing.assert_array_equal(recording.steps, steps)
    expected = (values["V_m"].astype(np.float64) + E_L).astype(np.float32)
    np.testing.assert_array_equal(recording.variables["V_m"][:, :], expected)
    np.testing.assert_array_equal(recording.variables["refractory"][:, :], values["refractory"])
    plain = zarr.open_group(store, mode="r")["attempt000/rank0000/state/V/V_m"]
    assert plain.shape == (100, 40)
    assert plain.attrs["units"] == "mV"


def test_an_offset_per_neuron(store):
    offset = np.linspace(-80, -60, 40)
    spec = StateRecordingSpec(
        name="V",
        variables={"V_m": StateVariable("mV", offset=offset), "refractory": StateVariable("steps")},
        dtype="float64",
        gids=np.arange(40, dtype=np.uint32),
        interval_steps=10,
        first_step=10,
    )
    with RankWriter(store, 0, 0, state=[spec]) as writer:
        rows = np.ones((3, 40))
        writer.append_rows("state", "V", 0, {"V_m": rows, "refractory": rows})
        writer.mark_complete(30)
    read = StoreReader(store).state("V").variables["V_m"][:, :]
    np.testing.assert_array_equal(read, rows + offset)


def test_states_larger_than_the_buffer(store):
    n = 40
    spec = StateRecordingSpec(
        name="V",
        variables={"V_m": StateVariable("mV"), "refractory": StateVariable("steps")},
        dtype="float64",
        gids=np.arange(n, dtype=np.uint32),
        interval_steps=10,
        first_step=10,
        rows=20_000,
    )
    values = np.random.default_rng(0).normal(size=(20_000, n))
    with RankWriter(store, 0, 0, state=[spec]) as writer:
        assert writer._rows["state", "V"][1].capacity < 20_000
        writer.append_rows("state", "V", 0, {"V_m": values, "refractory": values})
        writer.mark_complete(200_000)
    np.testing.assert_array_equal(StoreReader(store).state("V").variables["V_m"][:, :], values)


@pytest.mark.parametrize(
    ("row", "values", "message"),
    [
        (1, {"V_m": (2, 40), "refractory": (2, 40)}, "row 1 follows row -1"),
        (0, {"V_m": (2, 40)}, "variables"),
        (0, {"V_m": (2, 39), "refractory": (2, 39)}, "shapes"),
        (0, {"V_m": (2, 40), "refractory": (3, 40)}, "shapes"),
    ],
)
def test_states_that_do_not_fit_are_refused(store, row, values, message):
    spec = state_spec(np.arange(40, dtype=np.uint32), 0, 10)
    with RankWriter(store, 0, 0, state=[spec]) as writer:
        with pytest.raises(StoreError, match=message):
            writer.append_rows("state", "V", row, {name: np.zeros(s) for name, s in values.items()})
        with pytest.raises(DescriptionError, match="did you mean 'state/V'"):
            writer.append_rows("state", "v", 0, {})


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a/b"},
        {"variables": {}},
        {"variables": {"gid": StateVariable("1")}},
        {"variables": {"../x": StateVariable("1")}},
        {"interval_steps": 0},
        {"first_step": 0},
    ],
)
def test_bad_state_specs_are_refused(change):
    fields = {
        "name": "V",
        "variables": {"V_m": StateVariable("mV")},
        "dtype": "float32",
        "gids": np.zeros(1, np.uint32),
        "interval_steps": 1,
        "first_step": 1,
    }
    with pytest.raises(DescriptionError, match="state recording"):
        StateRecordingSpec(**{**fields, **change})


def test_block_rows():
    assert block_rows(1, 4) == 2**16
    assert block_rows(1000, 4) == 256
    assert (block_rows(10**7, 8), block_rows(0, 4)) == (1, 2**16)


def fail_writes(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Make the file system refuse new files whose path holds `part`: no space left."""
    opened = Path.open

    def open_(self: Path, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if "w" in mode and part in str(self):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return opened(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_)


def test_a_full_disk_is_reported_and_the_store_stays_readable(store, monkeypatch):
    step, gid = random_spikes(100, 1000, 600, seed=1)
    writer = RankWriter(store, 0, 0, spike_chunk=64, flush_seconds=3600)
    writer.append_spikes(step[:100], gid[:100])
    writer.flush()
    fail_writes(monkeypatch, "rank0000")
    with pytest.raises(StoreError, match=r"rank0000/spikes/.*No space left on device") as caught:
        for start in range(100, len(step), 50):
            writer.append_spikes(step[start : start + 50], gid[start : start + 50])
        writer.flush()
    with pytest.raises(StoreError, match="No space left"):
        writer.mark_complete(1000)
    writer.close(f"failed: {caught.value}")  # has been reported; does not raise again
    assert any("status could not be written" in note for note in writer._thread.error.__notes__)
    monkeypatch.undo()
    reader = StoreReader(store)
    np.testing.assert_array_equal(reader.spikes()[0], step[: reader.n_spikes])
    np.testing.assert_array_equal(reader.spikes()[1], gid[: reader.n_spikes])
    assert 100 <= reader.n_spikes < len(step)


def test_an_error_at_the_last_write_is_raised_by_close(store, monkeypatch):
    writer = RankWriter(store, 0, 0, flush_seconds=3600)
    writer.append_spikes(*spikes_at(1))
    fail_writes(monkeypatch, "rank0000")
    with pytest.raises(StoreError, match="No space left"):
        writer.close()


def test_status_contains_the_reason_if_the_disk_has_room_for_it(store, monkeypatch):
    writer = RankWriter(store, 0, 0, flush_seconds=3600)
    writer.append_spikes(*spikes_at(1))
    fail_writes(monkeypatch, "/c/")
    fail_writes(monkeypatch, "spikes/gid/c")
    with pytest.raises(StoreError, match="No space left"):
        writer.close()
    status = StoreReader(store).attempts[0].ranks[0].status
    assert status.startswith("failed: ")
    assert "No space left" in status


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
from synthetic_run import random_spikes
from distsnn.errors import StoreError
from distsnn.io.rank_writer import RankWriter
writer = RankWriter(Path(sys.argv[1]), 0, 0, spike_chunk=16384, flush_seconds=3600)
step, gid = random_spikes(100, 10_000, 200_000, seed=1)
writer.append_spikes(step[:1000], gid[:1000]); writer.flush()
resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
try:
    writer.append_spikes(step[1000:], gid[1000:])
    writer.close()
except StoreError as error:
    print(error)
    writer.close(f"failed: {error}")
"""


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": f"{HERE}:{HERE.parents[2]}"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def test_a_file_that_must_not_grow(store):
    """A real refusal by the kernel (a limit on the size of files), in another process."""
    with python(FULL_DISK, str(store)) as process:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "File too large" in out
    step, gid = random_spikes(100, 10_000, 200_000, seed=1)
    reader = StoreReader(store)
    assert 1000 <= reader.n_spikes < len(step)
    np.testing.assert_array_equal(reader.spikes()[0], step[: reader.n_spikes])
    np.testing.assert_array_equal(reader.spikes()[1], gid[: reader.n_spikes])
    assert not list(store.rglob("*.partial"))


ENDLESS = """
import sys
from pathlib import Path
from synthetic_run import random_spikes
from distsnn.io.rank_writer import RankWriter
writer = RankWriter(Path(sys.argv[1]), 0, 0, spike_chunk=2048, flush_seconds=0.005)
step, gid = random_spikes(100, 20_000, 400_000, seed=2)
print("go", flush=True)
for start in range(0, len(step), 500):
    stop = start + 500
    writer.append_spikes(step[start:stop], gid[start:stop])
    if stop < len(step):
        writer.mark_complete(int(step[stop]) - 1)
"""


@pytest.mark.parametrize("delay", sampled([0.02, 0.2], 2))
def test_what_was_committed_survives_sigkill(store, delay):
    with python(ENDLESS, str(store)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        wait_until(lambda: commit_of(store)["committed"] > 0)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
    step, gid = random_spikes(100, 20_000, 400_000, seed=2)
    reader = StoreReader(store)
    read = reader.spikes()
    assert 0 < len(read[0]) == commit_of(store)["committed"]
    np.testing.assert_array_equal(read[0], step[: len(read[0])])
    np.testing.assert_array_equal(read[1], gid[: len(read[0])])
    complete = np.searchsorted(step, reader.complete_step, side="right")
    assert complete <= len(read[0]), "a step was called complete whose spikes are missing"
    assert reader.attempts[0].ranks[0].status == "running"


@pytest.mark.parametrize("neurons", [40, 0])
def test_rows_are_on_the_disk_before_they_are_committed(store, monkeypatch, neurons):
    synced: set[Path] = set()
    monkeypatch.setattr("distsnn.io.checkpoint_files.sync_path", synced.add)
    own = store / "attempt000" / "rank0000"
    gids = np.arange(neurons, dtype=np.uint32)
    commits = 0

    def commit(group, attributes):
        nonlocal commits
        commits += 1
        folder = store / group.path
        chunks = {path for path in folder.rglob("c/**/*") if path.is_file()}
        assert chunks <= synced
        assert {path.parent for path in chunks} <= synced
        write_attributes(group, attributes)

    with RankWriter(store, 0, 0, state=[state_spec(gids, 0, 4)], flush_seconds=3600) as writer:
        # what is listed of an attempt is there, also after a power cut
        assert {own, *own.rglob("*")} <= synced
        monkeypatch.setattr(row_stream, "write_attributes", commit)
        for number in range(3):
            steps = np.arange(10, 50, 10) + 40 * number
            writer.append_spikes(*spikes_at(*steps))
            writer.append_rows("state", "V", 4 * number, state_values(steps, gids))
            writer.mark_complete(int(steps[-1]))
            writer.flush()
            assert StoreReader(store).n_spikes == 4 * (number + 1)
    assert commits >= 6
