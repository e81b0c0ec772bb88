"""Mapping from Python: the data of the command, on all ranks, and errors that name keywords."""

import json
from pathlib import Path
from typing import Any

import pytest
import thread_ranks
from command_jobs import run

from distsnn import (
    FixedTotalNumber,
    IafPscExp,
    InputError,
    Network,
    PoissonInput,
    Population,
    Profile,
    Projection,
    RankError,
    RecordState,
    UsageError,
    map_network,
)
from distsnn.cli import main
from distsnn.io.network_files import save_network
from distsnn.partition.boards.board import load_board

PAIR = Population("E", 400, IafPscExp()), Population("I", 100, IafPscExp())
NETWORK = Network(
    PAIR,
    [
        Projection(pre, post, FixedTotalNumber(500), weight=40.0, delay=2.0)
        for pre in PAIR
        for post in PAIR
    ],
    [PoissonInput(population, 20000.0, weight=64.0) for population in PAIR],
    # off the grid of boards with steps of 1 ms
    [RecordState("E", "V_m", interval=0.5)],
    dt=0.5,
)
RATES = {"E": 2.0, "I": 10.0}


def plain(data: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping's data as JSON has it, without time and memory."""
    data = json.loads(json.dumps(data))
    del data["report"]["seconds"], data["report"]["peak_rss_bytes"]
    return data


@pytest.mark.parametrize(
    ("words", "board", "keywords"),
    [
        (
            [
                "spin5",
                "--board-grid",
                "1x3",
                "--objective",
                "congestion",
                "--neurons-per-core",
                100,
            ],
            "spin5",
            {"board_grid": (1, 3), "objective": "congestion", "neurons_per_core": 100},
        ),
        (
            ["loihi", "--connectivity", "expected"],
            load_board("loihi"),
            {"connectivity": "expected"},
        ),
        (["loihi", "--seed", 3], "loihi", {"seed": 3, "rates": Profile(RATES)}),
        (
            ["spin3", "--simulate", 100, "--seed", 3],
            "spin3",
            {"simulate": 100.0, "seed": 3, "rates": None},
        ),
    ],
)
def test_a_network_has_the_data_of_the_command(
    words: list[Any], board: Any, keywords: dict[str, Any], tmp_path: Path
) -> None:
    save_network(tmp_path / "network", NETWORK)
    path, rates = tmp_path / "mapping.json", tmp_path / "rates.json"
    rates.write_text(json.dumps(RATES))
    options = [] if "--simulate" in words else ["--rates", rates]
    command = ["map", tmp_path / "network", "--board", *words, *options, "--out", path]
    assert main([*map(str, command)]) == 0
    mapped = map_network(NETWORK, board, **{"rates": rates, **keywords})
    data = mapped.to_dict()
    assert plain(data) == plain(json.loads(path.read_text()))
    assert mapped.report["neurons"] == 500
    assert (mapped.run is not None) == ("simulate" in keywords)
    assert mapped.mapping.check() == []
    assert mapped.populations == ("E", "I")


def test_a_run_shows_the_effect_of_the_board() -> None:
    mapped = map_network(NETWORK, "spin5", simulate=100.0)
    assert mapped.run is not None
    rates = mapped.run["populations"]
    assert rates["E"]["rate"][0] > 0.0 and rates["E"]["rate"][1] > 0.0
    # its rates are the rates of the mapping
    spikes = 0.1 * sum(rates[population.name]["rate"][1] * population.size for population in PAIR)
    assert mapped.run["measured"]["spikes"] == pytest.approx(spikes)
    assert mapped.report["packets_per_s"] == pytest.approx(10.0 * spikes)


def test_files_are_written(tmp_path: Path) -> None:
    out, pacman, plot = tmp_path / "mapping.json", tmp_path / "pacman", tmp_path / "plot.png"
    mapped = map_network(NETWORK, "spin3", out=out, export_pacman=pacman, plot=plot)
    assert json.loads(out.read_text()) == json.loads(json.dumps(mapped.to_dict()))
    assert {path.name for path in pacman.iterdir()} == {"placements.json", "routing_tables.json"}
    assert {path.name for path in tmp_path.glob("*.png")} == {"plot-chips.png", "plot-links.png"}
    sanafe = tmp_path / "sanafe"
    map_network(NETWORK, "loihi", export_sanafe=sanafe)
    assert [*json.loads(sanafe.read_text())] == ["mappings"]


def test_every_rank_gets_the_mapping_or_the_error(tmp_path: Path) -> None:
    mappings, _ = thread_ranks.run(
        2, lambda communicator: map_network(NETWORK, "spin3", communicator=communicator)
    )
    assert plain(mappings[0].to_dict()) == plain(mappings[1].to_dict())
    path = tmp_path / "none" / "mapping.json"
    (error, other), _ = thread_ranks.run(
        2, lambda communicator: map_network(NETWORK, "spin3", out=path, communicator=communicator)
    )
    assert isinstance(error, UsageError) and "cannot be written" in str(error)
    assert isinstance(other, RankError) and other.message == str(error)


@pytest.mark.ci
def test_a_run_on_two_ranks_has_the_same_effect(tmp_path: Path) -> None:
    save_network(tmp_path / "network", NETWORK)
    path = tmp_path / "mapping.json"
    words = ("--board", "spin5", "--simulate", "100", "--out", str(path))
    ended = run("map", str(tmp_path / "network"), *words, ranks=2)
    assert ended.code == 0, ended.err
    mapped = map_network(NETWORK, "spin5", simulate=100.0)
    assert plain(json.loads(path.read_text())) == plain(mapped.to_dict())


@pytest.mark.parametrize(
    ("board", "keywords", "message"),
    [
        ("spinn5", {}, r"^board: unknown board 'spinn5'.*did you mean 'spin5'"),
        ("spinnaker2", {}, r"^neurons_per_core: the number of neurons per core .* is unknown"),
        ("spin5", {"neurons_per_core": 0}, r"^neurons_per_core: out of range; given 0"),
        ("spin5", {"board_grid": (0, 3)}, r"^board_grid, board 'spin5': .*given .*0"),
        (
            "spin5",
            {"objective": "hop"},
            r"^objective: unknown objective 'hop'.*did you mean 'hops'",
        ),
        (
            "spin5",
            {"connectivity": "build"},
            r"^connectivity: unknown connectivity 'build'.*'built'",
        ),
        ("spin5", {"rates": "no.json"}, r"^rates no.json: cannot be read"),
        ("spin5", {"rates": {"E": 1.0}}, r"^rates, population 'I': the rate is missing"),
        ("spin5", {"simulate": 0.0}, r"^simulate: nothing would run; given 0.0"),
        ("spin5", {"simulate": 0.5}, r"^simulate: time is not on the grid"),
        (
            "loihi",
            {"simulate": 5.0, "connectivity": "expected"},
            r"^connectivity: the packets of a",
        ),
        ("spin3", {"plot": "none/plot.png"}, r"^plot: cannot be written: .*none/plot-chips.png"),
        ("spin3", {"plot": "plot.pgn"}, r"^plot: cannot be written: Format 'pgn'"),
        (
            "loihi",
            {"export_pacman": "folder"},
            r"^export_pacman: loihi: the board has no routing tables",
        ),
        (
            "spin5",
            {"export_sanafe": "file"},
            r"^export_sanafe: spin5: the routers of the board copy packets",
        ),
    ],
)
def test_an_error_names_the_keyword(
    board: str, keywords: dict[str, Any], message: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        map_network(NETWORK, board, **keywords)
    assert [*tmp_path.iterdir()] == []
