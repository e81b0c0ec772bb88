"""The commands around boards."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from campaigns import sampled

from distsnn.partition.boards import board
from distsnn.partition.boards.mapping import OBJECTIVES
from distsnn.tools import board_mapping, board_slices

Command = Callable[..., Any]
SPIN5 = Path(board.__file__).parent / "descriptions" / "spin5.yaml"
LOIHI = SPIN5.with_name("loihi.yaml")

# steps of 1 ms, as spin5 has them; drawn weights have fewer bits than spin5's
DRIVEN = '''
from distsnn.network import (
    FixedTotalNumber, IafPscExp, Network, Normal, PoissonInput, Population, Projection,
    RecordState)


def build():
    """Return two populations that excite each other and are driven."""
    E, I = Population("E", 400, IafPscExp()), Population("I", 100, IafPscExp())
    return Network([E, I], [Projection(a, b, FixedTotalNumber(500), Normal(40.0, 4.0), delay=2.0)
                            for a in (E, I) for b in (E, I)],
                   [PoissonInput(one, 20000.0, weight=64.0) for one in (E, I)], dt=1.0)
'''

MODEL = '''
from distsnn.network import FixedTotalNumber, IafPscExp, Network, Population, Projection


def build(size: int = 1000):
    """Return two populations that excite each other."""
    E, I = Population("E", size, IafPscExp()), Population("I", 300, IafPscExp())
    return Network([E, I], [Projection(a, b, FixedTotalNumber(5000), weight=1.0, delay=1.0)
                            for a in (E, I) for b in (E, I)])
'''


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    path = tmp_path / "pair.py"
    path.write_text(MODEL)
    return path


def test_boards_are_listed_with_their_figures(distsnn: Command) -> None:
    listed = distsnn("boards").out
    assert "spin5" in listed
    assert "akida" in listed
    assert "not checked by other code" in listed
    told = distsnn("boards", "spin5").out
    assert "router.entries = 1023 (spinn_machine, high)" in told
    assert "links.latency = unknown" in told
    assert "topology.kind = hex_torus (spinn_machine, high)" in told
    data = json.loads(distsnn("boards", "--json").out)
    assert {"spin5", "loihi"} <= {one["name"] for one in data}
    assert {one["topology"]["confidence"] for one in data} == {"high", "medium", "low"}
    refused = distsnn("boards", "spinn5")
    assert (refused.code, "did you mean 'spin5'" in refused.message) == (2, True)


def test_a_model_is_mapped_and_written(distsnn: Command, pair: Path, tmp_path: Path) -> None:
    (tmp_path / "rates.json").write_text('{"E": 2.0, "I": 10.0}')
    out, plot = tmp_path / "mapping.json", tmp_path / "shown.png"
    done = distsnn(
        *("map", pair, "--board", "spin5", "--board-grid", "1x3", "--set", "size=2000"),
        *("--rates", tmp_path / "rates.json", "--out", out, "--plot", plot),
    )
    assert done.code == 0
    assert "2,300 neurons in 10 slices of up to 256 on 10 of 2,424 cores, 1 chip" in done.out
    assert "no violation" in done.out
    data = json.loads(out.read_text())
    assert data["report"]["packets_per_s"] == 2000 * 2.0 + 300 * 10.0
    assert data["report"]["peak_rss_bytes"] > 2**26
    assert f"{data['report']['peak_rss_bytes'] / 2**20:,.0f} MiB" in done.out
    assert [one["population"] for one in data["slices"]] == ["E"] * 8 + ["I"] * 2
    assert {one.name for one in tmp_path.glob("shown*")} == {"shown-chips.png", "shown-links.png"}


def test_on_loihi_the_neurons_that_have_a_synapse_there_count(
    distsnn: Command, tmp_path: Path
) -> None:
    model, out = tmp_path / "driven.py", tmp_path / "mapping.json"
    model.write_text(DRIVEN)
    mine = tmp_path / "mine.yaml"
    mine.write_text(LOIHI.read_text().replace("in_axons: {value: 4096", "in_axons: {value: 120"))
    done = distsnn("map", model, "--board", mine, "--simulate", 200, "--out", out)
    assert (done.code, done.err) == (0, "")
    assert "with more neurons a core would exceed its limit of in_axons" in done.out
    assert "of 120 a core (neurons with a synapse there: built)" in done.out
    data = json.loads(out.read_text())
    assert 100 < data["report"]["axons"]["in_axons"]["max"] <= 120
    made, said = data["run"]["measured"], data["run"]["predicted"]
    assert made["packets"] == pytest.approx(said["packets"])
    assert made["hops"] == pytest.approx(said["hops"])
    words = "map", model, "--board", mine, "--connectivity", "expected"
    assert "(neurons with a synapse there: expected)" in distsnn(*words).out
    refused = distsnn(*words, "--simulate", 200)
    assert (refused.code, "allowed: built" in refused.message) == (2, True)
    mine.write_text(LOIHI.read_text().replace("in_axons: {value: 4096", "in_axons: {value: 3"))
    refused = distsnn("map", model, "--board", mine)
    assert (refused.code, "it needs at least 500 cores" in refused.message) == (2, True)
    refused = distsnn("map", model, "--board", mine, "--board-grid", "2x2")
    assert (refused.code, "a single neuron exceeds the in_axons limit" in refused.message) == (
        2,
        True,
    )


def test_contacts_that_do_not_fit_the_memory_are_not_built(
    distsnn: Command, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "map", pair, "--board", "loihi", "--connectivity"
    # 2,000 neurons and slices, 12 bytes each; their graph has four pairs of slices
    monkeypatch.setattr(board_slices, "available_bytes", lambda: 20_000.0)

    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(board_slices, "iterate_network_synapses", never)
    refused = distsnn(*words, "built")
    assert (refused.code, "allowed: expected (without a sim" in refused.message) == (2, True)
    assert distsnn(*words, "expected").code == 0


def test_what_other_tools_read_is_written(distsnn: Command, pair: Path, tmp_path: Path) -> None:
    folder, out, sanafe = tmp_path / "made" / "pacman", tmp_path / "all.json", tmp_path / "sana"
    assert (
        distsnn("map", pair, "--board", "spin3", "--export-pacman", folder, "--out", out).code == 0
    )
    slices = json.loads(out.read_text())["slices"]
    places = json.loads((folder / "placements.json").read_text())
    assert [(one["x"], one["y"], one["p"]) for one in places] == [
        (one["x"], one["y"], one["core"]) for one in slices
    ]
    tables = json.loads((folder / "routing_tables.json").read_text())
    assert len(tables) == 4
    assert {"key", "mask", "spinnaker_route", "defaultable"} == tables[0]["entries"][0].keys()
    assert distsnn("map", pair, "--board", "loihi", "--export-sanafe", sanafe).code == 0
    groups = [next(iter(one)) for one in yaml.safe_load(sanafe.read_text())["mappings"]]
    assert groups == ["E.0..999", "I.0..299"]
    (tmp_path / "file").write_text("")
    for words, message in (
        (("loihi", "--export-pacman", folder), "the board has no routing tables"),
        (("spin3", "--export-sanafe", sanafe), "the routers of the board copy packets"),
        (("spin3", "--export-pacman", tmp_path / "file" / "in"), "cannot be made"),
        (("loihi", "--export-sanafe", tmp_path / "none" / "one"), "cannot be written"),
    ):
        refused = distsnn("map", pair, "--board", *words)
        assert (refused.code, message in refused.message) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("loihi", "--export-pacman", "FOLDER"), "loihi: the board has no routing tables"),
        (("spin3", "--export-sanafe", "FILE"), "spin3: the routers of the board copy packets"),
        # their cores are not on tiles
        (("truenorth", "--export-sanafe", "FILE"), "truenorth: SANA-FE does not number the cores"),
        (("loihi2", "--export-sanafe", "FILE"), "allowed: loihi, or a board like it"),
        (("spin3", "--rates", "none.json"), "--rates none.json: cannot be read"),
        (("spin3", "--rates", "FEW"), "--rates, population 'I': the rate is missing"),
    ],
)
def test_what_cannot_be_written_or_read_is_refused_before_anything_is_run(
    distsnn: Command,
    pair: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    message: str,
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(board_mapping, "run_with_and_without_limits", never)
    monkeypatch.setattr(board_mapping, "slice_for_board", never)
    (tmp_path / "FEW").write_text('{"E": 5.0}')
    paths = {one: str(tmp_path / one) for one in ("FOLDER", "FILE", "FEW")}
    out = tmp_path / "out.json"
    board, *others = (paths.get(word, word) for word in words)
    for run in ((), ("--simulate", 100)):
        refused = distsnn("map", pair, "--board", board, *others, "--out", out, *run)
        assert (refused.code, message in refused.message) == (2, True), refused.message
    assert not out.exists()


def test_learning_is_refused_where_a_board_cannot(distsnn: Command, tmp_path: Path) -> None:
    model = tmp_path / "learns.py"
    text = MODEL.replace("delay=1.0", "delay=1.0, synapse=STDP(w_max=2.0)")
    model.write_text(text.replace("Projection\n", "Projection, STDP\n", 1))
    refused = distsnn("map", model, "--board", "truenorth")
    assert (refused.code, "'E->E', field synapse: the board's" in refused.message) == (2, True)
    done = distsnn("map", model, "--board", "spin3", "--set", "size=100", "--simulate", 100)
    assert (done.code, done.err) == (0, "")
    assert "plastic weights have these bits" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--board", "spin5", "--board-grid", "3by3"],
            "--board-grid: is not a rectangle",
        ),
        (["--board", "akida", "--neurons-per-core", "64"], "thresholds without memory"),
        (["--board", "akida"], "thresholds without memory"),
        # both reasons are told
        (["--board", "akida"], "nor a recurrent network: layers feed forward"),
        (["--board", "loihi2", "--objective", "hop"], "invalid choice: 'hop'"),
        (["--board", "loihi", "--objective", "congestion"], "congestion cannot be optimised"),
        (["--board", "spinnaker2"], "--neurons-per-core: the number of neurons per core"),
        (
            ["--board", "loihi", "--board-grid", "2x1", "--export-sanafe", "none"],
            "SANA-FE's model of Loihi has one chip",
        ),
        ([], "--board"),
    ],
)
def test_what_cannot_be_mapped_is_refused_before_anything_is_run(
    distsnn: Command,
    pair: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(board_mapping, "run_with_and_without_limits", never)
    monkeypatch.setattr(board_mapping, "slice_for_board", never)
    done = distsnn("map", pair, *words)
    assert (done.code, message in done.message) == (2, True)


@pytest.mark.parametrize("what", OBJECTIVES)
def test_every_objective_can_be_named(distsnn: Command, pair: Path, what: str) -> None:
    done = distsnn("map", pair, "--board", "spin3", "--objective", what)
    assert (done.code, done.err) == (0, "")


def test_models_that_a_board_has_not_are_refused_before_contacts_are_counted(
    distsnn: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(board_slices, "iterate_network_synapses", never)
    refused = distsnn("map", "izhikevich2003", "--board", "loihi")
    assert (refused.code, "core.models: cannot run neurons" in refused.message) == (2, True)


def test_recurrence_is_refused_for_its_own_reason(
    distsnn: Command, pair: Path, tmp_path: Path
) -> None:
    mine, forward = tmp_path / "mine.yaml", tmp_path / "forward.py"
    mine.write_text(LOIHI.with_name("akida.yaml").read_text().replace("value: []", "value: [any]"))
    refused = distsnn("map", pair, "--board", mine)
    assert (refused.code, "core.recurrent: cannot run a recurrent" in refused.message) == (2, True)
    # what runs forward is refused for the next thing that nobody knows
    forward.write_text(MODEL.replace("for a in (E, I) for b in (E, I)", "for a, b in [(E, I)]"))
    refused = distsnn("map", forward, "--board", mine)
    assert (refused.code, "--neurons-per-core" in refused.message) == (2, True)


# A ring of populations, each of which reaches the next: every board has room for it, TrueNorth too,
# where a neuron reaches one core.
RING = '''
from distsnn.network import FixedIndegree, IafPscExp, Network, PoissonInput, Population, Projection


def build():
    """Return six populations in a ring, driven."""
    ring = [Population(f"P{at}", 100, IafPscExp()) for at in range(6)]
    return Network(ring, [Projection(a, b, FixedIndegree(10), weight=40.0, delay=1.0)
                          for a, b in zip(ring, ring[1:] + ring[:1])],
                   [PoissonInput(one, 20000.0, weight=64.0) for one in ring])
'''
BOARDS = {
    "spin5": (),
    "spin3": (),
    "spinnaker2": ("--neurons-per-core", 50),
    "loihi": ("--neurons-per-core", 50),
    "loihi2": ("--board-grid", "2x2", "--neurons-per-core", 2),
    "truenorth": (),
    "dynapse2": ("--board-grid", "2x2", "--neurons-per-core", 50),
}


@pytest.mark.parametrize("name", sampled(sorted({*board.builtin_boards()} - {"akida"}), 3))
def test_a_small_network_is_mapped_onto_every_board(
    distsnn: Command, tmp_path: Path, name: str
) -> None:
    model, out = tmp_path / "ring.py", tmp_path / "mapping.json"
    model.write_text(RING)
    done = distsnn("map", model, "--board", name, *BOARDS[name], "--out", out)
    assert (done.code, done.err) == (0, "")
    assert "no violation" in done.out
    data = json.loads(out.read_text())
    assert data["report"]["neurons"] == 600
    assert data["report"]["cores"] >= 3
    places = {(one["x"], one["y"], one["core"]) for one in data["slices"]}
    assert len(places) == data["report"]["cores"]
    assert sum(one["neurons"] for one in data["slices"]) == 600


@pytest.mark.parametrize("words", [("truenorth",), ("dynapse2", "--board-grid", "2x2")])
def test_weight_bits_of_unknown_scale_are_no_limit(
    distsnn: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    model, out = tmp_path / "ring.py", tmp_path / "mapping.json"
    model.write_text(RING)
    done = distsnn("map", model, "--board", *words, "--simulate", 100, "--out", out)
    assert (done.code, done.err) == (0, "")
    run = json.loads(out.read_text())["run"]
    assert "core.weight_scale" in run["not_applied"]
    assert "core.weight_scale" in done.out
    assert not [one for one in run["changes"] if "bit" in one]
    assert run["measured"]["packets"] == pytest.approx(run["predicted"]["packets"]) != 0.0


def test_a_run_without_limits_that_matter_has_the_same_spikes(
    distsnn: Command, tmp_path: Path
) -> None:
    model, out = tmp_path / "driven.py", tmp_path / "mapping.json"
    model.write_text(DRIVEN)
    words = "map", model, "--neurons-per-core", 16, "--simulate", 200, "--out", out
    done = distsnn(*words, "--board", "spin5")
    assert (done.code, done.err) == (0, "")
    assert "nothing changes" in done.out
    assert "are the same as without limits" in done.out
    run = json.loads(out.read_text())["run"]
    assert run["same_spikes"]
    for own in run["populations"].values():
        assert own["rate"][0] == own["rate"][1] > 0
        assert own["cv"][0] == own["cv"][1] > 0
    made = run["measured"]
    assert made["spikes"] == pytest.approx(
        0.2 * sum(run["populations"][one]["rate"][0] * n for one, n in (("E", 400), ("I", 100)))
    )
    # rates are those of the run: what is predicted of them is what is counted
    assert made["packets"] == pytest.approx(run["predicted"]["packets"])
    assert made["hops"] == pytest.approx(run["predicted"]["hops"])
    assert made["hops"] > 0


def test_a_run_shows_what_limits_do(distsnn: Command, tmp_path: Path) -> None:
    model, mine, out = (tmp_path / name for name in ("driven.py", "mine.yaml", "mapping.json"))
    # what it records is off the board's grid, and not asked for
    recorded = "recordings=[RecordState(E, 'V_m', interval=0.5)], dt=0.5"
    model.write_text(DRIVEN.replace("dt=1.0", recorded))
    mine.write_text(SPIN5.read_text().replace("weight_bits: {value: 16", "weight_bits: {value: 1"))
    done = distsnn("map", model, "--board", mine, "--simulate", 200, "--out", out)
    assert (done.code, done.err) == (0, "")
    assert "weights of 1 bit: 4 of 4 projections" in done.out
    run = json.loads(out.read_text())["run"]
    assert not run["same_spikes"]
    assert all(own["rate"][0] != own["rate"][1] for own in run["populations"].values())
    for time in (0.5, 0):
        refused = distsnn("map", model, "--board", "spin5", "--simulate", time)
        assert (refused.code, "--simulate" in refused.message) == (2, True)
