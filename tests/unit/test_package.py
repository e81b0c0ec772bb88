"""The names of the package root: real, suggested when misspelt, and there without extras."""

import ast
import dataclasses
import importlib
import inspect
import os
import pickle
import pydoc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import distsnn
from distsnn import (
    Description,
    DescriptionError,
    IafPscExp,
    Network,
    Population,
    Projection,
    RecordSpikes,
    RunPolicy,
    Simulation,
    SpikeSource,
    coding,
    simulate,
)
from distsnn.errors import UsageError, closest_name
from distsnn.extras import MissingExtraError, extra

# Hide the packages of all extras, as in a plain installation.
PLAIN = """
import sys
from importlib.abc import MetaPathFinder

class Hidden(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        top = name.partition(".")[0]
        if top in {"dask", "distributed", "jinja2", "markupsafe", "matplotlib", "pandas", "xarray"}:
            raise ModuleNotFoundError(f"No module named {top!r}", name=top)

sys.meta_path.insert(0, Hidden())
from distsnn import *
from distsnn.analysis import summary, write_report
from distsnn.errors import UsageError, closest_name
from distsnn.extras import MissingExtraError

run = open_run(sys.argv[1])
print(run.complete, run.time_ms, run.reader.spikes()[1].tolist(), repr(run))
uses = {
    "raster": lambda: raster(run),
    "write_report": lambda: write_report(sys.argv[1]),
    "summary": lambda: summary(run),
    "populations": lambda: run.populations,
    "spikes": lambda: run.spikes(),
    "rates": lambda: run.rates(),
}
for name, use in uses.items():
    try:
        use()
    except MissingExtraError as error:
        print(name, error)
"""

SCRIPT = """
import distsnn
from distsnn import Assignment, Graph, IafPscExp, Population, Stopped, open_run, raster, simulate

neurons: Population = Population("E", 10, IafPscExp(tau_m=20.0))
summary = simulate(distsnn.Network([neurons]), 10.0)
seconds: float = summary.run_s
"""
WRONG = {
    "from distsnn import IafPscExpo": 'has no attribute "IafPscExpo"',
    "distsnn.IafPscExpo": 'has no attribute "IafPscExpo"',
    "distsnn.bounds": 'has no attribute "bounds"',
    "text: str = summary.spikes": "Incompatible types in assignment",
}


def test_a_plain_installation_opens_runs_and_names_the_extra_for_the_rest(tmp_path: Path) -> None:
    network = Network([Population("S", 3, SpikeSource([0.5], [1]))], recordings=[RecordSpikes("S")])
    simulate(network, 1.0, out=tmp_path / "run.zarr", progress=False)
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(tmp_path / "run.zarr")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    facts, *errors = done.stdout.splitlines()
    assert facts.startswith("True 1.0 [1] <Run ")
    names = ["raster", "write_report", "summary", "populations", "spikes", "rates"]
    assert [line.partition(" ")[0] for line in errors] == names
    for line in errors:
        assert "is not installed; hint: pip install 'distsnn[analysis]'" in line


def test_only_packages_that_are_missing_are_reported_as_such() -> None:
    text = r"'gymnasium'.*pip install 'distsnn\[examples\]'"
    with pytest.raises(MissingExtraError, match=text), extra("examples"):
        raise ModuleNotFoundError("No module named 'gymnasium.x'", name="gymnasium.x")
    with pytest.raises(ModuleNotFoundError), extra("examples"):
        raise ModuleNotFoundError("No module named 'distsnn.x'", name="distsnn.x")


