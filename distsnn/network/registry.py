"""Neuron and synapse models by name."""

from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from distsnn.errors import DescriptionError, nearest, unknown
from distsnn.network.base import derived
from distsnn.network.model import Model, Neuron, SynapseModel, parameter
from distsnn.network.model_docs import documentation

M = TypeVar("M", bound=Model)
N = TypeVar("N", bound=Neuron)
S = TypeVar("S", bound=SynapseModel)

# Models of these modules are checked by a test: no start of a program waits for that.
_BUILT_IN = "distsnn.network."

_MODELS: dict[str, type[Neuron]] = {}
_SYNAPSES: dict[str, type[SynapseModel]] = {}


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(parameter,))
def neuron_model(cls: type[N]) -> type[N]:
    """Make a class a frozen dataclass and a neuron model that is found by its name.

    Raises
    ------
    DescriptionError
        If its name is taken, if it names parameters or receptors that it does not have, or if it
        has a parameter ``substeps``.
    """
    where = f"neuron model {cls.__qualname__}"
    made = dataclass(frozen=True, eq=False)(cls)
    made.derive()
    if "substeps" in made.parameters():
        # precision and warnings follow from the number of parts, which a parameter would hide
        raise DescriptionError(
            "a neuron model cannot have a parameter substeps, the number of parts of a step",
            where=where,
            allowed="the field substeps of the base class SubsteppedNeuron",
        )
    return _registered(made, _MODELS, where)


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(parameter,))
def synapse_model(cls: type[S]) -> type[S]:
    """Make a class a frozen dataclass and a synapse model that is found by its name.

    Raises
    ------
    DescriptionError
        If its name is taken, or if it names parameters that it does not have.
    """
    made = dataclass(frozen=True, eq=False)(cls)
    made.derive()
    return _registered(made, _SYNAPSES, f"synapse model {cls.__qualname__}")


def _registered(made: type[M], models: dict[str, Any], where: str) -> type[M]:
    if not isinstance(getattr(made, "name", None), str):
        raise DescriptionError("a model needs a class attribute `name`", where=where)
    if not made.__module__.startswith(_BUILT_IN):
        check_model(made, where)
    taken = models.get(made.name)
    # A user's file that is loaded once more replaces its own models.
    ours = (made.__module__, made.__qualname__)
    if taken is not None and (taken.__module__, taken.__qualname__) != ours:
        raise DescriptionError(
            f"the name is taken by {taken.__module__}.{taken.__qualname__}",
            where=where,
            value=made.name,
        )
    text = made.__doc__ or ""
    type.__setattr__(made, "__doc__", derived(lambda cls: documentation(cls, text)))
    models[made.name] = made
    return made


def register(model: type[Model]) -> None:
    """Make a model known by its name that was decorated in another process."""
    models: dict[str, Any] = _MODELS if issubclass(model, Neuron) else _SYNAPSES
    models[model.name] = model


def check_model(model: type[Model], where: str) -> None:
    """Check that a class names only parameters and receptors that it has.

    Raises
    ------
    DescriptionError
        If not.
    """
    parameters = model.parameters()
    for name, state in model.states.items():
        used = [state.relative_to, state.default if isinstance(state.default, str) else None]
        for one in used:
            if one is not None and one not in parameters:
                raise unknown("parameter", one, parameters, where=f"{where}, state {name}")
    for one in (one for pair in model.ordered for one in pair):
        if one not in parameters:
            raise unknown("parameter", one, parameters, where=f"{where}, ordered")
    if not issubclass(model, Neuron):
        return
    for field in ("signed_receptors", "allowed_weights"):
        for receptor in getattr(model, field) or ():
            if receptor not in model.receptors:
                raise unknown("receptor", receptor, model.receptors, where=f"{where}, {field}")


def model_named(name: str) -> type[Neuron]:
    """Return the neuron model of a name.

    Raises
    ------
    DescriptionError
        If there is none; it names the nearest.
    """
    if name not in _MODELS:
        raise unknown("neuron model", name, _MODELS)
    return _MODELS[name]


def model_names() -> list[str]:
    """Return the names of all neuron models, sorted."""
    return sorted(_MODELS)


def synapse_named(name: str) -> type[SynapseModel]:
    """Return the synapse model of a name.

    Raises
    ------
    DescriptionError
        If there is none; it names the nearest.
    """
    if name not in _SYNAPSES:
        raise unknown("synapse model", name, _SYNAPSES)
    return _SYNAPSES[name]


def synapse_models() -> list[type[SynapseModel]]:
    """Return the classes of all synapse models, sorted by name."""
    return [_SYNAPSES[name] for name in sorted(_SYNAPSES)]


def nearest_synapse_class(name: str) -> str | None:
    """Return the class of synapses whose name, or whose model's name, is most like a name."""
    classes = {name: made.__name__ for name, made in _SYNAPSES.items()}
    classes |= {made: made for made in classes.values()}
    found = nearest(name, sorted(classes))
    return found and classes[found]
