"""Profiles from Python: rates and costs as of the command, and errors that name keywords."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_jobs import run

from distsnn import (
    FixedIndegree,
    HhCondExpTraub,
    IafPscExp,
    InputError,
    Network,
    PoissonInput,
    Population,
    Profile,
    Projection,
    SpikeInput,
    compare_partitions,
    profile_network,
)
from distsnn.cli import main
from distsnn.io.network_files import save_network
from distsnn.simulation import last_spikes
from distsnn.tools.profiles import read_profile

E, OTHER = Population("E", 200, IafPscExp()), Population("I", 64, HhCondExpTraub())
NETWORK = Network(
    [E, OTHER], [Projection(E, E, FixedIndegree(10), 5.0, 1.0)], [PoissonInput(E, 20000.0, 40.0)]
)
TIMES = {"time": 50.0, "warmup": 20.0}


def test_rates_are_those_of_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_network(tmp_path / "network", NETWORK)
    words = ["profile", tmp_path / "network", "--time", 50, "--warmup", 20, "--seed", 3]
    assert main([*map(str, words)]) == 0
    printed = json.loads(capfd.readouterr().out)
    profile = profile_network(NETWORK, seed=3, out=tmp_path / "profile.json", **TIMES)
    assert profile.rates == printed["rates"]
    assert profile.rates["E"] > 0.0
    # times differ from run to run
    assert {*profile.cost} == {*printed["cost"]} == {"neuron", "event", "models"}
    assert {*profile.cost["models"]} == {"iaf_psc_exp", "hh_cond_exp_traub"}
    written = json.loads((tmp_path / "profile.json").read_text())
    assert written == profile.to_dict()
    assert read_profile(tmp_path / "profile.json") == profile
    assert profile.cost_model.event == profile.cost["event"]
    (metrics,) = compare_partitions(NETWORK, strategy="population", rates=profile)
    assert metrics.spikes == pytest.approx(200 * profile.rates["E"] + 64 * profile.rates["I"])


def test_more_spikes_than_a_run_call_keeps_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = profile_network(NETWORK, **TIMES).rates
    monkeypatch.setattr(last_spikes, "MAX_SPIKES", 10)
    assert profile_network(NETWORK, **TIMES).rates == whole
    assert whole["E"] * 200 * 0.05 > 100  # spikes in 50 ms


def test_spikes_of_the_warmup_are_not_counted() -> None:
    early = Network([E], stimuli=[SpikeInput(E[:10], np.full(10, 5.0), np.arange(10), 1e5)])
    assert profile_network(early, time=10.0, warmup=20.0).rates == {"E": 0.0}
    assert profile_network(early, time=20.0, warmup=0.0).rates["E"] > 1.0


@pytest.mark.ci
def test_rates_do_not_depend_on_the_number_of_ranks(tmp_path: Path) -> None:
    save_network(tmp_path / "network", NETWORK)
    path = tmp_path / "profile.json"
    words = ("--time", "50", "--warmup", "20", "--out", str(path))
    ended = run("profile", str(tmp_path / "network"), *words, ranks=2)
    assert (ended.code, ended.out) == (0, "")
    assert read_profile(path).rates == profile_network(NETWORK, **TIMES).rates


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"time": 0.0}, r"^time: nothing would be measured; given 0.0"),
        ({"time": 0.05}, r"^time: time is not on the grid"),
        ({"warmup": -1.0}, r"^warmup: must not be negative; given -1.0"),
        ({"seed": -1}, r"^seed: out of range; given -1"),
        ({"out": "there.json"}, r"^out: exists already; given 'there.json'"),
        ({"out": "none/profile.json"}, r"^out: cannot be written: No such file.*given 'none/"),
    ],
)
def test_an_error_names_the_keyword(
    keywords: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.json").write_text("{}")
    with pytest.raises(InputError, match=message):
        profile_network(NETWORK, **{"time": 1.0, "warmup": 0.0, **keywords})


def test_a_profile_needs_no_measurement() -> None:
    assert read_profile(None) == Profile(1.0, {})
    assert read_profile({"E": 4.0}) == Profile({"E": 4.0})
    assert read_profile(3.0).to_dict() == {"rates": 3.0, "cost": {}}
