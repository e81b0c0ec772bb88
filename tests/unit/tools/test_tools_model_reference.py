"""Models by name: the list, the documentation of one, the page, and other simulators' names."""

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distsnn import DescriptionError, IafPscExp, describe_model, list_models
from distsnn.network import GammaInput, Network, NoiseCurrent, PoissonInput, Population
from distsnn.network.model import PEERS
from distsnn.simulation import Simulation
from distsnn.tools.model_reference import ModelInfo, reference_page

DOCS = Path(__file__).parents[3] / "docs"
# Rows of the tables that are no models: synapses without one, stimuli, and what users write.
NO_MODELS = {"NeuronModel", "PlasticityModel", "NormaliseWeights", "SynapticScaling"}
MODELS = [info for info in list_models() if info.model.__module__.startswith("distsnn.network.")]


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its head."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    lines = re.findall(r"^\|.*\|$", text.partition("\n## ")[0], re.MULTILINE)
    assert len(lines) > 2
    return [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines[2:]]


def infos(cell: str) -> list[ModelInfo]:
    """Return the models that a cell names, without stimuli."""
    names = re.findall(r"`(\w+)(?:\(.*?\))?`", cell)
    return [
        info for name in names for info in MODELS if info.name == name and info.kind != "stimulus"
    ]


def declared(models: list[ModelInfo], peer: str) -> str:
    """Return the text of a cell with the names of models in another simulator."""
    texts = []
    for info in models:
        text = (info.peers or {}).get(peer, PEERS[peer])
        is_name = "`" not in text and " " not in text and text not in PEERS.values()
        texts.append("–" if text == "none" else f"`{text}`" if is_name else text)
    return ", ".join(dict.fromkeys(texts))


def compared(page: str, heading: str) -> Iterator[tuple[list[ModelInfo], list[str]]]:
    for first, *cells in rows(page, heading):
        models = infos(first)
        if models:
            yield models, cells[: len(PEERS)]


@pytest.mark.parametrize("heading", ["Neurons", "Synapses and stimuli"])
def test_tables_have_the_declared_names_in_other_simulators(heading: str) -> None:
    for models, cells in compared("models-compared.md", heading):
        assert [declared(models, peer) for peer in PEERS] == cells, models[0].name


def test_tables_have_all_models() -> None:
    neurons = [info for models, _ in compared("models-compared.md", "Neurons") for info in models]
    synapses = compared("models-compared.md", "Synapses and stimuli")
    rules = compared("plasticity.md", "Beside other simulators")
    assert sorted(info.name for info in neurons) == sorted(
        info.name for info in MODELS if info.kind == "neuron"
    )
    assert {info.name for models, _ in synapses for info in models} == {
        info.name for info in MODELS if info.kind == "synapse model"
    }
    in_table = {info.name for models, _ in rules for info in models}
    plastic = {info.name for info in MODELS if info.kind == "plasticity rule"}
    assert plastic <= in_table
    for page, heading in (
        ("models-compared.md", "Neurons"),
        ("plasticity.md", "Beside other simulators"),
    ):
        for first, *_ in rows(page, heading):
            names = set(re.findall(r"^`(\w+)", first))
            assert names <= {info.name for info in MODELS} | NO_MODELS, first


def test_the_table_of_rules_has_the_names_in_nest() -> None:
    found: dict[str, list[str]] = {}
    for models, cells in compared("plasticity.md", "Beside other simulators"):
        for info in models:
            found.setdefault(info.name, []).extend(re.findall(r"`(\w+)`", cells[0]))
    for info in MODELS:
        if info.kind == "plasticity rule":
            assert set(info.nest_names) == set(found[info.name]), info.name


def test_the_table_of_stimuli_has_the_names_in_nest() -> None:
    found: dict[str, set[str]] = {}
    for first, in_nest, *_ in rows("models-compared.md", "Synapses and stimuli"):
        # a row of several stimuli has as many names
        names = re.findall(r"`(\w+)`", first.partition(" with ")[0])
        for name, cell in zip(names, in_nest.split(", "), strict=False):
            found.setdefault(name, set()).update(re.findall(r"`(\w+)`", cell))
    found["SpikeInput"] |= found["pulse_packets"]
    stimuli = {info.name: set(info.nest_names) for info in MODELS if info.kind == "stimulus"}
    assert len(stimuli) == 7
    assert stimuli == {name: found[name] for name in stimuli}


