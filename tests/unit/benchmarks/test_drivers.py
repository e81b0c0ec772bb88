"""The drivers run for real in CI, at toy sizes; no time is judged."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

PEER_FIELDS = {
    "simulator",
    "version",
    "network",
    "neurons",
    "synapses",
    "time_ms",
    "warmup_ms",
    "recording",
    "build_s",
    "run_s",
    "rtf",
    "rates",
    "peak_rss_bytes",
    "others_cpu",
}
TINY = ("brunel", "--set", "order=50", "--time", "40", "--warmup", "20", "--seed", "3")


@pytest.fixture(scope="module")
def running() -> ModuleType:
    import running

    return running


def check(found: dict, ranks: int) -> None:
    assert set(found) >= PEER_FIELDS
    assert (found["simulator"], found["ranks"]) == ("distsnn", ranks)
    assert (found["neurons"], found["synapses"]) == (250, 250 * 25)
    assert found["rtf"] == pytest.approx(found["run_s"] / 0.04, abs=0.01)
    assert 0.0 <= found["others_cpu"] <= 1.0
    assert found["peak_rss_bytes"] > ranks * 2**26
    assert found["phases"].keys() == {"update", "deliver", "exchange", "record", "wait"}
    assert all(0.0 <= found["phases"][one] <= found["slowest"][one] for one in found["phases"])


@pytest.mark.ci
def test_one_and_two_ranks_measure_the_same_spikes(running: ModuleType, benchmarks: Path) -> None:
    plain = subprocess.run(
        [sys.executable, str(benchmarks / "distsnn_run.py"), *TINY],
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert plain.returncode == 0, plain.stderr
    (line,) = plain.stdout.splitlines()
    one, two = json.loads(line), running.run_distsnn(2, TINY)
    check(one, 1)
    check(two, 2)
    assert one["rates"]["E"] > 0
    assert one["rates"] == two["rates"]
    assert one["exchanges"] == 0
    assert two["exchanges"] >= 400 / 15  # delays of 1.5 ms, steps of 0.1 ms


@pytest.mark.ci
def test_without_recording_there_are_no_rates_and_no_store(running: ModuleType) -> None:
    found = running.run_distsnn(1, [*TINY, "--record", "none"])
    check(found, 1)
    assert (found["recording"], found["rates"]) == ("none", {})


@pytest.mark.ci
def test_failing_driver_is_reported(running: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(running.MeasurementError, match="exit code 2"):
        running.run_distsnn(1, ["brunell"])
    assert "brunel" in capfd.readouterr().err


@pytest.mark.ci
def test_starts_of_the_whole_command_are_timed(capfd: pytest.CaptureFixture[str]) -> None:
    import running
    import start

    words = ["brunel", "--set", "order=50", "--repeats", "1", "--time"]
    assert start.main([*words, "1"]) == 0
    one, two = map(json.loads, capfd.readouterr().out.splitlines())
    assert [one["ranks"], two["ranks"]] == [1, 2]
    for line in (one, two):
        assert line["network"] == "brunel order=50"
        assert line["walls_s"] == [line["wall_s"]]
        assert line["wall_s"] > 0.1
    with pytest.raises(running.MeasurementError, match="exit code 2"):
        start.main([*words, "1.05"])


@pytest.mark.ci
def test_exchange_is_timed_with_and_without_overflow(
    running: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--spikes", "3", "200", "--steps", "2", "--iterations", "20", "--batches", "1"]
    few, many = running.run_ranks("exchange.py", 2, arguments)
    assert (few["spikes"], many["spikes"], few["ranks"]) == (3, 200, 2)
    assert (few["forced_overflow_share"], many["forced_overflow_share"]) == (0.0, 1.0)
    assert few["overflow_share"] == 0.0 and many["overflow_share"] < 1.0
    assert all(many[f"{name}_us"] > 0 for name in ("compiled", "allgather", "allgatherv"))
    assert many["bytes"] > few["bytes"]
    assert "| 200" in capfd.readouterr().err


@pytest.mark.ci
@pytest.mark.parametrize("more", [(), ("--record",)], ids=["bare", "recorded"])
def test_pieces_are_timed_on_two_ranks(
    running: ModuleType, capfd: pytest.CaptureFixture[str], more: tuple[str, ...]
) -> None:
    (found,) = running.run_ranks("pieces.py", 2, ["--pieces", "20", "--neurons", "70", *more])
    assert (found["ranks"], found["neurons"], found["record"]) == (2, 70, bool(more))
    times = {name: value for name, value in found.items() if name.endswith("_us")}
    assert len(times) == 10
    assert all(value > 0.0 for value in times.values())
    assert times["piece_us"] > times["set_rate_us"]
    assert "| read spikes" in capfd.readouterr().err


@pytest.mark.ci
def test_safety_is_measured_part_by_part(running: ModuleType) -> None:
    arguments = ["brunel", "--set", "order=50", "--pairs", "2", "--short", "20"]
    arguments += ["--time", "300", "--between", "0.001", "--every", "0.1"]
    (found,) = running.run_ranks("safety.py", 2, arguments)
    saves, signals = found["saves"], found["signals"]
    assert saves["saves"] >= 2 and saves["checkpoint_bytes"] > 1000
    assert saves["cost"] == pytest.approx(saves["save_ms"][0] / 1e3 / 0.1, abs=0.001)
    for part in ("checkpoints", "heartbeat", "signals"):
        assert len(found[part]["pairs"]) == 2
    assert found["heartbeat"]["processor"] > 0.0
    assert signals["agreements"] == pytest.approx(
        1e-6 * signals["agreement_us"] * signals["pieces_per_s"], rel=0.05
    )


def test_costs_are_those_of_the_first_over_the_other_whichever_came_first() -> None:
    import safety

    called: list[str] = []

    def way(name: str, spent_s: float) -> Callable[[], float]:
        return lambda: called.append(name) or spent_s

    found = safety.compared(3, way("A", 1.5), way("B", 1.0))
    assert called == ["A", "B", "B", "A", "A", "B"]
    assert found == {"median": 0.5, "quartiles": [0.5, 0.5], "pairs": [0.5] * 3}


@pytest.mark.ci
def test_weak_scaling_grows_the_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import scaling

    # no time is judged, so kernels may be compiled on the way
    monkeypatch.setattr(scaling, "discard_distsnn", lambda ranks, arguments: None)
    out = tmp_path / "scaling.jsonl"
    arguments = ["weak", "brette_cuba", "--values", "200", "--ranks", "1", "2"]
    assert scaling.main([*arguments, "--time", "20", "--warmup", "0", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert [(line["ranks"], line["scale"], line["neurons"]) for line in lines] == [
        (1, 200, 200),
        (2, 400, 400),
    ]
    assert lines[0]["efficiency"] == 1.0
    assert [json.loads(line) for line in out.read_text().splitlines()] == lines
    assert "brette_cuba neurons=400" in printed.err


def test_sizes_and_efficiency_of_scaling() -> None:
    import scaling

    assert list(scaling.sizes("strong", [0.1, 0.2], [1, 4], 0.5)) == [
        (0.1, 1, 0.1),
        (0.1, 4, 0.1),
        (0.2, 1, 0.2),
        (0.2, 4, 0.2),
    ]
    assert [size for *_, size in scaling.sizes("weak", [100.0], [1, 4], 0.5)] == [100.0, 200.0]
    assert scaling.setting("scale", 0.1) == "scale=0.1"
    assert scaling.setting("order", 1414.2) == "order=1414"
    first, line = {"rtf": 1.0, "ranks": 1}, {"rtf": 0.5, "ranks": 4}
    assert scaling.efficiency("strong", first, line) == 0.5
    assert scaling.efficiency("weak", first, line) == 2.0


@pytest.mark.ci
def test_analysis_of_a_recording(benchmarks: Path, tmp_path: Path) -> None:
    store, names = tmp_path / "run.zarr", ("rates", "cv", "correlations")
    words = ("--spikes", "2e5", "--store", str(store), "--statistics", *names)
    done = subprocess.run(
        [sys.executable, str(benchmarks / "analysis.py"), *words],
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["statistic"] for one in found] == [*names]
    assert all(1.9e5 < one["spikes"] < 2.1e5 for one in found)
    assert all(one["wall_s"] > 0 and one["peak_rss_bytes"] > 2**26 for one in found)
