"""Saved, restored, refused: one rank; other numbers of ranks are in tests/invariance."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from campaigns import sampled
from recorded import assert_same, recorded

from distsnn.engine import snapshot
from distsnn.errors import (
    DescriptionError,
    RunawayError,
    SimulationStateError,
    StoreError,
    UsageError,
)
from distsnn.io.checkpoint_files import CHECKPOINT, generation_name, generations
from distsnn.io.reader import StoreReader
from distsnn.io.run_lock import RunLock
from distsnn.io.run_writer import RunWriter
from distsnn.io.summary import read_run_info
from distsnn.network import (
    IafPscExp,
    Network,
    OneToOne,
    ParrotNeuron,
    PoissonInput,
    Population,
    Projection,
    RecordSpikes,
)
from distsnn.simulation import Progress, RunPolicy, Simulation
from distsnn.simulation.checkpoint import _differences
from distsnn.simulation.job import Job


@pytest.fixture(scope="module")
def whole(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run.zarr"
    with Simulation(network, seed=4, out=out) as simulation:
        simulation.run(40.0)
    return out


def saved(network: Network, out: Path, *, until: float = 21.3) -> Path:
    """Return a run that was saved at two times, and given up some time later."""
    simulation = Simulation(network, seed=4, out=out)
    simulation.run(7.9)
    simulation.save()
    simulation.run(until - 7.9)
    simulation.save()
    simulation.run(5.0)
    simulation._stop(RuntimeError("given up"))
    return out


def test_resumed_run_is_the_run(network: Network, whole: Path, tmp_path: Path) -> None:
    out = saved(network, tmp_path / "run.zarr")
    assert StoreReader(out).attempts[0].ranks[0].status == "failed: given up"
    simulation = Simulation.restore(out, out=out)
    assert simulation.time_ms == 21.3
    simulation.run(40.0 - 21.3)
    summary = simulation.close()
    assert_same(recorded(whole), recorded(out))
    reader = StoreReader(out)
    assert reader.complete
    assert reader.n_committed > reader.n_spikes
    assert summary.spikes == reader.n_spikes == StoreReader(whole).n_spikes
    assert summary.time_ms == 40.0


def test_relays_have_many_spikes_in_flight(tmp_path: Path) -> None:
    relays, others = Population("relays", 100, ParrotNeuron()), Population("N", 100, IafPscExp())
    network = Network(
        [relays, others],
        [Projection(relays, others, OneToOne(), weight=0.1, delay=2.0)],
        [PoissonInput(relays, 1e5, weight=1.0)],
        [RecordSpikes(relays[:10])],
    )
    with Simulation(network, seed=4, out=tmp_path / "whole.zarr") as simulation:
        simulation.run(6.0)
    with Simulation(network, seed=4, out=tmp_path / "run.zarr") as simulation:
        simulation.run(4.0)
        simulation.save()
    with Simulation.restore(tmp_path / "run.zarr", out=tmp_path / "run.zarr") as simulation:
        simulation.run(2.0)
    spikes = [StoreReader(tmp_path / name).spikes() for name in ("whole.zarr", "run.zarr")]
    assert spikes[0][0].size > 10 * 60 * 5
    assert_same(*(dict(zip(("step", "gid"), one, strict=True)) for one in spikes))


def test_state_saved_elsewhere_is_recorded_in_a_new_store(
    network: Network, whole: Path, tmp_path: Path
) -> None:
    simulation = Simulation(network, seed=4)
    simulation.run(12.0)
    simulation.save(tmp_path / "state.zarr")
    simulation.save(tmp_path / "state.zarr")
    assert generations(tmp_path / "state.zarr") == [2, 1]
    branch = Simulation.restore(tmp_path / "state.zarr", out=tmp_path / "branch.zarr")
    branch.run(28.0)
    branch.close()
    reader, full = StoreReader(tmp_path / "branch.zarr"), StoreReader(whole)
    assert reader.complete_step == 400
    for mine, expected in zip(reader.spikes(), full.spikes(120), strict=True):
        np.testing.assert_array_equal(mine, expected)
    steps = reader.state("I").steps
    assert steps[0] == 121
    assert_same(
        {"v": reader.state("I").variables["V_m"].load(0, steps.size)},
        {"v": full.state("I").variables["V_m"].load(full.state("I").steps.size - steps.size, 400)},
    )


def states(network: Network, path: Path) -> Path:
    """Return a store of states that were saved at 6, 12 and 18 ms, of which two are kept."""
    simulation = Simulation(network, seed=4)
    for _ in range(3):
        simulation.run(6.0)
        simulation.save(path)
    simulation.close()
    return path


def test_the_newest_of_several_saved_states_is_gone_on_from_in_their_own_store(
    network: Network, whole: Path, tmp_path: Path
) -> None:
    path = states(network, tmp_path / "state.zarr")
    assert StoreReader(path).attempts == ()
    simulation = Simulation.restore(path, out=path)
    assert simulation.time_ms == 18.0
    simulation.run(12.0)
    simulation.save()
    simulation.run(1.0)
    simulation._stop(RuntimeError("given up"))
    simulation = Simulation.restore(path, out=path)
    assert simulation.time_ms == 30.0
    simulation.run(10.0)
    summary = simulation.close()
    reader, full = StoreReader(path), StoreReader(whole)
    assert (reader.start_step, reader.complete_step, reader.complete) == (180, 400, True)
    for mine, expected in zip(reader.spikes(), full.spikes(180), strict=True):
        np.testing.assert_array_equal(mine, expected)
    assert summary.spikes == full.n_spikes
    # 150 neurons of E
    expected_rate = (full.spikes(180)[1] < 150).sum() / 150 / 22e-3
    numbers = read_run_info(path)
    assert numbers.rates["E"] == pytest.approx(expected_rate)
    assert (numbers.recorded_from_ms, numbers.recorded_ms) == (18.0, 40.0)
    with pytest.raises(UsageError, match="contains a run of its own"):
        Simulation(network, seed=4).save(path)


def test_saved_state_is_not_used_where_recordings_since_an_older_one_end_before(
    network: Network, tmp_path: Path
) -> None:
    path = states(network, tmp_path / "state.zarr")
    hidden = path / CHECKPOINT / generation_name(3) / "zarr.json"
    content = hidden.read_bytes()
    hidden.unlink()
    simulation = Simulation.restore(path, out=path)
    simulation.run(3.0)
    simulation._stop(RuntimeError("given up"))
    hidden.write_bytes(content)
    notes = Notes()
    simulation = Simulation.restore(path, out=path, progress=notes)
    assert simulation.time_ms == 12.0
    assert any("complete only up to step 150" in note for note in notes.notes)
    simulation.close()


class Notes(Progress):
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.parametrize("corrupt", ["zarr.json", "rank0000/zarr.json", "blocks/digest/c/0/0"])
def test_damaged_newest_is_passed_over_with_a_message(
    network: Network, whole: Path, tmp_path: Path, corrupt: str
) -> None:
    out = saved(network, tmp_path / "run.zarr")
    file = out / CHECKPOINT / generation_name(2) / corrupt
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    notes = Notes()
    simulation = Simulation.restore(out, out=out, progress=notes)
    assert simulation.time_ms == 7.9
    assert any("checkpoint 2 is not used" in note and "corrupt" in note for note in notes.notes)
    assert "going on at 7.9 ms, saved by 1 rank" in notes.notes
    simulation.run(40.0 - 7.9)
    # the whole one is kept until there are two later
    simulation.save()
    assert generations(out) == [3, 1]
    simulation.close()
    assert_same(recorded(whole), recorded(out))


def test_two_damaged_generations_are_an_error(network: Network, tmp_path: Path) -> None:
    out = saved(network, tmp_path / "run.zarr")
    for number in (1, 2):
        shutil.rmtree(out / CHECKPOINT / generation_name(number) / "rank0000" / "state")
    with pytest.raises(StoreError, match="no complete checkpoint"):
        Simulation.restore(out, out=out)


def test_checkpoint_of_another_network_is_refused_by_its_differences(
    network: Network, tmp_path: Path
) -> None:
    out = saved(network, tmp_path / "run.zarr")
    first = network.projections[0]
    other = Network(
        network.populations,
        [replace(first, delay=2.6), *network.projections[1:]],
        network.stimuli,
        network.recordings,
    )
    with pytest.raises(DescriptionError, match=r"fields/delay is 2\.5 there, 2\.6 here"):
        Simulation.restore(out, network=other)
    with pytest.raises(DescriptionError, match="seed is 4 there, 5 here"):
        Simulation(network, seed=5, _job=Job(start=out))
    finer = Network(
        network.populations, network.projections, network.stimuli, network.recordings, dt=0.05
    )
    with pytest.raises(DescriptionError, match=r"dt is 0\.1 ms there, 0\.05 ms here"):
        Simulation.restore(out, network=finer)


def test_fields_that_only_one_description_has_are_named() -> None:
    there, here = {"a": {"x": 1, "old": 2}}, {"a": {"x": 1, "new": [3]}}
    assert [*_differences(there, here, "")] == [
        "a/new is [3] here, and is not there",
        "a/old is 2 there, and is not here",
    ]


def test_synapses_drawn_otherwise_are_refused(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = saved(network, tmp_path / "run.zarr")

    def other(engine: object) -> np.ndarray:
        digests = real(engine)
        digests[1] += np.uint64(1)
        return digests

    real = snapshot.synapse_digests
    monkeypatch.setattr(snapshot, "synapse_digests", other)
    with pytest.raises(DescriptionError, match="population 'E', block 1: the synapses differ"):
        Simulation.restore(out)


def test_checkpoint_with_other_state_variables_is_refused(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other:
        real = snapshot.fields
        other.setattr(snapshot, "fields", lambda engine: real(engine)[1:])
        out = saved(network, tmp_path / "run.zarr")
    message = (
        r"state neurons/V_m of population 'E' is None there, and .*'float32'.* in this version"
    )
    with pytest.raises(StoreError, match=message):
        Simulation.restore(out)


def test_nothing_to_save_into(network: Network) -> None:
    simulation = Simulation(network)
    with pytest.raises(UsageError, match="save: the run has no store; hint: set `store`"):
        simulation.save()
    simulation.close()
    with pytest.raises(SimulationStateError, match="save: the simulation is closed"):
        simulation.save("elsewhere.zarr")


def test_checkpoints_at_multiples_of_biological_time(network: Network, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    with Simulation(network, seed=4, out=out, policy=RunPolicy(checkpoint_every=3.0)) as simulation:
        simulation.run(4.0)
        simulation.run(3.5)
    from distsnn.io.checkpoint_reader import CheckpointReader

    assert [CheckpointReader.open(out, n).attributes["step"] for n in generations(out)] == [60, 30]


def test_checkpoints_by_the_wall_clock(network: Network, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    with Simulation(
        network, seed=4, out=out, policy=RunPolicy(checkpoint_wall_time=1e-6)
    ) as simulation:
        simulation.run(20.0)
    assert len(generations(out)) == 2


def test_runaway_population_is_named(network: Network, tmp_path: Path) -> None:
    simulation = Simulation(network, out=tmp_path / "run.zarr", policy=RunPolicy(max_rate=30.0))
    with pytest.raises(RunawayError, match=r"population '\w': .* above the limit of 30") as caught:
        simulation.run(300.0)
    assert caught.value.at_ms == 100.0
    reader = StoreReader(tmp_path / "run.zarr")
    assert reader.attempts[0].ranks[0].status.startswith("failed: population")
    assert reader.complete_step == 1000


def test_rate_after_a_resume_in_mid_window_is_that_of_the_time_it_was_counted_in(
    network: Network, tmp_path: Path
) -> None:
    out = saved(network, tmp_path / "run.zarr", until=60.0)
    simulation = Simulation.restore(out, out=out, policy=RunPolicy(max_rate=1.0))
    with pytest.raises(RunawayError, match="population 'E'") as caught:
        simulation.run(300.0)
    assert caught.value.at_ms == 200.0
    gid = StoreReader(out).spikes(600, 2000)[1]
    assert caught.value.rate == pytest.approx((gid < 150).sum() / 150 / 0.14)


def test_rate_limit_that_is_not_reached_changes_nothing(
    network: Network, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    with Simulation(network, seed=4, out=out, policy=RunPolicy(max_rate=1e4)) as simulation:
        simulation.run(40.0)
    assert_same(recorded(whole), recorded(out))


def test_generation_whose_recordings_no_longer_count_is_not_used(
    network: Network, whole: Path, tmp_path: Path
) -> None:
    out = saved(network, tmp_path / "run.zarr")
    hidden = out / CHECKPOINT / generation_name(2) / "zarr.json"
    content = hidden.read_bytes()
    hidden.unlink()
    # begins after the older one, and so makes void what was recorded later
    Simulation.restore(out, out=out)._stop(RuntimeError("given up"))
    hidden.write_bytes(content)
    notes = Notes()
    simulation = Simulation.restore(out, out=out, progress=notes)
    assert simulation.time_ms == 7.9
    assert any("complete only up to step 79" in note for note in notes.notes)
    simulation.run(40.0 - 7.9)
    simulation.close()
    assert_same(recorded(whole), recorded(out))


@pytest.mark.parametrize(
    "cut", sampled(["zarr.json", "rank0000/zarr.json", "rank0000/spikes/zarr.json"], 3)
)
def test_attempt_that_a_power_cut_left_unreadable_is_left_out(
    network: Network, whole: Path, tmp_path: Path, cut: str
) -> None:
    out = saved(network, tmp_path / "run.zarr")
    lost = Simulation.restore(out, out=out)
    lost.run(3.0)
    lost._stop(RuntimeError("given up"))
    (out / "attempt001" / cut).write_bytes(b"")
    with pytest.raises(StoreError, match="attempt001"):
        StoreReader(out)
    notes = Notes()
    simulation = Simulation.restore(out, out=out, progress=notes)
    assert simulation.time_ms == 21.3
    (note,) = [note for note in notes.notes if "attempt 1 is ignored" in note]
    assert f"attempt001/{cut}".removesuffix("/zarr.json") in note
    simulation.run(40.0 - 21.3)
    simulation.close()
    assert len(StoreReader(out).attempts) == 2
    assert_same(recorded(whole), recorded(out))


def test_unreadable_attempt_falls_back_to_the_previous_checkpoint(
    network: Network, whole: Path, tmp_path: Path
) -> None:
    out = saved(network, tmp_path / "run.zarr")
    lost = Simulation.restore(out, out=out)
    lost.run(3.0)
    lost.save()
    lost._stop(RuntimeError("given up"))
    assert generations(out) == [3, 2]
    (out / "attempt001" / "zarr.json").write_bytes(b"")
    notes = Notes()
    simulation = Simulation.restore(out, out=out, progress=notes)
    assert simulation.time_ms == 21.3
    assert any(one.startswith("checkpoint 3 is not used: ") for one in notes.notes)
    (note,) = [one for one in notes.notes if one.startswith("attempt 1 is ignored")]
    assert "because no checkpoint of it is used" in note
    simulation.run(40.0 - 21.3)
    simulation.close()
    assert_same(recorded(whole), recorded(out))


def test_unused_checkpoint_is_not_reported(network: Network, tmp_path: Path) -> None:
    out = saved(network, tmp_path / "run.zarr")
    lost = Simulation.restore(out, out=out)
    lost._stop(RuntimeError("given up"))
    (out / "attempt001" / "zarr.json").write_bytes(b"")
    for number in generations(out):
        (out / CHECKPOINT / generation_name(number) / "blocks" / "zarr.json").write_bytes(b"")
    notes = Notes()
    with pytest.raises(StoreError, match="no complete checkpoint"):
        Simulation.restore(out, out=out, progress=notes)
    assert [one.partition(":")[0] for one in notes.notes] == [
        "checkpoint 2 is not used",
        "checkpoint 1 is not used",
    ]


def test_attempt_that_was_saved_and_cannot_be_read_is_an_error(
    network: Network, tmp_path: Path
) -> None:
    out = saved(network, tmp_path / "run.zarr")
    (out / "attempt000" / "zarr.json").write_bytes(b"")
    notes = Notes()
    with pytest.raises(StoreError, match="no complete checkpoint to resume from"):
        Simulation.restore(out, out=out, progress=notes)
    assert any("checkpoint 2 is not used" in note and "attempt000" in note for note in notes.notes)
    with pytest.raises(StoreError, match="attempt000"):
        RunWriter.resume(out, 1, start_step=213, saved_by=0)
    assert (out / "attempt000" / "rank0000").is_dir()


def test_resumed_generation_is_kept_for_any_path_to_it(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(network, tmp_path / "run.zarr")
    monkeypatch.chdir(tmp_path)
    simulation = Simulation.restore("run.zarr", out="run.zarr")
    simulation.save()
    assert generations(tmp_path / "run.zarr") == [3, 2]
    simulation.close()


def test_state_is_not_saved_into_the_store_of_another_run(network: Network, tmp_path: Path) -> None:
    out = saved(network, tmp_path / "run.zarr")
    simulation = Simulation(network, seed=4)
    with pytest.raises(UsageError, match="contains a run of its own"):
        simulation.save(out)
    other = Simulation(network, seed=5)
    other.save(tmp_path / "other.zarr")
    with pytest.raises(DescriptionError, match="of another network: seed is 5 there, 4 here"):
        simulation.save(tmp_path / "other.zarr")
    assert generations(out) == [2, 1]
    assert generations(tmp_path / "other.zarr") == [1]


def test_only_one_simulation_writes_a_run(network: Network, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    first = Simulation(network, seed=4, out=out)
    first.run(5.0)
    first.save()
    for job, overwrite in ((Job(), True), (Job(start=out), False)):
        with pytest.raises(StoreError, match=r"is being written by process \d+ on"):
            Simulation(network, seed=4, out=out, overwrite=overwrite, _job=job)
    first.close()
    Simulation(network, seed=4, out=out, overwrite=True).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.zarr"]


def test_processes_that_save_into_one_store_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = Population("E", 20, IafPscExp())
    simulation = Simulation(Network([cells], [], [PoissonInput(cells, 30_000.0, 40.0)]))
    other = RunLock(tmp_path / "states.zarr")
    with monkeypatch.context() as patched:
        patched.setattr("distsnn.simulation.checkpoint._PATIENCE_S", 0.0)
        with pytest.raises(StoreError, match=r"states.zarr: is being written by process \d+ on"):
            simulation.save(tmp_path / "states.zarr")
    assert not (tmp_path / "states.zarr").exists()
    timer = threading.Timer(0.7, other.release)
    timer.start()
    simulation.save(tmp_path / "states.zarr")
    timer.join()
    assert generations(tmp_path / "states.zarr") == [1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["states.zarr"]


@pytest.mark.parametrize("folder", [".", CHECKPOINT])
def test_run_that_cannot_be_extended_is_refused_before_building(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    out = saved(network, tmp_path / "run.zarr")
    # Root may write anywhere, so the refusal is made up.
    monkeypatch.setattr("os.access", lambda path, mode: path != out / folder)
    notes = Notes()
    with pytest.raises(StoreError, match="is not writable"):
        Simulation.restore(out, out=out, progress=notes)
    assert notes.notes == []
    Simulation.restore(out).close()


def test_damage_is_reported_without_progress(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = saved(network, tmp_path / "run.zarr")
    (out / CHECKPOINT / generation_name(2) / "zarr.json").unlink()
    Simulation.restore(out)
    assert "distsnn: checkpoint 2 is not used" in capsys.readouterr().err