def test_stimuli_have_units_ranges_defaults_states_and_equations() -> None:
    text = describe_model("GammaInput")
    assert text.startswith(f"GammaInput (stimulus)\n\n{GammaInput.__doc__}")
    assert "rate : float, array_like (n_targets,), Piecewise or Sine, spikes/s, >= 0\n" in text
    assert "order : float, >= 1 and <= 1e+06\n" in text
    assert "n : int, >= 1 and <= 10000, default 1\n" in text
    assert "start : float, ms, >= 0, default 0.0\n" in text
    assert "State variables\n---------------\nclock : expected spikes\n" in text
    assert "References\n----------\nCox (1962)" in text
    # what Python shows of a class is the same text
    assert "dclock/dt = rate" in inspect.getdoc(GammaInput)
    for info in MODELS:
        if info.kind == "stimulus":
            parts = {section.title: section for section in info.sections()}
            assert {"", "Equations", "Parameters", "Integration", "Other simulators"} <= {*parts}
            named = [entry.name for entry in parts["Parameters"].entries]
            assert named == [*inspect.signature(info.model).parameters]
            assert all(" ".join(entry.lines) for entry in parts["Parameters"].entries)
    assert describe_model("mip_generator").startswith("PoissonInput (stimulus)\n")


def test_declared_states_of_stimuli_are_those_that_a_script_reads() -> None:
    cells = Population("E", 3, IafPscExp())
    stimuli = [
        GammaInput(cells, 10.0, 1.0, 2.0, name="gamma"),
        PoissonInput(cells, 10.0, 1.0, name="poisson"),
        NoiseCurrent(cells, 0.0, 1.0, name="noise"),
    ]
    with Simulation(Network([cells], [], stimuli)) as simulation:
        for stimulus in stimuli:
            assert [*simulation[stimulus.name].state] == [*stimulus.states]


def test_the_list_has_kinds_and_names() -> None:
    by_name = {info.name: info for info in list_models()}
    kinds = {"IafPscExp": "neuron", "Tsodyks2": "synapse model", "Bernoulli": "synapse model"}
    kinds |= {"iaf_psc_exp_multisynapse": "neuron", "STDP": "plasticity rule"}
    kinds |= {"PoissonInput": "stimulus"}
    assert {name: by_name[name].kind for name in kinds} == kinds
    assert by_name["IafPscExp"].nest_names == ["iaf_psc_exp"]
    assert by_name["Oja"].nest_names == []
    summary = "Leaky integrate-and-fire neuron with exponential synaptic currents"
    assert by_name["IafPscExp"].summary.startswith(summary)


@pytest.mark.parametrize("name", ["IafPscExp", "iaf_psc_exp"])
def test_a_model_is_found_by_its_class_and_by_nests_name(name: str) -> None:
    text = describe_model(name)
    assert text.startswith(f"IafPscExp (neuron)\n\n{IafPscExp.__doc__}")
    assert ("also: IafPscExpShared, LeakyIntegrator" in text) == (name == "iaf_psc_exp")


def test_names_that_only_nest_has_are_found() -> None:
    assert describe_model("stdp_nn_restr_synapse").startswith("STDP (plasticity rule)\n")
    assert describe_model("spike_generator").startswith("SpikeSource (neuron)\n")
    # in stores its name is eprop_synapse_to_readout
    assert "NEST's eprop_synapse is also: EpropToReadout" in describe_model("eprop_synapse")


def test_functions_that_make_models_are_described() -> None:
    text = describe_model("aeif_cond_beta_multisynapse")
    assert "aeif_cond_beta_multisynapse(E_rev=(0.0, -85.0), tau_rise=(0.5, 1.0), tau_decay" in text
    assert "receptor 2: dg_2 += weight*exp(" in text
    assert "tau_rise : iterable of float" in text and "\ntau_rise_1 :" not in text
    assert "NEST\n    aeif_cond_beta_multisynapse\n" in text
    assert "References\n----------\nBrette & Gerstner (2005)" in text
    both = describe_model("eprop_iaf")
    assert "eprop_iaf (neuron)\n" in both and "EpropIaf (neuron)\n" in both


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("iaf_psc_expo", "iaf_psc_exp"), ("IafPscExpo", "IafPscExp"), ("xyzzyqq", None)],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, nearest: str | None) -> None:
    with pytest.raises(DescriptionError, match=f"unknown model '{name}'") as error:
        describe_model(name)
    assert error.value.nearest == nearest
    assert (", such as " in error.value.allowed) == bool(nearest)


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    page = DOCS / "model-reference.md"
    assert page.read_text(encoding="utf-8") == reference_page(), (
        "run python -m distsnn.tools.model_reference docs/model-reference.md"
    )
    # models that this process knows beside the built-in ones are not on the page
    command = [sys.executable, "-m", "distsnn.tools.model_reference", str(tmp_path / "page.md")]
    subprocess.run(command, check=True)
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == reference_page()


def test_the_page_has_a_section_for_each_model() -> None:
    text = reference_page()
    headings = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    assert sorted(headings) == sorted(info.name for info in MODELS)
    for info in MODELS:
        assert f"(#{info.name.lower()})" in text
    assert text.count("\n**Integration**\n") == len(MODELS)
    assert "| `C_m` | pF, > 0, default 250.0 | membrane capacitance |\n" in text