def test_runtime_and_type_checkers_have_the_same_names() -> None:
    """An import under TYPE_CHECKING for each name, and no others."""
    tree = ast.parse(Path(distsnn.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    pairs = [
        (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    stars = [module for module, name in pairs if name == "*"]
    assert stars == ["distsnn.network"]
    typed = {name: module for module, name in pairs if name != "*"}
    assert typed == distsnn._HOMES
    assert {*typed, *distsnn.network.__all__} == set(dir(distsnn)) == set(distsnn.__all__)
    for name in dir(distsnn):
        assert getattr(distsnn, name) is not None


def test_names_that_scripts_use_are_at_the_root() -> None:
    from distsnn import Assignment, Graph, Stopped, open_run, raster  # noqa: F401

    assert RunPolicy is distsnn.simulation.RunPolicy


@pytest.mark.parametrize(
    ("name", "near"),
    [("IafPscExpo", "IafPscExp"), ("iaf_psc_exp", "IafPscExp"), ("Simulate", "simulate")],
)
def test_a_misspelt_name_is_suggested(name: str, near: str) -> None:
    with pytest.raises(ImportError, match=f"did you mean '{near}'"):
        exec(f"from distsnn import {name}", {})
    with pytest.raises(AttributeError, match=f"did you mean '{near}'"):
        getattr(distsnn, name)
    assert not hasattr(distsnn, name)


@pytest.mark.parametrize(
    ("package", "name", "near"),
    [
        ("network", "IafPscExpo", "IafPscExp"),
        ("analysis", "rastr", "raster"),
        ("simulation", "Simulatoin", "Simulation"),
        ("coding", "RateCodes", "RateCode"),
        ("partition", "grap", "graph"),
        ("partition", "Graph", "distsnn.Graph"),
    ],
)
def test_packages_suggest_misspelt_names(package: str, name: str, near: str) -> None:
    text = f"distsnn.{package} has no name '{name}'; did you mean '{near}'"
    with pytest.raises(ImportError, match=text):
        exec(f"from distsnn.{package} import {name}", {})
    module = importlib.import_module(f"distsnn.{package}")
    with pytest.raises(AttributeError, match=text):
        getattr(module, name)
    assert not hasattr(module, name)


def test_misspelt_keywords_are_suggested() -> None:
    network = Network([Population("S", 3, SpikeSource([0.5], [1]))])
    with pytest.raises(UsageError, match=r"simulate: unknown keyword 'rank'.*mean 'ranks'"):
        simulate(network, 1.0, rank=2)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match=r"Simulation: unknown keyword 'sed'.*mean 'seed'"):
        Simulation(network, sed=3)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match=r"submit_job: unknown keyword 'nodez'.*mean 'nodes'"):
        distsnn.submit_job(network, nodez=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("call", "keyword", "near"),
    [
        (distsnn.RunPolicy, "max_rte", "max_rate"),
        (distsnn.Progress, "streem", "stream"),
        (distsnn.Assignment, "onwer", "owner"),
        (distsnn.Graph, "rank_speds", "rank_speeds"),
        (distsnn.Profile, "rate", "rates"),
        (distsnn.State, "defualt", "default"),
        (distsnn.parameter, "defualt", "default"),
        (distsnn.describe_model, "nam", "name"),
        (distsnn.read_run_info, "pth", "path"),
        (distsnn.run_model, "strategie", "strategy"),
        (coding.first_spike_times, "spike", "spikes"),
        (coding.filtered_at_end, "taus", "tau"),
        (IafPscExp, "tau_n", "tau_m"),
        (coding.RankOrder, "gapp", "gap"),
    ],
)
def test_misspelt_keyword_is_a_usage_error_with_the_nearest_name(
    call: Callable[..., object], keyword: str, near: str
) -> None:
    with pytest.raises((UsageError, DescriptionError), match=f"{keyword}.*did you mean '{near}'"):
        call(**{keyword: 1})


def test_classes_with_suggested_keywords_are_as_before() -> None:
    policy = distsnn.RunPolicy(max_rate=3.0)
    assert policy == distsnn.RunPolicy(max_rate=3.0) != distsnn.RunPolicy()
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert dataclasses.replace(policy, max_rate=4.0).max_rate == 4.0
    assert "max_rate: float | None = None" in str(inspect.signature(distsnn.RunPolicy))


@pytest.mark.parametrize(
    "function",
    [
        *(Network.__init__, Projection.__init__, Population.__init__, Simulation.__init__),
        *(Simulation, simulate, distsnn.submit_job, distsnn.map_network, distsnn.raster),
    ],
)
def test_signatures_have_no_names_of_modules(function: object) -> None:
    text = str(inspect.signature(function))  # type: ignore[arg-type]
    assert "distsnn" not in text
    assert "numpy" not in text
    assert "'" not in text.replace("'round_robin'", "").replace("'auto'", "").replace(
        "'float32'", ""
    ).replace("'5min'", "").replace("'hops'", "")


def test_keywords_for_distsnn_itself_are_neither_shown_nor_suggested() -> None:
    for value in (Simulation, Simulation.__init__, simulate, distsnn.run_model):
        assert not [name for name in inspect.signature(value).parameters if name.startswith("_")]
    with pytest.raises(UsageError, match="unknown keyword 'job'") as error:
        Simulation(Network([Population("E", 1, IafPscExp())]), job=None)  # type: ignore[call-arg]
    assert "_job" not in str(error.value)


def test_names_without_a_letter_are_suggested() -> None:
    names = dir(distsnn)
    suggested = [
        closest_name(name[:index] + name[index + 1 :], names) == name
        for name in names
        for index in range(len(name))
        if name[:index] + name[index + 1 :] not in names
    ]
    # a few are as close to another name: IafCondExp and GifCondExp without their difference
    assert len(suggested) > 1000
    assert np.mean(suggested) > 0.99


def test_private_keywords_are_hidden_from_help_and_errors() -> None:
    assert not [name for name in inspect.signature(distsnn.Simulation).parameters if name[0] == "_"]
    with pytest.raises(distsnn.UsageError) as caught:
        distsnn.Simulation(None, jobs=1)
    assert "unknown keyword 'jobs'; allowed: communicator, " in str(caught.value)
    assert "_job" not in str(caught.value)


def test_signatures_are_short_and_name_their_types() -> None:
    """What `help` shows first of each class and function fits on a screen."""
    texts = {}
    for name in dir(distsnn):
        value = getattr(distsnn, name)
        is_error = inspect.isclass(value) and issubclass(value, Exception)
        if inspect.isfunction(value) or (inspect.isclass(value) and not is_error):
            texts[name] = str(inspect.signature(value))
    assert max(map(len, texts.values())) < 10 * 80
    for name, text in texts.items():
        assert not any(one in text for one in ("numpy._typing", "Union[", " at 0x")), name
        value = getattr(distsnn, name)
        if inspect.isclass(value) and issubclass(value, Description):
            assert "numpy" not in text and "distsnn" not in text, name
    assert texts["PoissonInput"].startswith("(target: Target, rate: RateLike, weight: float, ")
    assert texts["IafPscDelta"].startswith("(C_m: Value = 250.0, tau_m: Value = 10.0")
    assert "weight: ValueLike | None = None" in texts["Projection"]
    assert "receptors: Mapping[str, str] = {}" in texts["NeuronModel"]
    assert "precision: Precision = 'float32'" in texts["Population"]


def test_help_shows_every_public_name() -> None:
    for name in dir(distsnn):
        value = getattr(distsnn, name)
        text = pydoc.plain(pydoc.render_doc(value))
        assert name in text or not callable(value), name
    assert "tau_syn_ex" in pydoc.render_doc(distsnn.IafPscExp())


def test_a_simulation_does_not_start_ranks() -> None:
    network = Network([Population("S", 3, SpikeSource([0.5], [1]))])
    text = (
        r"uses the ranks of its job, which has 1 rank; given 2; .*simulate\(.*ranks=2.*mpiexec -n 2"
    )
    with pytest.raises(UsageError, match=text):
        Simulation(network, ranks=2)
    with Simulation(network, ranks=1) as simulation:
        assert simulation.ranks == 1


@pytest.mark.ci
def test_a_type_checker_sees_real_names_only(tmp_path: Path) -> None:
    lines = "\n".join(WRONG)
    (tmp_path / "script.py").write_text(f"{SCRIPT}{lines}\n")
    done = subprocess.run(
        # without the types of other packages, which take a minute to read
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-site-packages"),
            *("--follow-imports=silent", "--cache-dir", os.devnull, "script.py"),
        ],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(Path(distsnn.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    first = 1 + SCRIPT.count("\n")
    found = [line for line in done.stdout.splitlines() if line.startswith("script.py")]
    assert len(found) == len(WRONG), done.stdout
    for number, (line, text) in enumerate(zip(found, WRONG.values(), strict=True)):
        assert line.startswith(f"script.py:{first + number}: error: ") and text in line
