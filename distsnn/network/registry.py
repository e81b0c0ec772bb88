"""Neuron models by name."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

from distsnn.errors import DescriptionError, unknown
from distsnn.network.model import NeuronModel, parameter

M = TypeVar("M", bound=NeuronModel)

_MODELS: dict[str, type[NeuronModel]] = {}


@dataclass_transform(eq_default=False, frozen_default=True, field_specifiers=(parameter,))
def neuron_model(cls: type[M]) -> type[M]:
    """Make a class a frozen dataclass and a neuron model that is found by its name.

    Raises
    ------
    DescriptionError
        If its name is taken, or if it names parameters or receptors that it does not have.
    """
    made = dataclass(frozen=True, eq=False)(cls)
    where = f"neuron model {made.__qualname__}"
    if not isinstance(getattr(made, "name", None), str):
        raise DescriptionError("a model needs a class attribute `name`", where=where)
    parameters = made.parameters()
    for name, state in made.states.items():
        used = [state.relative_to, state.default if isinstance(state.default, str) else None]
        for one in used:
            if one is not None and one not in parameters:
                raise unknown("parameter", one, parameters, where=f"{where}, state {name}")
    for one in (one for pair in made.ordered for one in pair):
        if one not in parameters:
            raise unknown("parameter", one, parameters, where=f"{where}, ordered")
    for field in ("signed_receptors", "allowed_weights"):
        for receptor in getattr(made, field) or ():
            if receptor not in made.receptors:
                raise unknown("receptor", receptor, made.receptors, where=f"{where}, {field}")
    taken = _MODELS.get(made.name)
    # A user's file that is loaded once more replaces its own models.
    ours = (made.__module__, made.__qualname__)
    if taken is not None and (taken.__module__, taken.__qualname__) != ours:
        raise DescriptionError(
            f"the name is taken by {taken.__module__}.{taken.__qualname__}",
            where=where,
            value=made.name,
        )
    _MODELS[made.name] = made
    return made


def model_named(name: str) -> type[NeuronModel]:
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
