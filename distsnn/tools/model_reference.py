"""Models by name: a table of all, the documentation of one, and the reference page.

After a change of a model run ``python -m distsnn.tools.model_reference docs/model-reference.md``; a
test compares.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from distsnn.errors import DescriptionError, closest_names
from distsnn.network import (
    ConstantCurrent,
    EquationSynapse,
    GammaInput,
    NoiseCurrent,
    PlasticSynapse,
    PoissonInput,
    SineCurrent,
    SpikeInput,
    StepCurrent,
    get_neuron_model,
    model_names,
)
from distsnn.network.model import Model, SynapseModel
from distsnn.network.model_docs import (
    Section,
    as_markdown,
    as_text,
    class_docstring,
    own_peers,
    peer_names,
    sections,
)
from distsnn.network.registry import NeuronFunction, neuron_functions, synapse_models
from distsnn.network.stimuli import Stimulus
from distsnn.network.stimulus_docs import stimulus_sections
from distsnn.public_api import public_function

# Kinds of models, in the order of lists.
KINDS = ("neuron", "synapse model", "plasticity rule", "stimulus")
_PLURALS = dict(
    zip(KINDS, ("Neurons", "Synapse models", "Plasticity rules", "Stimuli"), strict=True)
)
_STIMULI = (
    *(PoissonInput, GammaInput, SpikeInput),
    *(ConstantCurrent, StepCurrent, SineCurrent, NoiseCurrent),
)

# Names in the error for an unknown one.
_MOST_NAMES = 5
# Models of these modules come with distsnn.
_BUILT_IN = "distsnn.network."
_PAGE = """\
# Model reference

This page shows all built-in models of neurons and synapses, and all stimuli, as
`distsnn models NAME` and `help` do. Do not edit it:
`python -m distsnn.tools.model_reference docs/model-reference.md` writes it.
[models.md](models.md) and [plasticity.md](plasticity.md) explain the models,
[own-models.md](own-models.md) explains the language of the equations, and
[models-compared.md](models-compared.md) compares the models with those of other simulators.

Where no type is given, a parameter is a number, an array with one value per neuron (or source, or
synapse), or a distribution.
"""


@dataclass(frozen=True)
class ModelInfo:
    """A model of neurons or synapses, or a stimulus.

    Attributes
    ----------
    name : str
        Name of the class, or of the function that makes the model.
    kind : str
        One of `KINDS`.
    stored_name : str
        Name in stores.
    peers : mapping of str to str, optional
        Names in other simulators, by simulator; None: not known.
    docstring : str
        What the class or the function itself says.
    model : type of Model or Stimulus
        The class, of which `sections` are made.
    example : str
        Call of the function that makes this class; empty where a class has the name.
    """

    name: str
    kind: str
    stored_name: str
    peers: Mapping[str, str] | None
    docstring: str
    model: type[Model] | type[Stimulus]
    example: str = ""

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.docstring.strip().partition("\n")[0]

    @property
    def nest_names(self) -> list[str]:
        """Names in NEST."""
        return peer_names(self.peers["NEST"]) if self.peers and "NEST" in self.peers else []

    def sections(self) -> list[Section]:
        """Return the documentation."""
        if issubclass(self.model, Stimulus):
            return stimulus_sections(self.model)
        intro, *others = sections(
            self.model, self.docstring, self.peers, of_function=bool(self.example)
        )
        if self.example:
            text = f"The equations and all else but the parameters are those of {self.example}."
            others.insert(0, Section("Example", tuple(wrap(text, 96))))
        return [intro, *others]


def list_models() -> list[ModelInfo]:
    """Return all models, sorted by kind and name.

    These are the models and stimuli that come with distsnn, and the user-defined model classes that
    have been imported.

    Returns
    -------
    list of ModelInfo
        Each has `name`, `kind`, `summary` and `nest_names`.
    """
    return sorted(_all_models(), key=lambda info: (KINDS.index(info.kind), info.name.lower()))


@public_function
def describe_model(name: str) -> str:
    """Return the documentation of a model or stimulus: what `help` shows of its class.

    Parameters
    ----------
    name : str
        A class, such as ``"IafPscExp"``; a function that makes a model, such as
        ``"iaf_psc_exp_multisynapse"``; or a name in NEST, such as ``"iaf_psc_exp"``. If several
        models have the name, the text contains all of them.

    Raises
    ------
    DescriptionError
        If no model has the name; the message contains the closest name.
    """
    models = list_models()
    in_nest = [info for info in models if name in info.nest_names]
    matches = [info for info in models if name in (info.name, info.stored_name)] or in_nest
    if not matches:
        raise _unknown_model(name, models)
    lines = []
    for info in matches:
        lines += [f"{info.name} ({info.kind})", "", as_text(info.sections())]
    others = [info.name for info in in_nest if info not in matches]
    if others:
        lines += [f"NEST's {name} is also: {', '.join(others)}", ""]
    return "\n".join(lines)


def reference_page() -> str:
    """Return the page with the documentation of all models that come with distsnn, in Markdown."""
    models = [info for info in list_models() if info.model.__module__.startswith(_BUILT_IN)]
    lines = [_PAGE]
    for kind in KINDS:
        chosen = [info for info in models if info.kind == kind]
        links = (f"[{info.name}](#{info.name.lower()})" for info in chosen)
        lines += [f"## {_PLURALS[kind]}", "", ",\n".join(links), ""]
        for info in chosen:
            lines += [f"### {info.name}", "", as_markdown(info.sections())]
    return "\n".join(lines).rstrip() + "\n"


def _unknown_model(name: str, models: list[ModelInfo]) -> DescriptionError:
    names = {each for info in models for each in (info.name, *info.nest_names)}
    close = closest_names(name, sorted(names), _MOST_NAMES)
    examples = f", such as {', '.join(close)}" if close else ""
    return DescriptionError(
        f"unknown model {name!r}",
        allowed=f"a name that `distsnn models` lists{examples}",
        nearest=close[0] if close else None,
    )


def _all_models() -> Iterator[ModelInfo]:
    for name in model_names():
        yield _class_info(get_neuron_model(name), "neuron")
    for synapse in synapse_models():
        yield _class_info(synapse, _synapse_kind(synapse))
    for name, made in neuron_functions().items():
        yield _function_info(name, made)
    for stimulus in _STIMULI:
        yield _class_info(stimulus, "stimulus")


def _synapse_kind(model: type[SynapseModel]) -> str:
    # rules may also scale weights that do not change
    learns = not issubclass(model, EquationSynapse) or model.model.rule.learns
    return "plasticity rule" if issubclass(model, PlasticSynapse) and learns else "synapse model"


def _class_info(model: type[Model] | type[Stimulus], kind: str) -> ModelInfo:
    return ModelInfo(
        name=model.__name__,
        kind=kind,
        stored_name=model.name if issubclass(model, Model) else model.__name__,
        peers=own_peers(model),
        docstring=class_docstring(model),
        model=model,
    )


def _function_info(name: str, made: NeuronFunction) -> ModelInfo:
    neurons = type(made.function(**made.example))
    arguments = ", ".join(f"{key}={value!r}" for key, value in made.example.items())
    return ModelInfo(
        name=name,
        kind="neuron",
        stored_name=neurons.name,
        peers=made.peers,
        docstring=made.function.__doc__ or "",
        model=neurons,
        example=f"{name}({arguments})",
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference_page(), encoding="utf-8")
