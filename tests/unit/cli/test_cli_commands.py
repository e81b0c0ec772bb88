"""The commands: what they print, write and return."""

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distsnn import examples, write_report
from distsnn.cli.tables import info_lines, run_lines
from distsnn.io.reader import StoreReader
from distsnn.io.summary import RunInfo, read_run_info
from distsnn.simulation import RunSummary

Command = Callable[..., Any]


def test_run_records_and_prints_a_summary(distsnn: Command, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    done = distsnn("run", model, "--time", "50", "--seed", "3", "--out", out, "--set", "size=30")
    assert done.code == 0
    numbers = read_run_info(out)
    assert numbers.complete
    assert (numbers.neurons, numbers.seed, numbers.time_ms) == (30, 3, 50.0)
    assert f"{numbers.spikes:,} spikes" in done.out
    assert "30 neurons, 0 synapses on 1 rank\n" in done.out
    assert str(out) in done.out
    assert "distsnn: 50 of 50 ms" in done.err
    assert StoreReader(out).metadata["network_source"]["parameters"]["size"] == 30


def test_info_shows_a_text_that_no_encoding_has(
    distsnn: Command, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    assert distsnn("run", model, "--time", "5", "--out", out, "--quiet").code == 0
    group = out / "attempt000" / "rank0000" / "zarr.json"
    group.write_text(group.read_text().replace('"complete"', '"\\ud800"'))
    done = distsnn("info", out)
    assert (done.code, done.err) == (0, "")
    assert "ranks: \\ud800\n" in done.out


def test_quiet_run_says_nothing(distsnn: Command, model: Path) -> None:
    done = distsnn("run", model, "--time", "5", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_run_of_a_store_repeats_it(distsnn: Command, model: Path, tmp_path: Path) -> None:
    first, again, other = (tmp_path / f"{name}.zarr" for name in ("first", "again", "other"))
    base = ("run", model, "--time", "40", "--seed", "9", "--quiet")
    assert distsnn(*base, "--out", first).code == 0
    assert distsnn("run", first, "--quiet", "--out", again).code == 0
    assert distsnn("run", first, "--quiet", "--seed", "10", "--out", other).code == 0
    hashes = [StoreReader(path).spike_hash() for path in (first, again, other)]
    assert StoreReader(first).n_spikes > 0
    assert hashes[0] == hashes[1] != hashes[2]
    assert StoreReader(again).metadata["network_source"] == {"kind": "run", "path": str(first)}
    assert read_run_info(again).time_ms == 40.0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--time: the biological time is missing; hint: set it, ms"),
        (["--time", "5.05"], "--time: time is not on the grid; given 5.05"),
        (["--time", "5", "--seed", "-1"], "--seed: out of range; given -1; allowed: 0 to 2^64 - 1"),
        (["--time", "5", "--strategy", "robin"], "--strategy: unknown strategy 'robin'"),
        (["--time", "5", "--delivery", "pul"], "--delivery: unknown delivery 'pul'"),
        (["--time", "5", "--storage", "pack"], "--storage: unknown storage 'pack'"),
        (
            ["--time", "5", "--checkpoint-every", "1ms"],
            "--checkpoint-every: checkpoints need",
        ),
        (
            ["--time", "5", "--checkpoint-wall-time", "1s"],
            "--checkpoint-wall-time: checkpoints need",
        ),
    ],
)
def test_wrong_option_of_a_run_is_refused(
    distsnn: Command, model: Path, words: list[str], message: str
) -> None:
    done = distsnn("run", model, "--quiet", *words)
    assert done.code == 2
    assert done.message.startswith(f"distsnn: {message}")
    assert done.out == ""


def test_info_prints_numbers_for_people_and_programs(
    distsnn: Command, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    distsnn("run", model, "--time", "50", "--out", out)
    numbers = json.loads(distsnn("info", out, "--json").out)
    assert numbers == read_run_info(out).to_dict()
    wanted = "neurons synapses ranks time_ms build_s run_s real_time_factor peak_rss_bytes"
    assert {*wanted.split(), "spikes", "rates", "spike_hash"} <= set(numbers)
    assert numbers["spike_hash"] == StoreReader(out).spike_hash()
    assert len(numbers["peak_rss_bytes"]) == numbers["ranks"] == 1
    shown = distsnn("info", out).out
    assert numbers["spike_hash"] in shown
    assert f"{numbers['spikes']:,}" in shown


SPREAD = """
import numpy as np
from distsnn.network import FixedIndegree, IafPscExp, Lognormal, Network, OneToOne
from distsnn.network import Population, Projection


def build():
    cells = Population("E", 20, IafPscExp())
    far = Lognormal(0.0, 3.0)
    return Network(
        [cells],
        [
            Projection(cells, cells, OneToOne(), np.full(20, 2.0), 1.0, name="near"),
            Projection(cells, cells, FixedIndegree(3), far, 1.0, name="far"),
        ],
    )
"""


def test_info_prints_the_largest_rounding_error(distsnn: Command, tmp_path: Path) -> None:
    model, out = tmp_path / "spread.py", tmp_path / "run.zarr"
    model.write_text(SPREAD)
    assert distsnn("run", model, "--time", "1", "--quiet", "--out", out).code == 0
    near, far = json.loads(distsnn("info", out, "--json").out)["weight_errors"]
    assert (near["projection"], near["share"], near["part"]) == ("near", 0.0, 0.0)
    assert near["largest"] <= 2.0**-20
    assert (far["projection"], far["largest"]) == ("far", 1.0)
    assert 0.12 < far["share"] <= 0.125
    assert far["part"] < 2e-5
    (line,) = (one for one in distsnn("info", out).out.splitlines() if "  weights" in one)
    assert (
        "rounded by up to 100 % (far; by more than 2^-10: 12.4 % of the weights, 0.00162 % of"
        in line
    )


def test_info_of_nothing_is_refused(distsnn: Command, tmp_path: Path) -> None:
    done = distsnn("info", tmp_path / "none.zarr")
    assert done.code == 2
    assert done.message.endswith("none.zarr: the path does not exist")


def test_table_of_a_run_that_noted_little() -> None:
    info = RunInfo(
        path="r.zarr",
        neurons=12345,
        synapses=None,
        ranks=2,
        attempts=1,
        dt=0.1,
        seed=1,
        time_ms=1e6,
        recorded_from_ms=0.0,
        recorded_ms=10.0,
        complete=False,
        missing=[],
        missing_checkpoints=[],
        superseded_damage=[],
        status=["running", "not started"],
        vanished_ranks=[],
        exit_reports=[],
        build_s=None,
        run_s=None,
        real_time_factor=None,
        peak_rss_bytes=[None, 2**20],
        counters=[None, None],
        weight_errors=[],
        spikes=0,
        rates={"E": None, "I": 1.23456},
        recorded_intervals_ms={},
        recorded_states={},
        substeps={"E": None, "I": 3},
        precision={"states": {"E": "float32", "I": "float64"}, "plastic_weights": {}},
        spike_hash="abc",
    )
    lines = info_lines(info)
    text = "\n".join(lines)
    assert lines[0] == "r.zarr"
    assert "not complete; ranks: not started, running" in text
    assert "E unknown, I 1.23" in text
    assert re.search(r"weights +no projection", text)
    assert "E unknown, I 3" in text
    assert re.search(r"state precision +E float32, I float64\n", text)
    assert re.search(r"weight precision +none\n", text)
    assert "12,345" in text
    assert "time              1,000,000 ms, 10 ms recorded" in text
    branch = "\n".join(info_lines(replace(info, recorded_from_ms=4.5)))
    assert "time              1,000,000 ms, 4.5 ms to 10 ms recorded" in branch
    assert len({len(re.match(r"  \S+( \S+)*  +", line)[0]) for line in lines[1:]}) == 1


def test_lines_of_a_run_without_a_store() -> None:
    summary = RunSummary(None, 10, 1000, 2, 1e3, 0.5, 2.0, 2.0, 7, {"E": 0.7}, [2**20, 2**20])
    assert run_lines("brunel", summary) == [
        "brunel: 10 neurons, 1,000 synapses on 2 ranks",
        "built in 0.50 s; 1,000 ms in 2.00 s: real-time factor 2; 2 MiB",
        "7 spikes; spikes/s: E 0.7",
    ]


def test_report_writes_a_page(distsnn: Command, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("dask", reason="the report needs the extra `analysis`")
    out = tmp_path / "run.zarr"
    distsnn("run", model, "--time", "100", "--out", out)
    done = distsnn("report", out)
    assert done.code == 0
    assert done.out.strip() == str(tmp_path / "run.html")
    page = (tmp_path / "run.html").read_text()
    assert "<svg" in page
    assert write_report(out, tmp_path / "same.html").read_text() == page
    assert distsnn("report", out, "--out", tmp_path / "page.html").code == 0
    assert (tmp_path / "page.html").exists()
    assert distsnn("report", tmp_path / "none.zarr").code == 2


def test_report_without_its_packages_says_what_to_install(
    distsnn: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = ("distsnn.analysis", "distsnn.cli.report_command")
    for name in [name for name in sys.modules if name.startswith(loaded)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = distsnn("report", tmp_path / "run.zarr")
    assert done.code == 2
    assert "'jinja2' of the extra 'analysis' is not installed" in done.message
    assert "pip install 'distsnn[analysis]'" in done.message


def test_examples_are_listed_with_their_parameters(distsnn: Command) -> None:
    done = distsnn("examples")
    assert done.code == 0
    for name in ("microcircuit", "brunel", "brette_cuba", "tutorial"):
        parameters = inspect.signature(examples.example(name).build).parameters
        at = done.out.index(name)
        for key, one in parameters.items():
            assert f"{key}={one.default}" in done.out[at:]


def test_command_without_arguments_shows_how_to_use_it(distsnn: Command) -> None:
    done = distsnn()
    assert done.code == 2
    assert "usage: distsnn" in done.out
    assert done.err == ""


def test_python_runs_the_package_and_nothing_needs_the_analysis_packages(tmp_path: Path) -> None:
    # As installed without extras: what is missing may not be asked for by `distsnn examples`.
    code = (
        "import runpy, sys\n"
        "for name in ('dask', 'xarray', 'pandas', 'matplotlib', 'jinja2', 'mpi4py'):\n"
        "    sys.modules[name] = None\n"
        "runpy.run_module('distsnn', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "examples"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(examples.__file__).parents[2])},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "microcircuit" in done.stdout


@pytest.mark.parametrize("ranks", ["1", pytest.param("2", marks=pytest.mark.ci)])
def test_closed_output_is_no_fault(model: Path, tmp_path: Path, ranks: str) -> None:
    out = tmp_path / "run.zarr"
    words = ["-m", "distsnn", "run", str(model), "--time", "5", "--ranks", ranks, "--out", str(out)]
    shell = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, *words]
    environment = os.environ | {"PYTHONPATH": str(Path(examples.__file__).parents[2])}
    assert subprocess.run(shell, env=environment).returncode == 0
    assert read_run_info(out).complete
