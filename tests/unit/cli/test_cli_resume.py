"""What is decided before a run is resumed: by one job at a time, and not against what is saved."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distsnn.comm import SingleProcess
from distsnn.errors import StoreError
from distsnn.io.checkpoint_files import CHECKPOINT, generation_name, generations
from distsnn.io.reader import StoreReader
from distsnn.io.run_lock import RunLock
from distsnn.io.schema import attempt_path
from distsnn.simulation import Simulation, newest_checkpoint, orchestrator
from distsnn.simulation.recorder import versions
from distsnn.tools import runs

Command = Callable[..., Any]


@pytest.fixture
def stopped(distsnn: Command, model: Path, tmp_path: Path) -> Path:
    """A run of 40 ms that was saved at 20 and 40 ms, of which more was asked for."""
    out = tmp_path / "run.zarr"
    words = ("run", model, "--time", "40", "--seed", "9", "--out", out, "--quiet")
    assert distsnn(*words, "--checkpoint-every", "20ms").code == 0
    simulation = Simulation.restore(out, out=out)
    simulation._stop(RuntimeError("given up"))
    return out


def test_auto_decides_while_no_other_job_can_change_the_run(
    distsnn: Command, model: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def looking(store: Path) -> list[int]:
        with pytest.raises(StoreError, match="is being written by process") as caught:
            RunLock(stopped)
        refused.append(caught.value)
        return generations(store)

    monkeypatch.setattr(runs, "generations", looking)
    words = ("--time", "50", "--seed", "9", "--out", stopped, "--quiet")
    assert distsnn("run", model, *words, "--resume", "auto").code == 0
    assert len(refused) == 1
    assert StoreReader(stopped).complete_step == 500
    # given back, also where there is nothing to do
    for _ in range(2):
        assert distsnn("run", model, *words, "--resume", "auto").code == 0
    assert [path.name for path in stopped.parent.iterdir() if path.name.endswith(".lock")] == []


@pytest.mark.parametrize("auto", [False, True], ids=["named", "auto"])
def test_the_store_is_opened_once(
    auto: bool, distsnn: Command, model: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, init = [], StoreReader.__init__

    def count(reader: StoreReader, path: Path, **options: Any) -> None:
        opened.append(Path(path))
        init(reader, path, **options)

    monkeypatch.setattr(StoreReader, "__init__", count)
    words = ("run", model, "--resume", "auto", "--out") if auto else ("run", "--resume")
    assert distsnn(*words, stopped, "--seed", "9", "--time", "50", "--quiet").code == 0
    assert opened == [stopped]


def test_job_that_slurm_started_again_waits_for_the_lock_of_a_dead_node(
    distsnn: Command, model: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("run", model, "--time", "50", "--seed", "9", "--out", stopped, "--quiet")
    lock = RunLock(stopped)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "0")
    refused = distsnn(*words, "--resume", "auto")
    assert (refused.code, "is being written by process" in refused.message) == (2, True)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    timer = threading.Timer(1.0, lock.release)
    timer.start()
    assert distsnn(*words, "--resume", "auto").code == 0
    timer.join()


def no_attributes(generation: Path) -> None:
    (generation / "zarr.json").write_text("{}")


def flipped_byte(generation: Path) -> None:
    chunk = next(path for path in sorted(generation.glob("rank0000/**/c/*")) if path.is_file())
    found = bytearray(chunk.read_bytes())
    found[-1] ^= 1
    chunk.write_bytes(found)


@pytest.mark.parametrize("damage", [no_attributes, flipped_byte])
def test_run_does_not_end_before_what_is_saved(
    distsnn: Command, stopped: Path, damage: Callable[[Path], None]
) -> None:
    before = StoreReader(stopped).spike_hash()
    done = distsnn("run", "--resume", stopped, "--time", "30")
    assert done.code == 2
    assert done.message == (
        "distsnn: --time: earlier than the last checkpoint; given 30.0; allowed: at least 40 ms"
    )
    reader = StoreReader(stopped)
    assert (reader.complete, len(reader.attempts), reader.spike_hash()) == (False, 2, before)
    # the newest that is whole counts
    damage(stopped / CHECKPOINT / generation_name(2))
    assert distsnn("run", "--resume", stopped, "--time", "30", "--quiet").code == 0
    assert StoreReader(stopped).complete_step == 300


def test_damaged_attempt_is_reported_instead_of_its_checkpoint(
    distsnn: Command, stopped: Path
) -> None:
    (stopped / attempt_path(0) / "zarr.json").write_text("{}")
    done = distsnn("run", "--resume", stopped, "--time", "30")
    assert done.code != 0
    assert "corrupt" in done.err
    assert "saved at a later time" not in done.err


def test_run_that_was_saved_at_its_end_is_complete(distsnn: Command, stopped: Path) -> None:
    assert distsnn("run", "--resume", stopped, "--time", "40", "--quiet").code == 0
    assert StoreReader(stopped).complete
    done = distsnn("run", "--resume", stopped, "--time", "30")
    assert (done.code, done.out) == (0, f"{stopped} is complete: 40 ms\n")


def test_state_that_a_script_saved_needs_a_time(
    distsnn: Command, stopped: Path, tmp_path: Path
) -> None:
    other = tmp_path / "state.zarr"
    with Simulation.restore(stopped) as simulation:
        simulation.save(other)
        simulation.run(2.0)
        simulation.save(other)
    done = distsnn("run", "--resume", other)
    assert done.code == 2
    message = "time is missing; allowed: at least 42 ms; hint: set `time` (--time MS)"
    assert message in done.message
    shown = distsnn("info", other).out
    assert "not complete; ranks: none has recorded yet\n" in shown
    assert "peak memory       unknown\n" in shown
    assert distsnn("partition", other, "--json").code == 0
    assert distsnn("run", "--resume", other, "--time", "45", "--quiet").code == 0
    assert StoreReader(other).complete_step == 450
    assert "42 ms to 45 ms recorded\n" in distsnn("info", other).out


def test_stored_network_has_no_parameters_when_resumed(distsnn: Command, stopped: Path) -> None:
    before = StoreReader(stopped).spike_hash()
    done = distsnn("run", "--resume", stopped, "--time", "50", "--set", "rate=1")
    assert (done.code, done.message) == (
        2,
        f"distsnn: --set: the stored network {stopped} has no parameters; given 'rate=1'",
    )
    assert StoreReader(stopped).spike_hash() == before


@pytest.mark.parametrize("auto", [True, False])
def test_complete_run_without_checkpoint_is_refused_with_a_hint(
    distsnn: Command, model: Path, tmp_path: Path, auto: bool
) -> None:
    out = tmp_path / "run.zarr"
    words = ("run", model, "--out", out, "--quiet")
    assert distsnn(*words, "--time", "20").code == 0
    asked = (*words, "--resume", "auto") if auto else ("run", "--resume", out)
    done = distsnn(*asked, "--time", "30")
    assert done.code == 2
    assert (
        "run.zarr: the run is complete at 20 ms and has no checkpoint: it cannot be extended"
        in done.message
    )
    assert "overwrite without resume" in done.message
    reader = StoreReader(out)
    assert (reader.complete, reader.complete_step, len(reader.attempts)) == (True, 200, 1)
    assert distsnn(*asked, "--time", "20").code == 0


def test_nothing_is_made_where_no_run_is(distsnn: Command, tmp_path: Path) -> None:
    done = distsnn("run", "--resume", tmp_path / "missing" / "run.zarr")
    assert (done.code, list(tmp_path.iterdir())) == (2, [])
    assert "the path does not exist" in done.message
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for words in (("--out", loop), ()):
        done = distsnn("run", "--resume", loop, *words)
        assert (done.code, done.message.startswith(f"distsnn: {loop}: ")) == (2, True)


def test_run_without_checkpoint_starts_again(distsnn: Command, model: Path, stopped: Path) -> None:
    shutil.rmtree(stopped / CHECKPOINT)
    for attempt in stopped.glob("attempt*/zarr.json"):
        content = json.loads(attempt.read_text())
        content["attributes"].pop("saved", None)
        attempt.write_text(json.dumps(content))
    words = ("--time", "40", "--seed", "9", "--out", stopped, "--quiet")
    assert distsnn("run", model, *words, "--resume", "auto").code == 0
    reader = StoreReader(stopped)
    assert (reader.complete, len(reader.attempts)) == (True, 1)


@pytest.mark.parametrize(
    "part", ["attempt000", "attempt000/rank0000", "attempt000/rank0000/spikes"]
)
def test_recordings_that_are_missing_are_named(distsnn: Command, stopped: Path, part: str) -> None:
    shutil.rmtree(stopped / part)
    where = f"{stopped}/{part}: corrupt: the group is missing"
    resumed = distsnn("run", "--resume", stopped, "--time", "50")
    assert resumed.code == 2
    assert resumed.err.count(f"is not used: {where}") == 2
    told = distsnn("info", stopped)
    assert told.code == 1
    assert f"missing           {where}" in told.out
    assert "complete" not in told.out


def test_auto_does_not_replace_recordings_whose_checkpoints_are_missing(
    distsnn: Command, model: Path, stopped: Path
) -> None:
    shutil.rmtree(stopped / CHECKPOINT)
    before = StoreReader(stopped).spike_hash()
    words = ("run", model, "--time", "50", "--seed", "9", "--out", stopped, "--quiet")
    refused = distsnn(*words, "--resume", "auto")
    assert refused.code == 2
    number = StoreReader(stopped).attempts[0].saved
    assert number is not None
    missing = f"{stopped / CHECKPOINT / generation_name(number)}: the last saved checkpoint"
    assert missing in refused.message
    assert missing in distsnn("info", stopped).out
    assert StoreReader(stopped).spike_hash() == before


def test_resume_with_other_versions_is_reported(
    distsnn: Command, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = versions(SingleProcess())
    assert StoreReader(stopped).attempts[-1].versions == here
    other = here | {"distsnn": "9.9", "numpy": "8.8", "machine": "another"}
    for module in (newest_checkpoint, orchestrator):
        monkeypatch.setattr(module, "versions", lambda communicator: other)
    done = distsnn("run", "--resume", stopped, "--time", "50")
    assert done.code == 0
    saved, now = (f"distsnn {one['distsnn']}, numpy {one['numpy']}" for one in (here, other))
    assert f"was saved with {saved}; this is {now}: spikes may differ" in done.err
    monkeypatch.undo()
    assert "was saved with" not in distsnn("run", "--resume", stopped, "--time", "60").err


def test_terminal_gets_no_escapes_from_a_store(distsnn: Command, stopped: Path) -> None:
    rank = stopped / "attempt001/rank0000/zarr.json"
    content = json.loads(rank.read_text())
    content["attributes"]["status"] = "failed: \x1b]0;owned\x07 \x9b31m \u202e\n  state  complete"
    rank.write_text(json.dumps(content))
    root = json.loads((stopped / "zarr.json").read_text())
    told = distsnn("info", stopped).out
    assert r"failed: \x1b]0;owned\x07 \x9b31m \u202e\n  state" in told
    root["attributes"]["script_changes"] = ["\x1b[2J"]
    (stopped / "zarr.json").write_text(json.dumps(root))
    refused = distsnn("run", "--resume", stopped, "--time", "50")
    assert r"\x1b[2J" in refused.message
    for text in (told, refused.err):
        assert all(one.isprintable() or one == "\n" for one in text)


def test_name_that_reads_as_an_option_is_refused(
    distsnn: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = distsnn("run", model, "--time", "1", "--out=-x.zarr")
    assert refused.code == 2
    assert "a name that starts with a dash is read as an option" in refused.message
    assert not list(tmp_path.glob("-*"))
