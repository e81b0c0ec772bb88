"""Recordings that a script switches off and on: the store has the part of all that they were on.

Ranks of MPI are in `tests/invariance/test_invariance_recordings.py`.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import switched_recordings
from recorded import assert_same, recorded
from switched_recordings import (
    DT,
    PARTS,
    PLAN,
    SEED,
    TIME,
    begin,
    cut,
    intervals,
    network,
    resume,
    switch,
    switched,
)
from thread_ranks import run

from distsnn.analysis import open_run, write_report
from distsnn.comm import Communicator
from distsnn.errors import DescriptionError, SimulationStateError, StoreError, UsageError
from distsnn.io.reader import StoreReader
from distsnn.io.summary import read_run_info
from distsnn.network import IafPscExp, Network, Population, RecordState
from distsnn.simulation import RunPolicy, Simulation


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    path = tmp_path_factory.mktemp("recordings") / "whole.zarr"
    switched(path, [(TIME, {})])
    found = recorded(path)
    assert found["spikes step"].size > 300
    assert np.ptp(found["weights of E->E weight"], axis=0).max() > 1.0
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "switched.zarr"
    switched(path)
    return path


def test_what_is_recorded_is_the_part_of_the_intervals(whole: dict, store: Path) -> None:
    expected = cut(whole)
    assert 0 < expected["spikes step"].size < whole["spikes step"].size
    assert 3 < expected["sparse steps"].size < whole["sparse steps"].size
    assert_same(expected, recorded(store))
    reader = StoreReader(store)
    for name, found in intervals(PLAN).items():
        np.testing.assert_array_equal(reader.intervals(name), found)
    with pytest.raises(DescriptionError, match="unknown recording 'spikes/F'"):
        reader.intervals("spikes/F")


def test_resumed_run_keeps_its_recording_switches(whole: dict, tmp_path: Path) -> None:
    path = tmp_path / "run.zarr"
    begin(path)
    rates = resume(path)
    assert_same(cut(whole), recorded(path))
    reader, of = StoreReader(path), intervals(PLAN)
    for name, expected in of.items():
        np.testing.assert_array_equal(reader.intervals(name), expected)
    # a rate is that of the time in which spikes were recorded
    gid = recorded(path)["spikes gid"]
    for name, n, own in (("E", 130, gid < 130), ("I", 50, gid >= 130)):
        seconds = sum(until - after for after, until in of[f"spikes/{name}"]) * DT * 1e-3
        expected = own.sum() / n / seconds
        assert rates[name] == pytest.approx(expected)
        assert read_run_info(path).rates[name] == pytest.approx(expected)


def test_a_branch_and_a_trial_begin_with_the_same_setting(whole: dict, tmp_path: Path) -> None:
    saved, branch, trial = (tmp_path / f"{name}.zarr" for name in ("saved", "branch", "trial"))
    with Simulation(network(), seed=SEED) as simulation:
        simulation.run(10.0)
        simulation["E"].record = False
        simulation["E->E"].record = False
        simulation.save(saved)
        record = simulation["E"].record
        simulation.reset(weights="described", out=trial)
        assert not any(record.values())
        simulation.run(10.0)
        record["spikes"] = True
        simulation.run(TIME - 10.0)
    later = {"spikes/E": True}
    off = {"spikes/E": False, "state/E": False, "weights/E->E": False}
    found, expected = recorded(trial), cut(whole, [(10.0, off), (TIME - 10.0, later)])
    for key in ("spikes step", "spikes gid", "sparse V_m"):
        np.testing.assert_array_equal(found[key], expected[key])
    for name in ("state/E", "weights/E->E"):
        assert StoreReader(trial).intervals(name).size == 0
    assert found["E V_m"].shape == (0, 87)
    with Simulation.restore(saved, network=network(), out=branch) as simulation:
        simulation["E"].record["E"] = True
        simulation.run(TIME - 10.0)
    found = recorded(branch)
    np.testing.assert_array_equal(found["E V_m"], whole["E V_m"][100:])
    assert found["spikes gid"].min() >= 130
    assert StoreReader(branch).intervals("state/E").tolist() == [[100, round(TIME / DT)]]


def test_switching_there_and_back_at_one_step_changes_nothing(whole: dict, tmp_path: Path) -> None:
    with Simulation(network(), seed=SEED, out=tmp_path / "run.zarr") as simulation:
        for length in (10.0, TIME - 10.0):
            for on in (False, True, False, True):
                for part in ("E", "I", "E->E"):
                    simulation[part].record = on
            simulation.run(length)
    assert_same(whole, recorded(tmp_path / "run.zarr"))
    assert StoreReader(tmp_path / "run.zarr").intervals("state/E").tolist() == [[0, 500]]


@pytest.mark.parametrize("at", [1, 3])
def test_a_kill_right_after_a_switch(whole: dict, tmp_path: Path, at: int) -> None:
    path = tmp_path / "run.zarr"
    program = [sys.executable, switched_recordings.__file__, str(path), "kill", str(at)]
    assert subprocess.run(program, check=False).returncode == 9
    with Simulation.resume(path, network=network()) as simulation:
        step, begin = round(simulation.time_ms / DT), 0
        assert step > 0
        # the script goes on where its state was saved
        for length, settings in PLAN:
            end = begin + round(length / DT)
            if step <= begin:
                switch(simulation, settings)
            simulation.run((max(end, step) - max(begin, step)) * DT)
            begin = end
    assert_same(cut(whole), recorded(path))


def test_statistics_divide_by_recorded_time_or_refuse(
    whole: dict, store: Path, tmp_path: Path
) -> None:
    run, of = open_run(store), intervals(PLAN)
    seconds = [sum(b - a for a, b in of[f"spikes/{name}"]) * DT * 1e-3 for name in "EI"]
    np.testing.assert_allclose(run.populations["recorded_ms"], np.array(seconds) * 1e3)
    np.testing.assert_allclose(run.intervals("state/E"), np.array(of["state/E"]) * DT)
    assert run.recordings == list(PARTS)
    found, gid = cut(whole), cut(whole)["spikes gid"]
    rates = run.rates().compute()
    np.testing.assert_allclose(rates[:130], np.bincount(gid, minlength=200)[:130] / seconds[0])
    np.testing.assert_allclose(rates[130:], np.bincount(gid, minlength=200)[140:190] / seconds[1])
    # a part of the time, and one without any recording
    part = run.rates("E", 5.0, 15.0).compute()
    inside = (found["spikes step"] > 50) & (gid < 130) & (found["spikes step"] <= 100)
    np.testing.assert_allclose(part, np.bincount(gid[inside], minlength=130) / 5e-3)
    assert np.isnan(run.rates("E", 11.0, 17.0).compute()).all()
    rate = run.population_rate(bin_ms=1.0).compute()
    # of E from 10 to 29.5 ms, of I from 29.5 ms on
    assert np.isfinite(rate[0, :10]).all() and np.isfinite(rate[0, 30:]).all()
    assert np.isnan(rate[0, 10:30]).all() and np.isnan(rate[1, 29:]).all()
    assert np.isfinite(rate[1, :29]).all()
    for name in ("isi", "cv", "synchrony", "power_spectrum", "correlations"):
        with pytest.raises(DescriptionError, match="'E' were not recorded in all of this time"):
            getattr(run, name)()
    with pytest.raises(DescriptionError, match=r"allowed: time within \(0, 10\], \(29.5, 50\] ms"):
        run.spike_count_histogram("E")
    assert run.isi("E", 0.0, 10.0)["n"].sum().compute() >= 0
    page = write_report(store, tmp_path / "report.html").read_text()
    assert "Spikes were recorded of E in (0, 10], (29.5, 50] ms; I in (0, 29.5] ms only." in page
    numbers = read_run_info(store).recorded_intervals_ms
    assert numbers["spikes/I"] == [[0.0, pytest.approx(29.5)]]
    assert numbers.keys() == PARTS.keys()


def test_what_is_wrong_is_refused(tmp_path: Path) -> None:
    def main(communicator: Communicator) -> list[str]:
        given = {"communicator": communicator, "policy": RunPolicy(heartbeat_timeout=np.inf)}
        problems = []
        with Simulation(network(), seed=SEED, out=tmp_path / "r.zarr", **given) as simulation:
            record = simulation["E"].record

            def try_to(part: str, key: str, on: Any) -> None:
                try:
                    simulation[part].record[key] = on
                except (DescriptionError, UsageError) as error:
                    problems.append(str(error))

            try_to("E", "E", 1)
            try_to("E", "spike", False)
            try_to("E", "spikes", communicator.rank == 0)
            simulation.run(1.0)
            assert all(record.values())
        with pytest.raises(SimulationStateError, match=r"record.*: the simulation is closed"):
            record["E"] = False
        return problems

    found, _ = run(2, main)
    for number, text in enumerate(
        [
            "must be True or False",
            "unknown recording 'spike'; allowed: E, spikes; did you mean 'spikes'",
            "rank 1 was given other",
        ]
    ):
        assert text in found[0][number], found[0]
    with Simulation(network(), seed=SEED) as simulation:
        with pytest.raises(DescriptionError, match="nothing of it is recorded"):
            simulation["E->I"].record = False
        with pytest.raises(UsageError, match=r"hint: use simulation\['E'\].record"):
            _ = simulation[network().populations[0][:5]].record
    with pytest.raises(DescriptionError, match="the name belongs to recordings of spikes"):
        Network([Population("spikes", 3, IafPscExp())], recordings=[RecordState("spikes", "V_m")])


def test_recordings_of_a_closed_simulation_without_a_store_are_not_switched() -> None:
    with Simulation(network(), seed=SEED) as simulation:
        record = simulation["E"].record
        record["E"] = False
        simulation.run(1.0)
    with pytest.raises(SimulationStateError, match="the simulation is closed"):
        record["E"] = True


@pytest.mark.parametrize(
    "noted",
    [[[5, 5]], [[9, 3]], [[0, 5], [3, 9]], [[0, 5], [5, 9]], [[0, None], [7, 9]], [[True, 4]], 3],
)
def test_intervals_that_cannot_be_are_damage(store: Path, tmp_path: Path, noted: object) -> None:
    path = tmp_path / "copy.zarr"
    shutil.copytree(store, path)
    about = path / "attempt000" / "zarr.json"
    text = json.loads(about.read_text())
    text["attributes"]["intervals"]["state/E"] = noted
    about.write_text(json.dumps(text))
    with pytest.raises(StoreError, match="corrupt: intervals of 'state/E'"):
        StoreReader(path)
