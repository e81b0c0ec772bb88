"""What the drivers do with measurements, on made-up ones: nothing here takes a time."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from distsnn.errors import DescriptionError

MB = 10**6


@pytest.fixture(scope="module")
def compare() -> ModuleType:
    import compare

    return compare


@pytest.fixture(scope="module")
def cases() -> ModuleType:
    import cases

    return cases


def measurement(
    rtf: float, *, others: float = 0.0, build: float = 1.0, peak: int = 10 * MB
) -> dict:
    return {
        "rtf": rtf,
        "run_s": rtf,
        "build_s": build,
        "peak_rss_bytes": peak,
        "others_cpu": others,
    }


def test_medians_take_each_quantity_by_itself(compare: ModuleType) -> None:
    found = compare.median(
        [
            measurement(0.3, build=2.0, peak=30),
            measurement(0.1, build=3.0, peak=20, others=0.06),
            measurement(0.2, build=1.0, peak=10),
        ]
    )
    assert (found["rtf"], found["build_s"], found["peak_rss_bytes"]) == (0.2, 2.0, 20)
    assert (found["runs"], found["disturbed"]) == (3, 1)


def test_recording_costs_the_median_over_pairs(compare: ModuleType) -> None:
    pairs = [
        (measurement(1.1), measurement(1.0)),
        (measurement(2.0), measurement(1.0, others=0.2)),
        (measurement(1.02), measurement(1.0)),
    ]
    found = compare.overhead(pairs)
    assert found["overhead"] == pytest.approx(0.1)
    assert found["overheads"] == pytest.approx([0.1, 1.0, 0.02])
    assert (found["runs"], found["disturbed"]) == (3, 1)


def test_runs_are_interleaved_and_slow_peers_run_once(compare: ModuleType) -> None:
    order = []

    def run(who: str):
        def note() -> dict:
            order.append(who)
            return measurement(1.0)

        return note

    found = compare.interleave({who: run(who) for who in "ABC"}, 3, once=["C"])
    assert "".join(order) == "ABCABAB"
    assert {who: len(runs) for who, runs in found.items()} == {"A": 3, "B": 3, "C": 1}


def test_who_fails_leaves_and_the_others_go_on(
    compare: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    tries = []

    def fail() -> dict:
        tries.append(1)
        raise compare.MeasurementError("no compiler")

    found = compare.interleave({"A": fail, "B": lambda: measurement(1.0)}, 2)
    assert list(found) == ["B"] and len(found["B"]) == 2
    assert len(tries) == 1
    assert "A: no compiler" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.05, "goal"), (0.1, "goal"), (0.1001, "must"), (0.2, "must"), (0.2001, "missed")],
)
def test_a_figure_is_judged_by_must_and_goal(cases: ModuleType, value: float, verdict: str) -> None:
    assert cases.Figure("pd14-0.1", "rtf", must=0.2, goal=0.1).verdict(value) == verdict


@pytest.mark.parametrize(
    ("value", "verdict"), [(260e6, "goal"), (250e6, "goal"), (150e6, "must"), (149e6, "missed")]
)
def test_of_some_quantities_more_is_better(cases: ModuleType, value: float, verdict: str) -> None:
    figure = cases.Figure("hpc-plastic", "events_per_s", must=150e6, goal=250e6, more=True)
    assert (figure.sign, figure.verdict(value)) == ("≥", verdict)


def test_figures_are_of_networks_that_are_run_and_goals_are_stricter(cases: ModuleType) -> None:
    assert {figure.case for figure in cases.FIGURES} <= set(cases.CASES)
    assert all((figure.goal > figure.must) == figure.more for figure in cases.FIGURES)


def test_ratios_and_marks_are_in_the_table(compare: ModuleType) -> None:
    ours = [
        measurement(0.25, build=1.5, peak=500 * MB) | {"events_per_s": n, "bytes_per_synapse": 8.04}
        for n in (3e8, 1e8, 2e8)
    ]
    results = {
        "brunel": {
            "distsnn": compare.median(ours),
            "nest": compare.median([measurement(9.0, others=0.5)]),
        },
        "recording": {"distsnn": compare.overhead([(measurement(1.0), measurement(1.0))])},
    }
    lines = compare.comparison(results).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[2] == ["brunel", "distsnn", "0.25", "1.50", "500", "200", "8.04", "0.0 %", "3", ""]
    assert cells[3] == ["brunel", "nest", "9 !", "1.00", "10", "", "", "50.0 %", "1", "36.0"]
    assert len(cells) == 4


def test_the_report_judges_what_was_run(compare: ModuleType) -> None:
    big = measurement(1.2, build=2.0, peak=4000 * MB)
    pairs = [(measurement(1.004), measurement(1.0, others=0.3))]
    results = {
        "pd14-1.0": {"distsnn": compare.median([big])},
        "recording": {"distsnn": compare.overhead(pairs)},
    }
    text = compare.report(results, ranks=2, repeats=1)
    judged = {
        cells[0]: (cells[1], cells[4])
        for line in text.splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 5
    }
    assert judged["pd14-1.0: RTF"] == ("1.2", "must")
    assert judged["pd14-1.0: build"] == ("2 s", "goal")
    assert judged["pd14-1.0: peak memory"] == ("4 GB", "missed")
    assert judged["recording: all spikes against none"] == ("0.4 % !", "goal")
    assert "brunel" not in text
    assert "+0.40 %" in text
    assert "medians of 3 or more" in text and "! other processes" in text
    quiet = compare.report({"cuba-4k": {"distsnn": compare.median([big])}}, ranks=2, repeats=3)
    assert "! other" not in quiet and "must" not in quiet


def test_which_peers_run(compare: ModuleType, cases: ModuleType) -> None:
    cuba, big = cases.CASES["cuba-40k"], cases.CASES["pd14-1.0"]
    assert compare.chosen_peers(cuba, None, full=False) == ["brian2"]
    assert compare.chosen_peers(cuba, ["nest", "brian2"], full=False) == ["brian2", "nest"]
    assert compare.chosen_peers(cuba, [], full=True) == []
    assert compare.chosen_peers(big, ["nest"], full=False) == []
    assert compare.chosen_peers(big, None, full=True) == ["nest"]


def test_peers_scripts_exist(cases: ModuleType, benchmarks: Path) -> None:
    scripts = {peer.script for case in cases.CASES.values() for peer in case.peers.values()}
    assert scripts
    assert all((benchmarks / "peers" / script).is_file() for script in scripts)


def test_networks_of_the_comparison_can_be_made(cases: ModuleType) -> None:
    import distsnn_run

    from distsnn.tools.models import load_model

    for case in cases.CASES.values():
        options = distsnn_run.parser().parse_args(list(case.arguments))
        assert options.time > 0
        network = load_model(options.network, options.set).network
        assert network.n_neurons >= 4000
    with pytest.raises(DescriptionError, match="did you mean 'order'"):
        load_model("brunel", ["ordre=3"])


def test_a_whole_comparison_with_made_up_runs(
    compare: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    started = []

    def distsnn(ranks: int, arguments: tuple[str, ...]) -> dict:
        started.append((ranks, "none" if "none" in arguments else "all"))
        return measurement(0.5 if "none" in arguments else 0.51)

    def peer(name: str, script: str, arguments: tuple[str, ...]) -> dict:
        started.append((name, script))
        return measurement(5.1)

    monkeypatch.setattr(compare, "run_distsnn", distsnn)
    monkeypatch.setattr(compare, "run_peer", peer)
    monkeypatch.setattr(compare, "discard_distsnn", lambda ranks, arguments: None)
    out = tmp_path / "results.jsonl"
    arguments = ["--networks", "brunel", "recording", "--repeats", "2", "--pairs", "2"]
    assert compare.main([*arguments, "--out", str(out)]) == 0
    assert started == [
        *[(2, "all"), ("nest", "nest_brunel.py")] * 2,
        *[(2, "all"), (2, "none")] * 2,
    ]
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["case"] for line in lines] == ["brunel"] * 4 + ["recording"] * 4
    printed = capsys.readouterr().out
    assert "| brunel: RTF" in printed and "10.0" in printed and "2 %" in printed

    def fail(ranks: int, arguments: tuple[str, ...]) -> dict:
        raise compare.MeasurementError("no MPI")

    monkeypatch.setattr(compare, "run_distsnn", fail)
    assert compare.main(["--networks", "brunel", "--repeats", "1"]) == 1
    assert "no MPI" in capsys.readouterr().err
