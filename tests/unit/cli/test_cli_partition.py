"""The commands around partitioning: rates, what strategies come to, running with one."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distsnn.engine.rank_engine import RankEngine
from distsnn.io.reader import StoreReader
from distsnn.io.summary import read_run_info
from distsnn.simulation.phase_timer import TickClock
from distsnn.tools import profiling

Command = Callable[..., Any]
AREAS = """
from distsnn.network import (
    FixedIndegree, IafPscExp, Network, PoissonInput, Population, Projection
)


def build(areas: int = 4, size: int = 64) -> Network:
    cells = [Population(f"a{at}", size, IafPscExp()) for at in range(areas)]
    made = [Projection(one, one, FixedIndegree(5), 1.0, 0.1) for one in cells]
    made += [
        Projection(one, cells[at - 1], FixedIndegree(3), 1.0, 2.0) for at, one in enumerate(cells)
    ]
    inputs = [PoissonInput(one, 9000.0 + 500.0 * at, 60.0) for at, one in enumerate(cells)]
    return Network(cells, made, inputs)
"""

TWO = '''
from distsnn.network import HhCondExpTraub, IafPscExp, Network, Population


def build():
    """Return two models without a synapse."""
    dear = Population("dear", 256, HhCondExpTraub())
    return Network([Population("plain", 768, IafPscExp()), dear])
'''


@pytest.fixture
def areas(tmp_path: Path) -> Path:
    path = tmp_path / "areas.py"
    path.write_text(AREAS)
    return path


def test_strategies_are_compared(distsnn: Command, areas: Path) -> None:
    found = json.loads(distsnn("partition", areas, "--json").out)
    assert [one["strategy"] for one in found] == [
        *("round_robin", "contiguous", "population", "graph")
    ]
    epochs = {one["strategy"]: (one["epoch_ms"], one["exchanges_per_s"]) for one in found}
    assert epochs["round_robin"] == (2.0, 500.0)  # an area is a block: none is cut
    assert epochs["graph"] == (2.0, 500.0)
    shown = distsnn("partition", areas, "--ranks", "3", "--strategy", "graph").out.splitlines()
    assert [line.split()[0] for line in shown] == ["strategy", "graph"]
    assert len({len(line) for line in shown}) == 1


def test_summary_contains_rank_groups_and_both_epochs(distsnn: Command, areas: Path) -> None:
    # two areas on four ranks
    words = ("--set", "areas=2", "--set", "size=512", "--ranks", "4")
    (one,) = json.loads(distsnn("partition", areas, *words, "--strategy", "graph", "--json").out)
    assert one["groups"] == [2, 2]
    assert (one["epoch_ms"], one["exchanges_per_s"]) == (2.0, 500.0)
    assert (one["group_epoch_ms"], one["group_exchanges_per_s"]) == (0.1, pytest.approx(1e4))
    heads, *rows = (
        re.split(r" {2,}", line.strip())
        for line in distsnn("partition", areas, *words).out.splitlines()
    )
    names = ("groups", "epoch ms", "exchanges /s")
    shown = [tuple(row[heads.index(name)] for name in names) for row in rows]
    assert shown[0] == ("-", "0.1", "10,000")
    assert shown[-1] == ("2 of 2", "2, 0.1", "500, 10,000")


def test_faster_ranks_get_more(distsnn: Command, areas: Path, tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    words = ("--strategy", "graph", "--strategy", "round_robin", "--rank-speeds", "1,3", "--json")
    found = json.loads(distsnn("partition", areas, *words, "--plot", plot).out)
    assert [one["neurons"] for one in found] == [[64, 192], [128, 128]]
    assert found[0]["imbalance"] == pytest.approx(0.0)
    assert found[1]["imbalance"] == pytest.approx(1.0)  # twice what the slower one should have
    assert plot.read_bytes().startswith(b"\x89PNG")
    refused = distsnn("partition", areas, "--plot", tmp_path / "none" / "plot.png")
    assert (refused.code, "--plot: cannot be written" in refused.message) == (2, True)


def test_time_is_measured_by_model(distsnn: Command, tmp_path: Path) -> None:
    model = tmp_path / "two.py"
    model.write_text(TWO)

    def ratio() -> float:
        told = distsnn("profile", model, "--warmup", 10, "--time", 200)
        models = json.loads(told.out)["cost"]["models"]
        return float(models["hh_cond_exp_traub"] / models["iaf_psc_exp"])

    # exponentials in every part of a step against some products: above 30 on an idle machine;
    # other processes may take the time of a run, but hardly of every run
    assert any(ratio() > 5.0 for _ in range(10))


def test_costs_are_profiled_by_model(
    distsnn: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each_ns = {"iaf_psc_exp": 2.0, "hh_cond_exp_traub": 50.0}

    def ticks(engine: RankEngine) -> dict[str, int]:
        costs = (
            each_ns[population.model.name] * population.size
            for population in engine.layout.network.populations
        )
        return {"update": round(engine.step * sum(costs)), "deliver": 0, "exchange": 0, "record": 0}

    # a clock on which only neurons take time, and always the same
    monkeypatch.setattr(RankEngine, "phase_ticks", ticks)
    monkeypatch.setattr(TickClock, "seconds", lambda clock, ticks: 1e-9 * ticks)
    model, rates = tmp_path / "two.py", tmp_path / "rates.json"
    model.write_text(TWO)
    assert distsnn("profile", model, "--warmup", 10, "--time", 20, "--out", rates).code == 0
    cost = json.loads(rates.read_text())["cost"]
    models = cost["models"]
    assert models == pytest.approx(each_ns)
    assert cost["neuron"] == pytest.approx((3 * 2.0 + 50.0) / 4)
    (found,) = json.loads(
        distsnn("partition", model, "--rates", rates, "--strategy", "population", "--json").out
    )
    each = [768 * 1e4 * models["iaf_psc_exp"], 256 * 1e4 * models["hh_cond_exp_traub"]]
    assert sorted(found["cost_ns_per_s"]) == pytest.approx(sorted(each))
    run = tmp_path / "run.zarr"
    words = "--rates", rates, "--strategy", "graph"
    assert distsnn("run", model, *words, "--time", 20, "--out", run).code == 0
    measured, expected = json.loads(distsnn("partition", run, "--rates", rates, "--json").out)[:2]
    assert (measured["kind"], expected["kind"]) == ("measured", "expected")
    assert measured["cost_ns_per_s"] == pytest.approx(expected["cost_ns_per_s"])
    profile = json.loads(rates.read_text())
    profile["cost"]["models"] = {"hh_cond_exp_trub": 1.0}
    rates.write_text(json.dumps(profile))
    refused = distsnn("partition", model, "--rates", rates)
    assert (refused.code, "did you mean 'hh_cond_exp_traub'" in refused.message) == (2, True)


def test_costs_of_models_are_left_out_unless_all_are_known(
    distsnn: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "two.py"
    model.write_text(TWO)
    # of all, of the plain ones, which took no time that the clock told, and of the dear ones
    costs = iter([{"neuron": 2.0}, {}, {"neuron": 5.0}])
    monkeypatch.setattr(profiling, "_costs", lambda *_: next(costs))
    told = distsnn("profile", model, "--warmup", 1, "--time", 1)
    assert json.loads(told.out)["cost"] == {"neuron": 2.0}
    assert next(costs, None) is None


def test_rates_are_profiled_and_used(distsnn: Command, areas: Path, tmp_path: Path) -> None:
    rates, run = tmp_path / "rates.json", tmp_path / "run.zarr"
    words = ("--warmup", "20", "--time", "100", "--set", "areas=3")
    assert distsnn("profile", areas, *words, "--out", rates).code == 0
    profile = json.loads(rates.read_text())
    found, cost = profile["rates"], profile["cost"]
    # a neuron's step takes more than 0.1 ns and, with overheads, no more than 0.1 ms
    assert 0.1 < cost["neuron"] < 1e5
    assert 0.1 < cost["event"] < 1e6
    assert found.keys() == {"a0", "a1", "a2"}
    assert 0.0 < found["a0"] < found["a2"]
    assert json.loads(distsnn("profile", areas, *words).out)["rates"] == found
    given = ("--set", "areas=3", "--rates", rates)
    (one,) = json.loads(
        distsnn("partition", areas, *given, "--strategy", "population", "--json").out
    )
    assert one["spikes_per_s"] == pytest.approx(64 * sum(found.values()))
    neurons = 64 * 1e4 * cost["neuron"]
    assert one["cost_ns_per_s"][0] > neurons
    (tmp_path / "plain.json").write_text(json.dumps(found))
    plain = ("--set", "areas=3", "--rates", tmp_path / "plain.json", "--json")
    assert json.loads(distsnn("partition", areas, *plain).out)[0]["spikes_per_s"] == pytest.approx(
        one["spikes_per_s"]
    )
    done = distsnn("run", areas, *given, "--strategy", "graph", "--time", "100", "--out", run)
    assert done.code == 0
    # a run's store is as good as a file of rates
    again = json.loads(
        distsnn("partition", areas, "--set", "areas=3", "--rates", run, "--json").out
    )
    assert again[0]["spikes_per_s"] == pytest.approx(64 * sum(read_run_info(run).rates.values()))


def test_an_assignment_is_read_from_a_file(distsnn: Command, areas: Path, tmp_path: Path) -> None:
    given, run = tmp_path / "given.json", tmp_path / "run.zarr"
    words = ("--set", "size=128")  # two blocks each
    owner = {"a0": 0, "a1": [0, 1], "a2": 2, "a3": 2}
    given.write_text(json.dumps(owner))
    found = json.loads(distsnn("partition", areas, *words, "--assignment", given, "--json").out)
    assert [one["strategy"] for one in found] == [
        *("given", "round_robin", "contiguous", "population", "graph")
    ]
    assert {one["ranks"] for one in found} == {3}
    assert found[0]["neurons"] == [192, 64, 256]
    given.write_text(json.dumps({"owner": owner, "groups": [2, 1]}))
    asked = (*words, "--assignment", given, "--strategy", "population", "--json")
    found = json.loads(distsnn("partition", areas, *asked).out)
    assert [one["groups"] for one in found] == [[2, 1], []]
    # ranks of a group may have nothing
    given.write_text(json.dumps({"owner": owner, "groups": [2, 3]}))
    found = json.loads(distsnn("partition", areas, *asked).out)
    assert [(one["ranks"], one["groups"]) for one in found] == [(5, [2, 3]), (5, [])]
    assert found[0]["neurons"] == [192, 64, 256, 0, 0]
    # one rank has all
    given.write_text(json.dumps(dict.fromkeys(owner, 0)))
    run_words = ("--assignment", given, "--time", 5, "--out", run, "--checkpoint-every", 5)
    assert distsnn("run", areas, *words, *run_words).code == 0
    made = StoreReader(run).attempts[0].assignment
    assert (made["strategy"], made["owner"]) == ("given", [0] * 8)
    refused = distsnn("run", areas, *words, *run_words, "--overwrite", "--strategy", "population")
    assert (refused.code, "strategy and assignment exclude each other" in refused.message) == (
        2,
        True,
    )
    given.write_text(json.dumps(owner))
    resumed = ("--resume", run, "--time", 9, "--assignment", given)
    refused = distsnn("run", *resumed)
    assert refused.code == 2
    # there is one rank
    assert "population 'a1': out of range; given 1; allowed: an integer, 0 to 0" in refused.message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["partition", "MODEL", "--strategy", "grap"],
            "--strategy: unknown strategy 'grap'.*mean 'graph'",
        ),
        (
            ["partition", "MODEL", "--quality", "bset"],
            "--quality: unknown quality 'bset'.*mean 'best'",
        ),
        (["partition", "MODEL", "--ranks", "0"], "0: must be at least 1"),
        (["partition"], "the following arguments are required: MODEL"),
        (["partition", "MODEL", "--seed", "3"], "distsnn partition: unknown option '--seed'"),
        (["partition", "MODEL", "--rates", "none.json"], "--rates none.json: cannot be read"),
        (["partition", "MODEL", "--rates", "MODEL"], "areas.py: cannot be read"),
        (["partition", "MODEL", "--rates", "deep.json"], "deep.json: cannot be read"),
        (["partition", "MODEL", "--rates", "list.json"], "list.json: holds no rates"),
        (["partition", "MODEL", "--rates", "cost.json"], "cost.json: holds no cost"),
        (
            ["partition", "MODEL", "--rates", "few.json"],
            "--rates.* population 'a1': the rate is missing",
        ),
        (
            ["partition", "MODEL", "--rates", "null.json"],
            "--rates null.json: cost, field models: the costs must be a mapping .* to ns, not None",
        ),
        (
            ["partition", "MODEL", "--rates", "zero.json"],
            "--rates zero.json: cost, field event: .*given 0",
        ),
        (
            ["partition", "MODEL", "--rates", "long.json"],
            "--rates long.json: rate of population 'a0': a number of 400 digits is too large",
        ),
        (["run", "MODEL", "--time", "5", "--rates", "few.json"], "--rates: is for strategy graph"),
        (
            ["run", "MODEL", "--time", "5", "--rank-speeds", "1,2"],
            "--rank-speeds: is for st",
        ),
        (["run", "MODEL", "--time", "5", "--quality", "best"], "--quality: is for strategy graph"),
        (
            ["partition", "MODEL", "--rank-speeds", "1,x"],
            "'x' is not a list of numbers, such as 1,1,2",
        ),
        (
            ["partition", "MODEL", "--rank-speeds", "1,0"],
            r"--rank-speeds\[1\]: out of range; given 0",
        ),
        (["partition", "MODEL", "--rank-speeds", "1,1,2"], r"--rank-speeds: .*\(3,\)"),
        (["profile", "MODEL", "--out", "few.json"], "--out: exists already"),
        (["partition", "MODEL", "--assignment", "no.json"], "--assignment no.json: cannot be read"),
        (["partition", "MODEL", "--assignment", "list.json"], "holds no ranks of populations"),
        (["partition", "MODEL", "--assignment", "few.json"], "population 'a1': is missing"),
        (["partition", "MODEL", "--assignment", "a9.json"], "population 'a9'.*did you mean 'a3'"),
        (
            ["partition", "MODEL", "--assignment", "half.json"],
            "must be an integer",
        ),
        (
            ["partition", "MODEL", "--assignment", "two.json"],
            "number of blocks differs from the network; given 2; allowed: 1",
        ),
        (["partition", "MODEL", "--assignment", "other.json"], "unknown field 'group'.*'groups'"),
        (
            ["partition", "MODEL", "--assignment", "sizes.json"],
            "--assignment sizes.json: assignment, field groups: .*1 rank in all",
        ),
        (
            ["run", "MODEL", "--time", "5", "--assignment", "more.json"],
            "--assignment more.json: assignment, field groups: .*1 rank in all",
        ),
        (
            ["partition", "MODEL", "--assignment", "many.json"],
            "--assignment: too many ranks .*; given 1000000; allowed: at most 65,536",
        ),
        (
            ["partition", "MODEL", "--ranks", "1000000"],
            "--ranks: too many ranks .*; given 1000000; allowed: at most 65,536",
        ),
        (
            ["partition", "MODEL", "--assignment", "twice.json"],
            "--assignment twice.json: cannot be read: 'a1' occurs twice",
        ),
    ],
)
def test_mistakes_are_refused_with_a_message(
    distsnn: Command,
    areas: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "few.json").write_text('{"a0": 5}')
    every = {f"a{at}": 1.0 for at in range(4)}
    for name, cost in (("null", {"models": None}), ("zero", {"event": 0.0})):
        (tmp_path / f"{name}.json").write_text(json.dumps({"rates": every, "cost": cost}))
    ranks = dict.fromkeys(every, 0)
    for name, made in (
        ("a9", ranks | {"a9": 1}),
        ("half", ranks | {"a0": 0.5}),
        ("two", ranks | {"a0": [0, 1]}),
        ("other", {"owner": ranks, "group": [1]}),
        ("sizes", {"owner": ranks, "groups": [0, 2]}),
        ("more", {"owner": ranks, "groups": [1, 2]}),
        ("many", {"owner": ranks, "groups": [1] * 1_000_000}),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(made))
    (tmp_path / "twice.json").write_text('{"a0": 0, "a1": 0, "a2": 0, "a3": 0, "a1": 1}')
    (tmp_path / "long.json").write_text(json.dumps({"rates": every | {"a0": 10**399}}))
    (tmp_path / "cost.json").write_text(json.dumps({"rates": every, "cost": {"neurons": 1.0}}))
    done = distsnn(*(str(areas) if word == "MODEL" else word for word in words))
    assert done.code == 2
    assert __import__("re").search(message, done.message), done.message
