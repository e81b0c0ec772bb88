"""`run_model`: what ``distsnn run`` does, from Python, with errors that name keywords."""

from pathlib import Path
from typing import Any

import pytest

from distsnn import (
    IafPscExp,
    Network,
    PoissonInput,
    Population,
    RunPolicy,
    Stopped,
    UsageError,
    run_model,
)
from distsnn.cli import main
from distsnn.io.network_files import save_network
from distsnn.io.reader import StoreReader
from distsnn.simulation import simulate

E = Population("E", 100, IafPscExp())
NETWORK = Network([E], [], [PoissonInput(E, 30000.0, 40.0)])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_network(tmp_path / "network", NETWORK)
    return tmp_path / "network"


def test_run_is_that_of_the_command(model: Path, tmp_path: Path) -> None:
    commanded, called = tmp_path / "command.zarr", tmp_path / "call.zarr"
    words = ("run", model, "--time", 20, "--seed", 3, "--out", commanded, "--quiet")
    assert main([*map(str, words), "--strategy", "contiguous"]) == 0
    run = run_model(model, time=20.0, seed=3, out=called, strategy="contiguous")
    assert run.summary is not None
    assert (run.time_ms, run.summary.time_ms, run.summary.path) == (20.0, 20.0, str(called))
    assert run.summary.spikes > 0
    expected = simulate(NETWORK, 20.0, seed=3)
    assert (run.summary.spikes, run.summary.rates) == (expected.spikes, expected.rates)
    assert StoreReader(called).spike_hash() == StoreReader(commanded).spike_hash()


def test_auto_starts_then_resumes_then_does_nothing(model: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "run.zarr", tmp_path / "whole.zarr"
    keywords: dict[str, Any] = {"out": out, "resume": "auto", "seed": 3}
    policy = RunPolicy(checkpoint_every=10.0)
    started = run_model(model, time=20.0, policy=policy, **keywords)
    resumed = run_model(model, time=30.0, **keywords)
    assert [run.time_ms for run in (started, resumed)] == [20.0, 30.0]
    assert started.summary is not None
    assert resumed.summary is not None
    complete = run_model(model, time=30.0, **keywords)
    assert (complete.title, complete.summary, complete.time_ms) == (str(out), None, 30.0)
    assert len(StoreReader(out).attempts) == 2
    run_model(model, time=30.0, seed=3, out=whole)
    assert StoreReader(out).spike_hash() == StoreReader(whole).spike_hash()


def test_settings_may_be_a_mapping(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(
        "from distsnn import IafPscExp, Network, Population\n"
        "def build(size: int = 3):\n"
        "    return Network([Population('E', size, IafPscExp())])\n"
    )
    sizes = []
    for settings in ({"size": 7}, ["size=7"], ()):
        summary = run_model(path, settings=settings, time=1.0).summary
        assert summary is not None
        sizes.append(summary.neurons)
    assert sizes == [7, 7, 3]


def test_stopped_run_can_be_resumed_without_naming_its_model(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    policy = RunPolicy(checkpoint_every=10.0, wall_limit=1e-3)
    with pytest.raises(Stopped):
        run_model(model, time=50.0, out=out, policy=policy)
    run = run_model(resume=out)
    assert (run.time_ms, StoreReader(out).complete_step) == (50.0, 500)


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({}, UsageError, "time: the biological time is missing"),
        ({"time": 5.05}, UsageError, "time: time is not on the grid; given 5.05"),
        ({"resume": "auto"}, UsageError, "resume auto: the run to look for is missing"),
        ({"resume": "r", "overwrite": True}, UsageError, "resume and overwrite exclude each other"),
        ({"resume": "a", "out": "b"}, UsageError, "out: a resumed run is recorded where it was"),
        (
            {"strategy": "graph", "assignment": "a.json"},
            UsageError,
            "strategy and assignment exclude each other; given 'graph'",
        ),
        ({"quality": "best"}, UsageError, "quality: is for strategy graph only; given 'best'"),
        ({"tim": 5.0}, UsageError, "run_model: unknown keyword 'tim'.*did you mean 'time'"),
    ],
)
def test_errors_name_keywords(
    keywords: dict[str, Any], error: type[Exception], message: str, model: Path
) -> None:
    with pytest.raises(error, match=message):
        run_model(model, **keywords)


def test_model_is_missing_where_no_run_is_resumed() -> None:
    with pytest.raises(UsageError, match="model: the model is missing"):
        run_model(time=5.0)
